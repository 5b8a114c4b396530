//! What the journal itself derives from the log: the next place, the tree, versions of streams, guards. The same fold makes
//! snapshots and follows the tail at a start.

use serde::{Deserialize, Serialize};

use super::guard_table::GuardTable;
use super::guards::touches;
use super::projection::Recorded;
use super::stream::{StreamKey, Streams};
use crate::audit::tree::{Frontier, TreeHash};
use crate::model::time::Timestamp;

/// The state of the log after so many events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fold {
    pub(super) time: Timestamp,
    pub(super) tree: Frontier,
    pub(super) tiles: Vec<TreeHash>,
    pub(super) streams: Streams,
    pub(super) guards: GuardTable,
}

/// Subtrees of 2⁸ leaves are kept, so that a proof needs few leaves to be hashed again.
pub(super) const TILE_LEVEL: u32 = 8;

impl Fold {
    /// How many events were folded.
    pub(super) const fn next(&self) -> u64 {
        self.tree.size()
    }

    /// Takes in the next event. False when it does not follow on what was folded.
    #[must_use]
    pub(super) fn apply(&mut self, recorded: &Recorded) -> bool {
        let position = self.next();
        let version = self.streams.next(StreamKey::of(&recorded.event.stream));
        if recorded.position != position || recorded.stream_version != version || recorded.time < self.time {
            return false;
        }
        self.time = recorded.time;
        let tiles = &mut self.tiles;
        self.tree.push_observed(TreeHash::leaf(&recorded.stored), |level, hash| {
            if level == TILE_LEVEL {
                tiles.push(*hash);
            }
        });
        self.guards.apply(&touches(&recorded.event), position, recorded.time);
        true
    }
}
