//! What makes the record checkable by a stranger: the stored form of an event, the Merkle tree over stored events, signed
//! checkpoints, proofs, the export and its offline verifier. Pure: no file is opened here and no clock is read.

pub mod checkpoint;
pub mod event;
pub mod export;
pub mod note;
pub mod proof;
pub mod tree;
pub mod verify;
