//! Times at their edges (RFC 7519 §4.1.4 to §4.1.6).

use super::*;

const RULES: TimeRules =
    TimeRules { ahead_max: Duration::from_secs(5), grace: Duration::ZERO, life_max: Some(Duration::from_secs(900)) };

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn check(issued: Option<u64>, not_before: Option<u64>, expires: u64, now_ms: u64) -> Result<(), TimeError> {
    let times = Times { issued: issued.map(at), not_before: not_before.map(at), expires: at(expires) };
    times.check(Timestamp::from_millis(now_ms), &RULES)
}

#[test]
fn a_token_ends_at_exp_to_the_millisecond() {
    assert_eq!(check(Some(1000), Some(995), 1300, 1_299_999), Ok(()));
    assert_eq!(check(Some(1000), Some(995), 1300, 1_300_000), Err(TimeError::Expired));
    assert_eq!(check(Some(1000), Some(995), 1300, 1_300_001), Err(TimeError::Expired));
}

#[test]
fn leeway_is_applied_once_and_only_ahead() {
    assert_eq!(check(None, Some(1000), 1300, 995_000), Ok(()));
    assert_eq!(check(None, Some(1000), 1300, 994_999), Err(TimeError::NotYet));
    assert_eq!(check(Some(1000), None, 1300, 995_000), Ok(()));
    assert_eq!(check(Some(1000), None, 1300, 994_999), Err(TimeError::IssuedAhead));
}

#[test]
fn a_life_longer_than_accepted_is_refused() {
    assert_eq!(check(Some(1000), None, 1900, 1_000_000), Ok(()));
    assert_eq!(check(Some(1000), None, 1901, 1_000_000), Err(TimeError::Life));
    assert_eq!(check(None, None, 1901, 1_000_000), Err(TimeError::Life), "without iat the rest of its life counts");
    assert_eq!(check(Some(1000), None, u64::MAX / 1000, 1_000_000), Err(TimeError::Life));
    assert_eq!(check(Some(1002), None, 1001, 1_000_000), Err(TimeError::Life), "it ends before it begins");
}

#[test]
fn no_time_overflows() {
    let times = Times { issued: Some(Timestamp::MAX), not_before: Some(Timestamp::MAX), expires: Timestamp::MAX };
    assert_eq!(times.check(Timestamp::MAX, &RULES), Err(TimeError::Expired));
    assert_eq!(times.check(Timestamp::EPOCH, &RULES), Err(TimeError::NotYet));
}
