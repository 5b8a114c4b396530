//! Generated protobuf code: the wire (`carnet.v1`), the journal's events and the SPIFFE Workload API that `carnet dev` serves.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// Generated messages and services of `carnet.v1`.
pub mod v1 {
    tonic::include_proto!("carnet.v1");
}

/// Generated events of the journal.
pub mod journal {
    tonic::include_proto!("carnet.journal.v1");
}

pub mod names;
pub mod wire;

/// The SPIFFE Workload API.
pub mod workload {
    tonic::include_proto!("_");
}

/// How many bytes a message takes on the wire.
#[must_use]
pub fn encoded_len(message: &impl prost::Message) -> usize {
    message.encoded_len()
}

/// The descriptors of `carnet.v1` and of what it imports, encoded: what reflection tells.
pub const WIRE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/carnet.wire.bin"));

/// Every file descriptor, encoded: for the tests that hold the contract and the access table against it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/carnet.descriptors.bin"));
