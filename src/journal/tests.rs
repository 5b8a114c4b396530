//! What this engine does beyond what every engine must: space, snapshots, segments, failing disks. The rest is in
//! `tests/it/journal.rs` and `tests/it/crash.rs`.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::entry::{Entry, EntryClass};
use super::log::Cursor;
use super::options::{IndexPlace, Stage};
use super::projection::{ApplyError, LoadError, SaveError};
use super::*;
use crate::audit::note::SignerKey;
use crate::disk::simulated::SimulatedDisk;
use crate::disk::{Disk as _, read_all};
use crate::model::time::Timestamp;
use crate::pb::journal::event::Payload;
use crate::pb::journal::{Event, TaskPaused};

/// Remembers the labels that it was given.
#[derive(Default)]
pub(super) struct Labels(StdMutex<Vec<String>>);

impl Labels {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Projection for Labels {
    fn format(&self) -> u32 {
        1
    }

    fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError> {
        if recorded.event.payload.is_none() {
            return Err(ApplyError("of no kind".into()));
        }
        self.0.lock().unwrap().push(recorded.event.prompt_id.clone());
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, SaveError> {
        Ok(postcard::to_stdvec(&*self.0.lock().unwrap()).unwrap())
    }

    fn load(&self, saved: &[u8]) -> Result<(), LoadError> {
        *self.0.lock().unwrap() = postcard::from_bytes(saved).map_err(|error| LoadError(Box::new(error)))?;
        Ok(())
    }

    fn fresh(&self) -> Arc<dyn Projection> {
        Arc::new(Self::default())
    }
}

/// Settings for a disk in memory.
pub(super) fn options(disk: &SimulatedDisk) -> Options {
    let signer = Arc::new(SignerKey::from_seed("carnet.test", &[1; 32]).unwrap());
    let now = Arc::new(|| Timestamp::from_millis(1_000_000));
    Options {
        disk: Arc::new(disk.clone()),
        segment_bytes: 4 << 10,
        reserve_bytes: 0,
        space_floor_bytes: 0,
        index: IndexPlace::None,
        ..Options::new("/journal".into(), now, signer, [3; 16])
    }
}

pub(super) fn labelled(label: &str) -> Entry {
    sealed(label, &[])
}

pub(super) fn sealed(label: &str, sealed: &[u8]) -> Entry {
    let paused = TaskPaused { task_id: "t".into(), sealed: sealed.to_vec().into() };
    let payload = Some(Payload::TaskPaused(paused));
    let event = Event { stream: "task/t".into(), prompt_id: label.into(), payload, ..Event::default() };
    Entry { events: vec![event], expects: Vec::new(), class: EntryClass::Ordinary }
}

fn end(label: &str) -> Entry {
    Entry { class: EntryClass::End, ..labelled(label) }
}

pub(super) async fn filled(disk: &SimulatedDisk, count: usize) -> Journal {
    let (journal, _) = Journal::open(options(disk), Arc::new(Labels::default())).unwrap();
    for n in 0..count {
        journal.append(labelled(&n.to_string())).await.unwrap();
    }
    journal
}

pub(super) fn reopened(disk: &SimulatedDisk) -> Result<(Vec<String>, OpenReport), JournalError> {
    let labels = Arc::new(Labels::default());
    let (journal, report) = Journal::open(options(disk), labels.clone())?;
    assert_eq!(journal.read_range(0, usize::MAX).unwrap().len() as u64, report.size);
    Ok((labels.all(), report))
}

pub(super) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

// Waits until something is so, which another thread brings about.
async fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never was");
}

#[tokio::test]
async fn a_start_folds_what_came_after_the_snapshot_only() {
    let disk = SimulatedDisk::new();
    filled(&disk, 50).await.close().await;
    let (labels, report) = reopened(&disk.after_kill()).unwrap();
    assert_eq!((labels, report.size, report.replayed), (numbers(50), 50, 0));
    // A snapshot that is made while the journal runs, of between 40 and 50 records; the next one would be due at 80 or more.
    let disk = SimulatedDisk::new();
    let (journal, _) =
        Journal::open(Options { snapshot_every: 40, ..options(&disk) }, Arc::new(Labels::default())).unwrap();
    for n in 0..50 {
        journal.append(labelled(&n.to_string())).await.unwrap();
    }
    let dir = std::path::Path::new("/journal/snapshots");
    until(|| disk.list(dir).unwrap().iter().any(|name| name.ends_with(".snapshot"))).await;
    for n in 50..60 {
        journal.append(labelled(&n.to_string())).await.unwrap();
    }
    let (labels, report) = reopened(&disk.after_kill()).unwrap();
    assert_eq!((labels, report.size), (numbers(60), 60));
    assert!((10..=20).contains(&report.replayed), "{}", report.replayed);
}

#[tokio::test]
async fn a_snapshot_of_another_form_is_passed_over() {
    struct Later(Labels);
    impl Projection for Later {
        fn format(&self) -> u32 {
            2
        }
        fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError> {
            self.0.apply(recorded)
        }
        fn save(&self) -> Result<Vec<u8>, SaveError> {
            self.0.save()
        }
        fn load(&self, saved: &[u8]) -> Result<(), LoadError> {
            self.0.load(saved)
        }
        fn fresh(&self) -> Arc<dyn Projection> {
            Arc::new(Self(Labels::default()))
        }
    }
    let disk = SimulatedDisk::new();
    filled(&disk, 5).await.close().await;
    let later = Arc::new(Later(Labels::default()));
    let (_, report) = Journal::open(options(&disk.after_kill()), later.clone()).unwrap();
    assert_eq!((report.replayed, report.snapshots_ignored), (5, 1));
    assert_eq!(later.0.all(), numbers(5));
}

#[tokio::test]
async fn segments_follow_on_each_other() {
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 200).await;
    let segments = disk.list(std::path::Path::new("/journal/segments")).unwrap();
    assert!(segments.iter().filter(|name| name.ends_with(".seg")).count() > 3, "{segments:?}");
    assert_eq!(journal.read(150).unwrap().event.prompt_id, "150");
    drop(journal);
    assert_eq!(reopened(&disk.after_kill()).unwrap().0, numbers(200));
}

#[tokio::test]
async fn a_reader_at_the_head_never_takes_bytes_from_before_they_were_durable() {
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 1).await;
    let log = &journal.shared.events;
    let mut cursor = Cursor::new(log, 0).unwrap();
    assert!(cursor.frame(log).unwrap().is_some(), "and what lies behind it was read as well, as zeros");
    journal.append(labelled("1")).await.unwrap();
    assert!(cursor.frame(log).unwrap().is_none());
    assert_eq!(Cursor::new(log, 1).unwrap().frame(log).unwrap().unwrap().header.first, 1);
    // The same in a new segment, which did not exist when the cursor was made.
    let mut cursor = Cursor::new(log, 1).unwrap();
    journal.append(sealed("2", &[7; 10_000])).await.unwrap();
    assert!(cursor.frame(log).unwrap().is_some());
    assert!(cursor.frame(log).unwrap().is_none());
    assert_eq!(journal.read_range(0, 10).unwrap().len(), 3);
}

#[tokio::test]
async fn an_entry_larger_than_a_segment_has_one_of_its_own() {
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 3).await;
    journal.append(sealed("3", &[7; 100_000])).await.unwrap();
    journal.append(labelled("4")).await.unwrap();
    drop(journal);
    assert_eq!(reopened(&disk.after_kill()).unwrap().0, numbers(5));
}

#[tokio::test]
async fn nobody_is_told_of_what_could_not_be_synced() {
    let disk = SimulatedDisk::new();
    let failed = Arc::new(StdMutex::new(String::new()));
    let told = failed.clone();
    let on_fatal = Arc::new(move |error: &JournalError| *told.lock().unwrap() = error.to_string());
    let labels = Arc::new(Labels::default());
    let (journal, _) = Journal::open(Options { on_fatal, ..options(&disk) }, labels.clone()).unwrap();
    journal.append(labelled("0")).await.unwrap();
    disk.fail_syncs();
    let (one, two) = tokio::join!(journal.append(labelled("1")), journal.append(labelled("2")));
    assert_eq!((one.unwrap_err(), two.unwrap_err()), (AppendError::Closed, AppendError::Closed));
    until(|| failed.lock().unwrap().starts_with("failed to sync")).await;
    assert_eq!(labels.all(), numbers(1), "nor is the projection");
    assert_eq!(*journal.durable().borrow(), 1);
    assert_eq!(journal.append(labelled("3")).await.unwrap_err(), AppendError::Closed);
}

#[tokio::test]
async fn a_projection_that_panics_takes_the_journal_out_of_service() {
    struct Panics;
    impl Projection for Panics {
        fn format(&self) -> u32 {
            0
        }
        fn apply(&self, _: &Recorded) -> Result<(), ApplyError> {
            panic!("on purpose");
        }
        fn save(&self) -> Result<Vec<u8>, SaveError> {
            Ok(Vec::new())
        }
        fn load(&self, _: &[u8]) -> Result<(), LoadError> {
            Ok(())
        }
        fn fresh(&self) -> Arc<dyn Projection> {
            Arc::new(Self)
        }
    }
    let failed = Arc::new(AtomicBool::new(false));
    let told = failed.clone();
    let on_fatal = Arc::new(move |_: &JournalError| told.store(true, Ordering::SeqCst));
    let options = Options { on_fatal, ..options(&SimulatedDisk::new()) };
    let (journal, _) = Journal::open(options, Arc::new(Panics)).unwrap();
    assert_eq!(journal.append(labelled("0")).await.unwrap_err(), AppendError::Closed);
    until(|| failed.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn what_a_projection_knows_of_can_be_read() {
    #[derive(Default)]
    struct Reads {
        journal: std::sync::OnceLock<Journal>,
        found: StdMutex<Vec<Result<u64, String>>>,
    }
    impl Projection for Reads {
        fn format(&self) -> u32 {
            0
        }
        fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError> {
            let read = self.journal.get().unwrap().read(recorded.position);
            let read = read.map(|found| found.position).map_err(|error| error.to_string());
            self.found.lock().unwrap().push(read);
            Ok(())
        }
        fn save(&self) -> Result<Vec<u8>, SaveError> {
            Ok(Vec::new())
        }
        fn load(&self, _: &[u8]) -> Result<(), LoadError> {
            Ok(())
        }
        fn fresh(&self) -> Arc<dyn Projection> {
            Arc::new(Self::default())
        }
    }
    let reads = Arc::new(Reads::default());
    let (journal, _) = Journal::open(options(&SimulatedDisk::new()), reads.clone()).unwrap();
    assert!(reads.journal.set(journal.clone()).is_ok());
    journal.append(labelled("0")).await.unwrap();
    journal.append(labelled("1")).await.unwrap();
    assert_eq!(*reads.found.lock().unwrap(), [Ok(0), Ok(1)]);
    assert!(matches!(journal.read(2), Err(ReadError::Beyond(2))));
    journal.close().await;
}

#[tokio::test]
async fn an_event_that_is_not_understood_ends_the_service_and_is_not_started_over() {
    let disk = SimulatedDisk::new();
    let failed = Arc::new(AtomicBool::new(false));
    let told = failed.clone();
    let on_fatal = Arc::new(move |_: &JournalError| told.store(true, Ordering::SeqCst));
    let options = Options { on_fatal, ..options(&disk) };
    let (journal, _) = Journal::open(options, Arc::new(Labels::default())).unwrap();
    journal.append(labelled("0")).await.unwrap();
    let mut strange = labelled("1");
    strange.events[0].payload = None;
    assert_eq!(journal.append(strange).await.unwrap_err(), AppendError::Closed);
    until(|| failed.load(Ordering::SeqCst)).await;
    assert_eq!(journal.append(labelled("2")).await.unwrap_err(), AppendError::Closed);
    drop(journal);
    let refused = reopened(&disk.after_kill()).map(drop).unwrap_err();
    assert!(matches!(refused, JournalError::Fold { position: 1, .. }), "{refused}");
}

#[tokio::test]
async fn what_is_left_of_the_space_is_for_ends() {
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 10).await;
    journal.close().await;
    let limited = Options { total_bytes_max: Some(8 << 10), space_floor_bytes: 2 << 10, ..options(&disk.after_kill()) };
    let (journal, _) = Journal::open(limited, Arc::new(Labels::default())).unwrap();
    assert!(!journal.is_full());
    let refused = loop {
        if let Err(error) = journal.append(labelled("x")).await {
            break error;
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(journal.is_full());
    for n in 0..5 {
        journal.append(end(&n.to_string())).await.unwrap();
    }
    assert_eq!(journal.append(labelled("x")).await.unwrap_err(), AppendError::Full);
    let over = loop {
        if let Err(error) = journal.append(end("x")).await {
            break error;
        }
    };
    assert_eq!(over, AppendError::Full, "and when that is used up it says so");
}

#[tokio::test]
async fn a_full_disk_gives_up_what_was_reserved_for_ends() {
    let disk = SimulatedDisk::new();
    let fatal = Arc::new(AtomicBool::new(false));
    let told = fatal.clone();
    let on_fatal = Arc::new(move |_: &JournalError| told.store(true, Ordering::SeqCst));
    let options = Options { reserve_bytes: 64 << 10, segment_bytes: 1 << 10, on_fatal, ..options(&disk) };
    let (journal, _) = Journal::open(options, Arc::new(Labels::default())).unwrap();
    let reserve = std::path::Path::new("/journal/reserve");
    until(|| read_all(&disk, reserve).unwrap().is_some_and(|bytes| bytes.len() == 64 << 10)).await;
    journal.append(labelled("0")).await.unwrap();
    disk.limit_space(disk.used_bytes());
    for n in 0..100 {
        journal.append(end(&n.to_string())).await.unwrap();
    }
    assert!(disk.open(reserve).is_err(), "it was given up");
    assert!(!fatal.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_checkpoint_is_signed_while_the_log_grows() {
    let disk = SimulatedDisk::new();
    let options = Options { checkpoint_every: Duration::from_millis(5), ..options(&disk) };
    let (journal, _) = Journal::open(options, Arc::new(Labels::default())).unwrap();
    journal.append(labelled("0")).await.unwrap();
    let path = std::path::Path::new("/journal/checkpoint");
    until(|| {
        let note = read_all(&disk, path).unwrap().unwrap_or_default();
        String::from_utf8(note).unwrap().starts_with("carnet.test\n1\n")
    })
    .await;
}

#[tokio::test]
async fn the_stages_of_a_group_come_in_order() {
    let stages = Arc::new(StdMutex::new(Vec::new()));
    let told = stages.clone();
    let probe: Arc<dyn Fn(Stage) + Send + Sync> = Arc::new(move |stage| told.lock().unwrap().push(stage));
    let options = Options { probe: Some(probe), ..options(&SimulatedDisk::new()) };
    let (journal, _) = Journal::open(options, Arc::new(Labels::default())).unwrap();
    journal.append(labelled("0")).await.unwrap();
    journal.close().await;
    use Stage::{Acknowledged, Applied, Placed, Synced, Written};
    assert_eq!(*stages.lock().unwrap(), [Placed, Written, Synced, Applied, Acknowledged]);
}

#[tokio::test]
async fn requests_that_are_on_their_way_share_a_group_and_nobody_waits_for_those_who_leave() {
    let groups = Arc::new(AtomicUsize::new(0));
    let told = groups.clone();
    let probe: Arc<dyn Fn(Stage) + Send + Sync> = Arc::new(move |stage| {
        told.fetch_add(usize::from(stage == Stage::Placed), Ordering::SeqCst);
    });
    // Whoever is waited for in vain would be waited for until the test is given up.
    let linger = Duration::from_secs(3600);
    let options = Options { probe: Some(probe), linger, ..options(&SimulatedDisk::new()) };
    let (journal, _) = Journal::open(options, Arc::new(Labels::default())).unwrap();
    let alone = journal.attend();
    journal.append(labelled("0")).await.unwrap();
    let other = journal.attend();
    let (one, two) = tokio::join!(journal.append(labelled("1")), journal.append(labelled("2")));
    assert_eq!((one.unwrap().last(), two.unwrap().last()), (1, 2));
    assert_eq!(groups.load(Ordering::SeqCst), 2);
    let appending = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(labelled("3")).await.map(|committed| committed.last()) }
    });
    tokio::task::yield_now().await;
    drop(other);
    assert_eq!(appending.await.unwrap().unwrap(), 3);
    drop(alone);
    journal.append(labelled("4")).await.unwrap();
    assert_eq!(groups.load(Ordering::SeqCst), 4);
    journal.close().await;
}

#[tokio::test]
async fn a_folder_is_open_once() {
    let disk = SimulatedDisk::new();
    let journal = filled(&disk, 1).await;
    assert!(matches!(reopened(&disk), Err(JournalError::InUse { .. })));
    journal.close().await;
    assert_eq!(reopened(&disk).unwrap().0, numbers(1));
}

#[tokio::test]
async fn the_index_makes_itself_again_when_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index");
    let disk = SimulatedDisk::new();
    let with_index = |disk: &SimulatedDisk| Options { index: IndexPlace::At(index.clone()), ..options(disk) };
    let (journal, _) = Journal::open(with_index(&disk), Arc::new(Labels::default())).unwrap();
    for n in 0..30 {
        let events = (0..100).flat_map(|i| labelled(&format!("{n}.{i}")).events).collect();
        journal.append(Entry { events, ..labelled("") }).await.unwrap();
    }
    until(|| journal.indexed() == 2048).await;
    let query = Query { kind: Some("task_paused".into()), page_size: 500, ..Query::default() };
    let found = |journal: &Journal| journal.search(&query).unwrap().events.len();
    assert_eq!(found(&journal), 500);
    // What a search finds to be wrong is thrown away, and the log is read meanwhile.
    journal.shared.indexing.throw_away();
    assert_eq!((journal.indexed(), found(&journal)), (0, 500));
    until(|| journal.indexed() == 2048).await;
    journal.close().await;
    for (name, damage) in [("deleted", true), ("rubbish", false)] {
        if damage {
            std::fs::remove_dir_all(&index).unwrap();
        } else {
            for entry in std::fs::read_dir(&index).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    std::fs::write(path, [0x5a; 4096]).unwrap();
                }
            }
        }
        let (journal, _) = Journal::open(with_index(&disk), Arc::new(Labels::default())).unwrap();
        assert_eq!(found(&journal), 500, "{name}");
        until(|| journal.indexed() == 2048).await;
        assert_eq!(found(&journal), 500, "{name}");
        journal.close().await;
    }
    // An index that is ahead of the log is of another log.
    let (journal, _) = Journal::open(with_index(&SimulatedDisk::new()), Arc::new(Labels::default())).unwrap();
    let events = (0..1024).flat_map(|i| labelled(&i.to_string()).events).collect();
    journal.append(Entry { events, ..labelled("") }).await.unwrap();
    until(|| journal.indexed() == 1024).await;
    assert_eq!(found(&journal), 500);
}

#[tokio::test]
async fn many_wait_without_being_lost_when_the_queue_is_full() {
    let disk = SimulatedDisk::new();
    let (journal, _) = Journal::open(options(&disk), Arc::new(Labels::default())).unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let large = vec![7; 2 << 20];
    let appends: Vec<_> = (0..100)
        .map(|n| {
            let (journal, done, entry) = (journal.clone(), done.clone(), sealed(&n.to_string(), &large));
            tokio::spawn(async move {
                journal.append(entry).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), 100);
}
