//! What the writer, the readers and the threads beside them share.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::error::JournalError;
use super::frame::SegmentHeader;
use super::guard_table::GuardTable;
use super::indexer::Indexing;
use super::keeper::Prepared;
use super::log::Log;
use super::options::{Options, Stage};
use super::projection::Projection;
use super::queue::Queue;
use super::recovery::io_error;
use super::segment::Segment;
use super::signal::Signal;
use crate::audit::tree::TreeHash;

/// The insides of a journal.
pub(super) struct Engine {
    pub(super) options: Options,
    pub(super) projection: Arc<dyn Projection>,
    pub(super) queue: Queue,
    pub(super) events: Log,
    pub(super) guards: RwLock<GuardTable>,
    pub(super) tiles: RwLock<Vec<TreeHash>>,
    /// Bytes of all segments up to the last frame, or nearly.
    pub(super) total_bytes: AtomicU64,
    /// Space is held back by a file.
    pub(super) reserved: AtomicBool,
    /// The size that the next segment should have.
    pub(super) keeper: Signal<u64>,
    pub(super) prepared: Mutex<Option<Prepared>>,
    /// The last checkpoint, and the size that it signs for.
    pub(super) checkpoint: Mutex<Option<(u64, String)>>,
    pub(super) snapshotter: Signal<()>,
    pub(super) indexing: Indexing,
}

impl Engine {
    pub(super) fn probe(&self, stage: Stage) {
        if let Some(probe) = &self.options.probe {
            probe(stage);
        }
    }

    /// Goes out of service for good.
    pub(super) fn fail(&self, error: &JournalError) {
        (self.options.on_fatal)(error);
        self.queue.abandon();
        self.events.close();
    }

    /// Gives up the file that held space. False when that was done before.
    pub(super) fn release_reserve(&self) -> bool {
        let held = self.reserved.swap(false, Ordering::SeqCst);
        held && self.options.disk.remove(&self.options.dir.join(RESERVE)).is_ok()
    }

    /// Bytes that may still be written.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let Options { disk, dir, total_bytes_max, .. } = &self.options;
        let written = self.total_bytes.load(Ordering::SeqCst);
        let allowed = total_bytes_max.map_or(u64::MAX, |max| max.saturating_sub(written));
        Ok(disk.free_bytes(dir)?.min(allowed))
    }

    /// Tells the threads beside the writer to end.
    pub(super) fn stop(&self) {
        self.keeper.stop();
        self.snapshotter.stop();
        self.indexing.signal.stop();
    }
}

/// Makes a segment, out of one that was prepared or anew.
pub(super) fn create_segment(
    options: &Options,
    header: SegmentHeader,
    prepared: Option<Prepared>,
) -> Result<Segment, JournalError> {
    let dir = options.dir.join(SEGMENTS);
    let prepared = prepared.map(|Prepared { path, file, .. }| (path, file));
    let segment = Segment::create(&*options.disk, &dir, header, prepared);
    segment.map_err(|source| io_error("create a segment in", &dir, source))
}

/// The folder of segments.
pub(super) const SEGMENTS: &str = "segments";
/// The folder of snapshots.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// The folder of the search index.
pub(super) const INDEX: &str = "index";
/// The last checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The file that holds space for ends and revocations.
pub(super) const RESERVE: &str = "reserve";
/// The file by which a process holds the folder.
pub(super) const LOCK: &str = "lock";
