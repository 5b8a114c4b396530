//! Reusable pieces of the integration tests.

pub mod journal;
pub mod pki;
