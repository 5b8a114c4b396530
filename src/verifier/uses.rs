//! How often grants were used here. Counted by grant and by what is bound, not by token: renewing adds no uses. Memory is
//! bounded, and what may have been forgotten is refused rather than counted anew.
//!
//! Each verifier counts for itself. A resource server that runs as several processes must route a grant to one of them, or
//! grant-once becomes once for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::refusal::Refusal;
use crate::model::id::GrantId;
use crate::model::time::Timestamp;

/// The counted uses.
pub struct Uses {
    counts: Mutex<Counts>,
    memory: Duration,
    grants_max: usize,
}

#[derive(Default)]
struct Counts {
    by_grant: HashMap<(GrantId, [u8; 32]), Count>,
    swept: Timestamp,
}

struct Count {
    used: u32,
    keep_until: Timestamp,
}

/// One use of a grant that is limited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) grant: GrantId,
    pub(super) key: [u8; 32],
    pub(super) calls_max: u32,
    pub(super) expires: Timestamp,
}

impl Uses {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(memory: Duration, grants_max: usize) -> Self {
        Self { counts: Mutex::default(), memory, grants_max }
    }

    /// Takes one use, and tells how many are left. Grants from before `counting_since` may have been used while nobody counted;
    /// it is a time of the issuer's clock, as a grant's is, so that clocks that differ bring no use back.
    pub(super) fn take(&self, one: Use, counting_since: Option<Timestamp>, now: Timestamp) -> Result<u32, Refusal> {
        // The time of a grant stands in its id; the issuer's clock made both.
        let granted = one.grant.timestamp();
        let remembered_until = granted.after(self.memory);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sweep(now, self.grants_max);
        let key = (one.grant, one.key);
        if let Some(count) = counts.by_grant.get_mut(&key) {
            let left = one.calls_max.checked_sub(count.used + 1).ok_or(Refusal::Spent)?;
            count.used += 1;
            count.keep_until = count.keep_until.max(one.expires);
            return Ok(left);
        }
        if counting_since.is_none_or(|since| granted < since) || remembered_until <= now {
            return Err(Refusal::UsesUnknown);
        }
        let left = one.calls_max.checked_sub(1).ok_or(Refusal::Spent)?;
        if counts.by_grant.len() >= self.grants_max {
            return Err(Refusal::UsesFull);
        }
        let keep_until = remembered_until.max(one.expires);
        counts.by_grant.insert(key, Count { used: 1, keep_until });
        Ok(left)
    }
}

impl Counts {
    fn sweep(&mut self, now: Timestamp, grants_max: usize) {
        let full = self.by_grant.len() >= grants_max;
        let pause = if full { SWEEP_PAUSE_WHEN_FULL } else { SWEEP_PAUSE };
        if self.swept.after(pause) <= now || now < self.swept {
            self.by_grant.retain(|_, count| count.keep_until > now);
            self.swept = now;
        }
    }
}

/// Going through all counts is not for every request, even when there is no room.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
const SWEEP_PAUSE_WHEN_FULL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
