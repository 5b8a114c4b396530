//! What the journal is opened with: where it lies, what it is signed with, how much it holds.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::JournalError;
use crate::audit::note::SignerKey;
use crate::disk::{Disk, RealDisk};
use crate::model::time::Timestamp;

/// Where and how a journal is kept.
#[derive(Clone)]
pub struct Options {
    /// Its folder; made when there is none.
    pub dir: PathBuf,
    /// Tells the time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Signs checkpoints. Its name is the origin of the log.
    pub signer: Arc<SignerKey>,
    /// Sixteen random bytes, by which a new folder is told from all others; not used when the folder holds a log.
    pub fresh_id: [u8; 16],
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Size that segments grow to.
    pub segment_bytes: u64,
    /// Below so much free space, ordinary entries are refused.
    pub space_floor_bytes: u64,
    /// Held on the disk by a file that is given up when nothing else is left.
    pub reserve_bytes: u64,
    /// Most bytes that the events of this log may take up; `None` leaves it to the disk.
    pub total_bytes_max: Option<u64>,
    /// How long the writer waits at most for requests that are on their way, so that they share a sync. It never waits
    /// when nobody is.
    pub linger: Duration,
    /// So many events are folded again at a start at most; a snapshot is made when there are more.
    pub snapshot_every: u64,
    /// How often a checkpoint is signed while the log grows.
    pub checkpoint_every: Duration,
    /// How much of the log before the snapshot is read through at a start, newest first; the frames after it always are.
    pub verify_bytes: u64,
    /// The search index.
    pub index: IndexPlace,
    /// Called when a write or a sync failed, or the writer died: what is durable is then not known. Ends the process unless
    /// it is replaced.
    pub on_fatal: Arc<dyn Fn(&JournalError) + Send + Sync>,
    /// Called by the writer at each stage of each group: to measure it, or to end the process at one.
    pub probe: Option<Arc<dyn Fn(Stage) + Send + Sync>>,
}

/// Where the search index is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPlace {
    /// In the journal's folder.
    Beside,
    /// In another folder.
    At(PathBuf),
    /// Nowhere: searches read the log.
    None,
}

/// How far the writer is with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Guards are checked and places assigned; nothing is written.
    Placed,
    /// Written, and not synced.
    Written,
    /// Durable, and known to nobody.
    Synced,
    /// In the projection, and not acknowledged.
    Applied,
    /// Acknowledged.
    Acknowledged,
}

impl Options {
    /// The settings for a folder on this machine.
    #[must_use]
    pub fn new(
        dir: PathBuf,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        signer: Arc<SignerKey>,
        fresh_id: [u8; 16],
    ) -> Self {
        Self {
            dir,
            now,
            signer,
            fresh_id,
            disk: Arc::new(RealDisk),
            segment_bytes: SEGMENT_BYTES,
            space_floor_bytes: SPACE_FLOOR_BYTES,
            reserve_bytes: RESERVE_BYTES,
            total_bytes_max: None,
            linger: LINGER,
            snapshot_every: SNAPSHOT_EVERY,
            checkpoint_every: CHECKPOINT_EVERY,
            verify_bytes: VERIFY_BYTES,
            index: IndexPlace::Beside,
            on_fatal: Arc::new(abort),
            probe: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn abort(error: &JournalError) {
    tracing::error!(error = error as &dyn std::error::Error, "the journal has failed; ending at once");
    std::process::abort();
}

/// Long enough to gather what a busy machine decides on meanwhile, so that answers share syncs, wakes and packets; not felt
/// beside the time that a request waits for a processor there.
pub const LINGER: Duration = Duration::from_millis(6);
/// Large enough that changing to the next is rare, small enough to be read through in a moment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// A hundred thousand revocations fit.
pub const SPACE_FLOOR_BYTES: u64 = 256 << 20;
/// Ten thousand revocations fit.
pub const RESERVE_BYTES: u64 = 16 << 20;
/// A second or two of folding.
pub const SNAPSHOT_EVERY: u64 = 200_000;
/// What an export would lack at most that was not signed for.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// About a second of reading.
pub const VERIFY_BYTES: u64 = 1 << 30;
