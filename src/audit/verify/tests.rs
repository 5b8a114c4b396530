//! Honest exports, and every way of lying with one.

use proptest::prelude::*;

use super::*;
use crate::audit::checkpoint::sign;
use crate::audit::event::Unplaced;
use crate::audit::export::ExportWriter;
use crate::audit::note::SignerKey;
use crate::pb::journal::Event;

fn signer() -> SignerKey {
    SignerKey::from_seed("carnet.test", &[7; 32]).unwrap()
}

fn stored(position: u64, stream: &str, ms: u64) -> Vec<u8> {
    let place = Place { position, stream_version: 1, time: Timestamp::from_millis(ms) };
    let mut out = Vec::new();
    Unplaced::new(&Event { stream: stream.into(), ..Event::default() }).place(place, &mut out);
    out
}

fn log(size: u64) -> Vec<Vec<u8>> {
    (0..size).map(|i| stored(i, &format!("task/{i}"), 1000 + i)).collect()
}

fn frontier(events: &[Vec<u8>]) -> Frontier {
    let mut tree = Frontier::new();
    events.iter().for_each(|stored| tree.push(TreeHash::leaf(stored)));
    tree
}

fn checkpoint(events: &[Vec<u8>]) -> String {
    sign(&frontier(events).head(), &signer()).unwrap()
}

fn export_from(before: &Frontier, events: &[Vec<u8>], checkpoint: &str) -> Vec<u8> {
    let mut writer = ExportWriter::new(Vec::new(), before).unwrap();
    for stored in events {
        writer.event(stored).unwrap();
    }
    writer.finish(checkpoint).unwrap()
}

fn export(events: &[Vec<u8>]) -> Vec<u8> {
    export_from(&Frontier::new(), events, &checkpoint(events))
}

fn check(bytes: &[u8], kept: Option<&str>) -> Result<VerifyReport, VerifyError> {
    verify(bytes, signer().verifier(), 0, kept)
}

#[test]
fn an_honest_export_verifies() {
    let events = log(20);
    for kept in 0..=20 {
        let kept_note = checkpoint(&events[..kept]);
        let report = check(&export(&events), Some(&kept_note)).unwrap();
        assert_eq!((report.from, report.head.size, report.kept), (0, 20, Some(kept as u64)));
        assert_eq!(report.times, Some((Timestamp::from_millis(1000), Timestamp::from_millis(1019))));
    }
    assert!(check(&export(&[]), None).unwrap().times.is_none());
}

#[test]
fn an_export_of_a_later_part_verifies_and_meets_what_was_kept() {
    let events = log(20);
    for from in 0..=20 {
        let bytes = export_from(&frontier(&events[..from]), &events[from..], &checkpoint(&events));
        let kept = checkpoint(&events[..from.max(15)]);
        let report = verify(bytes.as_slice(), signer().verifier(), from as u64, Some(&kept)).unwrap();
        assert_eq!(report.from, from as u64);
    }
    let bytes = export_from(&frontier(&events[..10]), &events[10..], &checkpoint(&events));
    let early = checkpoint(&events[..9]);
    let early = verify(bytes.as_slice(), signer().verifier(), 10, Some(&early));
    assert!(matches!(early, Err(VerifyError::KeptBefore { kept: 9, from: 10 })));
}

#[test]
fn an_export_whose_beginning_was_dropped_is_found_out() {
    let events = log(20);
    let (signed, kept) = (checkpoint(&events), checkpoint(&events[..15]));
    // With the right subtrees in its header, everything that is left is as it was signed.
    let dropped = export_from(&frontier(&events[..8]), &events[8..], &signed);
    for kept in [None, Some(kept.as_str())] {
        let found = check(&dropped, kept);
        assert!(matches!(found, Err(VerifyError::Beginning { expected: 0, found: 8 })), "{found:?}");
    }
    let other = verify(export(&events).as_slice(), signer().verifier(), 8, None);
    assert!(matches!(other, Err(VerifyError::Beginning { expected: 8, found: 0 })));
}

#[test]
fn every_changed_byte_is_found() {
    let honest = export(&log(5));
    for at in 0..honest.len() {
        for flip in [1, 0x80] {
            let mut bytes = honest.clone();
            bytes[at] ^= flip;
            assert!(check(&bytes, None).is_err(), "byte {at}");
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let honest = export(&log(5));
    for len in 0..honest.len() {
        assert!(check(&honest[..len], None).is_err(), "cut to {len}");
    }
    for extra in [&[0][..], b"e", &[0; 5], &honest] {
        assert!(check(&[&honest, extra].concat(), None).is_err(), "with {extra:?}");
    }
}

#[test]
fn dropped_added_moved_and_swapped_events_are_found() {
    let events = log(6);
    let signed = checkpoint(&events);
    let with = |events: &[Vec<u8>]| check(&export_from(&Frontier::new(), events, &signed), None);
    let changed = |f: fn(&mut Vec<Vec<u8>>)| {
        let mut events = events.clone();
        f(&mut events);
        with(&events)
    };
    assert!(with(&events).is_ok());
    assert!(matches!(changed(|e| drop(e.remove(2))), Err(VerifyError::OutOfPlace { expected: 2, found: 3 })));
    assert!(matches!(changed(|e| drop(e.pop())), Err(VerifyError::Size { signed: 6, found: 5 })));
    assert!(matches!(changed(|e| e.swap(1, 2)), Err(VerifyError::OutOfPlace { expected: 1, found: 2 })));
    assert!(matches!(changed(|e| e.insert(1, e[1].clone())), Err(VerifyError::OutOfPlace { .. })));
    assert!(matches!(changed(|e| e.push(stored(6, "task/6", 2000))), Err(VerifyError::Size { .. })));
    assert!(matches!(changed(|e| e[3] = stored(3, "task/x", 1003)), Err(VerifyError::Root { sound: None })));
    assert!(matches!(changed(|e| e[3] = stored(3, "task/3", 900)), Err(VerifyError::TimeWentBack { position: 3 })));
}

#[test]
fn a_log_cut_short_or_forked_is_found_by_what_was_kept() {
    let events = log(8);
    let mut forked = events.clone();
    forked[4] = stored(4, "task/other", 1004);
    let kept = checkpoint(&events);
    // Whoever holds the key signs a shorter or another log.
    assert!(matches!(check(&export(&events[..5]), Some(&kept)), Err(VerifyError::CutShort { kept: 8, signed: 5 })));
    assert!(matches!(check(&export(&forked), Some(&kept)), Err(VerifyError::Fork { kept: 8 })));
    let early = checkpoint(&events[..4]);
    assert!(check(&export(&forked), Some(&early)).is_ok());
    let bytes = export_from(&Frontier::new(), &forked, &checkpoint(&events));
    assert!(matches!(check(&bytes, Some(&early)), Err(VerifyError::Root { sound: Some(4) })));
}

#[test]
fn a_checkpoint_of_another_key_is_refused() {
    let events = log(3);
    let stranger = SignerKey::from_seed("carnet.test", &[8; 32]).unwrap();
    let theirs = sign(&frontier(&events).head(), &stranger).unwrap();
    let bytes = export_from(&Frontier::new(), &events, &theirs);
    assert!(matches!(check(&bytes, None), Err(VerifyError::Checkpoint(NoteError::Unsigned(_)))));
    assert!(matches!(check(&export(&events), Some(&theirs)), Err(VerifyError::Kept(_))));
}

#[test]
fn a_record_longer_than_its_limit_is_refused_unread() {
    let mut bytes = export(&[]);
    let at = bytes.iter().position(|b| *b == b'\n').unwrap() + 1 + 9;
    bytes[at + 1] = 0xff;
    assert!(matches!(check(&bytes, None), Err(VerifyError::Export(ExportError::Record { events: 0 }))));
}

proptest! {
    #[test]
    fn no_bytes_make_the_verifier_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes, None);
        let _ = check(&[b"carnet-export-1\n".as_slice(), &bytes].concat(), None);
    }
}
