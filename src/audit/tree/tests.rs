//! The published vectors, and the tree by its definition.

use super::*;
use crate::audit::proof::tests_support::naive_root;

#[test]
fn the_vectors_of_rfc_6962_hold() {
    let hex = |h: TreeHash| h.as_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>();
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::new();
    assert_eq!(hex(tree.root()), roots[0]);
    for (leaf, root) in leaves.iter().zip(&roots[1..]) {
        tree.push(TreeHash::leaf(leaf));
        assert_eq!(hex(tree.root()), *root, "at {}", tree.size());
    }
}

#[test]
fn the_frontier_agrees_with_the_definition() {
    let mut tree = Frontier::new();
    let mut leaves = Vec::new();
    for i in 0..200_u32 {
        assert_eq!(tree.root(), naive_root(&leaves), "at {i}");
        let leaf = TreeHash::leaf(&i.to_be_bytes());
        leaves.push(leaf);
        tree.push(leaf);
    }
}

#[test]
fn a_frontier_from_the_wrong_number_of_subtrees_is_refused() {
    let hash = TreeHash::leaf(b"x");
    assert!(Frontier::from_peaks(3, vec![hash]).is_err());
    assert!(Frontier::from_peaks(4, vec![hash, hash]).is_err());
    assert!(Frontier::from_peaks(0, vec![hash]).is_err());
    assert_eq!(Frontier::from_peaks(5, vec![hash, hash]).unwrap().size(), 5);
}

#[test]
fn completed_subtrees_are_told() {
    let mut tree = Frontier::new();
    let mut level_2 = Vec::new();
    for i in 0..8_u8 {
        tree.push_observed(TreeHash::leaf(&[i]), |level, hash| {
            if level == 2 {
                level_2.push(*hash);
            }
        });
    }
    assert_eq!(level_2.len(), 2);
    assert_eq!(TreeHash::node(&level_2[0], &level_2[1]), tree.root());
}
