//! Torn tails are cut off, damage is refused: byte by byte.

use std::path::PathBuf;

use super::*;
use crate::disk::read_all;
use crate::disk::simulated::SimulatedDisk;
use crate::journal::frame::FrameBuilder;
use crate::journal::segment;
use crate::journal::tests::{filled, labelled, numbers, reopened, sealed};
use crate::model::time::Timestamp;

const FRAME_BYTES_MIN: usize = FRAME_HEADER + 4 + 20;

fn path(first: u64) -> PathBuf {
    Path::new("/journal/segments").join(segment::name(first))
}

// Changes the segment that begins at a position.
fn edit(disk: &SimulatedDisk, first: u64, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = read_all(disk, &path(first)).unwrap().unwrap();
    change(&mut bytes);
    let file = disk.open(&path(first)).unwrap();
    file.set_len(0).unwrap();
    file.write_at(&bytes, 0).unwrap();
}

// Where the frames of the first segment begin, and where the last of them ends.
fn frames(disk: &SimulatedDisk) -> Vec<usize> {
    let bytes = read_all(disk, &path(0)).unwrap().unwrap();
    let (mut at, mut found) = (super::super::frame::SEGMENT_HEADER, Vec::new());
    while let Some(header) = FrameHeader::decode(&bytes[at..], LogId([3; 16]).seal()) {
        found.push(at);
        at += header.frame_len();
    }
    found.push(at);
    found
}

fn damaged_at(disk: &SimulatedDisk) -> u64 {
    match reopened(&disk.after_kill()) {
        Err(JournalError::Damaged { position, .. }) => position,
        Err(error) => panic!("{error}"),
        Ok((labels, report)) => panic!("{labels:?} {report:?}"),
    }
}

// What is known besides the segments.
fn forget(disk: &SimulatedDisk) {
    for name in ["watermark", "checkpoint"] {
        drop(disk.remove(&Path::new("/journal").join(name)));
    }
    for name in disk.list(Path::new("/journal/snapshots")).unwrap() {
        disk.remove(&Path::new("/journal/snapshots").join(name)).unwrap();
    }
}

// As a killed process leaves it.
async fn killed(count: usize) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    drop(filled(&disk, count).await);
    disk.after_kill()
}

#[tokio::test]
async fn a_torn_last_group_is_cut_off_and_reported() {
    let disk = killed(5).await;
    let end = *frames(&disk).last().unwrap();
    for rubbish in [vec![1], vec![0, 0, 9], vec![0x5a; 700], b"carnet".repeat(300)] {
        edit(&disk, 0, |bytes| {
            bytes.truncate(end);
            bytes.extend(&rubbish);
        });
        let used = rubbish.iter().rposition(|b| *b != 0).unwrap() + 1;
        let after = disk.after_kill();
        let (labels, report) = reopened(&after).unwrap();
        assert_eq!((labels, report.torn_bytes), (numbers(5), used as u64));
        let (_, report) = reopened(&after.after_power_cut(1)).unwrap();
        assert_eq!(report.torn_bytes, 0, "it is cut off for good");
    }
}

#[tokio::test]
async fn the_log_goes_on_after_a_cut() {
    let disk = killed(3).await;
    let end = *frames(&disk).last().unwrap();
    edit(&disk, 0, |bytes| bytes[end..end + 600].fill(0x77));
    let options = crate::journal::tests::options(&disk);
    let (journal, report) =
        crate::journal::Journal::open(options, Arc::new(crate::journal::projection::NoProjection)).unwrap();
    assert_eq!(report.torn_bytes, 600);
    journal.append(labelled("3")).await.unwrap();
    journal.close().await;
    assert_eq!(reopened(&disk).unwrap().0, numbers(4));
}

#[tokio::test]
async fn a_group_that_was_never_acknowledged_may_be_torn_in_any_way() {
    let disk = killed(5).await;
    forget(&disk);
    let starts = frames(&disk);
    let (last, end) = (starts[4], starts[5]);
    for len in last..end {
        let torn = disk.after_kill();
        edit(&torn, 0, |bytes| bytes[len..].fill(0));
        let (labels, _) = reopened(&torn).unwrap();
        assert_eq!(labels, numbers(4), "cut to {len}");
    }
    for at in last..end {
        let torn = disk.after_kill();
        edit(&torn, 0, |bytes| bytes[at] ^= 0x40);
        assert_eq!(reopened(&torn).unwrap().0, numbers(4), "changed at {at}");
    }
}

#[tokio::test]
async fn every_changed_byte_of_what_was_durable_is_refused() {
    let disk = killed(4).await;
    let starts = frames(&disk);
    for at in 0..*starts.last().unwrap() {
        let changed = disk.after_kill();
        edit(&changed, 0, |bytes| bytes[at] ^= 1);
        let position = starts.iter().filter(|start| **start <= at).count().saturating_sub(1) as u64;
        assert_eq!(damaged_at(&changed), position, "byte {at}");
    }
}

#[tokio::test]
async fn a_later_whole_group_shows_that_an_earlier_one_was_durable() {
    let disk = killed(5).await;
    forget(&disk);
    let starts = frames(&disk);
    for (position, window) in starts.windows(2).take(4).enumerate() {
        for at in window[0]..window[1] {
            let changed = disk.after_kill();
            edit(&changed, 0, |bytes| bytes[at] ^= 1);
            assert_eq!(damaged_at(&changed), position as u64, "byte {at}");
        }
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_refused() {
    let disk = killed(5).await;
    let starts = frames(&disk);
    assert!(starts[5] - starts[4] > FRAME_BYTES_MIN);
    for keep in 0..5 {
        let cut = disk.after_kill();
        edit(&cut, 0, |bytes| bytes[starts[keep]..].fill(0));
        assert_eq!(damaged_at(&cut), keep as u64);
    }
    // Each of the things that are known besides is enough.
    let disk = SimulatedDisk::new();
    filled(&disk, 5).await.close().await;
    for known in ["watermark", "checkpoint", "snapshots"] {
        let cut = disk.after_kill();
        edit(&cut, 0, |bytes| bytes[starts[4]..].fill(0));
        for name in ["watermark", "checkpoint"].into_iter().filter(|name| *name != known) {
            cut.remove(&Path::new("/journal").join(name)).unwrap();
        }
        if known != "snapshots" {
            for name in cut.list(Path::new("/journal/snapshots")).unwrap() {
                cut.remove(&Path::new("/journal/snapshots").join(name)).unwrap();
            }
        }
        assert_eq!(damaged_at(&cut), 4, "{known}");
    }
}

#[tokio::test]
async fn a_segment_that_is_gone_or_another_is_refused() {
    let disk = SimulatedDisk::new();
    filled(&disk, 180).await.close().await;
    let mut firsts: Vec<u64> =
        disk.list(Path::new("/journal/segments")).unwrap().iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    assert!(firsts.len() > 3);
    let without = |first: u64| {
        let changed = disk.after_kill();
        changed.remove(&path(first)).unwrap();
        changed
    };
    assert_eq!(damaged_at(&without(0)), 0);
    assert_eq!(damaged_at(&without(firsts[2])), firsts[2]);
    assert!(damaged_at(&without(*firsts.last().unwrap())) >= firsts[firsts.len() - 2]);
    let emptied = disk.after_kill();
    for first in &firsts {
        emptied.remove(&path(*first)).unwrap();
    }
    assert_eq!(damaged_at(&emptied), 0);
    for first in &firsts {
        let changed = disk.after_kill();
        edit(&changed, *first, |bytes| bytes[40] ^= 1);
        assert_eq!(damaged_at(&changed), *first);
    }
    // One in the middle of an earlier segment, although a snapshot spares the start from folding it.
    let changed = disk.after_kill();
    edit(&changed, firsts[1], |bytes| bytes[200] ^= 1);
    assert_eq!(damaged_at(&changed), firsts[1]);
}

#[tokio::test]
async fn words_that_look_like_a_frame_are_none() {
    // Whoever writes into an event does not know the id of the log.
    let mut fake = FrameBuilder::new(0);
    fake.push(|out| {
        out.extend_from_slice(b"event");
        (5, ())
    });
    let fake = fake.finish(9, Timestamp::from_millis(1), &crate::audit::tree::TreeHash::empty(), LogId([0; 16]).seal());
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 2).await;
    journal.append(sealed("2", &fake)).await.unwrap();
    drop(journal);
    let disk = disk.after_kill();
    forget(&disk);
    let last = frames(&disk)[2];
    edit(&disk, 0, |bytes| bytes[last] ^= 1);
    assert_eq!(reopened(&disk).unwrap().0, numbers(2));
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over() {
    let disk = SimulatedDisk::new();
    filled(&disk, 7).await.close().await;
    let dir = Path::new("/journal/snapshots");
    let name = disk.list(dir).unwrap().remove(0);
    disk.open(&dir.join(name)).unwrap().write_at(&[0xff], 30).unwrap();
    let (labels, report) = reopened(&disk.after_kill()).unwrap();
    assert_eq!((labels, report.replayed, report.snapshots_ignored), (numbers(7), 7, 1));
}

#[tokio::test]
async fn a_checkpoint_of_another_history_is_refused() {
    let (disk, other) = (SimulatedDisk::new(), SimulatedDisk::new());
    filled(&disk, 5).await.close().await;
    let journal = filled(&other, 4).await;
    journal.append(labelled("x")).await.unwrap();
    journal.close().await;
    let checkpoint = Path::new("/journal/checkpoint");
    let theirs = read_all(&other, checkpoint).unwrap().unwrap();
    disk.open(checkpoint).unwrap().write_at(&theirs, 0).unwrap();
    assert_eq!(damaged_at(&disk), 4);
    disk.open(checkpoint).unwrap().write_at(b"?", 0).unwrap();
    assert!(matches!(reopened(&disk.after_kill()), Err(JournalError::Checkpoint(_))));
}

#[tokio::test]
async fn a_log_of_a_later_format_is_refused() {
    let disk = killed(1).await;
    edit(&disk, 0, |bytes| {
        bytes[12] = 9;
        let checksum = crc32c::crc32c(&bytes[12..super::super::frame::SEGMENT_HEADER]).to_le_bytes();
        bytes[8..12].copy_from_slice(&checksum);
    });
    assert!(matches!(reopened(&disk.after_kill()), Err(JournalError::Format { found: 9, known: 1 })));
}
