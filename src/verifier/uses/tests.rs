//! Uses that are counted, forgotten and refused.

use super::*;

const START: u64 = 1_790_000_000;
const MEMORY: Duration = Duration::from_secs(3600);
const SINCE: Option<Timestamp> = Some(Timestamp::from_secs(START));

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

fn grant(granted: u64, n: u8) -> GrantId {
    GrantId::new(at(granted), [n; 10])
}

fn one(grant: GrantId, calls_max: u32, expires: u64) -> Use {
    Use { grant, key: [0; 32], calls_max, expires: at(expires) }
}

fn code(result: Result<u32, Refusal>) -> Result<u32, &'static str> {
    result.map_err(|r| r.code())
}

#[test]
fn a_grant_for_one_use_is_used_once() {
    let uses = Uses::new(MEMORY, 10);
    let g = grant(1, 1);
    assert_eq!(code(uses.take(one(g, 1, 300), SINCE, at(2))), Ok(0));
    assert_eq!(code(uses.take(one(g, 1, 300), SINCE, at(3))), Err("CALLS_SPENT"));
    assert_eq!(code(uses.take(one(grant(1, 2), 1, 300), SINCE, at(3))), Ok(0), "another grant");
    assert_eq!(
        code(uses.take(Use { key: [1; 32], ..one(g, 1, 300) }, SINCE, at(3))),
        Ok(0),
        "another entry of the grant"
    );
    assert_eq!(code(uses.take(one(grant(1, 3), 0, 300), SINCE, at(3))), Err("CALLS_SPENT"));
}

#[test]
fn renewing_adds_no_uses() {
    let uses = Uses::new(MEMORY, 10);
    let g = grant(1, 1);
    assert_eq!(code(uses.take(one(g, 2, 300), SINCE, at(2))), Ok(1));
    // A chain of renewals, each token longer than the one before.
    assert_eq!(code(uses.take(one(g, 2, 4000), SINCE, at(1000))), Ok(0));
    for now in [1001, 3000, 3602, 3999] {
        assert_eq!(code(uses.take(one(g, 2, 5000), SINCE, at(now))), Err("CALLS_SPENT"), "at {now}");
    }
}

#[test]
fn what_may_have_been_forgotten_is_refused_and_not_counted_anew() {
    let uses = Uses::new(MEMORY, 10);
    let g = grant(1, 1);
    assert_eq!(code(uses.take(one(g, 1, 300), SINCE, at(2))), Ok(0));
    for now in [3600, 3601, 3700, 100_000] {
        let renewed = one(g, 1, now + 300);
        assert!(matches!(code(uses.take(renewed, SINCE, at(now))), Err("CALLS_SPENT" | "USES_UNKNOWN")), "at {now}");
    }
    assert_eq!(code(uses.take(one(grant(99_999, 1), 1, 100_300), SINCE, at(100_000))), Ok(0), "control: a young grant");
}

#[test]
fn after_a_restart_grants_from_before_are_refused() {
    let g = grant(5, 1);
    assert_eq!(code(Uses::new(MEMORY, 10).take(one(g, 1, 300), SINCE, at(6))), Ok(0));
    let (restarted, since) = (Uses::new(MEMORY, 10), Some(at(10)));
    assert_eq!(code(restarted.take(one(g, 1, 300), None, at(11))), Err("USES_UNKNOWN"), "nothing was heard yet");
    assert_eq!(code(restarted.take(one(g, 1, 300), since, at(11))), Err("USES_UNKNOWN"));
    assert_eq!(code(restarted.take(one(grant(10, 1), 1, 300), since, at(11))), Ok(0));
}

#[test]
fn memory_is_bounded_and_full_means_no() {
    let uses = Uses::new(MEMORY, 3);
    for n in 0..3 {
        assert_eq!(code(uses.take(one(grant(1, n), 1, 300), SINCE, at(2))), Ok(0));
    }
    assert_eq!(code(uses.take(one(grant(1, 9), 1, 300), SINCE, at(10))), Err("USES_FULL"));
    assert_eq!(
        code(uses.take(one(grant(1, 0), 1, 300), SINCE, at(10))),
        Err("CALLS_SPENT"),
        "what is counted stays counted"
    );
    assert_eq!(code(uses.take(one(grant(3601, 9), 1, 3900), SINCE, at(3602))), Ok(0), "what is over makes room");
    assert_eq!(uses.counts.lock().unwrap().by_grant.len(), 1);
}

#[test]
fn of_many_calls_at_once_one_gets_the_only_use() {
    let uses = Uses::new(MEMORY, 10);
    let taken = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..8).map(|_| scope.spawn(|| uses.take(one(grant(1, 1), 1, 300), SINCE, at(2)).is_ok())).collect();
        tries.into_iter().map(|t| t.join().unwrap()).filter(|ok| *ok).count()
    });
    assert_eq!(taken, 1);
}
