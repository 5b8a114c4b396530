//! What people and agents wrote, encrypted under a key of its task family; the wrapped keys and their erasure; and the keyed
//! digests that task handles and marks of what was asked are. Knows nothing of what it encrypts, nor of where that is stored.

pub mod error;
pub mod handle;
pub mod sealer;

mod cache;
mod folder;
mod master;
mod store;
