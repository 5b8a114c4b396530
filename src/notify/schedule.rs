//! When a notice is tried again: after waits that grow, scattered so that many do not come at once, as long as it may still matter.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::model::time::Timestamp;

/// Most tries of one notice. With the waits between them they take about as long as [`AGE_MAX`].
pub(in crate::notify) const TRIES_MAX: u32 = 18;
/// Most tries of a notice that is refused for what it is (4xx): it is the same at each try.
pub(in crate::notify) const REFUSED_TRIES_MAX: u32 = 3;
/// How old an event is when it is told no more: whoever was to look at it a day ago has found it by another way.
pub(in crate::notify) const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The wait after the first try: long enough for a receiver to start anew.
const WAIT_FIRST: Duration = Duration::from_secs(5);
/// How much longer each wait is than the one before.
const WAIT_FACTOR: u32 = 4;
/// The longest wait: a receiver that is back is told within it.
pub(in crate::notify) const WAIT_MAX: Duration = Duration::from_secs(2 * 3600);
/// How far a wait is scattered, in percent, to either side.
const SCATTER_PERCENT: u64 = 20;
/// The bounds of what a receiver may ask for by `Retry-After`: it is not to silence us.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// The longest time that anything waits for: a point in time further ahead was set by a clock that has been set back since.
pub(in crate::notify) const AHEAD_MAX: Duration =
    Duration::from_secs(WAIT_MAX.as_secs() + WAIT_MAX.as_secs() * SCATTER_PERCENT / 100);

/// How long to wait after so many tries.
pub(in crate::notify) fn wait_after(tries: u32, random: [u8; 4]) -> Duration {
    let factor = WAIT_FACTOR.saturating_pow(tries.saturating_sub(1));
    let wait = WAIT_FIRST.saturating_mul(factor).min(WAIT_MAX);
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let scatter = u64::from(u32::from_be_bytes(random)) % (2 * SCATTER_PERCENT + 1);
    Duration::from_millis(millis.saturating_mul(100 - SCATTER_PERCENT + scatter) / 100)
}

/// What a receiver asks for by `Retry-After`, within bounds; `None` when it is malformed (RFC 9110 §10.2.3).
pub(in crate::notify) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than fit are a long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Timestamp::from_secs(u64::try_from(at.unix_timestamp()).ok()?).since(now)
    };
    Some(asked.clamp(RETRY_AFTER.0, RETRY_AFTER.1))
}

/// A point in time to wait for, brought back to where it can lie.
pub(in crate::notify) fn within_reach(at: Timestamp, now: Timestamp) -> Timestamp {
    at.min(now.after(AHEAD_MAX))
}

#[cfg(test)]
mod tests;
