//! Event encoding, Merkle tree, checkpoints, proofs and the offline verifier.
