//! A set of keys (RFC 7517 §5). An entry that can't be used is left out with its reason; it does not spoil the others.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::{KeyError, KeySetError};
use super::key::{Jwk, PublicKey};
use crate::model::json::Json;

/// Which entries of a set are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The `use` that an entry must have.
    pub key_use: &'static str,
    /// What becomes of an entry without `use`.
    pub unmarked: Unmarked,
    /// Whether an entry must name its one algorithm.
    pub algorithm_needed: bool,
}

/// What becomes of entries that do not say what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmarked {
    /// They are left out.
    LeftOut,
    /// They are taken when no entry of the set says it: then the set as a whole is for one use.
    TakenWhereNoneIsMarked,
}

/// The usable keys of a set, by their ids.
pub struct KeySet {
    keys: HashMap<String, Arc<PublicKey>>,
    left_out: Vec<LeftOut>,
}

/// An entry that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place in the set, from 0.
    pub place: usize,
    /// What is wrong; `None` when it is merely for another use, or lacks what is needed to be found.
    pub cause: Option<KeyError>,
}

impl KeySet {
    /// Reads a set and keeps what is wanted.
    ///
    /// # Errors
    /// When it is no set of keys, has too many, or two with one id.
    pub fn parse(text: &str, wanted: Wanted) -> Result<Self, KeySetError> {
        let json = Json::parse(text, KEY_SET_BYTES_MAX).map_err(KeySetError::Json)?;
        let Some(Json::Array(entries)) = json.member("keys") else {
            return Err(KeySetError::Shape { max: KEYS_MAX });
        };
        if entries.len() > KEYS_MAX {
            return Err(KeySetError::Shape { max: KEYS_MAX });
        }
        let mut set = Self { keys: HashMap::new(), left_out: Vec::new() };
        let marked = entries.iter().any(|entry| entry.member("use").is_some());
        let take_unmarked = wanted.unmarked == Unmarked::TakenWhereNoneIsMarked && !marked;
        for (place, entry) in entries.iter().enumerate() {
            match wanted.take(entry, take_unmarked) {
                Ok(Some((id, key))) => {
                    if set.keys.insert(id, Arc::new(key)).is_some() {
                        return Err(KeySetError::SameId);
                    }
                }
                Ok(None) => set.left_out.push(LeftOut { place, cause: None }),
                Err(cause) => set.left_out.push(LeftOut { place, cause: Some(cause) }),
            }
        }
        Ok(set)
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, key_id: &str) -> Option<&Arc<PublicKey>> {
        self.keys.get(key_id)
    }

    /// How many keys can be used. None at all means that nothing verifies, not that an older set still holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when nothing verifies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The entries that are not used.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Wanted {
    fn take(self, entry: &Json, unmarked: bool) -> Result<Option<(String, PublicKey)>, KeyError> {
        let jwk = Jwk::parse(entry)?;
        let fits = jwk.key_use.as_deref().map_or(unmarked, |u| u == self.key_use);
        if !fits || (self.algorithm_needed && jwk.algorithm.is_none()) {
            return Ok(None);
        }
        let Some(id) = jwk.key_id.clone() else { return Ok(None) };
        Ok(Some((id, jwk.public_key()?)))
    }
}

/// Most keys of a set: a rotation needs a handful.
pub const KEYS_MAX: usize = 64;
/// Largest set in bytes: the longest keys, all places taken.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;
