//! The keys as an operator sees them: which is which, and since when.

use super::ring::KeyRing;
use super::ring_state::{KeyRecord, RingState};
use crate::model::time::Timestamp;
use crate::token::header::SigningAlgorithm;
use crate::token::jwks::KeyId;

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// Its name in headers.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// What it does now.
    pub state: KeyState,
    /// Since when it has been published.
    pub published: Timestamp,
    /// Since when it signs, or from when on; `None` while it waits for a rotation.
    pub signs_from: Option<Timestamp>,
    /// Since when it is distrusted.
    pub distrusted: Option<Timestamp>,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and waits for a rotation.
    Next,
    /// It is published and will sign from its time on.
    Scheduled,
    /// It signs.
    Active,
    /// Another signs; it is published until its last token has expired.
    Retired,
    /// It is trusted no more.
    Distrusted,
}

impl KeyState {
    /// The name in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Distrusted => "distrusted",
        }
    }
}

impl KeyRing {
    /// Every key that is known, in the order in which they were made.
    #[must_use]
    pub fn keys(&self, now: Timestamp) -> Vec<KeyView> {
        self.with_state(|state| state.keys.iter().map(|key| view(state, key, now)).collect())
    }
}

fn view(state: &RingState, key: &KeyRecord, now: Timestamp) -> KeyView {
    let does = match (key.distrusted_ms, key.signs_from_ms) {
        (Some(_), _) => KeyState::Distrusted,
        (None, None) => KeyState::Next,
        (None, Some(from)) if from > now => KeyState::Scheduled,
        (None, Some(_)) => match state.current(key.algorithm, now) {
            Some(current) if current.kid == key.kid => KeyState::Active,
            _ => KeyState::Retired,
        },
    };
    KeyView {
        id: key.kid.clone(),
        algorithm: key.algorithm,
        state: does,
        published: key.published_ms,
        signs_from: key.signs_from_ms,
        distrusted: key.distrusted_ms,
    }
}

#[cfg(test)]
mod tests;
