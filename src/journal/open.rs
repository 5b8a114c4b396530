//! Opening a journal: take hold of the folder, settle where the log ends, take up a snapshot, fold the rest, start the
//! threads.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use super::engine::{CHECKPOINT, Engine, INDEX, LOCK, SEGMENTS, SNAPSHOTS, create_segment};
use super::error::JournalError;
use super::fold::Fold;
use super::frame::{LogId, SEGMENT_HEADER, SegmentHeader};
use super::in_use;
use super::indexer::{self, Indexing};
use super::keeper;
use super::log::Log;
use super::options::{IndexPlace, Options};
use super::projection::Projection;
use super::queue::Queue;
use super::recovery::{self, Found, io_error};
use super::replay;
use super::signal::Signal;
use super::snapshot::{self, Snapshot};
use super::snapshotter::{self, take_up};
use super::watermark::Watermark;
use super::writer::Writer;
use super::{Journal, Lock, Threads};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::note::NoteError;
use crate::audit::tree::{TreeHash, TreeHead};
use crate::disk::Disk;
use crate::disk::untouched::Untouched;

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// How many events the log holds.
    pub size: u64,
    /// How many of them were folded again; the others came from a snapshot.
    pub replayed: u64,
    /// Bytes of a torn last group that were cut off; 0 when there was none.
    pub torn_bytes: u64,
    /// Snapshots that were passed over: damaged, or of another form.
    pub snapshots_ignored: usize,
}

/// True when the folder holds a log.
#[must_use]
pub fn is_begun(disk: &dyn Disk, dir: &Path) -> bool {
    // A folder that is not there holds none; one that cannot be read is refused when it is opened.
    let names = disk.list(&dir.join(SEGMENTS)).unwrap_or_default();
    names.iter().any(|name| super::segment::first_of(name).is_some())
}

/// What lies in the folder, and what it amounts to.
struct ReadLog {
    found: Found,
    fold: Fold,
    watermark: Watermark,
    kept: Option<(u64, String)>,
    report: OpenReport,
}

/// Opens the folder. Blocks while it reads.
pub(super) fn open(options: Options, projection: Arc<dyn Projection>) -> Result<(Journal, OpenReport), JournalError> {
    let Options { disk, dir, .. } = &options;
    for folder in [dir.join(SEGMENTS), dir.join(SNAPSHOTS)] {
        disk.create_dir(&folder).map_err(|source| io_error("make", &folder, source))?;
    }
    let lock = disk.lock(&dir.join(LOCK)).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => JournalError::InUse { path: dir.clone() },
        _ => io_error("lock", dir, source),
    })?;
    let lock: Lock = Arc::from(lock);
    let log = read(&options, &*projection)?;
    let report = log.report.clone();
    Ok((start(options, projection, log, lock)?, report))
}

/// Reads a log that was begun as [`Journal::open`] does, folds it into `projection`, and changes nothing. Nobody may have it open.
///
/// # Errors
/// When it would not open.
pub fn inspect(mut options: Options, projection: &dyn Projection) -> Result<OpenReport, JournalError> {
    in_use::check(&options.dir)?;
    options.disk = Arc::new(Untouched(options.disk));
    Ok(read(&options, projection)?.report)
}

fn read(options: &Options, projection: &dyn Projection) -> Result<ReadLog, JournalError> {
    let Options { disk, dir, .. } = options;
    let (segments, snapshots) = (dir.join(SEGMENTS), dir.join(SNAPSHOTS));
    let (watermark, noted) = Watermark::open(&**disk, dir).map_err(|source| io_error("read", dir, source))?;
    let snapshots = snapshot::load(&**disk, &snapshots).map_err(|source| io_error("read", &snapshots, source))?;
    let (note, signed) = kept_checkpoint(options)?;
    let snapshotted = snapshots.iter().flatten().map(|snapshot| snapshot.fold.next()).max().unwrap_or(0);
    let durable = noted.max(snapshotted).max(signed.map_or(0, |head| head.size));
    let found = match recovery::find(&**disk, &segments, durable)? {
        Some(found) => found,
        None => begin(options)?,
    };
    if let Some(head) = signed {
        replay::check_head(&found, &head)?;
    }
    let (mut fold, snapshots_ignored) = newest(snapshots, &found, projection)?;
    replay::check_before(&found, fold.next(), options.verify_bytes)?;
    let replayed = replay::replay(&found, &mut fold, projection)?;
    let report = OpenReport { size: found.end, replayed, torn_bytes: found.torn_bytes, snapshots_ignored };
    let kept = signed.zip(note).map(|(head, note)| (head.size, note));
    Ok(ReadLog { found, fold, watermark, kept, report })
}

// A new log, with its first segment.
fn begin(options: &Options) -> Result<Found, JournalError> {
    let log = LogId(options.fresh_id);
    let header = SegmentHeader { log, first: 0, root: TreeHash::empty() };
    let bytes = options.segment_bytes.min(FIRST_SEGMENT_BYTES);
    let prepared = keeper::zeros(options, 0, bytes).map_err(|source| io_error("write to", &options.dir, source))?;
    let segment = create_segment(options, header, Some(prepared))?;
    // The folders' own names must outlast a power cut too.
    let synced = options.disk.sync_dir(&options.dir);
    synced.map_err(|source| io_error("sync", &options.dir, source))?;
    Ok(Found { segments: vec![Arc::new(segment)], log, offset: SEGMENT_HEADER as u64, end: 0, torn_bytes: 0 })
}

// The checkpoint that was signed last, if it is by this key.
fn kept_checkpoint(options: &Options) -> Result<(Option<String>, Option<TreeHead>), JournalError> {
    let path = options.dir.join(CHECKPOINT);
    let bytes = crate::disk::read_all(&*options.disk, &path).map_err(|source| io_error("read", &path, source))?;
    let Some(note) = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else { return Ok((None, None)) };
    match Checkpoint::verify(&note, options.signer.verifier()) {
        Ok(checkpoint) => Ok((Some(note), Some(*checkpoint.head()))),
        // The key was changed since: what another key signed cannot be checked here.
        Err(NoteError::Unsigned(_)) => Ok((None, None)),
        Err(error) => Err(JournalError::Checkpoint(error)),
    }
}

// Takes up the newest snapshot that fits; how many did not.
fn newest(
    snapshots: Vec<Option<Snapshot>>,
    found: &Found,
    projection: &dyn Projection,
) -> Result<(Fold, usize), JournalError> {
    let all = snapshots.len();
    for (ignored, snapshot) in snapshots.into_iter().enumerate() {
        let Some(snapshot) = snapshot else { continue };
        let head = snapshot.fold.tree.head();
        if replay::root_at(found, head.size)? == Some(head.root)
            && let Some(fold) = take_up(snapshot, found.log, projection)
        {
            return Ok((fold, ignored));
        }
    }
    Ok((Fold::default(), all))
}

fn start(options: Options, projection: Arc<dyn Projection>, log: ReadLog, lock: Lock) -> Result<Journal, JournalError> {
    let ReadLog { found, fold, watermark, kept, report } = log;
    let total_bytes = replay::total_bytes(&found)?;
    let last = found.segments.last().cloned().ok_or(JournalError::Damaged { position: 0, what: "no segment" })?;
    let size = last.file.size().map_err(|source| io_error("read", &last.path, source))?;
    let head = TreeHead { size: found.end, root: fold.tree.root() };
    let Fold { time, tree, tiles, streams, guards } = fold;
    let index = match &options.index {
        IndexPlace::Beside => Some(options.dir.join(INDEX)),
        IndexPlace::At(dir) => Some(dir.clone()),
        IndexPlace::None => None,
    };
    let shared = Arc::new(Engine {
        projection,
        queue: Queue::new(),
        events: Log::new(found.log.seal(), found.segments, head),
        guards: RwLock::new(guards),
        tiles: RwLock::new(tiles),
        total_bytes: AtomicU64::new(total_bytes),
        reserved: AtomicBool::new(false),
        keeper: Signal::new(),
        prepared: Mutex::new(None),
        checkpoint: Mutex::new(kept),
        snapshotter: Signal::new(),
        indexing: Indexing::new(index, found.end),
        options,
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        log: found.log,
        capacity: size.max(FIRST_SEGMENT_BYTES.min(shared.options.segment_bytes)),
        segment: last,
        offset: found.offset,
        time,
        tree,
        root: head.root,
        streams,
        watermark,
        snapshot: report.size - report.replayed,
        asked: false,
        _lock: Arc::clone(&lock),
    };
    let threads = spawn(&shared, writer, found.log, &lock)?;
    Ok(Journal::new(shared, found.log, threads))
}

fn spawn(shared: &Arc<Engine>, writer: Writer, log: LogId, lock: &Lock) -> Result<Threads, JournalError> {
    let named = |name: &str| thread::Builder::new().name(name.into());
    let beside = |name: &str, work: fn(&Engine, LogId)| {
        let (shared, lock) = (Arc::clone(shared), Arc::clone(lock));
        named(name).spawn(move || {
            work(&shared, log);
            drop(lock);
        })
    };
    let others = [
        beside("journal-keeper", |shared, _| keeper::run(shared)),
        beside("journal-fold", snapshotter::run),
        beside("journal-index", indexer::run),
    ];
    let others = others.into_iter().collect::<io::Result<_>>().map_err(JournalError::Thread)?;
    let writer = named("journal-writer").spawn(move || writer.run()).map_err(JournalError::Thread)?;
    Ok(Threads { writer, others })
}

// The first segment is small, so that a small log takes up little.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
