//! Opening a journal: take hold of the folder, settle where the log ends, fold it, start the writer.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use std::thread;

use super::Journal;
use super::error::JournalError;
use super::fold::Fold;
use super::frame::{LogId, SEGMENT_HEADER, SegmentHeader};
use super::log::Log;
use super::options::Options;
use super::projection::{Projection, Recorded};
use super::queue::Queue;
use super::recovery::{self, Found, check_sealed, io_error};
use super::segment::{FrameReader, Segment};
use super::shared::{LOCK, SEGMENTS, Shared, create_segment};
use super::writer::Writer;
use crate::audit::tree::{TreeHash, TreeHead};

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// How many events the log holds.
    pub size: u64,
    /// How many of them were folded again; the others came from a snapshot.
    pub replayed: u64,
    /// Bytes of a torn last group that were cut off; 0 when there was none.
    pub torn_bytes: u64,
}

/// Opens the folder. Blocks while it reads.
pub(super) fn open(options: Options, projection: Arc<dyn Projection>) -> Result<(Journal, OpenReport), JournalError> {
    let dir = options.dir.join(SEGMENTS);
    options.disk.create_dir(&dir).map_err(|source| io_error("make", &dir, source))?;
    let lock = options.disk.lock(&options.dir.join(LOCK)).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => JournalError::InUse { path: options.dir.clone() },
        _ => io_error("lock", &options.dir, source),
    })?;
    let found = match recovery::find(&*options.disk, &dir, 0)? {
        Some(found) => found,
        None => begin(&options)?,
    };
    let mut fold = Fold::default();
    let replayed = replay(&found, &mut fold, &*projection)?;
    let report = OpenReport { size: found.end, replayed, torn_bytes: found.torn_bytes };

    let head = TreeHead { size: found.end, root: fold.tree.root() };
    let Fold { time, tree, tiles, streams, guards } = fold;
    let last = found.segments.last().cloned().ok_or(JournalError::Damaged { position: 0, what: "no segment" })?;
    let shared = Arc::new(Shared {
        projection,
        queue: Queue::new(),
        events: Log::new(found.log.seal(), found.segments, head),
        guards: RwLock::new(guards),
        tiles: RwLock::new(tiles),
        reserved: AtomicBool::new(false),
        options,
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        log: found.log,
        capacity: shared.options.segment_bytes,
        segment: last,
        offset: found.offset,
        time,
        tree,
        root: head.root,
        streams,
        total_bytes: found.offset,
    };
    let thread = thread::Builder::new().name("journal-writer".into()).spawn(move || writer.run());
    let thread = thread.map_err(JournalError::Thread)?;
    Ok((Journal::new(shared, vec![thread], lock), report))
}

// A new log, with its first segment.
fn begin(options: &Options) -> Result<Found, JournalError> {
    let log = LogId(options.fresh_id);
    let (segment, _) = create_segment(options, SegmentHeader { log, first: 0, root: TreeHash::empty() })?;
    Ok(Found { segments: vec![segment], log, offset: SEGMENT_HEADER as u64, end: 0, torn_bytes: 0 })
}

// Folds what the log holds beyond the fold.
fn replay(found: &Found, fold: &mut Fold, projection: &dyn Projection) -> Result<u64, JournalError> {
    let begun = fold.next();
    let mut ends: Vec<u64> = found.segments.iter().skip(1).map(|segment| segment.header.first).collect();
    ends.push(found.end);
    for (segment, end) in found.segments.iter().zip(ends) {
        replay_segment(found, segment, end, fold, projection)?;
        if segment.header.first != fold.next() && fold.next() != end {
            return Err(JournalError::Damaged { position: fold.next(), what: "a gap between segments" });
        }
    }
    Ok(fold.next() - begun)
}

fn replay_segment(
    found: &Found,
    segment: &Arc<Segment>,
    end: u64,
    fold: &mut Fold,
    projection: &dyn Projection,
) -> Result<(), JournalError> {
    check_sealed(segment, found.log.seal(), end)?;
    let io = |source| io_error("read", &segment.path, source);
    let mut reader = FrameReader::new(Arc::clone(segment), found.log.seal(), WINDOW_BYTES);
    while reader.next() < end {
        let damaged = |position, what| JournalError::Damaged { position, what };
        let first = reader.next();
        let header = reader.header().map_err(io)?.ok_or(damaged(first, "a group"))?;
        let payload = reader.frame(&header).map_err(io)?.ok_or(damaged(first, "a group"))?;
        for (stored, position) in super::frame::events(payload).zip(first..) {
            let stored = stored.ok_or(damaged(position, "the lengths inside a group"))?;
            let recorded = Recorded::decode(stored).map_err(|source| JournalError::Event { position, source })?;
            if !fold.apply(&recorded) {
                return Err(damaged(position, "an event that is out of place"));
            }
            projection.apply(&recorded);
        }
        if fold.tree.root() != header.root {
            return Err(damaged(first, "a group that is not what its root says"));
        }
        reader.pass(&header);
    }
    Ok(())
}

const WINDOW_BYTES: usize = 1 << 20;
