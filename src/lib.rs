//! Carnet: a SPIFFE-aware just-in-time credential broker for AI agents.
//!
//! A room is a module below; ARCHITECTURE.md says what each may know of the others, and `tests/it/architecture.rs` checks it.

#[cfg(feature = "verifier")]
pub mod clock;
pub mod jose;
pub mod model;
#[cfg(feature = "verifier")]
pub mod pb;
pub mod token;
#[cfg(feature = "verifier")]
pub mod verifier;

#[cfg(feature = "broker")]
pub mod audit;
#[cfg(feature = "broker")]
pub mod bench;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "broker")]
pub mod catalogue;
#[cfg(feature = "broker")]
pub mod cli;
#[cfg(feature = "broker")]
pub mod config;
#[cfg(feature = "broker")]
pub mod dev;
#[cfg(feature = "broker")]
pub mod disk;
#[cfg(feature = "broker")]
pub mod entropy;
#[cfg(feature = "broker")]
pub mod eval;
#[cfg(feature = "broker")]
pub mod grpc;
#[cfg(feature = "broker")]
pub mod http;
#[cfg(any(feature = "broker", feature = "svid"))]
pub mod identity;
#[cfg(feature = "broker")]
pub mod infer;
#[cfg(feature = "broker")]
pub mod intent;
#[cfg(feature = "broker")]
pub mod journal;
#[cfg(feature = "broker")]
pub mod metrics;
#[cfg(feature = "broker")]
pub mod mint;
#[cfg(feature = "broker")]
pub mod notify;
#[cfg(feature = "broker")]
pub mod policy;
#[cfg(feature = "broker")]
pub mod risk;
#[cfg(feature = "broker")]
pub mod scorer;
#[cfg(feature = "broker")]
pub mod seal;
#[cfg(feature = "broker")]
pub mod server;
