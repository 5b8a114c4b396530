//! Every proof of small trees, and every wrong one.

use super::tests_support::{Leaves, naive_root};
use super::*;

fn tree(size: u64) -> (Leaves, Vec<TreeHead>) {
    let leaves: Vec<_> = (0..size).map(|i| TreeHash::leaf(&i.to_be_bytes())).collect();
    let head = |n: usize| TreeHead { size: n as u64, root: naive_root(&leaves[..n]) };
    let heads = (0..=leaves.len()).map(head).collect();
    (Leaves(leaves), heads)
}

#[test]
fn every_inclusion_proof_of_small_trees_holds_and_no_other() {
    let (leaves, heads) = tree(40);
    for head in &heads[1..] {
        for position in 0..head.size {
            let leaf = leaves.0[usize::try_from(position).unwrap()];
            let mut proof = inclusion(&leaves, position, head.size).unwrap();
            check_inclusion(&leaf, position, head, &proof).unwrap();
            for other in (0..head.size).filter(|other| *other != position) {
                assert!(check_inclusion(&leaf, other, head, &proof).is_err(), "{position} as {other} of {}", head.size);
            }
            assert_eq!(check_inclusion(&TreeHash::leaf(b"x"), position, head, &proof), Err(ProofError::Root));
            proof.push(leaf);
            assert!(check_inclusion(&leaf, position, head, &proof).is_err());
            proof.truncate(proof.len().saturating_sub(2));
            if head.size > 1 {
                assert!(check_inclusion(&leaf, position, head, &proof).is_err());
            }
        }
        assert_eq!(check_inclusion(&leaves.0[0], head.size, head, &[]), Err(ProofError::OutOfRange));
    }
}

#[test]
fn every_consistency_proof_of_small_trees_holds_and_no_other() {
    let (leaves, heads) = tree(40);
    for head in &heads {
        for older in &heads[..=usize::try_from(head.size).unwrap()] {
            let mut proof = consistency(&leaves, older.size, head.size).unwrap();
            check_consistency(older, head, &proof).unwrap();
            let forked = TreeHead { size: older.size, root: TreeHash::leaf(b"fork") };
            assert_eq!(check_consistency(&forked, head, &proof), Err(ProofError::Root));
            if older.size > 0 && older.size < head.size {
                let grown = TreeHead { size: head.size, root: TreeHash::leaf(b"fork") };
                assert_eq!(check_consistency(older, &grown, &proof), Err(ProofError::Root));
            }
            if older.size < head.size {
                assert_eq!(check_consistency(head, older, &proof), Err(ProofError::OutOfRange));
            }
            proof.push(TreeHash::leaf(b"x"));
            assert_eq!(check_consistency(older, head, &proof), Err(ProofError::Length));
        }
    }
}

#[test]
fn the_frontier_of_any_size_is_found_again() {
    let (leaves, heads) = tree(40);
    for head in &heads {
        assert_eq!(frontier(&leaves, head.size).unwrap().head(), *head);
    }
}
