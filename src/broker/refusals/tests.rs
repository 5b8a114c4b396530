//! Refusals are counted until they are recorded.

use super::*;
use crate::model::reason::ReasonCode;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn refusal(subject: &str) -> Refusal {
    let (subject, code) = (subject.to_owned(), ReasonCode::HandleWrong);
    Refusal { subject, rpc: "GetTask", code, peer_address: None, task: None }
}

fn counts(due: &Due) -> Vec<u64> {
    let count = |event: &pb::Event| match &event.payload {
        Some(Payload::Refused(refused)) => refused.count,
        other => panic!("{other:?}"),
    };
    due.events.iter().map(count).collect()
}

#[test]
fn what_could_not_be_recorded_is_counted_on() {
    let refusals = Refusals::default();
    refusals.note(&refusal("a"));
    let due = refusals.due(START, false);
    assert_eq!(counts(&due), [1]);
    refusals.note(&refusal("a"));
    assert!(refusals.due(START, false).events.is_empty(), "what is on its way is not taken twice");
    refusals.settle(&due, None);
    let due = refusals.due(START, false);
    assert_eq!(counts(&due), [2]);
    refusals.settle(&due, Some(START));
    assert!(refusals.due(START, true).events.is_empty(), "and written once");
}

#[test]
fn the_last_time_repeats_are_not_waited_for() {
    let refusals = Refusals::default();
    for _ in 0..2 {
        for _ in 0..3 {
            refusals.note(&refusal("a"));
        }
        let due = refusals.due(START, false);
        refusals.settle(&due, Some(START));
    }
    let due = refusals.due(START, true);
    assert_eq!(counts(&due), [3]);
}

#[test]
fn no_entry_is_too_large_and_nothing_is_left_behind() {
    let refusals = Refusals::default();
    for n in 0..1000 {
        refusals.note(&refusal(&n.to_string()));
    }
    let mut written = 0;
    loop {
        let due = refusals.due(START, true);
        if due.events.is_empty() {
            break;
        }
        assert!(due.events.len() <= EVENTS_MAX);
        written += due.events.len();
        refusals.settle(&due, Some(START));
    }
    assert_eq!(written, 1000);
}
