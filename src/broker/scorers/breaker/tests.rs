//! When a pause begins, and how it ends.

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[test]
fn failures_in_a_row_begin_a_pause_and_an_answer_between_them_does_not() {
    let breaker = Breaker::new(2, Duration::from_secs(10));
    breaker.failed(at(0));
    breaker.answered();
    breaker.failed(at(1));
    assert!(!breaker.is_paused(at(1)) && breaker.try_ask(at(1)));
    breaker.failed(at(2));
    assert!(breaker.is_paused(at(11)) && !breaker.try_ask(at(11)));
}

#[test]
fn after_a_pause_one_question_goes_ahead() {
    let breaker = Breaker::new(1, Duration::from_secs(10));
    breaker.failed(at(0));
    assert!(breaker.try_ask(at(10)), "the first");
    assert!(!breaker.try_ask(at(10)), "others wait for what becomes of it");
    assert!(breaker.is_paused(at(19)));
    breaker.answered();
    assert!(breaker.try_ask(at(10)) && !breaker.is_paused(at(10)));
}

#[test]
fn a_question_that_goes_ahead_and_fails_begins_the_next_pause() {
    let breaker = Breaker::new(3, Duration::from_secs(10));
    (0..3).for_each(|_| breaker.failed(at(0)));
    assert!(breaker.try_ask(at(10)));
    breaker.failed(at(12));
    assert!(breaker.is_paused(at(21)) && !breaker.is_paused(at(22)));
}
