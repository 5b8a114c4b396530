//! The gRPC edge: who calls is read from the connection, the access table admits or refuses, a message is decoded, one verb of
//! the broker is called, its answer is encoded. It knows TLS only as a peer that was verified, and decides nothing itself.

pub mod access;
pub mod door;
mod held;
pub mod line;
pub mod status;

mod codec;
mod panics;
mod service;
