//! Reading events in order: a stretch of what is durable, or all of it as it grows.

use std::sync::Arc;

use tokio::sync::watch;

use super::engine::Engine;
use super::error::ReadError;
use super::log::Cursor;
use super::projection::Recorded;

/// Reads events in order, and waits for more at the end.
pub struct Follower {
    shared: Arc<Engine>,
    durable: watch::Receiver<u64>,
    closed: watch::Receiver<bool>,
    next: u64,
}

impl Follower {
    pub(super) fn new(shared: Arc<Engine>, next: u64) -> Self {
        let (durable, closed) = (shared.events.durable(), shared.events.closed());
        Self { shared, durable, closed, next }
    }

    /// The position that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Returns once there is a next event, and reads nothing; false when the journal is closed.
    pub async fn ready(&mut self) -> bool {
        let next = self.next;
        tokio::select! {
            biased;
            more = self.durable.wait_for(|durable| *durable > next) => {
                drop(more);
                true
            }
            closed = self.closed.wait_for(|closed| *closed) => {
                drop(closed);
                false
            }
        }
    }

    /// The next events, `events_max` at most and at least one, as soon as there are any; `None` when the journal is closed.
    /// Nothing is passed over when the caller is cancelled.
    ///
    /// # Errors
    /// When one is damaged, or the disk fails.
    pub async fn read(&mut self, events_max: usize) -> Result<Option<Vec<Recorded>>, ReadError> {
        if !self.ready().await {
            return Ok(None);
        }
        let recorded = read_range(&self.shared, self.next, events_max.max(1))?;
        self.next += recorded.len() as u64;
        Ok(Some(recorded))
    }
}

/// The events from `from` on that are durable, so many at most.
pub(super) fn read_range(shared: &Engine, from: u64, events_max: usize) -> Result<Vec<Recorded>, ReadError> {
    let mut out = Vec::new();
    let log = &shared.events;
    if from >= log.size() {
        return Ok(out);
    }
    let mut cursor = Cursor::new(log, from)?;
    while out.len() < events_max {
        let Some(frame) = cursor.frame(log)? else { break };
        for recorded in frame.recorded(from) {
            out.push(recorded?);
            if out.len() == events_max {
                break;
            }
        }
    }
    Ok(out)
}
