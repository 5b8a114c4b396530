//! How far a receiver was told, what waits to be told again, and the log of deliveries: one small file for each receiver, replaced
//! whole. What to do next follows from it alone.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::disk::{self, Disk};
use crate::model::notice::{NoticeType, WebhookName};
use crate::model::time::Timestamp;
use crate::notify::NotifyFolder;
use crate::notify::deliveries::{DELIVERIES_KEPT_MAX, Delivery, DeliveryOutcome, DeliveryProblem};
use crate::notify::schedule::within_reach;

/// Events that wait to be told again, at most: beyond that, the oldest is given up.
pub(in crate::notify) const WAITING_MAX: usize = 128;
/// Number of the form of the file.
const FORM: u32 = 2;
/// Ends the name of a file that could not be understood.
const ASIDE: &str = ".damaged";

/// What is kept of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::notify) struct Kept {
    form: u32,
    configured: Configured,
    /// The position that was not looked at yet.
    next: u64,
    switched_off: bool,
    /// Until when the receiver asked for quiet.
    quiet_until: Timestamp,
    #[serde(deserialize_with = "what_is_known")]
    waiting: Vec<Waiting>,
    #[serde(deserialize_with = "what_is_known")]
    deliveries: VecDeque<Delivery>,
    /// True when the last thing that was told was told again.
    #[serde(skip)]
    again: bool,
}

/// By what it is known again how a receiver was configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::notify) struct Configured {
    /// A digest of the URL alone.
    pub(in crate::notify) url: String,
    /// One of everything.
    pub(in crate::notify) all: String,
}

/// An event that was told, and not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::notify) struct Waiting {
    pub(in crate::notify) position: u64,
    pub(in crate::notify) kind: NoticeType,
    pub(in crate::notify) tries: u32,
    pub(in crate::notify) due: Timestamp,
    /// True when it was brought forward, because another notice was taken: that is done once, or one that is never taken would use
    /// up its tries at once.
    pub(in crate::notify) brought: bool,
}

/// What is found of a receiver at the start.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::notify) enum Found {
    /// It is new here.
    Nothing,
    /// What was kept.
    Kept(Kept),
    /// A file that is not understood.
    Malformed,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) enum Step {
    /// Nothing any more.
    End,
    /// Tell this again.
    Again(Waiting),
    /// Tell the next event, which was found.
    Take,
    /// Wait until then, if anything is due, and for events.
    Wait(Option<Timestamp>),
}

impl Waiting {
    /// An event that was not told yet.
    pub(in crate::notify) const fn new(position: u64, kind: NoticeType) -> Self {
        Self { position, kind, tries: 0, due: Timestamp::EPOCH, brought: false }
    }
}

impl Kept {
    /// Of a receiver that is new: it is told what happens after `size` events.
    pub(in crate::notify) fn new(configured: Configured, size: u64) -> Self {
        Self {
            form: FORM,
            configured,
            next: size,
            switched_off: false,
            quiet_until: Timestamp::EPOCH,
            waiting: Vec::new(),
            deliveries: VecDeque::new(),
            again: false,
        }
    }

    /// Takes it up again with a journal of so many events. One that is somewhere else now begins anew, and so does one that wanted no
    /// more and is configured otherwise, and one that was told of more than there is.
    pub(in crate::notify) fn resumed(mut self, configured: Configured, size: u64) -> Self {
        let (moved, changed) = (self.configured.url != configured.url, self.configured != configured);
        if moved || (self.switched_off && changed) || self.next > size {
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

    /// What to do next. `is_found` says that there is an event that was not told yet. What is told again and what is new take turns.
    pub(in crate::notify) fn step(&mut self, now: Timestamp, is_found: bool) -> Step {
        if self.switched_off {
            return Step::End;
        }
        // For good, or what was set by a clock that has been set back since would move away with it.
        self.quiet_until = within_reach(self.quiet_until, now);
        for waiting in &mut self.waiting {
            waiting.due = within_reach(waiting.due, now);
        }
        if self.quiet_until > now {
            return Step::Wait(Some(self.quiet_until));
        }
        let due = self.waiting.iter().filter(|waiting| waiting.due <= now).min_by_key(|waiting| waiting.position);
        if let Some(waiting) = due.copied().filter(|_| !(self.again && is_found)) {
            self.again = true;
            return Step::Again(waiting);
        }
        if is_found {
            self.again = false;
            return Step::Take;
        }
        Step::Wait(self.waiting.iter().map(|waiting| waiting.due).min())
    }

    /// All before `end` was looked at.
    pub(in crate::notify) fn reached(&mut self, end: u64) {
        self.next = self.next.max(end);
    }

    /// The event is not told any more, whether it was taken or not.
    pub(in crate::notify) fn done(&mut self, position: u64) {
        self.waiting.retain(|waiting| waiting.position != position);
        self.reached(position.saturating_add(1));
    }

    /// The event was taken: whoever takes one may take what waits, too.
    pub(in crate::notify) fn taken(&mut self, position: u64, now: Timestamp) {
        self.done(position);
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.brought) {
            waiting.due = waiting.due.min(now);
            waiting.brought = true;
        }
    }

    /// The event is told again later. When too much waits, the oldest is given up, and what is about approvals last; true then.
    pub(in crate::notify) fn later(&mut self, waiting: Waiting, now: Timestamp) -> bool {
        self.done(waiting.position);
        self.waiting.push(waiting);
        let first =
            self.waiting.iter().min_by_key(|waiting| (waiting.kind.is_of_approval(), waiting.position)).copied();
        let Some(first) = first.filter(|_| self.waiting.len() > WAITING_MAX) else { return false };
        self.done(first.position);
        // Its last try tells by which id.
        let tried = self.deliveries.iter().rev().find(|delivery| delivery.position == Some(first.position));
        let id = tried.map(|delivery| delivery.id.clone()).unwrap_or_default();
        let (kind, position) = (first.kind, Some(first.position));
        self.log(Delivery { id, kind, position, ..given_up(DeliveryProblem::Overflow, now) });
        true
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

    /// Notes that an event was given up without a try; several of one type in a row are told together.
    pub(in crate::notify) fn log_given_up(
        &mut self,
        problem: DeliveryProblem,
        (id, kind, position): (String, NoticeType, u64),
        now: Timestamp,
    ) {
        let mut row = self
            .deliveries
            .iter_mut()
            .rev()
            .take_while(|last| last.attempt == 0 && last.problem == Some(problem) && last.position.is_some());
        if let Some(last) = row.find(|last| last.kind == kind) {
            (last.id, last.position, last.time) = (id, Some(position), now);
            last.events = last.events.saturating_add(1);
            return;
        }
        self.log(Delivery { id, kind, position: Some(position), ..given_up(problem, now) });
    }

    /// Notes that it is not known any more how far the receiver was told.
    pub(in crate::notify) fn log_lost(&mut self, now: Timestamp) {
        self.log(given_up(DeliveryProblem::Unreadable, now));
    }
}

/// The entries that this version understands: one of another must not cost the position.
fn what_is_known<'de, D, C>(entries: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    C: IntoIterator + FromIterator<C::Item>,
    C::Item: DeserializeOwned,
{
    let entries = Vec::<serde_json::Value>::deserialize(entries)?;
    Ok(entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
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

    /// What was kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::notify) async fn read(&self) -> io::Result<Found> {
        let (disk, path) = (Arc::clone(&self.disk), self.dir.join(&self.name));
        let read = spawn_blocking(move || disk::read_all(&*disk, &path)).await.map_err(io::Error::other)??;
        let Some(bytes) = read else { return Ok(Found::Nothing) };
        let kept = serde_json::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.form == FORM);
        Ok(kept.map_or(Found::Malformed, Found::Kept))
    }

    /// Gives the file another name, under which somebody may look at it.
    ///
    /// # Errors
    /// When the disk fails.
    pub(in crate::notify) async fn set_aside(&self) -> io::Result<()> {
        let (disk, dir, name) = (Arc::clone(&self.disk), self.dir.clone(), self.name.clone());
        let renamed = spawn_blocking(move || {
            disk.rename(&dir.join(&name), &dir.join(format!("{name}{ASIDE}")))?;
            disk.sync_dir(&dir)
        });
        renamed.await.map_err(io::Error::other)?
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
