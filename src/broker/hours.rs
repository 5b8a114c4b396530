//! What time it is to the broker. The log's time never goes back, and a clock may: so no look is taken at a time before the
//! log's, and a clock that has run far ahead does not take the log with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::broker::state::State;
use crate::clock::Clock;
use crate::identity::trust::Trust;
use crate::model::time::Timestamp;

/// How far the clock may be behind the log before nothing more is granted: more than clocks are corrected by in passing.
const BEHIND_MAX: Duration = Duration::from_secs(5);
/// How far the log may go past the end of the broker's own SVID: longer than a Workload API that is out of order is left so.
/// What the clock says beyond it is not believed, because a log that has seen the year 2100 could grant nothing until then.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);

/// The clock, held against the validity of the broker's own SVID: the one proof of the present time that it is given.
#[derive(Debug)]
pub(in crate::broker) struct Hours {
    clock: Clock,
    trust: Trust,
    /// The latest end of an own SVID that was seen, in milliseconds; 0 when none was.
    vouched: AtomicU64,
}

impl Hours {
    pub(in crate::broker) const fn new(clock: Clock, trust: Trust) -> Self {
        Self { clock, trust, vouched: AtomicU64::new(0) }
    }

    /// What the clock shows, as far as it is believed.
    pub(in crate::broker) fn read(&self) -> Timestamp {
        let held = self.trust.own_not_after().map_or(0, Timestamp::as_millis);
        match self.vouched.fetch_max(held, Ordering::Relaxed).max(held) {
            0 => self.clock.now(),
            vouched => self.clock.now().min(Timestamp::from_millis(vouched).after(AHEAD_MAX)),
        }
    }

    /// How far the clock is behind what the log has seen, when it is more than clocks may differ by.
    pub(in crate::broker) fn behind(&self, state: &State) -> Option<ClockBehindError> {
        let behind = state.time.since(self.read());
        (behind > BEHIND_MAX).then_some(ClockBehindError(behind))
    }
}

impl Broker {
    /// The time of a look: never before the log's, so that nothing begins or ends in what the log counts as past.
    pub(in crate::broker) fn now(&self, state: &State) -> Timestamp {
        self.0.hours.read().max(state.time)
    }

    /// The time of a look from which something may be granted.
    pub(in crate::broker) fn now_to_grant(&self, state: &State) -> Result<Timestamp, BrokerError> {
        match self.0.hours.behind(state) {
            None => Ok(self.now(state)),
            Some(behind) => Err(BrokerError::unavailable(behind)),
        }
    }
}

/// The clock was set back, or the log was written under one that was ahead.
#[derive(Debug, thiserror::Error)]
#[error("the clock is {} s behind the log", .0.as_secs())]
pub(in crate::broker) struct ClockBehindError(Duration);
