//! What is appended, and the proof that it was: an entry's events are committed together, in order, or not at all.

use super::guards::Expect;
use super::projection::Recorded;
use crate::model::time::Timestamp;
use crate::pb::journal::Event;

/// What may be written when space runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryClass {
    /// Refused while disk space is held back.
    Ordinary,
    /// Ends and revocations: may use the space that is held back.
    End,
}

/// Events that are committed together.
#[derive(Debug, Clone)]
pub struct Entry {
    /// At least one, in the order in which they are written.
    pub events: Vec<Event>,
    /// What must not have changed since the decision.
    pub expects: Vec<Expect>,
    /// Whether space is held back for it.
    pub class: EntryClass,
}

/// Something that leaves an entry in the journal; what comes back from `append` proves that it did.
pub trait Record: Send + 'static {
    /// The entry. Asked for once; what is inside may be moved out.
    fn entry(&mut self) -> Entry;
}

impl Record for Entry {
    fn entry(&mut self) -> Entry {
        Entry {
            events: std::mem::take(&mut self.events),
            expects: std::mem::take(&mut self.expects),
            class: self.class,
        }
    }
}

/// A record whose entry is durable. Made by the journal alone, and not to be copied.
#[derive(Debug)]
pub struct Committed<R> {
    record: R,
    receipt: Receipt,
}

impl<R> Committed<R> {
    pub(super) const fn new(record: R, receipt: Receipt) -> Self {
        Self { record, receipt }
    }

    /// Position of the entry's first event.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.receipt.first
    }

    /// Position of the entry's last event.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.receipt.last
    }

    /// When the entry was written, as its events say.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.receipt.time
    }

    /// The events as they were recorded.
    #[must_use]
    pub fn recorded(&self) -> &[Recorded] {
        &self.receipt.recorded
    }

    /// What was committed.
    #[must_use]
    pub const fn record(&self) -> &R {
        &self.record
    }

    /// What was committed, by value: the proof is used up.
    #[must_use]
    pub fn into_record(self) -> R {
        self.record
    }
}

/// What the writer answers.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) time: Timestamp,
    // Goes back to the caller also so that it is not the writer who frees it.
    pub(super) recorded: Vec<Recorded>,
}
