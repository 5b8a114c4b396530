//! The Merkle tree of RFC 6962 §2.1 over the stored bytes of events: leaf and node hashes, and the frontier by which a
//! growing tree is known without its leaves.

use std::fmt;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use serde::{Deserialize, Serialize};

/// A SHA-256 digest of the tree: of a leaf, of an inner node, or the root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TreeHash([u8; 32]);

/// Prefix of what a leaf hash covers (RFC 6962 §2.1).
pub const LEAF_PREFIX: u8 = 0x00;
/// Prefix of what a node hash covers (RFC 6962 §2.1).
pub const NODE_PREFIX: u8 = 0x01;

impl TreeHash {
    /// From the bytes of a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a leaf: SHA-256(0x00 ‖ the event's bytes as stored).
    #[must_use]
    pub fn leaf(stored: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[LEAF_PREFIX]);
        context.update(stored);
        Self::of(context.finish())
    }

    /// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut input = [NODE_PREFIX; 65];
        let (_, children) = input.split_at_mut(1);
        for (byte, of) in children.iter_mut().zip(left.0.iter().chain(&right.0)) {
            *byte = *of;
        }
        Self::of(digest(&SHA256, &input))
    }

    /// The root of the tree without leaves: SHA-256 of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(digest(&SHA256, &[]))
    }

    pub(super) fn of(digest: Digest) -> Self {
        let mut bytes = [0_u8; 32];
        for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *of;
        }
        Self(bytes)
    }
}

impl fmt::Display for TreeHash {
    /// Standard base64, as in a checkpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Size and root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
}

/// A growing tree, known by the roots of its complete subtrees: at most one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    // INVARIANT: one for each bit that is set in `size`, largest subtree first.
    peaks: Vec<TreeHash>,
}

/// A frontier with too few or too many subtrees for its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves is not known by {peaks} subtrees")]
pub struct FrontierError {
    /// The size that was claimed.
    pub size: u64,
    /// How many subtrees came with it.
    pub peaks: usize,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// A tree from its size and the roots of its complete subtrees, largest first.
    ///
    /// # Errors
    /// When there is not one root for each bit that is set in `size`.
    pub fn from_peaks(size: u64, peaks: Vec<TreeHash>) -> Result<Self, FrontierError> {
        if usize::try_from(size.count_ones()) == Ok(peaks.len()) {
            Ok(Self { size, peaks })
        } else {
            Err(FrontierError { size, peaks: peaks.len() })
        }
    }

    // INVARIANT: the caller has one root for each bit that is set in `size`.
    pub(super) const fn of_peaks(size: u64, peaks: Vec<TreeHash>) -> Self {
        Self { size, peaks }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        self.push_observed(leaf, |_, _| {});
    }

    /// Adds a leaf and tells of every subtree that it completes: its level (a leaf is at 0) and its root.
    pub fn push_observed(&mut self, leaf: TreeHash, mut observe: impl FnMut(u32, &TreeHash)) {
        let (mut hash, mut level) = (leaf, 0);
        observe(level, &hash);
        for _ in 0..self.size.trailing_ones() {
            // INVARIANT: a peak for each of these bits.
            let Some(left) = self.peaks.pop() else { break };
            hash = TreeHash::node(&left, &hash);
            level += 1;
            observe(level, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return TreeHash::empty() };
        peaks.fold(*last, |right, left| TreeHash::node(left, &right))
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

#[cfg(test)]
mod tests;
