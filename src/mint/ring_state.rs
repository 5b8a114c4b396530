//! Which key does what, as a function of the times that stand in the list: nothing has to happen at a moment for a key to
//! begin, retire or go, so a broker that slept through it is none the wiser.
//!
//! A key is *published*, then *signs* from its time on, until the next of its algorithm does; then it is *retired* and stays
//! published until the last token that it signed has expired.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::limits::TTL_SECONDS_MAX;
use crate::model::time::Timestamp;
use crate::token::header::SigningAlgorithm;
use crate::token::jwks::KeyId;

/// The list of keys, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RingState {
    pub(super) version: u32,
    /// How long a key is published before it signs, as the broker was told: who works on the list beside it keeps to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lead_ms: Option<u64>,
    /// In the order in which they were made.
    pub(super) keys: Vec<KeyRecord>,
}

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    pub(super) kid: KeyId,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) published_ms: Timestamp,
    /// Absent for a key that waits for a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signs_from_ms: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) distrusted_ms: Option<Timestamp>,
}

impl RingState {
    pub(super) const VERSION: u32 = 1;

    pub(super) const fn new() -> Self {
        Self { version: Self::VERSION, lead_ms: None, keys: Vec::new() }
    }

    /// The key that signs now.
    pub(super) fn current(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&KeyRecord> {
        let begun = |k: &&KeyRecord| k.algorithm == algorithm && k.signs_from_ms.is_some_and(|from| from <= now);
        // The last that began, or none: a retired key does not come back because its successor is distrusted.
        self.keys.iter().filter(begun).max_by_key(|k| k.signs_from_ms).filter(|k| k.distrusted_ms.is_none())
    }

    /// The key that waits for a rotation.
    pub(super) fn waiting(&self, algorithm: SigningAlgorithm) -> Option<usize> {
        let waits = |k: &KeyRecord| k.algorithm == algorithm && k.signs_from_ms.is_none() && k.distrusted_ms.is_none();
        self.keys.iter().position(waits)
    }

    /// A rotation that is under way.
    pub(super) fn scheduled(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&KeyRecord> {
        let ahead = |k: &&KeyRecord| {
            k.algorithm == algorithm && k.signs_from_ms.is_some_and(|from| from > now) && k.distrusted_ms.is_none()
        };
        self.keys.iter().find(ahead)
    }

    /// When the key stopped signing, or will; `None` while no successor has its time.
    pub(super) fn retires(&self, key: &KeyRecord) -> Option<Timestamp> {
        let from = key.signs_from_ms?;
        let same = self.keys.iter().filter(|k| k.algorithm == key.algorithm);
        same.filter_map(|k| k.signs_from_ms).filter(|next| *next > from).min()
    }

    /// Whether a verifier may still meet a token of that key.
    pub(super) fn is_published(&self, key: &KeyRecord, now: Timestamp) -> bool {
        key.distrusted_ms.is_none() && self.retires(key).is_none_or(|at| now < at.after(RETIRED_KEEP))
    }

    /// Drops what nobody can meet any more.
    pub(super) fn prune(&mut self, now: Timestamp) {
        let over = |k: &KeyRecord| match k.distrusted_ms {
            // Its name is kept while somebody may show a token of it, so that it is called distrusted and not unknown.
            Some(at) => {
                let retired = k.signs_from_ms.is_none() || self.retires(k).is_some();
                retired && now >= at.after(RETIRED_KEEP)
            }
            None => !self.is_published(k, now),
        };
        let gone: Vec<KeyId> = self.keys.iter().filter(|k| over(k)).map(|k| k.kid.clone()).collect();
        self.keys.retain(|k| !gone.contains(&k.kid));
    }

    pub(super) fn find(&self, kid: &KeyId) -> Option<&KeyRecord> {
        self.keys.iter().find(|k| k.kid == *kid)
    }
}

/// How long a retired key stays: the longest life of a token, and a minute for clocks that differ.
const RETIRED_KEEP: Duration = Duration::from_secs(TTL_SECONDS_MAX + 60);
