//! Who is on the other side: X.509-SVIDs checked against live trust bundles of the Workload API, connections that carry a
//! [`peer::VerifiedPeer`], and the recheck of every request that yields a [`caller::VerifiedCaller`]. JWT-SVIDs are verified
//! beside them, by the keys of their own trust domain; OIDC tokens have their place there too. It knows nothing of what a
//! caller may do: classes and owners are policy's.

pub mod accept;
pub mod caller;
pub mod client;
pub mod connection;
mod crowd;
pub mod error;
pub mod get;
pub mod guarded;
pub mod https;
pub mod jwt_source;
pub mod jwt_svid;
pub mod listen;
pub mod peer;
pub mod serve;
pub mod svid;
pub mod trust;
pub mod workload;

pub(crate) mod gathered;
mod verifier;
mod view;
