//! The table of rooms, as data: a room may name only rooms that its row lists, and every row lists only rooms above it.

/// A room and what it may name.
pub struct Room {
    pub name: &'static str,
    pub may: May,
}

/// What a room may name.
#[derive(Clone, Copy)]
pub enum May {
    /// These rooms, each of which it does name.
    Name(&'static [&'static str]),
    /// Any room above it: the rooms that sequence and wire.
    NameAnyAbove,
}

const fn room(name: &'static str, may: &'static [&'static str]) -> Room {
    Room { name, may: May::Name(may) }
}

const fn wiring(name: &'static str) -> Room {
    Room { name, may: May::NameAnyAbove }
}

/// The rooms, from those that know nothing to those that know the most.
pub const ROOMS: &[Room] = &[
    room("model", &[]),
    room("pb", &[]),
    room("clock", &["model"]),
    room("entropy", &[]),
    room("metrics", &["model"]),
    room("disk", &[]),
    room("jose", &["model"]),
    room("seal", &["model", "entropy", "disk"]),
    // `pb` for the Workload API alone, whose JWT bundles are read here as they were sent.
    room("identity", &["model", "pb", "clock", "jose"]),
    room("catalogue", &["model"]),
    room("intent", &["model", "catalogue"]),
    room("risk", &["model", "catalogue"]),
    room("policy", &["model", "jose", "identity", "catalogue", "risk"]),
    room("audit", &["model", "pb"]),
    room("journal", &["model", "pb", "disk", "audit"]),
    room("token", &["model", "jose"]),
    room("mint", &["model", "pb", "entropy", "jose", "token", "policy", "journal"]),
    room("notify", &["model", "pb", "clock", "entropy", "metrics", "disk", "identity", "journal"]),
    wiring("broker"),
    room("scorer", &["model", "pb", "entropy", "identity", "broker"]),
    room("verifier", &["model", "clock", "jose", "token", "pb"]),
    room("grpc", &["model", "clock", "identity", "audit", "broker", "pb", "metrics"]),
    room("http", &["broker", "metrics"]),
    room("infer", &["model", "catalogue", "intent"]),
    // `risk` is reached through `policy` alone: a listed edge must be used.
    room("eval", &["model", "catalogue", "intent", "infer", "policy"]),
    room("config", &["model", "identity", "jose", "token"]),
    wiring("server"),
    wiring("dev"),
    wiring("bench"),
    wiring("cli"),
];

/// Crates that only some rooms may name. Others go where they are needed.
pub const CRATES: &[(&str, &[&str])] = &[
    ("prost", &["pb", "audit", "journal", "bench"]),
    ("prometheus", &["metrics"]),
    ("jsonwebtoken", &["jose"]),
    ("spiffe", &["identity"]),
    ("spiffe_rustls", &["identity"]),
    ("x509_parser", &["identity"]),
    ("cedar_policy", &["policy"]),
    ("cedar_policy_core", &["policy"]),
    ("sled", &["journal"]),
    ("axum", &["grpc", "http", "dev"]),
    ("rcgen", &["dev", "bench"]),
    ("clap", &["cli"]),
];

/// The rooms that may write `assertion`: each vouches for a witness that it makes itself.
pub const ASSERTIONS: &[&str] = &["identity", "policy", "mint", "journal"];
