//! Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2; checked by the algorithms of RFC 9162 §2.1.3.2, §2.1.4.2).
//! Whoever keeps the tree gives the roots of complete subtrees; where they are kept is not known here.

use super::tree::{Frontier, TreeHash, TreeHead};

/// A place where the roots of complete subtrees are found.
pub trait Subtrees {
    /// Why one could not be had.
    type Error;

    /// The root of the complete subtree over the leaves `index << level .. (index + 1) << level`.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, Self::Error>;
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf or the older tree does not lie within the tree.
    #[error("position or size lies outside the tree")]
    OutOfRange,
    /// Too few or too many hashes.
    #[error("the proof has the wrong length")]
    Length,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// The audit path of the leaf at `position` in the tree of the first `size` leaves, nearest sibling first.
/// Empty when `position` does not lie within.
///
/// # Errors
/// When a subtree cannot be had.
pub fn inclusion<S: Subtrees>(subtrees: &S, position: u64, size: u64) -> Result<Vec<TreeHash>, S::Error> {
    let mut path = Vec::new();
    if position >= size {
        return Ok(path);
    }
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if position < middle {
            path.push(range(subtrees, middle, end)?);
            end = middle;
        } else {
            path.push(range(subtrees, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `size` leaves continues that of the first `older`.
/// Empty when `older` is 0, equals `size`, or does not lie within.
///
/// # Errors
/// When a subtree cannot be had.
pub fn consistency<S: Subtrees>(subtrees: &S, older: u64, size: u64) -> Result<Vec<TreeHash>, S::Error> {
    let mut path = Vec::new();
    if older == 0 || older >= size {
        return Ok(path);
    }
    let (mut start, mut end, mut whole) = (0, size, true);
    while older != end {
        let middle = start + split(end - start);
        if older <= middle {
            path.push(range(subtrees, middle, end)?);
            end = middle;
        } else {
            path.push(range(subtrees, start, middle)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(subtrees, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The tree of the first `size` leaves, as it is continued by pushing.
///
/// # Errors
/// When a subtree cannot be had.
pub fn frontier<S: Subtrees>(subtrees: &S, size: u64) -> Result<Frontier, S::Error> {
    let mut peaks = Vec::new();
    let mut start = 0;
    for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
        peaks.push(subtrees.subtree(level, start >> level)?);
        start += 1 << level;
    }
    Ok(Frontier::of_peaks(size, peaks))
}

/// Checks that the leaf stands at `position` of the tree.
///
/// # Errors
/// When it does not, as far as this proof shows.
pub fn check_inclusion(leaf: &TreeHash, position: u64, head: &TreeHead, proof: &[TreeHash]) -> Result<(), ProofError> {
    let mut last = head.size.checked_sub(1).filter(|last| position <= *last).ok_or(ProofError::OutOfRange)?;
    let (mut index, mut root) = (position, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if index & 1 == 1 || index == last {
            root = TreeHash::node(sibling, &root);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            root = TreeHash::node(&root, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if root == head.root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree continues the older one.
///
/// # Errors
/// When it does not, as far as this proof shows.
pub fn check_consistency(older: &TreeHead, head: &TreeHead, proof: &[TreeHash]) -> Result<(), ProofError> {
    if older.size > head.size {
        return Err(ProofError::OutOfRange);
    }
    if older.size == head.size || older.size == 0 {
        let holds = if older.size == 0 { older.root == TreeHash::empty() } else { older.root == head.root };
        return match (proof.is_empty(), holds) {
            (false, _) => Err(ProofError::Length),
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
        };
    }
    let own = older.size.is_power_of_two().then_some(&older.root);
    let mut hashes = own.into_iter().chain(proof);
    let first = hashes.next().ok_or(ProofError::Length)?;
    let (mut index, mut last) = (older.size - 1, head.size - 1);
    let shift = index.trailing_ones();
    (index, last) = (index >> shift, last >> shift);
    let (mut was, mut is) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if index & 1 == 1 || index == last {
            was = TreeHash::node(hash, &was);
            is = TreeHash::node(hash, &is);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            is = TreeHash::node(&is, hash);
        }
        index >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if was == older.root && is == head.root { Ok(()) } else { Err(ProofError::Root) }
}

// The largest power of two below `leaves`, which is at least 2.
const fn split(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - (leaves - 1).leading_zeros())
}

// The root over `start..end`. INVARIANT: `start` is a multiple of the largest power of two that fits.
fn range<S: Subtrees>(subtrees: &S, start: u64, end: u64) -> Result<TreeHash, S::Error> {
    let leaves = end - start;
    if leaves.is_power_of_two() {
        return subtrees.subtree(leaves.trailing_zeros(), start / leaves);
    }
    let middle = start + split(leaves);
    Ok(TreeHash::node(&range(subtrees, start, middle)?, &range(subtrees, middle, end)?))
}

#[cfg(test)]
pub(crate) mod tests_support;

#[cfg(test)]
mod tests;
