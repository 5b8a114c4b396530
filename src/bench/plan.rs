//! What a run is told: what to drive, how hard, for how long, and where.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::spiffe_id::SpiffeId;

/// What a run drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Agents ask for credentials; every grant is durable before it is answered.
    Request,
    /// The orchestrator revokes grants one by one. Making them is not measured.
    Revoke,
    /// Agents call a resource server, which verifies the token of every call.
    Verify,
}

impl Kind {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Revoke => "revoke",
            Self::Verify => "verify",
        }
    }
}

/// Which broker is driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One of its own, with a durable journal in a folder that is removed afterwards.
    Embedded {
        /// The policy bundle; `None` takes the one that Carnet ships.
        policy: Option<PathBuf>,
        /// So many policies that match nothing are added to it.
        policies: u32,
        /// Where the journal lies; `None` takes the system's folder for temporary files, which may be in memory.
        folder: Option<PathBuf>,
    },
    /// One that runs elsewhere.
    Target {
        /// `host:port` of its door for workloads.
        address: String,
        /// A Workload API socket that gives this process several identities, or a folder of sockets with one each: an
        /// orchestrator and at least one agent must be among them.
        sockets: PathBuf,
        /// Who the broker must be; `None` accepts any workload of the orchestrator's trust domain.
        server: Option<SpiffeId>,
        /// Its process, when it runs on this machine: without it, CPU per request is not known.
        pid: Option<u32>,
    },
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it drives.
    pub kind: Kind,
    /// Against which broker.
    pub place: Place,
    /// Requests in flight, at least 1.
    pub in_flight: u32,
    /// Agents, each with a connection of its own; no more than requests in flight are used. `None` is one for each of them: an
    /// agent asks for one step at a time.
    pub agents: Option<u32>,
    /// How long the broker is measured.
    pub duration: Duration,
    /// How long the echo is measured.
    pub echo: Duration,
    /// Requests a second at most; `None` for as many as are answered.
    pub rate: Option<u32>,
    /// Where a line is written for every acknowledged grant.
    pub record: Option<PathBuf>,
}

/// Most requests in flight: more than any broker admits of one machine's agents.
pub const IN_FLIGHT_MAX: u32 = 16_384;
/// Most agents of an embedded broker.
pub const AGENTS_MAX: u32 = 4_096;
/// Most policies that are added: beyond this a bundle is larger than brokers accept.
pub const POLICIES_MAX: u32 = 10_000;
