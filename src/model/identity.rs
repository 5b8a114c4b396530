//! What an identity is, and how it was proven.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::InitiatorName;

/// What kind of principal an identity is: thresholds and policies are keyed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityClass {
    /// A program that asks as agents do, without a model behind it.
    ServiceAccount,
    /// A program whose behaviour a model decides at run time.
    AiAgent,
    /// Registers tasks and ends them.
    Orchestrator,
    /// Sends signals.
    Scorer,
    /// Verifies tokens and reports what they were used for.
    ResourceServer,
    /// A person, by OIDC; never an SVID.
    Human,
}

impl IdentityClass {
    /// Every class, in order.
    pub const ALL: [Self; 6] =
        [Self::ServiceAccount, Self::AiAgent, Self::Orchestrator, Self::Scorer, Self::ResourceServer, Self::Human];

    /// The name in configuration, policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service_account",
            Self::AiAgent => "ai_agent",
            Self::Orchestrator => "orchestrator",
            Self::Scorer => "scorer",
            Self::ResourceServer => "resource_server",
            Self::Human => "human",
        }
    }
}

impl fmt::Display for IdentityClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an identity was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Mutual TLS with an X.509-SVID: the key was proven.
    X509Svid,
    /// A JWT-SVID: a bearer token, no key was proven.
    JwtSvid,
    /// An OIDC token of a person.
    Oidc,
    /// The uid of the peer of the operator's socket.
    Unix,
}

impl Authentication {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509Svid => "x509_svid",
            Self::JwtSvid => "jwt_svid",
            Self::Oidc => "oidc",
            Self::Unix => "unix",
        }
    }
}

/// The person on whose behalf a task runs, and whether that was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initiator {
    /// Who it is.
    pub name: InitiatorName,
    /// True only when that person's own OIDC token was verified; otherwise the orchestrator merely says so.
    pub verified: bool,
}
