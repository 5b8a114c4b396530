//! The format of tokens: claims, constraints, header, keys as published, and what a call must equal. What a verifier must
//! know, and nothing of how tokens come about.

pub mod check;
pub mod claims;
pub mod detail;
pub mod header;
pub mod jwks;
pub mod life;
