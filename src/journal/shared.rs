//! What the writer, the readers and the threads beside them share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use super::error::JournalError;
use super::frame::SegmentHeader;
use super::guard_table::GuardTable;
use super::log::Log;
use super::options::{Options, Stage};
use super::projection::Projection;
use super::queue::Queue;
use super::recovery::io_error;
use super::segment::Segment;
use crate::audit::tree::TreeHash;

/// The insides of a journal.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) projection: Arc<dyn Projection>,
    pub(super) queue: Queue,
    pub(super) events: Log,
    pub(super) guards: RwLock<GuardTable>,
    pub(super) tiles: RwLock<Vec<TreeHash>>,
    pub(super) reserved: AtomicBool,
}

impl Shared {
    pub(super) fn probe(&self, stage: Stage) {
        if let Some(probe) = &self.options.probe {
            probe(stage);
        }
    }

    /// Goes out of service for good.
    pub(super) fn fail(&self, error: &JournalError) {
        self.queue.abandon();
        (self.options.on_fatal)(error);
    }

    /// Gives up the file that held space. False when that was done before.
    pub(super) fn release_reserve(&self) -> bool {
        let held = self.reserved.swap(false, Ordering::SeqCst);
        held && self.options.disk.remove(&self.options.dir.join(RESERVE)).is_ok()
    }

    /// Makes the next segment, and tells how large it may grow.
    pub(super) fn create_segment(&self, header: SegmentHeader) -> Result<(Arc<Segment>, u64), JournalError> {
        create_segment(&self.options, header)
    }
}

/// Makes a segment, and tells how large it may grow.
pub(super) fn create_segment(options: &Options, header: SegmentHeader) -> Result<(Arc<Segment>, u64), JournalError> {
    let dir = options.dir.join(SEGMENTS);
    let segment = Segment::create(&*options.disk, &dir, header, None);
    let segment = segment.map_err(|source| io_error("create a segment in", &dir, source))?;
    Ok((Arc::new(segment), options.segment_bytes))
}

/// The folder of segments.
pub(super) const SEGMENTS: &str = "segments";
/// The file that holds space for ends and revocations.
pub(super) const RESERVE: &str = "reserve";
/// The file by which a process holds the folder.
pub(super) const LOCK: &str = "lock";
