//! A check reads the whole journal as a start would, finds what a start would stumble over, and leaves every byte as it is.

use std::fs;
use std::sync::Arc;

use carnet::broker::open::OpenError;
use carnet::journal::Journal;
use carnet::journal::error::JournalError;
use carnet::journal::projection::NoProjection;
use carnet::pb::journal as pb;
use carnet::server::error::ServerError;
use carnet::server::serve::check;
use carnet::server::start::Drained;

use super::{Machine, listing};
use crate::support::journal;
use crate::support::pki::soon;

#[tokio::test]
async fn a_check_reads_the_journal_through_and_changes_nothing_in_it() {
    let machine = Machine::new();
    let inspect = async || soon(soon(check(machine.settings())).await.unwrap().inspect_journal()).await;
    assert!(inspect().await.unwrap().is_none(), "there is none yet");
    assert_eq!(soon(machine.start().await.shutdown()).await, Drained::Whole);
    let data = machine.pki.path("data");
    let segment = listing(&data.join("journal/segments")).into_keys().next().unwrap();
    let sound = fs::read(&segment).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    assert_eq!(inspect().await.unwrap().unwrap().torn_bytes, 0);

    let mut torn = sound.clone();
    torn[used..used + 40].fill(0x17);
    fs::write(&segment, &torn).unwrap();
    let before = listing(&data);
    assert_eq!(inspect().await.unwrap().unwrap().torn_bytes, 40, "a start would cut it off");
    assert_eq!(listing(&data), before);

    let mut damaged = sound.clone();
    damaged[used / 2] ^= 0x40;
    fs::write(&segment, &damaged).unwrap();
    let error = inspect().await.unwrap_err();
    assert!(matches!(error, ServerError::Open(OpenError::Journal(JournalError::Damaged { .. }))), "{error:?}");
    fs::write(&segment, &sound).unwrap();

    // What another version may write, and this one does not know, or no longer loads.
    let policy = pb::PolicyActivated { digest: "0".repeat(64), revision: 9, ..pb::PolicyActivated::default() };
    for payload in [Some(pb::event::Payload::PolicyActivated(policy)), None] {
        let event = pb::Event { stream: "system".to_owned(), payload, ..pb::Event::default() };
        let options = journal::options(&data.join("journal"));
        let (log, _) = Journal::open(options, Arc::new(NoProjection)).unwrap();
        log.append(journal::entry(vec![event.clone()], Vec::new())).await.unwrap();
        log.close().await;
        let before = listing(&data);
        let error = inspect().await.unwrap_err();
        let expected = match event.payload {
            Some(_) => matches!(error, ServerError::Open(OpenError::InForce { .. })),
            None => matches!(error, ServerError::Open(OpenError::Journal(JournalError::Fold { .. }))),
        };
        assert!(expected, "{error:?}");
        assert_eq!(listing(&data), before);
    }
}
