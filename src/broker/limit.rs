//! How much each caller may ask for: a rate with a burst, and requests in flight. It stands before the journal, so that a
//! caller that is over its rate costs no disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::error::BrokerError;
use crate::model::time::Timestamp;

/// Callers that are remembered; beyond it, those that have recovered are forgotten first.
const CALLERS_MAX: usize = 65_536;

/// What each caller may ask for.
#[derive(Debug, Clone, Copy)]
pub struct CallerLimits {
    /// Requests a second, in the long run.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Requests in flight.
    pub in_flight: u32,
}

/// The limits of all callers.
#[derive(Debug)]
pub(in crate::broker) struct Limiter {
    limits: CallerLimits,
    callers: Mutex<HashMap<Arc<str>, Standing>>,
}

#[derive(Debug)]
struct Standing {
    /// Thousandths of a request that are left.
    left: u64,
    at: Timestamp,
    in_flight: u32,
}

/// A place among a caller's requests in flight, given back when dropped.
#[derive(Debug)]
pub(in crate::broker) struct Place<'a> {
    limiter: &'a Limiter,
    caller: Arc<str>,
}

impl Limiter {
    pub(in crate::broker) fn new(limits: CallerLimits) -> Self {
        Self { limits, callers: Mutex::default() }
    }

    /// Takes a place for one request.
    ///
    /// # Errors
    /// `RateLimited` when the caller is above its rate or has too much in flight.
    pub(in crate::broker) fn enter(&self, caller: &str, now: Timestamp) -> Result<Place<'_>, BrokerError> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let full = u64::from(self.limits.burst) * 1000;
        if callers.len() >= CALLERS_MAX && !callers.contains_key(caller) {
            let rate = u64::from(self.limits.per_second);
            callers.retain(|_, s| s.in_flight > 0 || s.refilled(rate, full, now) < full);
            if callers.len() >= CALLERS_MAX {
                return Err(BrokerError::RateLimited);
            }
        }
        let (name, standing) = match callers.get_key_value(caller) {
            Some((name, _)) => {
                let name = name.clone();
                let standing = callers.get_mut(caller).ok_or(BrokerError::RateLimited)?;
                (name, standing)
            }
            None => {
                let name: Arc<str> = caller.into();
                let fresh = Standing { left: full, at: now, in_flight: 0 };
                (name.clone(), callers.entry(name).or_insert(fresh))
            }
        };
        standing.left = standing.refilled(u64::from(self.limits.per_second), full, now);
        standing.at = now;
        if standing.left < 1000 || standing.in_flight >= self.limits.in_flight {
            return Err(BrokerError::RateLimited);
        }
        standing.left -= 1000;
        standing.in_flight += 1;
        Ok(Place { limiter: self, caller: name })
    }
}

impl Standing {
    fn refilled(&self, per_second: u64, full: u64, now: Timestamp) -> u64 {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.left.saturating_add(millis.saturating_mul(per_second)).min(full)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut callers = self.limiter.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = callers.get_mut(&self.caller) {
            standing.in_flight = standing.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
