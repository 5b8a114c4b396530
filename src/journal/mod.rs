//! The durable append-only log: one folder, one writer, and everything else derived from it. Knows how events are kept and
//! which guards they touch; what they mean is for others to fold.

pub mod disk;
pub mod entry;
pub mod error;
pub mod guard_table;
pub mod guards;
pub mod open;
pub mod options;
pub mod projection;

pub mod follow;

mod fold;
mod frame;
mod log;
mod queue;
mod recovery;
mod segment;
mod shared;
mod stream;
mod writer;

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use self::entry::{Committed, Record};
use self::error::{AppendError, JournalError, ReadError};
use self::follow::{Follower, read_range};
use self::guards::{Expect, GuardKey};
use self::open::OpenReport;
use self::options::Options;
use self::projection::{Projection, Recorded};
use self::queue::Submission;
use self::shared::Shared;
use crate::audit::tree::TreeHead;

/// A journal. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    running: Arc<Running>,
}

// Threads, and the hold on the folder; ended with the last clone.
struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

impl Journal {
    fn new(shared: Arc<Shared>, threads: Vec<JoinHandle<()>>, lock: Box<dyn Any + Send + Sync>) -> Self {
        let running =
            Running { shared: Arc::clone(&shared), threads: Mutex::new(threads), lock: Mutex::new(Some(lock)) };
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

    /// Takes nothing more in, commits what waits, and lets go of the folder.
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
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that died has told so.
            drop(thread.join());
        }
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

#[cfg(test)]
mod tests;
