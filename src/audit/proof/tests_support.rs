//! The tree by its definition, to hold the quick ways against.

use std::convert::Infallible;

use super::Subtrees;
use crate::audit::tree::TreeHash;

/// The root by RFC 6962 §2.1, recursively.
pub(crate) fn naive_root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            TreeHash::node(&naive_root(left), &naive_root(right))
        }
    }
}

/// Leaves in memory.
pub(crate) struct Leaves(pub(crate) Vec<TreeHash>);

impl Subtrees for Leaves {
    type Error = Infallible;

    fn subtree(&self, level: u32, index: u64) -> Result<TreeHash, Infallible> {
        let (start, end) = (index << level, (index + 1) << level);
        Ok(naive_root(&self.0[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]))
    }
}
