//! Who is on the other side: X.509-SVIDs checked against live trust bundles of the Workload API, connections that carry a
//! [`peer::VerifiedPeer`], and the recheck of every request that yields a [`caller::VerifiedCaller`]. JWT-SVIDs are verified
//! beside them, by the keys of their own trust domain, and people's OIDC tokens by those of their issuer. It knows nothing of what a
//! caller may do: classes and owners are policy's.
#![cfg_attr(
    not(feature = "broker"),
    allow(dead_code, unused_imports, reason = "without the broker, only what reads an SVID is built")
)]

#[cfg(feature = "broker")]
pub mod accept;
#[cfg(feature = "broker")]
pub mod caller;
#[cfg(feature = "broker")]
pub mod certificate_files;
#[cfg(feature = "broker")]
pub mod client;
#[cfg(feature = "broker")]
pub mod connection;
#[cfg(feature = "broker")]
pub(crate) mod crowd;
pub mod error;
#[cfg(feature = "broker")]
pub(crate) mod gathered;
#[cfg(feature = "broker")]
pub mod get;
#[cfg(feature = "broker")]
pub mod guarded;
#[cfg(feature = "broker")]
pub mod https;
#[cfg(feature = "broker")]
pub mod jwt_source;
pub mod jwt_svid;
#[cfg(feature = "broker")]
mod known_tokens;
#[cfg(feature = "broker")]
pub mod listen;
#[cfg(feature = "broker")]
pub mod peer;
#[cfg(feature = "broker")]
pub mod people;
#[cfg(feature = "broker")]
pub mod presented;
#[cfg(feature = "broker")]
pub mod serve;
pub mod svid;
#[cfg(feature = "broker")]
pub mod tied;
#[cfg(feature = "broker")]
pub mod trust;
#[cfg(feature = "broker")]
mod verifier;
#[cfg(feature = "broker")]
mod view;
#[cfg(feature = "broker")]
pub mod web;
#[cfg(feature = "broker")]
pub mod workload;
#[cfg(feature = "broker")]
pub mod workload_api;
#[cfg(feature = "broker")]
mod x509_bundles;
