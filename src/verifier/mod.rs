//! What a resource server embeds: it holds a token against the issuer's keys, the caller's certificate, what was revoked
//! and the call itself, in the order of the numbered steps in `check`, and refuses whenever it does not know. It knows
//! nothing of how tokens come about. Connections, TLS and fetching are its host's: certificate, SPIFFE ID and key sets are
//! handed in.

pub mod audit;
pub mod bearer;
pub mod check;
pub mod follow;
pub mod keys;
pub mod refusal;
pub mod revocations;
pub mod settings;
pub mod uses;
