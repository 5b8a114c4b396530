//! How often names occurred: exactly, while there is room for them. When there is none, the rarest gives way, and from then on
//! the most is known that any name can have occurred, so that no number is ever told too low (Metwally's *space saving*).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::digest::of_names;
use crate::model::id::{Audience, ToolName};

/// What is counted, as 64 bits of a SHA-256 over its kind and names: as small for the longest name as for the shortest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn tool(tool: &ToolName) -> Self {
        Self::of(TOOL, &[tool.as_str()])
    }

    /// One tool right after another; after `None` a session begins.
    pub(super) fn pair(after: Option<&ToolName>, tool: &ToolName) -> Self {
        match after {
            Some(after) => Self::of(PAIR, &[after.as_str(), tool.as_str()]),
            None => Self::of(BEGINNING, &[tool.as_str()]),
        }
    }

    pub(super) fn audience(audience: &Audience) -> Self {
        Self::of(AUDIENCE, &[audience.as_str()])
    }

    /// A resource, by a digest of it that is made under a key: its name is somebody's words.
    pub(super) const fn resource(digest: u64) -> Self {
        Self(digest)
    }

    /// Something that was never granted before, while enough was known to say so.
    pub(super) fn fresh() -> Self {
        Self::of(FRESH, &[])
    }

    fn of(kind: u8, names: &[&str]) -> Self {
        Self(u64::from_be_bytes(of_names(kind, names)))
    }
}

const TOOL: u8 = 1;
const PAIR: u8 = 2;
const BEGINNING: u8 = 3;
const AUDIENCE: u8 = 4;
const FRESH: u8 = 5;

/// Counts of as many names as there is room for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    kept: BTreeMap<Key, Count>,
    /// The most that a name which is not kept can have occurred.
    lost: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// Since it is kept.
    seen: u32,
    /// The most that it can have occurred before.
    before: u32,
}

impl Count {
    const fn most(self) -> u32 {
        self.seen.saturating_add(self.before)
    }
}

/// How often something occurred: at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Counts {
    /// Counts one occurrence, with room for so many names.
    pub(super) fn add(&mut self, key: Key, room: usize) {
        if let Some(count) = self.kept.get_mut(&key) {
            count.seen = count.seen.saturating_add(1);
            return;
        }
        if self.kept.len() >= room {
            let rarest = self.kept.iter().min_by_key(|(_, count)| count.most()).map(|(key, _)| *key);
            let given_up = rarest.and_then(|key| self.kept.remove(&key));
            self.lost = self.lost.max(given_up.map_or(0, Count::most));
        }
        // INVARIANT: it did not occur more often than this before, or it would be kept.
        self.kept.insert(key, Count { seen: 1, before: self.lost });
    }

    pub(super) fn of(&self, key: Key) -> Bounds {
        match self.kept.get(&key) {
            Some(count) => Bounds { least: count.seen, most: count.most() },
            None => Bounds { least: 0, most: self.lost },
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}
