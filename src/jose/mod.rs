//! The one strict door for every incoming JWT: JWS compact serialization only, a closed header, `typ`, no `crit`, the
//! algorithm pinned to the key, no member twice, canonical base64url, sizes, shapes of claims, times. Libraries check
//! signatures and nothing else. Which rules a kind of token has is data (`profile`); what its claims mean is not known here.

pub mod algorithm;
pub mod claim_set;
pub mod error;
pub mod jws;
pub mod key;
pub mod key_set;
pub mod profile;
pub mod times;
