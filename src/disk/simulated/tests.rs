//! The disk in memory loses what it should, and nothing else.

use super::*;

fn dir() -> &'static Path {
    Path::new("/d")
}

fn written(disk: &SimulatedDisk, sync: bool) -> Arc<dyn DiskFile> {
    let file = disk.create(&dir().join("f")).unwrap();
    file.write_at(&[1; 4096], 0).unwrap();
    if sync {
        file.sync().unwrap();
        disk.sync_dir(dir()).unwrap();
    }
    file
}

fn content(disk: &SimulatedDisk) -> Option<Vec<u8>> {
    let file = disk.open(&dir().join("f")).ok()?;
    let mut bytes = vec![9; usize::try_from(file.size().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn what_was_synced_survives_every_cut() {
    let disk = SimulatedDisk::new();
    written(&disk, true);
    disk.cut_power();
    for seed in 0..50 {
        assert_eq!(content(&disk.after_power_cut(seed)).unwrap(), [1; 4096]);
    }
}

#[test]
fn what_was_not_synced_is_lost_in_part_sooner_or_later() {
    let disk = SimulatedDisk::new();
    written(&disk, true).write_at(&[2; 2048], 1024).unwrap();
    let after: Vec<_> = (0..200).map(|seed| content(&disk.after_power_cut(seed)).unwrap()).collect();
    assert!(after.iter().any(|bytes| !bytes.contains(&2)), "all is lost");
    assert!(after.iter().any(|bytes| bytes[1024..3072] == [2; 2048]), "nothing is lost");
    assert!(after.iter().any(|bytes| bytes[1024] == 1 && bytes[2560] == 2), "the later is there, the earlier is not");
    assert!(after.iter().all(|bytes| bytes.chunks(512).all(|sector| sector.iter().all(|b| *b == sector[0]))));
    let disk = SimulatedDisk::new();
    written(&disk, false);
    assert!((0..200).any(|seed| content(&disk.after_power_cut(seed)).is_none()), "the name is lost");
}

#[test]
fn a_seed_repeats_the_loss() {
    let disk = SimulatedDisk::new();
    written(&disk, true).write_at(&[2; 4096], 0).unwrap();
    for seed in 0..20 {
        assert_eq!(content(&disk.after_power_cut(seed)), content(&disk.after_power_cut(seed)));
    }
}

#[test]
fn a_kill_loses_nothing() {
    let disk = SimulatedDisk::new();
    written(&disk, false);
    let after = disk.after_kill();
    assert_eq!(content(&after).unwrap(), [1; 4096]);
    assert!((0..200).any(|seed| content(&after.after_power_cut(seed)).is_none()), "and makes nothing durable");
}

#[test]
fn nothing_works_after_the_cut() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, true);
    disk.cut_power_at(disk.operations() + 2);
    file.write_at(&[2], 0).unwrap();
    assert!(file.write_at(&[3], 1).is_err());
    assert!(file.sync().is_err() && disk.sync_dir(dir()).is_err() && disk.create(&dir().join("g")).is_err());
}

#[test]
fn a_sync_that_is_forgotten_makes_nothing_durable() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, true);
    disk.forget_syncs();
    file.write_at(&[2; 4096], 0).unwrap();
    file.sync().unwrap();
    assert!((0..200).any(|seed| content(&disk.after_power_cut(seed)).unwrap() == [1; 4096]));
}

#[test]
fn space_runs_out() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, true);
    disk.limit_space(5000);
    assert_eq!(disk.free_bytes(dir()).unwrap(), 904);
    assert_eq!(file.write_at(&[2; 1000], 4096).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(&[2; 900], 4096).unwrap();
    disk.remove(&dir().join("f")).unwrap();
    assert_eq!(disk.free_bytes(dir()).unwrap(), 5000);
}
