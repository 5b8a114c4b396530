//! The queue before the writer: bounded by bytes, drained whole. A caller that is cancelled while it waits for room has
//! submitted nothing; once it has, what it submitted is committed whatever becomes of the caller.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::entry::{Entry, EntryClass, Receipt};
use super::error::AppendError;
use super::guards::{Expect, Touch, touches};
use super::stream::StreamKey;
use super::terms::{Term, terms};
use crate::audit::event::Unplaced;
use crate::pb::journal::Event;

/// Most events of one entry.
pub(super) const ENTRY_EVENTS_MAX: usize = 4096;
/// Most bytes of one entry: a policy bundle of the largest size fits twice.
pub(super) const ENTRY_BYTES_MAX: usize = 8 << 20;
/// Most that waits before the writer, in units of [`UNIT_BYTES`].
const QUEUE_UNITS: usize = 8192;
/// What an entry counts as, at least.
const UNIT_BYTES: usize = 16 << 10;

/// An event that is ready to be given its place.
pub(super) struct Prepared {
    pub(super) event: Event,
    pub(super) unplaced: Unplaced,
    pub(super) stream: StreamKey,
    pub(super) touches: Vec<Touch>,
    pub(super) terms: Box<[Term]>,
}

/// An entry on its way to the writer.
pub(super) struct Submission {
    pub(super) events: Vec<Prepared>,
    pub(super) expects: Vec<Expect>,
    pub(super) class: EntryClass,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Result<Receipt, AppendError>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Submission {
    /// Does all that does not need the writer: encoding, hashing, deriving guards.
    pub(super) fn prepare(
        entry: Entry,
    ) -> Result<(Self, oneshot::Receiver<Result<Receipt, AppendError>>), AppendError> {
        if entry.events.is_empty() {
            return Err(AppendError::Empty);
        }
        if entry.events.len() > ENTRY_EVENTS_MAX {
            return Err(AppendError::TooLarge);
        }
        let prepare = |event: Event| Prepared {
            unplaced: Unplaced::new(&event),
            stream: StreamKey::of(&event.stream),
            touches: touches(&event),
            terms: terms(&event),
            event,
        };
        let events: Vec<_> = entry.events.into_iter().map(prepare).collect();
        // Each is preceded by its length.
        let bytes = events.iter().map(|prepared| prepared.unplaced.len_max() + 4).sum();
        if bytes > ENTRY_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        let (reply, answer) = oneshot::channel();
        Ok((Self { events, expects: entry.expects, class: entry.class, bytes, reply, permit: None }, answer))
    }
}

/// Where submissions wait.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    // Requests that are being served: those that wait here, and those that may still come.
    present: AtomicUsize,
    // The writer lingers; who leaves tells it.
    lingering: AtomicBool,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    submissions: VecDeque<Submission>,
    closed: bool,
    // The writer sleeps and must be woken when so many wait.
    wake_at: Option<usize>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            present: AtomicUsize::new(0),
            lingering: AtomicBool::new(false),
            arrived: Condvar::new(),
            room: Arc::new(Semaphore::new(QUEUE_UNITS)),
        }
    }

    /// Hands a submission over, as soon as there is room.
    pub(super) async fn submit(&self, mut submission: Submission) -> Result<(), AppendError> {
        let units = u32::try_from(1 + submission.bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| AppendError::Closed)?;
        submission.permit = Some(permit);
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        waiting.submissions.push_back(submission);
        self.wake(waiting);
        Ok(())
    }

    /// A request is being served that may append.
    pub(super) fn attend(&self) {
        self.present.fetch_add(1, Ordering::SeqCst);
    }

    /// It is served.
    pub(super) fn leave(&self) {
        self.present.fetch_sub(1, Ordering::SeqCst);
        if self.lingering.load(Ordering::SeqCst) {
            let mut waiting = self.lock();
            waiting.wake_at = waiting.wake_at.map(|at| at.saturating_sub(1));
            self.wake(waiting);
        }
    }

    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let waits = waiting.submissions.len();
        if waiting.wake_at.take_if(|at| waits >= *at).is_some() {
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// Everything that waits, and waits itself for something. `None` when the queue is closed and drained.
    pub(super) fn take(&self) -> Option<VecDeque<Submission>> {
        let mut waiting = self.lock();
        loop {
            if !waiting.submissions.is_empty() {
                return Some(mem::take(&mut waiting.submissions));
            }
            if waiting.closed {
                return None;
            }
            waiting.wake_at = Some(1);
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds what arrives while others are on their way, for `linger` at most: a sync costs as much for one as for many.
    pub(super) fn linger(&self, taken: &mut VecDeque<Submission>, linger: Duration) {
        self.lingering.store(true, Ordering::SeqCst);
        let expecting = |waiting: &mut Waiting| {
            let here = taken.len() + waiting.submissions.len();
            let missing = self.present.load(Ordering::SeqCst).saturating_sub(here);
            waiting.wake_at = Some(waiting.submissions.len() + missing);
            missing > 0 && !waiting.closed
        };
        let waited = self.arrived.wait_timeout_while(self.lock(), linger, expecting);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        taken.append(&mut waiting.submissions);
        waiting.wake_at = None;
        self.lingering.store(false, Ordering::SeqCst);
    }

    /// How many submissions the writer has not taken yet.
    pub(super) fn len(&self) -> usize {
        self.lock().submissions.len()
    }

    /// Takes nothing more in. What waits is still committed.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    /// True when nothing more is taken in.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes nothing more in, and lets go of what waits: its callers learn that the journal is closed.
    pub(super) fn abandon(&self) {
        self.close();
        let dropped = mem::take(&mut self.lock().submissions);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
