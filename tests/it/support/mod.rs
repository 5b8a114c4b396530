//! Reusable pieces of the integration tests.

pub mod ask;
pub mod broker;
pub mod caller;
pub mod gate;
pub mod issuer;
pub mod journal;
pub mod pki;
pub mod policies;
pub mod record;
pub mod scorer;
