//! The pause after failures: a scorer that fails again and again is left alone for a while. It counts as absent meanwhile, so that
//! nobody gains by breaking it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::time::Timestamp;

/// That a question may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// As others are.
    Usual,
    /// Ahead of the others after a pause: the next pause has begun, until then.
    Ahead(Timestamp),
}

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct Breaker {
    /// So many in a row begin a pause.
    failures_max: u32,
    pause: Duration,
    now: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    failures: u32,
    paused_until: Option<Timestamp>,
}

impl Breaker {
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max, pause, now: Mutex::default() }
    }

    /// True while nothing is asked.
    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        let standing = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        standing.paused_until.is_some_and(|until| now < until)
    }

    /// May this be asked now? After a pause one question goes ahead of the others: until it is answered, the next pause has begun.
    pub(super) fn try_ask(&self, now: Timestamp) -> Option<Leave> {
        let mut standing = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match standing.paused_until {
            None => Some(Leave::Usual),
            Some(until) if now < until => None,
            Some(_) => {
                let until = now.after(self.pause);
                standing.paused_until = Some(until);
                Some(Leave::Ahead(until))
            }
        }
    }

    /// It was not asked after all: when it was to go ahead of the others, the next one does.
    pub(super) fn not_asked(&self, leave: Leave, now: Timestamp) {
        let mut standing = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(leave, Leave::Ahead(until) if standing.paused_until == Some(until)) {
            standing.paused_until = Some(now);
        }
    }

    /// It answered, in whatever form.
    pub(super) fn answered(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Standing::default();
    }

    /// It did not.
    pub(super) fn failed(&self, now: Timestamp) {
        let mut standing = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        standing.failures = standing.failures.saturating_add(1);
        if standing.failures >= self.failures_max {
            standing.paused_until = Some(now.after(self.pause));
        }
    }
}

#[cfg(test)]
mod tests;
