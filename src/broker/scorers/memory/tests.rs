//! What is remembered, of what, and for how long.

use super::*;
use crate::model::risk::SCORE_SIGNAL;

fn score(points: u32) -> Signal {
    Signal {
        name: SCORE_SIGNAL.parse().unwrap(),
        source: "scorer:a".to_owned(),
        scorer: "m".to_owned(),
        points,
        explanation: String::new(),
        observed: Timestamp::EPOCH,
    }
}

fn silence(points: u32) -> Signal {
    Signal { scorer: String::new(), ..score(points) }
}

fn task(n: u8) -> TaskId {
    TaskId::new(Timestamp::EPOCH, [n; 10])
}

#[test]
fn a_milder_score_of_the_same_step_does_not_count_for_a_while() {
    let memory = Memory::default();
    let step = (task(1), [1; 32]);
    let at = Timestamp::from_secs;
    assert_eq!(memory.take_in(step, at(0), vec![score(30)]), [score(30)]);
    assert_eq!(memory.take_in(step, at(10), vec![score(0)]), [score(30)]);
    assert_eq!(memory.take_in((task(1), [2; 32]), at(10), vec![score(0)]), [score(0)], "another step");
    assert_eq!(memory.take_in((task(2), [1; 32]), at(10), vec![score(0)]), [score(0)], "another task");
    assert_eq!(memory.with_earlier(step, at(10), vec![score(0)]), [score(30)]);
    assert_eq!(memory.with_earlier(step, at(910), vec![score(0)]), [score(0)]);
    assert_eq!(memory.take_in(step, at(910), vec![score(0)]), [score(0)]);
}

#[test]
fn a_silence_is_not_remembered_and_does_not_hide_what_was_said() {
    let memory = Memory::default();
    let step = (task(1), [1; 32]);
    let at = Timestamp::from_secs;
    assert_eq!(memory.take_in(step, at(0), vec![silence(40)]), [silence(40)]);
    assert_eq!(memory.take_in(step, at(1), vec![score(20)]), [score(20)]);
    assert_eq!(memory.take_in(step, at(2), vec![silence(10)]), [score(20)]);
    assert_eq!(memory.take_in(step, at(3), vec![silence(40)]), [silence(40)]);
    assert_eq!(memory.take_in(step, at(4), vec![score(0)]), [score(20)], "what was said stands");
}

fn of(source: &str, signal: Signal) -> Signal {
    Signal { source: source.to_owned(), ..signal }
}

#[test]
fn the_silence_of_one_does_not_hide_what_it_said_when_another_speaks() {
    let memory = Memory::default();
    let step = (task(1), [1; 32]);
    let at = Timestamp::from_secs;
    let (a, b) = (|signal| of("scorer:a", signal), |signal| of("scorer:b", signal));
    memory.take_in(step, at(0), vec![a(score(30)), b(score(10))]);
    let silent = memory.take_in(step, at(1), vec![a(silence(40)), b(score(5))]);
    assert_eq!(silent, [a(silence(40)), b(score(10))]);
    let mild = memory.take_in(step, at(2), vec![a(score(0)), b(score(0))]);
    assert_eq!(mild, [a(score(30)), b(score(10))]);
}

#[test]
fn when_it_is_full_the_oldest_gives_way_and_no_other() {
    let memory = Memory::default();
    let step = |n: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(n as u64).to_be_bytes());
        (task(1), digest)
    };
    let at = |n: usize| Timestamp::from_millis(n as u64);
    for n in 0..=STEPS_MAX {
        memory.take_in(step(n), at(n), vec![score(30)]);
    }
    // One that is known needs no room.
    let mild = |n: usize| memory.take_in(step(n), at(STEPS_MAX + 1), vec![score(0)]);
    assert_eq!(mild(1), [score(30)]);
    assert_eq!(mild(STEPS_MAX), [score(30)]);
    assert_eq!(mild(0), [score(0)], "it was the oldest");
}
