//! However many are refused, from wherever: few events, and every refusal counted in one of them.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::net::SocketAddr;

use super::*;
use crate::broker::caller::HANDSHAKE;
use crate::model::id::TaskId;
use crate::model::reason::ReasonCode;

const START: Timestamp = Timestamp::from_secs(1_790_000_000);

fn unproven(shown: &str, address: IpAddr) -> UnprovenRefusal {
    let peer_address = Some(SocketAddr::new(address, 5000));
    UnprovenRefusal { shown: Some(shown.to_owned()), rpc: HANDSHAKE, code: ReasonCode::SvidInvalid, peer_address }
}

/// What is due and is recorded then.
fn recorded(refusals: &Refusals, now: Timestamp) -> Vec<pb::Refused> {
    let due = refusals.due(now, false);
    refusals.settle(&due, Some(now));
    refused(due.events)
}

fn refused(events: Vec<pb::Event>) -> Vec<pb::Refused> {
    let refused = |event: pb::Event| match event.payload {
        Some(Payload::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(refused).collect()
}

#[test]
fn what_proves_nothing_is_counted_by_reason_and_network() {
    let refusals = Refusals::default();
    let mut noted = 0;
    let mut note = |n: u32| {
        let address = IpAddr::V4(Ipv4Addr::new(203, 0, 113, u8::try_from(n % 250).unwrap()));
        refusals.note_unproven(&unproven(&format!("spiffe://made.up/{n}"), address));
        noted += 1;
    };
    (0..300).for_each(&mut note);
    let first = recorded(&refusals, START);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!((first[0].subject.as_str(), first[0].peer_address.as_str()), ("unverified", "203.0.113.0/24"));
    assert_eq!(first[0].shown.len(), SHOWN_MAX);
    (300..600).for_each(&mut note);
    assert!(recorded(&refusals, START.after(UNPROVEN_WINDOW / 2)).is_empty(), "repeats wait");
    let then = recorded(&refusals, START.after(UNPROVEN_WINDOW));
    assert_eq!(then.len(), 1);
    assert_eq!(first[0].count + then[0].count, noted);
}

#[test]
fn strangers_from_everywhere_leave_few_events_a_day() {
    let refusals = Refusals::default();
    let (mut events, mut counted, mut noted) = (0, 0, 0);
    let minutes = 24 * 60;
    for minute in 0..minutes {
        for n in 0..200_u32 {
            let address = IpAddr::V6(Ipv6Addr::from_bits(u128::from(minute * 1000 + n) << 80));
            refusals.note_unproven(&unproven(&format!("spiffe://made.up/{n}"), address));
            noted += 1;
        }
        let due = recorded(&refusals, START.after(Duration::from_secs(60) * minute));
        events += due.len();
        counted += due.iter().map(|r| r.count).sum::<u64>();
    }
    let windows = usize::try_from(minutes).unwrap() / 5;
    assert!(events <= windows * (ORIGINS_MAX + 1), "{events} events");
    counted += recorded(&refusals, START.after(Duration::from_secs(200_000))).iter().map(|r| r.count).sum::<u64>();
    assert_eq!(counted, noted, "none is lost");
}

#[test]
fn one_identity_cannot_take_up_all_kinds() {
    let refusals = Refusals::default();
    for n in 0..200 {
        refusals.note(&Refusal {
            subject: "spiffe://a.test/agent".to_owned(),
            rpc: "GetTask",
            code: ReasonCode::NotFound,
            peer_address: None,
            task: Some(TaskId::new(START, [n; 10])),
        });
    }
    let due = recorded(&refusals, START);
    assert_eq!(due.len(), KINDS_OF_SUBJECT_MAX + 1);
    assert_eq!(due.iter().map(|r| r.count).sum::<u64>(), 200);
}

#[test]
fn no_sweep_writes_without_measure() {
    let refusals = Refusals::default();
    for n in 0..1000 {
        refusals.note(&Refusal {
            subject: format!("spiffe://a.test/agent/{n}"),
            rpc: "GetTask",
            code: ReasonCode::IdentityUnknown,
            peer_address: None,
            task: None,
        });
    }
    let counts = [(); 5].map(|()| recorded(&refusals, START).len());
    assert_eq!(counts, [256, 256, 256, 232, 0], "the others wait, and none is lost");
}

fn refusal(subject: &str) -> Refusal {
    let (subject, code) = (subject.to_owned(), ReasonCode::HandleWrong);
    Refusal { subject, rpc: "GetTask", code, peer_address: None, task: None }
}

fn counts(due: &Due) -> Vec<u64> {
    refused(due.events.clone()).iter().map(|refused| refused.count).collect()
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

#[test]
fn those_who_prove_something_do_not_put_off_what_proves_nothing() {
    let refusals = Refusals::default();
    refusals.note_unproven(&unproven("spiffe://made.up/x", IpAddr::V4(Ipv4Addr::LOCALHOST)));
    for n in 0..2 * EVENTS_MAX {
        refusals.note(&refusal(&n.to_string()));
    }
    assert!(recorded(&refusals, START).iter().any(|refused| refused.subject == UNPROVEN));
}

#[test]
fn a_sample_that_came_while_others_were_written_is_shown_with_the_next() {
    for (written, shown) in [(None, "first, later"), (Some(START), "later")] {
        let refusals = Refusals::default();
        let note = |shown: &str| refusals.note_unproven(&unproven(shown, IpAddr::V4(Ipv4Addr::LOCALHOST)));
        note("first");
        let due = refusals.due(START, false);
        assert_eq!(refused(due.events.clone())[0].shown, ["first"]);
        note("later");
        refusals.settle(&due, written);
        let then = recorded(&refusals, START.after(UNPROVEN_WINDOW));
        assert_eq!(then[0].shown.join(", "), shown, "{written:?}");
    }
}
