//! Whether a token is valid now. Time is an argument.

use std::time::Duration;

use super::error::TimeError;
use crate::model::time::Timestamp;

/// The times that stand in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// `iat`
    pub issued: Option<Timestamp>,
    /// `nbf`
    pub not_before: Option<Timestamp>,
    /// `exp`
    pub expires: Timestamp,
}

/// What is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRules {
    /// How far `nbf` and `iat` may lie ahead, for clocks that differ.
    pub ahead_max: Duration,
    /// How long a token is accepted after `exp`. Zero for our own.
    pub grace: Duration,
    /// The longest life from `iat` (or, without it, from now) to `exp`; `None` accepts any.
    pub life_max: Option<Duration>,
}

impl Times {
    /// Checks the times against `now`. A token ends at `exp`, not after it.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self, now: Timestamp, rules: &TimeRules) -> Result<(), TimeError> {
        if self.expires.after(rules.grace) <= now {
            return Err(TimeError::Expired);
        }
        let horizon = now.after(rules.ahead_max);
        if self.not_before.is_some_and(|t| t > horizon) {
            return Err(TimeError::NotYet);
        }
        if self.issued.is_some_and(|t| t > horizon) {
            return Err(TimeError::IssuedAhead);
        }
        let began = self.issued.unwrap_or(now);
        let too_long = rules.life_max.is_some_and(|max| self.expires > began.after(max));
        if too_long || self.issued.is_some_and(|t| t >= self.expires) {
            return Err(TimeError::Life);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
