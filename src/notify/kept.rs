//! How far a receiver was told, what waits to be told again, and the log of deliveries: one small file for each receiver, replaced
//! whole. What to do next follows from it alone.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::disk::{self, Disk};
use crate::model::notice::{NoticeType, WebhookName};
use crate::model::time::Timestamp;
use crate::notify::NotifyFolder;
use crate::notify::deliveries::{DELIVERIES_KEPT_MAX, Delivery, DeliveryOutcome, DeliveryProblem};
use crate::notify::schedule::within_reach;

/// Events that wait to be told again, at most: while there are so many, no further ones are looked at.
pub(in crate::notify) const WAITING_MAX: usize = 64;
/// Number of the form of the file.
const FORM: u32 = 1;

/// What is kept of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::notify) struct Kept {
    form: u32,
    /// By what it is known again that it is configured as before.
    configured: String,
    /// The position that was not looked at yet.
    next: u64,
    switched_off: bool,
    /// Until when the receiver asked for quiet.
    quiet_until: Timestamp,
    waiting: Vec<Waiting>,
    deliveries: VecDeque<Delivery>,
}

/// An event that was told, and not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::notify) struct Waiting {
    pub(in crate::notify) position: u64,
    pub(in crate::notify) tries: u32,
    pub(in crate::notify) due: Timestamp,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) enum Step {
    /// Nothing any more.
    End,
    /// Tell this again.
    Again(Waiting),
    /// Take the next event, which has been read.
    Take,
    /// Wait until then, if anything is due, and for events, if there is room for them.
    Wait { until: Option<Timestamp>, reads: bool },
}

impl Kept {
    /// Of a receiver that is new: it is told what happens after `size` events.
    pub(in crate::notify) fn new(configured: String, size: u64) -> Self {
        Self {
            form: FORM,
            configured,
            next: size,
            switched_off: false,
            quiet_until: Timestamp::EPOCH,
            waiting: Vec::new(),
            deliveries: VecDeque::new(),
        }
    }

    /// Takes it up again with a journal of so many events. A receiver that wanted no more and is configured otherwise begins anew,
    /// and so does one that was told of more than there is.
    pub(in crate::notify) fn resumed(mut self, configured: String, size: u64) -> Self {
        let changed = self.configured != configured;
        if (self.switched_off && changed) || self.next > size {
            self.waiting.clear();
            self.next = size;
        }
        if changed {
            self.switched_off = false;
            self.quiet_until = Timestamp::EPOCH;
            self.configured = configured;
        }
        self
    }

    pub(in crate::notify) const fn next(&self) -> u64 {
        self.next
    }

    pub(in crate::notify) const fn is_switched_off(&self) -> bool {
        self.switched_off
    }

    pub(in crate::notify) fn count_waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// The log, newest first.
    pub(in crate::notify) fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().rev()
    }

    /// What to do next. `is_read` says that an event was read and not yet taken.
    pub(in crate::notify) fn step(&mut self, now: Timestamp, is_read: bool) -> Step {
        if self.switched_off {
            return Step::End;
        }
        // For good, or what was set by a clock that has been set back since would move away with it.
        self.quiet_until = within_reach(self.quiet_until, now);
        for waiting in &mut self.waiting {
            waiting.due = within_reach(waiting.due, now);
        }
        if self.quiet_until > now {
            return Step::Wait { until: Some(self.quiet_until), reads: false };
        }
        let due = |waiting: &&Waiting| waiting.due <= now;
        if let Some(waiting) = self.waiting.iter().filter(due).min_by_key(|waiting| waiting.position) {
            return Step::Again(*waiting);
        }
        let room = self.waiting.len() < WAITING_MAX;
        if is_read && room {
            return Step::Take;
        }
        let until = self.waiting.iter().map(|waiting| waiting.due).min();
        Step::Wait { until, reads: room && !is_read }
    }

    /// The event was looked at.
    pub(in crate::notify) fn passed(&mut self, position: u64) {
        self.next = self.next.max(position.saturating_add(1));
    }

    /// The event is not told any more, whether it was taken or not.
    pub(in crate::notify) fn done(&mut self, position: u64) {
        self.waiting.retain(|waiting| waiting.position != position);
        self.passed(position);
    }

    /// The event is told again later.
    pub(in crate::notify) fn later(&mut self, waiting: Waiting) {
        self.done(waiting.position);
        self.waiting.push(waiting);
    }

    /// The receiver asks for quiet.
    pub(in crate::notify) fn quiet(&mut self, until: Timestamp) {
        self.quiet_until = until;
    }

    /// The receiver wants no more.
    pub(in crate::notify) fn switch_off(&mut self) {
        self.switched_off = true;
        self.waiting.clear();
    }

    /// Notes what came of a try.
    pub(in crate::notify) fn log(&mut self, delivery: Delivery) {
        if self.deliveries.len() >= DELIVERIES_KEPT_MAX {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }

    /// Notes that an event is too old to be told; several in a row are told together.
    pub(in crate::notify) fn log_too_old(&mut self, id: String, kind: NoticeType, position: u64, now: Timestamp) {
        let problem = Some(DeliveryProblem::TooOld);
        match self.deliveries.back_mut().filter(|last| last.problem == problem && last.kind == kind) {
            Some(last) => {
                (last.id, last.position) = (id, Some(position));
                last.events = last.events.saturating_add(1);
            }
            None => self.log(Delivery { id, kind, position: Some(position), ..given_up(DeliveryProblem::TooOld, now) }),
        }
    }

    /// Notes that it is not known any more how far the receiver was told.
    pub(in crate::notify) fn log_lost(&mut self, now: Timestamp) {
        self.log(given_up(DeliveryProblem::Unreadable, now));
    }
}

fn given_up(problem: DeliveryProblem, now: Timestamp) -> Delivery {
    Delivery {
        id: String::new(),
        kind: NoticeType::Test,
        position: None,
        attempt: 0,
        time: now,
        took_ms: 0,
        outcome: DeliveryOutcome::GivenUp,
        problem: Some(problem),
        status: None,
        events: 1,
    }
}

/// The file of one receiver.
#[derive(Debug)]
pub(in crate::notify) struct Files {
    dir: PathBuf,
    name: String,
    disk: Arc<dyn Disk>,
    /// Held while it is written; true when nothing is written any more.
    closed: Arc<Mutex<bool>>,
}

impl Files {
    pub(in crate::notify) fn new(folder: &NotifyFolder, name: &WebhookName) -> Self {
        let closed = Arc::new(Mutex::new(false));
        Self { dir: folder.dir.clone(), name: format!("{name}.json"), disk: Arc::clone(&folder.disk), closed }
    }

    /// What was kept; `None` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::notify) async fn read(&self) -> io::Result<Option<Kept>> {
        let (disk, path) = (Arc::clone(&self.disk), self.dir.join(&self.name));
        let read = spawn_blocking(move || disk::read_all(&*disk, &path)).await.map_err(io::Error::other)??;
        let Some(bytes) = read else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&bytes)?;
        if kept.form == FORM { Ok(Some(kept)) } else { Err(io::Error::other("it is of another form")) }
    }

    /// Keeps what stands when it is written, in place of what was kept.
    ///
    /// # Errors
    /// When the disk fails; what was kept is then as it was.
    pub(in crate::notify) async fn write(&self, stands: impl FnOnce() -> Kept) -> io::Result<()> {
        let held = Arc::clone(&self.closed).lock_owned().await;
        if *held {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&stands())?;
        let (disk, dir, name) = (Arc::clone(&self.disk), self.dir.clone(), self.name.clone());
        let written = spawn_blocking(move || {
            let written = disk.create_dir(&dir).and_then(|()| disk::replace(&*disk, &dir, &name, &bytes));
            // Also when nobody waits for it any more, the next one comes after it.
            drop(held);
            written
        });
        written.await.map_err(io::Error::other)?
    }

    pub(in crate::notify) async fn close(&self) {
        *self.closed.lock().await = true;
    }
}

#[cfg(test)]
mod tests;
