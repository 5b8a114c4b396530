//! From messages to what the broker is asked, and from its answers to messages. Decoding is where what comes from outside is
//! bounded: whatever passes is well-formed and within `model::limits`. Nothing is judged here, and no clock is read.

pub(in crate::grpc) mod access;
pub(in crate::grpc) mod answer;
pub(in crate::grpc) mod ask;
pub(in crate::grpc) mod audit;
pub(in crate::grpc) mod digested;
pub(in crate::grpc) mod field;
pub(in crate::grpc) mod policy;
pub(in crate::grpc) mod revocation;
pub(in crate::grpc) mod risk;

#[cfg(test)]
mod tests;
