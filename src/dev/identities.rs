//! Who takes part in development: a few workloads of one trust domain that the shipped policy bundle knows, and one of a
//! foreign trust domain that nobody federates with.

use crate::model::spiffe_id::{ParseSpiffeIdError, SpiffeId, TrustDomain};

/// The trust domain of the dev broker and everybody whom it knows.
pub const TRUST_DOMAIN: &str = "dev.carnet.test";
/// The trust domain of a stranger.
pub const FOREIGN_TRUST_DOMAIN: &str = "elsewhere.test";

/// Somebody who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The name of the socket.
    pub name: &'static str,
    /// The path of the SPIFFE ID.
    path: &'static str,
    /// True for the stranger.
    pub foreign: bool,
    /// What it is there for.
    pub what: &'static str,
}

const fn member(name: &'static str, path: &'static str, what: &'static str) -> Member {
    Member { name, path, foreign: false, what }
}

/// The broker itself.
pub const BROKER: Member = member("broker", "/carnet", "the broker");
/// An agent.
pub const AGENT: Member = member("agent", "/agent/triage", "an agent");
/// Another agent.
pub const SECOND_AGENT: Member = member("agent-2", "/agent/scout", "a second agent");
/// Who registers tasks.
pub const ORCHESTRATOR: Member = member("orchestrator", "/orchestrator/desk", "registers tasks");
/// Who verifies tokens.
pub const RESOURCE_SERVER: Member = member("resource-server", "/resource/tools", "verifies tokens");
/// Who sends signals.
pub const SCORER: Member = member("scorer", "/scorer/watch", "reports risk");
/// Whom nobody knows.
pub const STRANGER: Member =
    Member { name: "stranger", path: "/agent/stranger", foreign: true, what: "of another trust domain" };

/// Everybody but the broker, in the order in which they are told.
pub const MEMBERS: [Member; 6] = [AGENT, SECOND_AGENT, ORCHESTRATOR, RESOURCE_SERVER, SCORER, STRANGER];

impl Member {
    /// Its trust domain.
    ///
    /// # Errors
    /// Never for the members of this file.
    pub fn trust_domain(&self) -> Result<TrustDomain, ParseSpiffeIdError> {
        if self.foreign { FOREIGN_TRUST_DOMAIN.parse() } else { TRUST_DOMAIN.parse() }
    }

    /// Its SPIFFE ID.
    ///
    /// # Errors
    /// Never for the members of this file.
    pub fn spiffe_id(&self) -> Result<SpiffeId, ParseSpiffeIdError> {
        format!("spiffe://{}{}", self.trust_domain()?, self.path).parse()
    }
}
