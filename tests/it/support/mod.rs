//! Reusable pieces of the integration tests.

pub mod pki;
