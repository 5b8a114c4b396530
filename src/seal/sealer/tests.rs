//! Sealing, restarts, erasure, and files that were tampered with.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Barrier;

use super::*;
use crate::disk::RealDisk;
use crate::disk::simulated::SimulatedDisk;
use crate::model::time::Timestamp;

struct Home(tempfile::TempDir);

/// How the keys of a file stand.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    live: usize,
    erased: usize,
    damaged: usize,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn files(&self) -> KeyFiles {
        KeyFiles { master_key: self.0.path().join("master-key"), task_keys: self.0.path().join("task-keys") }
    }

    fn load(&self) -> Result<Sealer, SealError> {
        Sealer::load(&self.files(), Arc::new(RealDisk), Entropy::system())
    }

    fn sealer(&self) -> Sealer {
        self.load().unwrap()
    }

    // The file that holds the keys of `task`.
    fn keys(&self) -> PathBuf {
        folder::path(&self.files().task_keys, task(1))
    }

    fn report(&self) -> Counted {
        let master = MasterKey::load(&self.files().master_key).unwrap();
        let check = master.derive("carnet task key check v1");
        let store = KeyStore::open(&RealDisk, &self.keys(), &check, &Arc::default()).unwrap().unwrap();
        store.slot(TaskId::from_bytes([0xff; 16])).unwrap();
        let all = store.all().unwrap();
        let count = |is: fn(&Slot) -> bool| all.iter().filter(|slot| is(slot)).count();
        Counted {
            live: count(|slot| matches!(slot, Slot::Live(_))),
            erased: count(|slot| *slot == Slot::Erased),
            damaged: count(|slot| *slot == Slot::Damaged),
        }
    }

    fn change_keys(&self, at: u64, change: impl FnOnce(u8) -> u8) {
        let mut file = OpenOptions::new().read(true).write(true).open(self.keys()).unwrap();
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[change(byte[0])]).unwrap();
    }
}

fn task(n: u8) -> TaskId {
    TaskId::new(Timestamp::from_millis(1_700_000_000_000), [n; 10])
}

#[test]
fn what_was_sealed_is_opened_also_after_a_restart() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    let sealed = sealer.seal(task(1), "intent", b"pay the invoice").unwrap();
    assert_eq!(sealed.len(), OVERHEAD_BYTES + 15);
    assert_eq!(sealer.open(task(1), "intent", &sealed).unwrap(), b"pay the invoice");
    drop(sealer);
    assert_eq!(home.report(), Counted { live: 1, ..Counted::default() });
    let sealer = home.sealer();
    assert_eq!(sealer.open(task(1), "intent", &sealed).unwrap(), b"pay the invoice");
    sealer.create(task(1)).unwrap();
    assert_eq!(
        sealer.open(task(1), "intent", &sealed).unwrap(),
        b"pay the invoice",
        "making a key twice changes nothing"
    );
}

#[test]
fn a_key_whose_record_is_known_is_found_without_reading_the_others() {
    let home = Home::new();
    let sealer = home.sealer();
    (1..=20).for_each(|n| sealer.create(task(n)).unwrap());
    let sealed = sealer.seal(task(7), "intent", b"pay the invoice").unwrap();
    let places: Vec<u32> = (1..=20).map(|n| sealer.place(task(n)).unwrap()).collect();
    assert_eq!(places, (0..20).collect::<Vec<u32>>());
    for (place, reads_all) in [(6, false), (5, true), (400, true)] {
        let sealer = home.sealer();
        sealer.expect(task(7), place);
        assert_eq!(sealer.open(task(7), "intent", &sealed).unwrap(), b"pay the invoice", "at {place}");
        assert_eq!(sealer.has_read_all(task(7)), reads_all, "at {place}");
    }
    sealer.erase(task(7)).unwrap();
    sealer.expect(task(7), 6);
    assert!(sealer.is_erased(task(7)) && sealer.place(task(7)).is_none());
    let sealer = home.sealer();
    sealer.expect(task(7), 6);
    assert!(matches!(sealer.open(task(7), "intent", &sealed), Err(SealError::Erased(_))));
}

#[test]
fn the_same_words_never_look_the_same_twice() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    let one = sealer.seal(task(1), "intent", b"words").unwrap();
    let two = sealer.seal(task(1), "intent", b"words").unwrap();
    assert_ne!(one, two);
    assert!(!one.windows(5).any(|w| w == b"words"));
}

#[test]
fn sealed_bytes_open_in_their_own_place_only() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    sealer.create(task(2)).unwrap();
    let sealed = sealer.seal(task(1), "intent", b"words").unwrap();
    assert!(sealer.open(task(1), "intent", &sealed).is_ok(), "control");
    assert!(matches!(sealer.open(task(1), "purpose", &sealed), Err(SealError::Altered(_))));
    assert!(matches!(sealer.open(task(2), "intent", &sealed), Err(SealError::Altered(_))));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(matches!(sealer.open(task(1), "intent", &changed), Err(SealError::Altered(_))), "byte {at}");
        let cut = &sealed[..at];
        assert!(matches!(sealer.open(task(1), "intent", cut), Err(SealError::Altered(_))), "cut at {at}");
    }
}

#[test]
fn erasure_is_final_and_spares_the_others() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    sealer.create(task(2)).unwrap();
    let one = sealer.seal(task(1), "intent", b"one").unwrap();
    let two = sealer.seal(task(2), "intent", b"two").unwrap();
    let before = fs::read(home.keys()).unwrap();
    sealer.erase(task(1)).unwrap();
    sealer.erase(task(1)).unwrap();
    let after = fs::read(home.keys()).unwrap();
    assert_eq!(before.len(), after.len());
    let key_at = 128 + 17;
    assert!(after[key_at..key_at + WRAPPED_BYTES].iter().all(|b| *b == 0), "the wrapped key is gone from the file");
    for sealer in [sealer, home.sealer()] {
        assert!(matches!(sealer.open(task(1), "intent", &one), Err(SealError::Erased(_))));
        assert!(matches!(sealer.seal(task(1), "intent", b"x"), Err(SealError::Erased(_))));
        assert!(matches!(sealer.create(task(1)), Err(SealError::Erased(_))));
        assert_eq!(sealer.open(task(2), "intent", &two).unwrap(), b"two");
    }
    assert_eq!(home.report(), Counted { live: 1, erased: 1, ..Counted::default() });
}

#[test]
fn a_task_without_a_key_is_not_called_erased() {
    let home = Home::new();
    let sealer = home.sealer();
    assert!(matches!(sealer.seal(task(1), "intent", b"x"), Err(SealError::Unknown(_))));
    assert!(matches!(sealer.erase(task(1)), Err(SealError::Unknown(_))));
}

#[test]
fn another_master_key_is_refused() {
    let home = Home::new();
    home.sealer().create(task(1)).unwrap();
    let master = home.files().master_key;
    fs::remove_file(&master).unwrap();
    assert!(matches!(home.load(), Err(SealError::MasterKeyAbsent { .. })), "none is made in its place");
    crate::entropy::secret_file::create(&master, "ab".repeat(32).as_bytes()).unwrap();
    assert!(matches!(home.load(), Err(SealError::WrongMasterKey { .. })));
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    drop(home.sealer());
    fs::set_permissions(home.files().master_key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(home.load(), Err(SealError::SecretFile(_))));
}

#[test]
fn a_torn_record_is_cut_off_and_the_file_goes_on() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    let sealed = sealer.seal(task(1), "intent", b"one").unwrap();
    drop(sealer);
    OpenOptions::new().append(true).open(home.keys()).unwrap().write_all(&[9; 50]).unwrap();
    let sealer = home.sealer();
    sealer.create(task(2)).unwrap();
    assert_eq!(sealer.open(task(1), "intent", &sealed).unwrap(), b"one");
    assert_eq!(home.report().live, 2);
}

#[test]
fn a_damaged_record_concerns_its_own_task_alone() {
    let home = Home::new();
    let sealer = home.sealer();
    for n in 1..=3 {
        sealer.create(task(n)).unwrap();
    }
    let sealed = sealer.seal(task(3), "intent", b"three").unwrap();
    home.change_keys(2 * 128 + 40, |b| b ^ 1);
    let fresh = home.sealer();
    assert_eq!(home.report(), Counted { live: 2, damaged: 1, ..Counted::default() });
    assert!(matches!(fresh.seal(task(2), "intent", b"x"), Err(SealError::KeyDamaged(_))));
    assert_eq!(fresh.open(task(3), "intent", &sealed).unwrap(), b"three");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let home = Home::new();
    home.sealer().create(task(1)).unwrap();
    home.change_keys(3, |b| b ^ 1);
    assert!(matches!(home.sealer().seal(task(1), "intent", b"x"), Err(SealError::Format { .. })));
}

#[test]
fn a_header_that_was_never_finished_is_written_again() {
    let home = Home::new();
    home.sealer().create(task(1)).unwrap();
    fs::write(home.keys(), [1; 60]).unwrap();
    home.sealer().create(task(1)).unwrap();
    assert_eq!(home.report().live, 1);
}

#[test]
fn keys_made_at_once_are_all_there() {
    let home = Home::new();
    let sealer = home.sealer();
    let (threads, each) = (8_u8, 16_u8);
    let start = Barrier::new(usize::from(threads));
    std::thread::scope(|scope| {
        for t in 0..threads {
            let (sealer, start) = (&sealer, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..each {
                    let id = TaskId::new(task(1).timestamp(), [t + 1, n, 7, 7, 7, 7, 7, 7, 7, n]);
                    sealer.create(id).unwrap();
                    let sealed = sealer.seal(id, "c", &[t, n]).unwrap();
                    assert_eq!(sealer.open(id, "c", &sealed).unwrap(), [t, n]);
                }
            });
        }
    });
    assert_eq!(home.report().live, usize::from(threads) * usize::from(each));
}

#[test]
fn of_two_rivals_for_one_key_one_wins_and_what_it_seals_stays_readable() {
    let home = Home::new();
    let sealer = home.sealer();
    let start = Barrier::new(4);
    let sealed = std::thread::scope(|scope| {
        let rivals: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    match sealer.create(task(1)) {
                        Ok(()) => sealer.seal(task(1), "c", b"mine").ok(),
                        Err(SealError::BeingMade(_)) => None,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        rivals.into_iter().filter_map(|r| r.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(!sealed.is_empty());
    let fresh = home.sealer();
    assert_eq!(home.report().live, 1);
    for bytes in sealed {
        assert_eq!(fresh.open(task(1), "c", &bytes).unwrap(), b"mine");
    }
}

#[test]
fn keys_beyond_the_cache_are_read_again() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    let sealed = sealer.seal(task(1), "c", b"old").unwrap();
    sealer.cache.forget(task(1));
    assert_eq!(sealer.open(task(1), "c", &sealed).unwrap(), b"old");
    assert!(sealer.cache.find(task(1)).is_some());
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let home = Home::new();
    assert_eq!(format!("{:?}", home.sealer()), "Sealer(redacted)");
}

#[test]
fn a_start_reads_no_keys_but_those_that_are_wanted() {
    let home = Home::new();
    let (old, new) = (task(1), TaskId::new(Timestamp::from_millis(1_800_000_000_000), [2; 10]));
    let sealer = home.sealer();
    for id in [old, new] {
        sealer.create(id).unwrap();
    }
    let sealed = sealer.seal(new, "c", b"new").unwrap();
    drop(sealer);
    // Were the old file read, this would be noticed.
    fs::write(home.keys(), [7; 4096]).unwrap();
    let sealer = home.sealer();
    assert_eq!(sealer.open(new, "c", &sealed).unwrap(), b"new");
    assert!(matches!(sealer.seal(old, "c", b"x"), Err(SealError::Format { .. })));
}

#[test]
fn more_files_of_keys_than_are_kept_open_are_all_found() {
    let home = Home::new();
    let sealer = home.sealer();
    let of_hour = |n: u64| TaskId::new(Timestamp::from_millis(1_700_000_000_000 + n * 3_600_000), [1; 10]);
    let sealed: Vec<_> = (0..150)
        .map(|n| {
            sealer.create(of_hour(n)).unwrap();
            sealer.seal(of_hour(n), "c", &n.to_be_bytes()).unwrap()
        })
        .collect();
    let sealer = home.sealer();
    for (n, sealed) in (0..150).zip(&sealed) {
        assert_eq!(sealer.open(of_hour(n), "c", sealed).unwrap(), n.to_be_bytes());
        sealer.create(of_hour(n)).unwrap();
    }
}

#[test]
fn a_digest_is_of_its_family_and_gone_with_its_key() {
    let home = Home::new();
    let sealer = home.sealer();
    sealer.create(task(1)).unwrap();
    sealer.create(task(2)).unwrap();
    let digest = sealer.digest(task(1), "asked", b"pay 5").unwrap();
    assert_eq!(home.sealer().digest(task(1), "asked", b"pay 5").unwrap(), digest);
    for (root, context, plain) in [(2, "asked", "pay 5"), (1, "aske", "dpay 5"), (1, "asked", "pay 6")] {
        assert_ne!(sealer.digest(task(root), context, plain.as_bytes()).unwrap(), digest);
    }
    sealer.erase(task(1)).unwrap();
    assert!(matches!(sealer.digest(task(1), "asked", b"pay 5"), Err(SealError::Erased(_))));
}

#[test]
fn a_key_that_was_made_outlasts_a_power_cut() {
    for seed in 0..100 {
        let (home, disk) = (Home::new(), SimulatedDisk::new());
        let load = |disk: &SimulatedDisk| Sealer::load(&home.files(), Arc::new(disk.clone()), Entropy::system());
        drop(load(&disk).unwrap());
        disk.cut_power_at(disk.operations() + 1 + seed % 30);
        let mut sealed = Vec::new();
        if let Ok(sealer) = load(&disk) {
            for n in 0..10 {
                if sealer.create(task(n)).is_ok() {
                    sealed.push((n, sealer.seal(task(n), "c", &[n]).unwrap()));
                }
            }
        }
        let disk = disk.after_power_cut(seed);
        let sealer = load(&disk).unwrap();
        for (n, sealed) in sealed {
            assert_eq!(sealer.open(task(n), "c", &sealed).unwrap(), [n], "seed {seed}");
        }
        sealer.create(task(100)).unwrap();
    }
}
