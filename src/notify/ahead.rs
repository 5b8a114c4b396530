//! What lies ahead of a receiver: which of the next events it is to be told. Positions only, for an event may be large and a receiver
//! slow; it is read again when it is told.

use std::collections::VecDeque;
use std::time::Duration;

use crate::journal::error::ReadError;
use crate::journal::projection::Recorded;
use crate::model::notice::NoticeType;
use crate::model::time::Timestamp;
use crate::notify::kept::Waiting;
use crate::notify::notices;

/// Events that are read at a time.
const READ_MAX: usize = 64;
/// How long to wait before events are read again that could not be.
pub(in crate::notify) const READ_AGAIN: Duration = Duration::from_secs(10);
/// Most tries of reading an event that is damaged.
const READ_TRIES_MAX: u32 = 3;

/// A stretch of the journal that was looked through.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::notify) struct Stretch {
    /// What is to be told.
    told: Vec<(u64, NoticeType)>,
    /// The position behind it.
    end: u64,
}

/// What was looked through, and is not told yet.
#[derive(Debug)]
pub(in crate::notify) struct Ahead {
    told: VecDeque<(u64, NoticeType)>,
    end: u64,
    /// How often the event at `end` could not be read.
    failed: u32,
    /// When it is read again.
    due: Option<Timestamp>,
}

/// Looks through the next events, and ends before one that cannot be read. `read` reads so many from a position on.
///
/// # Errors
/// When the first cannot be read.
pub(in crate::notify) fn look(
    read: impl Fn(u64, usize) -> Result<Vec<Recorded>, ReadError>,
    from: u64,
    types: &[NoticeType],
) -> Result<Stretch, ReadError> {
    let mut stretch = Stretch { told: Vec::new(), end: from };
    if let Ok(events) = read(from, READ_MAX) {
        stretch.add(&events, types);
        return Ok(stretch);
    }
    for _ in 0..READ_MAX {
        match read(stretch.end, 1) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => stretch.add(&events, types),
            Err(error) if stretch.end == from => return Err(error),
            Err(_) => break,
        }
    }
    Ok(stretch)
}

impl Stretch {
    fn add(&mut self, events: &[Recorded], types: &[NoticeType]) {
        for recorded in events {
            let kind = notices::kind_of(&recorded.event).filter(|kind| types.contains(kind));
            self.told.extend(kind.map(|kind| (recorded.position, kind)));
            self.end = recorded.position.saturating_add(1);
        }
    }
}

impl Ahead {
    /// Nothing was looked through yet; `end` comes next.
    pub(in crate::notify) const fn new(end: u64) -> Self {
        Self { told: VecDeque::new(), end, failed: 0, due: None }
    }

    /// The position that is looked at next.
    pub(in crate::notify) const fn end(&self) -> u64 {
        self.end
    }

    pub(in crate::notify) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Until when nothing is read, if it is to be waited for.
    pub(in crate::notify) fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        // What lies further ahead was set by a clock that has been set back since.
        self.due.filter(|due| *due > now && *due <= now.after(READ_AGAIN))
    }

    /// The next event that is to be told.
    pub(in crate::notify) fn take(&mut self) -> Option<Waiting> {
        self.told.pop_front().map(|(position, kind)| Waiting::new(position, kind))
    }

    /// More was looked through.
    pub(in crate::notify) fn looked(&mut self, stretch: Stretch) {
        self.told.extend(stretch.told);
        self.end = stretch.end;
        (self.failed, self.due) = (0, None);
    }

    /// The next event could not be read; its position, when it is passed over. Those behind it that are damaged too are passed over
    /// with it. One that the disk does not give is waited for.
    pub(in crate::notify) fn failed(&mut self, error: &ReadError, now: Timestamp) -> Option<u64> {
        self.failed = self.failed.saturating_add(1);
        if matches!(error, ReadError::Io(_)) || self.failed < READ_TRIES_MAX {
            self.due = Some(now.after(READ_AGAIN));
            return None;
        }
        self.due = None;
        let passed = self.end;
        self.end = passed.saturating_add(1);
        Some(passed)
    }
}

#[cfg(test)]
mod tests;
