//! The nouns that two or more rooms share: plain values with one parser each. Nothing here does I/O, reads a clock or
//! knows a protocol; a value that exists is valid.

pub mod access;
pub mod approval;
pub mod behaviour;
pub mod ceiling;
pub mod decimal;
pub mod decision;
pub mod digest;
pub mod digested;
pub mod facts;
pub mod glass;
pub mod grant;
pub mod id;
pub mod identity;
pub mod json;
pub mod label;
pub mod limits;
pub mod notice;
pub mod pattern;
pub mod person;
pub mod provenance;
pub mod reason;
pub mod risk;
pub mod signer;
pub mod sink;
pub mod spiffe_id;
pub mod spiffe_pattern;
pub mod task;
pub mod time;
