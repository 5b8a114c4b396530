//! What is looked through, and what becomes of an event that cannot be read.

use bytes::Bytes;

use super::*;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const SIZE: u64 = 10;

fn recorded(position: u64) -> Recorded {
    let payload = match position % 2 {
        0 => Payload::PolicyActivated(pb::PolicyActivated::default()),
        _ => Payload::Refused(pb::Refused::default()),
    };
    let event = pb::Event { payload: Some(payload), ..pb::Event::default() };
    Recorded { position, stream_version: 1, time: NOW, event, stored: Bytes::new() }
}

/// Reads a journal in which one event is damaged.
fn reading(damaged: u64) -> impl Fn(u64, usize) -> Result<Vec<Recorded>, ReadError> {
    move |from, most| {
        let positions = from..SIZE.min(from + most as u64);
        if positions.contains(&damaged) {
            Err(ReadError::Damaged(damaged))
        } else {
            Ok(positions.map(recorded).collect())
        }
    }
}

fn told(positions: &[u64]) -> Vec<(u64, NoticeType)> {
    positions.iter().map(|position| (*position, NoticeType::PolicyActivated)).collect()
}

#[test]
fn what_is_asked_for_is_found_and_one_damaged_event_costs_no_other() {
    let look = |from, types: &[NoticeType]| look(reading(5), from, types);
    let all = NoticeType::ALL.as_slice();
    assert_eq!(look(0, all).unwrap(), Stretch { told: told(&[0, 2, 4]), end: 5 });
    assert!(matches!(look(5, all), Err(ReadError::Damaged(5))));
    assert_eq!(look(6, all).unwrap(), Stretch { told: told(&[6, 8]), end: SIZE });
    assert_eq!(look(6, &[NoticeType::ApprovalPending]).unwrap(), Stretch { told: Vec::new(), end: SIZE });
    assert_eq!(look(SIZE, all).unwrap(), Stretch { told: Vec::new(), end: SIZE });
}

#[test]
fn a_damaged_event_is_passed_over_after_some_tries_and_a_disk_that_fails_is_waited_for() {
    let mut ahead = Ahead::new(5);
    let (damaged, disk) = (ReadError::Damaged(5), ReadError::Io(std::io::Error::other("gone")));
    for _ in 0..2 * READ_TRIES_MAX {
        assert_eq!(ahead.failed(&disk, NOW), None);
    }
    assert_eq!(ahead.rests(NOW), Some(NOW.after(READ_AGAIN)));
    assert_eq!(ahead.rests(NOW.after(READ_AGAIN)), None);
    assert_eq!(ahead.rests(Timestamp::from_secs(1)), None, "the clock was set back");
    ahead.looked(Stretch { told: told(&[6]), end: 7 });
    assert_eq!(ahead.take().map(|waiting| waiting.position), Some(6));

    for _ in 1..READ_TRIES_MAX {
        assert_eq!((ahead.failed(&damaged, NOW), ahead.end()), (None, 7));
    }
    assert_eq!((ahead.failed(&damaged, NOW), ahead.end(), ahead.rests(NOW)), (Some(7), 8, None));
    assert_eq!(ahead.failed(&damaged, NOW), Some(8), "the rest of what is damaged is not waited for");
    ahead.looked(Stretch { told: Vec::new(), end: 10 });
    assert_eq!((ahead.failed(&damaged, NOW), ahead.end()), (None, 10));
}
