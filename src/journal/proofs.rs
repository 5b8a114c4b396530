//! Subtrees of the log's tree: the larger ones from what is kept in memory, the smaller ones hashed again from the events.

use std::sync::PoisonError;

use super::engine::Engine;
use super::error::ReadError;
use super::fold::TILE_LEVEL;
use super::log::Cursor;
use crate::audit::proof::{self, Subtrees};
use crate::audit::tree::{Frontier, TreeHash};

/// The audit path of a position in the tree of so many events.
pub(super) fn inclusion(shared: &Engine, position: u64, size: u64) -> Result<Vec<TreeHash>, ReadError> {
    check(shared, size)?;
    if position >= size {
        return Err(ReadError::Beyond(position));
    }
    proof::inclusion(&Kept(shared), position, size)
}

/// The proof that the tree of `size` events continues that of `older`.
pub(super) fn consistency(shared: &Engine, older: u64, size: u64) -> Result<Vec<TreeHash>, ReadError> {
    check(shared, size)?;
    if older > size {
        return Err(ReadError::Beyond(older));
    }
    proof::consistency(&Kept(shared), older, size)
}

/// What stands for the first `size` events.
pub(super) fn frontier(shared: &Engine, size: u64) -> Result<Frontier, ReadError> {
    check(shared, size)?;
    proof::frontier(&Kept(shared), size)
}

fn check(shared: &Engine, size: u64) -> Result<(), ReadError> {
    if size > shared.events.size() { Err(ReadError::Beyond(size)) } else { Ok(()) }
}

struct Kept<'a>(&'a Engine);

impl Subtrees for Kept<'_> {
    type Error = ReadError;

    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, ReadError> {
        if level > TILE_LEVEL {
            let [left, right] = [index << 1, index << 1 | 1].map(|child| self.subtree(level - 1, child));
            return Ok(TreeHash::node(&left?, &right?));
        }
        let (first, end) = (index << level, (index + 1) << level);
        if level == TILE_LEVEL {
            let tiles = self.0.tiles.read().unwrap_or_else(PoisonError::into_inner);
            let tile = usize::try_from(index).ok().and_then(|index| tiles.get(index));
            return tile.copied().ok_or(ReadError::Beyond(end));
        }
        let mut tree = Frontier::new();
        let mut cursor = Cursor::new(&self.0.events, first)?;
        while first + tree.size() < end {
            let next = first + tree.size();
            let frame = cursor.frame(&self.0.events)?.ok_or(ReadError::Beyond(next))?;
            for stored in frame.stored(next) {
                let (position, stored) = stored?;
                if position < end {
                    tree.push(TreeHash::leaf(&stored));
                }
            }
        }
        Ok(tree.root())
    }
}
