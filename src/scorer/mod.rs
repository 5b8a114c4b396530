//! What asks scorers outside of Carnet: over gRPC with our SVID, and at chat endpoints that give structured output. It carries the
//! question there and the answer back; what an answer counts for is not its business.

pub mod chat;
pub mod grpc;
