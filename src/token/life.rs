//! How long a token lives: the shortest of all that bounds it (invariant 4).

use super::claims::NumericDate;
use crate::model::limits::{NOT_BEFORE_SKEW_SECONDS, TTL_SECONDS_MAX};
use crate::model::time::{Timestamp, Ttl};

/// What a token must not outlive, beside its time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The earliest deadline of the task and of those that it was delegated under.
    pub deadline: Timestamp,
    /// The end of the certificate that it is bound to.
    pub svid_not_after: Timestamp,
}

/// The times of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// `iat`
    pub issued: NumericDate,
    /// `nbf`: a little back, for clocks that differ.
    pub not_before: NumericDate,
    /// `exp`
    pub expires: NumericDate,
}

/// What bounds the token has come, or comes within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing is left of the life of the task or the SVID")]
pub struct NoLifeError;

impl Life {
    /// The life of a token that is issued now. Everything is rounded down, so that no bound is passed by a fraction.
    ///
    /// # Errors
    /// When it would end before it begins.
    pub fn new(now: Timestamp, ttl: Ttl, bounds: Bounds) -> Result<Self, NoLifeError> {
        let issued = NumericDate::from_secs(now.as_secs());
        let bound = bounds.deadline.min(bounds.svid_not_after);
        let ends = issued.as_secs().saturating_add(ttl.as_secs().min(TTL_SECONDS_MAX));
        let expires = NumericDate::from_secs(ends.min(bound.as_secs()));
        if expires <= issued {
            return Err(NoLifeError);
        }
        let not_before = NumericDate::from_secs(issued.as_secs().saturating_sub(NOT_BEFORE_SKEW_SECONDS));
        Ok(Self { issued, not_before, expires })
    }
}

#[cfg(test)]
mod tests;
