//! The durable append-only log.
