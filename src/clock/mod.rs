//! The only reader of time. Wall time decides about expiry and stands in records; monotonic time measures spans.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::model::time::Timestamp;

/// A source of wall time: the system's, or one that a test winds by hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(watch::Sender<Timestamp>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is wound. Clones share their hands.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(watch::Sender::new(start)))
    }

    /// The time now. A system clock that stands before 1970 reads as 1970, at which everything is not yet valid.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual(hands) => *hands.borrow(),
        }
    }

    /// Winds a manual clock forward; the system's clock takes no notice.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(hands) = &self.0 {
            hands.send_modify(|now| *now = now.after(by));
        }
    }

    /// Sets a manual clock back, as a correction may do to a system's; that one takes no notice.
    pub fn set_back(&self, by: Duration) {
        if let Source::Manual(hands) = &self.0 {
            hands.send_modify(|now| *now = Timestamp::EPOCH.after(now.since(Timestamp::EPOCH).saturating_sub(by)));
        }
    }

    /// Returns once the clock shows `at` or later. The system's clock is read again at least every [`LOOK_AGAIN`], because it
    /// may be set, and a machine may sleep; a manual clock wakes its waiters when it is wound.
    pub async fn reach(&self, at: Timestamp) {
        match &self.0 {
            Source::System => loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            },
            Source::Manual(hands) => {
                let mut hands = hands.subscribe();
                if hands.wait_for(|now| *now >= at).await.is_err() {
                    // INVARIANT: `self` holds a sender, so the channel stays open while this waits.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// How long a wait for a point in time may go without looking at the clock.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A span that is being measured, by monotonic time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests;
