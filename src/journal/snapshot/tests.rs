//! Snapshots are there whole or not at all.

use super::*;
use crate::audit::tree::TreeHash;
use crate::disk::simulated::SimulatedDisk;

const LOG: LogId = LogId([7; 16]);

fn dir() -> &'static Path {
    Path::new("/s")
}

fn save(disk: &SimulatedDisk, size: u8) {
    let mut fold = Fold::default();
    (0..size).for_each(|i| fold.tree.push(TreeHash::leaf(&[i])));
    Snapshot { log: LOG, projection_format: 3, fold, projection: vec![size] }.save(disk, dir()).unwrap();
}

fn sizes(disk: &SimulatedDisk) -> Vec<Option<u64>> {
    load(disk, dir()).unwrap().iter().map(|found| found.as_ref().map(|snapshot| snapshot.fold.next())).collect()
}

#[test]
fn the_last_two_are_kept_newest_first() {
    let disk = SimulatedDisk::new();
    for size in [1, 2, 3, 200] {
        save(&disk, size);
    }
    assert_eq!(sizes(&disk), [Some(200), Some(3)]);
    let newest = load(&disk, dir()).unwrap().remove(0).unwrap();
    assert_eq!((newest.log, newest.projection_format, newest.projection), (LOG, 3, vec![200]));
}

#[test]
fn every_changed_byte_is_found() {
    let disk = SimulatedDisk::new();
    save(&disk, 2);
    let path = dir().join(format!("{:020}{SUFFIX}", 2));
    let honest = read_all(&disk, &path).unwrap().unwrap();
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        assert!(Snapshot::decode(&bytes).is_none(), "byte {at}");
    }
    for len in 0..honest.len() {
        assert!(Snapshot::decode(&honest[..len]).is_none(), "cut to {len}");
    }
    let misnamed = dir().join(format!("{:020}{SUFFIX}", 9));
    disk.rename(&path, &misnamed).unwrap();
    assert_eq!(sizes(&disk), [None]);
}

#[test]
fn a_snapshot_is_there_whole_or_not_at_all() {
    let disk = SimulatedDisk::new();
    save(&disk, 1);
    for cut in 1..12 {
        let before = disk.after_kill();
        before.cut_power_at(cut);
        let mut fold = Fold::default();
        (0..9).for_each(|i| fold.tree.push(TreeHash::leaf(&[i])));
        let saved = Snapshot { log: LOG, projection_format: 3, fold, projection: vec![9; 5000] }.save(&before, dir());
        for seed in 0..20 {
            let found = sizes(&before.after_power_cut(seed));
            assert!(found.contains(&Some(1)) && !found.contains(&None), "cut {cut} seed {seed}: {found:?}");
            assert!(saved.is_err() || found[0] == Some(9));
        }
    }
}
