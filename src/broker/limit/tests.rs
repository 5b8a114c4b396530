//! Rates, bursts and places in flight.

use super::*;

const LIMITS: CallerLimits = CallerLimits { per_second: 10, burst: 3, in_flight: 2 };

#[test]
fn a_burst_is_followed_by_the_rate() {
    let limiter = Limiter::new(LIMITS);
    let start = Timestamp::from_secs(100);
    for _ in 0..3 {
        assert!(limiter.enter("a", start).is_ok());
    }
    assert!(matches!(limiter.enter("a", start), Err(BrokerError::RateLimited)));
    assert!(limiter.enter("b", start).is_ok(), "callers do not share a rate");
    let later = Timestamp::from_millis(start.as_millis() + 100);
    assert!(limiter.enter("a", later).is_ok());
    assert!(limiter.enter("a", later).is_err());
}

#[test]
fn places_in_flight_are_given_back() {
    let limiter = Limiter::new(CallerLimits { burst: 100, ..LIMITS });
    let now = Timestamp::from_secs(100);
    let (one, two) = (limiter.enter("a", now).unwrap(), limiter.enter("a", now).unwrap());
    assert!(limiter.enter("a", now).is_err());
    drop(one);
    assert!(limiter.enter("a", now).is_ok());
    drop(two);
}
