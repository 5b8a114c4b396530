//! The durable append-only log: one folder, one writer, and everything else derived from it. Knows how events are kept and
//! which guards they touch; what they mean is for others to fold.

pub mod entry;
pub mod error;
pub mod follow;
pub mod guard_table;
pub mod guards;
pub mod in_use;
pub mod open;
pub mod options;
pub mod projection;
pub mod search;
pub mod terms;

mod engine;
mod fold;
mod frame;
mod index;
mod indexer;
mod keeper;
mod log;
mod proofs;
mod queue;
mod recovery;
mod replay;
mod segment;
mod signal;
mod snapshot;
mod snapshotter;
mod stream;
mod watermark;
mod writer;

use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use self::engine::Engine;
use self::entry::{Committed, Record};
use self::error::{AppendError, JournalError, ReadError};
use self::follow::{Follower, read_range};
use self::frame::LogId;
use self::guards::{Expect, GuardKey};
use self::index::BLOCK_EVENTS;
use self::open::OpenReport;
use self::options::Options;
use self::projection::{Projection, Recorded};
use self::queue::Submission;
use self::search::{Page, Query};
use self::writer::Writer;
use crate::audit::checkpoint;
use crate::audit::note::VerifierKey;
use crate::audit::tree::{Frontier, TreeHash, TreeHead};
use crate::model::id::{DecisionId, GrantId};

/// A journal. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Engine>,
    running: Arc<Running>,
}

/// A request that is being served.
pub struct Attending(Arc<Engine>);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.queue.leave();
    }
}

// Threads, and the hold on the folder; told to end with the last clone.
struct Running {
    shared: Arc<Engine>,
    log: LogId,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<Option<Writer>>,
    others: Vec<JoinHandle<()>>,
}

// Keeps the folder for this process as long as any of its threads lives.
type Lock = Arc<dyn Any + Send + Sync>;

impl Journal {
    fn new(shared: Arc<Engine>, log: LogId, threads: Threads) -> Self {
        let running = Running { shared: Arc::clone(&shared), log, threads: Mutex::new(Some(threads)) };
        Self { shared, running: Arc::new(running) }
    }

    /// Opens the folder, or begins one, and folds the log into `projection`. Blocks while it reads.
    ///
    /// # Errors
    /// When anything that was durable is damaged or gone, the folder is in use, or the disk fails.
    pub fn open(options: Options, projection: Arc<dyn Projection>) -> Result<(Self, OpenReport), JournalError> {
        open::open(options, projection)
    }

    /// Commits the record's entry: its events are durable and in the projection when this returns. Once it was handed to the
    /// writer it is committed even if the caller goes away.
    ///
    /// # Errors
    /// When a guard no longer holds, space is held back, the entry is above its limits, or the journal is closed.
    pub async fn append<R: Record>(&self, mut record: R) -> Result<Committed<R>, AppendError> {
        let (submission, answer) = Submission::prepare(record.entry())?;
        self.shared.queue.submit(submission).await?;
        let receipt = answer.await.map_err(|_| AppendError::Closed)??;
        Ok(Committed::new(record, receipt))
    }

    /// Says that a request is being served that may append, for as long as the answer is held: the writer waits a moment for
    /// such requests, so that they share a sync.
    #[must_use]
    pub fn attend(&self) -> Attending {
        self.shared.queue.attend();
        Attending(Arc::clone(&self.shared))
    }

    /// The guards as they stand: take these first, the facts that are decided on then, and append with these.
    #[must_use]
    pub fn expects(&self, keys: impl IntoIterator<Item = GuardKey>) -> Vec<Expect> {
        let guards = self.shared.guards.read().unwrap_or_else(PoisonError::into_inner);
        keys.into_iter().map(|key| Expect { key, at: guards.at(&key) }).collect()
    }

    /// How many events are durable and folded, and a way to wait for more.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.shared.events.durable()
    }

    /// Size and root of the tree over what is durable.
    #[must_use]
    pub fn tree_head(&self) -> TreeHead {
        self.shared.events.head()
    }

    /// One event. Blocks while it reads.
    ///
    /// # Errors
    /// When it is not durable, damaged, or the disk fails.
    pub fn read(&self, position: u64) -> Result<Recorded, ReadError> {
        self.shared.events.read(position)
    }

    /// The events from `from` on that are durable, `events_max` at most. Blocks while it reads.
    ///
    /// # Errors
    /// When one is damaged, or the disk fails.
    pub fn read_range(&self, from: u64, events_max: usize) -> Result<Vec<Recorded>, ReadError> {
        read_range(&self.shared, from, events_max)
    }

    /// The events from `from` on, as they become durable.
    #[must_use]
    pub fn follow(&self, from: u64) -> Follower {
        Follower::new(Arc::clone(&self.shared), from)
    }

    /// The positions of a stream's events, oldest first, so many at most. Blocks while it reads.
    ///
    /// # Errors
    /// When something is damaged, or the disk fails.
    pub fn stream(&self, name: &str, events_max: usize) -> Result<Vec<u64>, ReadError> {
        search::stream(&self.shared, name, events_max)
    }

    /// One page of what a query finds. Blocks while it reads.
    ///
    /// # Errors
    /// When the page token is of another query, something is damaged, or the disk fails.
    pub fn search(&self, query: &Query) -> Result<Page, ReadError> {
        search::search(&self.shared, query)
    }

    /// The event that holds a decision. Blocks while it reads.
    ///
    /// # Errors
    /// When something is damaged, or the disk fails.
    pub fn find_decision(&self, id: &DecisionId) -> Result<Option<Recorded>, ReadError> {
        search::first(&self.shared, Query { decision: Some(*id), ..Query::default() })
    }

    /// The event by which a grant came to be. Blocks while it reads.
    ///
    /// # Errors
    /// When something is damaged, or the disk fails.
    pub fn find_grant(&self, id: &GrantId) -> Result<Option<Recorded>, ReadError> {
        search::first(&self.shared, Query { grant: Some(*id), ..Query::default() })
    }

    /// The checkpoint of what is durable now: signed, and kept beside the log. Blocks while it is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn checkpoint(&self) -> Result<String, JournalError> {
        keeper::sign(&self.shared)
    }

    /// A checkpoint of the first `size` events, as it would have been signed when there were no more. Blocks while it reads.
    ///
    /// # Errors
    /// When there are not so many, something is damaged, or the disk fails.
    pub fn checkpoint_of(&self, size: u64) -> Result<String, JournalError> {
        let frontier = self.frontier(size).map_err(JournalError::Read)?;
        checkpoint::sign(&frontier.head(), &self.shared.options.signer).map_err(JournalError::Checkpoint)
    }

    /// The key by which checkpoints are verified.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.shared.options.signer.verifier().clone()
    }

    /// The proof that an event stands at `position` of the tree of the first `size` events. Blocks while it reads.
    ///
    /// # Errors
    /// When they are not durable, something is damaged, or the disk fails.
    pub fn inclusion_proof(&self, position: u64, size: u64) -> Result<Vec<TreeHash>, ReadError> {
        proofs::inclusion(&self.shared, position, size)
    }

    /// The proof that the tree of the first `size` events continues that of the first `older`. Blocks while it reads.
    ///
    /// # Errors
    /// When they are not durable, something is damaged, or the disk fails.
    pub fn consistency_proof(&self, older: u64, size: u64) -> Result<Vec<TreeHash>, ReadError> {
        proofs::consistency(&self.shared, older, size)
    }

    /// What stands for the first `size` events in an export of what follows. Blocks while it reads.
    ///
    /// # Errors
    /// When they are not durable, something is damaged, or the disk fails.
    pub fn frontier(&self, size: u64) -> Result<Frontier, ReadError> {
        proofs::frontier(&self.shared, size)
    }

    /// True while the space that is left is held back for ends and revocations.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.free_bytes().map_or(true, |free| free < self.shared.options.space_floor_bytes)
    }

    /// How many entries wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// True when nothing more is taken in: it was closed, or has failed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.queue.is_closed()
    }

    /// Bytes of the log, up to its last event.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.total_bytes.load(Ordering::SeqCst)
    }

    /// How many events the search index covers; those after them are found by reading.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        self.shared.indexing.index().map_or(0, |index| index.blocks() * BLOCK_EVENTS)
    }

    /// Takes nothing more in, commits what waits, signs for it, makes a snapshot, and lets go of the folder. Other clones find
    /// the journal closed.
    pub async fn close(self) {
        let running = Arc::clone(&self.running);
        drop(self);
        // Threads are waited for where waiting does no harm.
        drop(tokio::task::spawn_blocking(move || running.end()).await);
    }
}

impl Running {
    fn end(&self) {
        self.shared.queue.close();
        let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // A thread that died has told so.
        let writer = threads.writer.join().ok().flatten();
        self.shared.stop();
        for thread in threads.others {
            drop(thread.join());
        }
        if let Some(writer) = writer {
            self.rest(writer);
        }
        self.shared.events.close();
    }

    // What makes the next start quick. Nothing is lost without it.
    fn rest(&self, writer: Writer) {
        if let Err(error) = keeper::sign(&self.shared) {
            tracing::warn!(error = &error as &dyn std::error::Error, "no checkpoint was signed");
        }
        let fold = writer.rest();
        if let Err(error) = snapshotter::save_at_rest(&self.shared, self.log, fold) {
            tracing::warn!(error = &error as &dyn std::error::Error, "no snapshot was made");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.stop();
        self.shared.events.close();
    }
}

#[cfg(test)]
mod tests;
