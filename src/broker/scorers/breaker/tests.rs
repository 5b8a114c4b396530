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
    assert!(!breaker.is_paused(at(1)));
    assert_eq!(breaker.try_ask(at(1)), Some(Leave::Usual));
    breaker.failed(at(2));
    assert!(breaker.is_paused(at(11)) && breaker.try_ask(at(11)).is_none());
}

#[test]
fn after_a_pause_one_question_goes_ahead() {
    let breaker = Breaker::new(1, Duration::from_secs(10));
    breaker.failed(at(0));
    assert_eq!(breaker.try_ask(at(10)), Some(Leave::Ahead(at(20))), "the first");
    assert_eq!(breaker.try_ask(at(10)), None, "others wait for what becomes of it");
    assert!(breaker.is_paused(at(19)));
    breaker.answered();
    assert_eq!(breaker.try_ask(at(10)), Some(Leave::Usual));
    assert!(!breaker.is_paused(at(10)));
}

#[test]
fn a_question_that_goes_ahead_and_fails_begins_the_next_pause() {
    let breaker = Breaker::new(3, Duration::from_secs(10));
    (0..3).for_each(|_| breaker.failed(at(0)));
    assert!(breaker.try_ask(at(10)).is_some());
    breaker.failed(at(12));
    assert!(breaker.is_paused(at(21)) && !breaker.is_paused(at(22)));
}

#[test]
fn one_that_was_to_go_ahead_and_was_not_asked_leaves_that_to_the_next() {
    let breaker = Breaker::new(1, Duration::from_secs(10));
    let usual = breaker.try_ask(at(0)).unwrap();
    breaker.failed(at(0));
    breaker.not_asked(usual, at(1));
    assert!(breaker.is_paused(at(9)), "that one ends no pause");
    let ahead = breaker.try_ask(at(10)).unwrap();
    breaker.not_asked(ahead, at(10));
    let next = breaker.try_ask(at(10)).unwrap();
    assert_eq!(next, Leave::Ahead(at(20)));
    breaker.failed(at(12));
    breaker.not_asked(next, at(13));
    assert!(breaker.is_paused(at(21)), "another failure began this one");
}
