//! A set of keys (RFC 7517 §5). An entry that can't be used is left out with its reason; it does not spoil the others.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::error::{KeyError, KeySetError};
use super::key::{Jwk, PublicKey};
use crate::model::json::{Json, ParseJsonError};

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
    /// The same, when besides the set says nothing else, every entry has an id, and none has a certificate.
    TakenFromPlainSets,
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
    /// Reads a set and keeps what is wanted. Of two usable keys with one id neither is: nobody can tell which one is meant.
    ///
    /// # Errors
    /// When it is no set of keys.
    pub fn parse(text: &str, wanted: Wanted) -> Result<Self, KeySetError> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::Json(ParseJsonError::TooLong { max: KEY_SET_BYTES_MAX }));
        }
        // What is wrong within an entry concerns that entry; a list in place of an object is none of ours.
        if !text.trim_start().starts_with('{') {
            return Err(KeySetError::Shape);
        }
        let set: Written<'_> = serde_json::from_str(text).map_err(|e| KeySetError::Json(ParseJsonError::Syntax(e)))?;
        let entries: Vec<Option<Json>> =
            set.keys.iter().map(|entry| Json::parse(entry.get(), KEY_SET_BYTES_MAX).ok()).collect();
        let has = |entry: &Option<Json>, name| entry.as_ref().is_some_and(|entry| entry.member(name).is_some());
        let marked = entries.iter().any(|entry| has(entry, "use"));
        let take_unmarked = !marked
            && match wanted.unmarked {
                Unmarked::LeftOut => false,
                Unmarked::TakenWhereNoneIsMarked => true,
                Unmarked::TakenFromPlainSets => {
                    let members: HashMap<String, IgnoredAny> = serde_json::from_str(text).unwrap_or_default();
                    members.len() == 1 && entries.iter().all(|e| has(e, "kid") && !has(e, "x5c"))
                }
            };
        let (mut keys, mut twice, mut left_out) = (HashMap::new(), Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            let taken = entry.as_ref().map_or(Err(KeyError::Type), |entry| wanted.take(entry, take_unmarked));
            match taken {
                Ok(Some((id, key))) if keys.len() < KEYS_MAX => {
                    if let Some((earlier, _)) = keys.insert(id.clone(), (place, Arc::new(key))) {
                        left_out.push(LeftOut { place: earlier, cause: None });
                        twice.push(id);
                    }
                }
                Ok(_) => left_out.push(LeftOut { place, cause: None }),
                Err(cause) => left_out.push(LeftOut { place, cause: Some(cause) }),
            }
        }
        for id in twice {
            left_out.extend(keys.remove(&id).map(|(place, _)| LeftOut { place, cause: None }));
        }
        left_out.sort_by_key(|entry| entry.place);
        Ok(Self { keys: keys.into_iter().map(|(id, (_, key))| (id, key)).collect(), left_out })
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

/// A set as it is written: each entry is read by itself.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
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

/// Most usable keys of a set, the first of them: a rotation needs a handful.
pub const KEYS_MAX: usize = 64;
/// Largest set in bytes: as much as is taken of one trust bundle.
pub const KEY_SET_BYTES_MAX: usize = 1 << 20;
