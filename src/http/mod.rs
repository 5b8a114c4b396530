//! The HTTPS edge: the key set, health and metrics, read by anybody who can reach it. It knows connections only as streams of
//! bytes, and holds no state of its own.

pub mod pages;
pub mod serve;
