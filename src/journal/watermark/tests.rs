//! The watermark is never ahead.

use super::*;
use crate::disk::simulated::SimulatedDisk;

fn open(disk: &SimulatedDisk) -> (Watermark, u64) {
    Watermark::open(disk, Path::new("/j")).unwrap()
}

#[test]
fn the_watermark_is_what_was_noted_last() {
    let disk = SimulatedDisk::new();
    let (mut mark, durable) = open(&disk);
    assert_eq!(durable, 0);
    for noted in 1..6 {
        mark.note(noted).unwrap();
        assert_eq!(open(&disk).1, noted);
    }
}

#[test]
fn a_watermark_that_was_torn_is_never_ahead() {
    let disk = SimulatedDisk::new();
    let (mut mark, _) = open(&disk);
    mark.sync().unwrap();
    disk.sync_dir(Path::new("/j")).unwrap();
    for noted in 1..6 {
        mark.note(noted).unwrap();
        for seed in 0..20 {
            assert!(open(&disk.after_power_cut(seed)).1 <= noted);
        }
    }
}

#[test]
fn damage_says_nothing() {
    let disk = SimulatedDisk::new();
    let (mut mark, _) = open(&disk);
    mark.note(5).unwrap();
    mark.note(6).unwrap();
    let file = disk.open(&Path::new("/j").join(NAME)).unwrap();
    file.write_at(&[0xff], SLOT_BYTES as u64).unwrap();
    assert_eq!(open(&disk).1, 5);
    file.write_at(&[0xff; 2 * SLOT_BYTES], 0).unwrap();
    assert_eq!(open(&disk).1, 0);
}
