//! A token outlives nothing that bounds it.

use proptest::prelude::*;

use super::*;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn bounds(deadline: u64, svid: u64) -> Bounds {
    Bounds { deadline: at(deadline), svid_not_after: at(svid) }
}

fn expires(ttl: u64, bounds: Bounds) -> Result<u64, NoLifeError> {
    Life::new(Timestamp::from_millis(1_000_900), Ttl::from_secs(ttl).unwrap(), bounds).map(|l| l.expires.as_secs())
}

#[test]
fn the_shortest_bound_decides() {
    assert_eq!(expires(300, bounds(9000, 9000)), Ok(1300));
    assert_eq!(expires(300, bounds(1200, 9000)), Ok(1200));
    assert_eq!(expires(300, bounds(9000, 1100)), Ok(1100));
    assert_eq!(expires(100_000, bounds(u64::MAX, u64::MAX)), Ok(1000 + TTL_SECONDS_MAX));
}

#[test]
fn no_token_is_made_when_nothing_is_left() {
    for (name, b) in
        [("deadline now", bounds(1000, 9000)), ("deadline past", bounds(999, 9000)), ("SVID over", bounds(9000, 1000))]
    {
        assert_eq!(expires(300, b), Err(NoLifeError), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bound_is_ever_passed(now in any::<u64>(), ttl in 1_u64.., deadline in any::<u64>(), svid in any::<u64>()) {
        let ms = Timestamp::from_millis;
        let b = Bounds { deadline: ms(deadline), svid_not_after: ms(svid) };
        if let Ok(life) = Life::new(ms(now), Ttl::from_secs(ttl).unwrap(), b) {
            let end = life.expires.timestamp();
            prop_assert!(end <= b.deadline && end <= b.svid_not_after);
            prop_assert!(life.not_before <= life.issued && life.issued < life.expires);
            prop_assert!(life.expires.as_secs() - life.issued.as_secs() <= ttl.min(TTL_SECONDS_MAX));
        }
    }
}
