//! What an identity is, and how it was proven.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

    /// True when such an identity asks for what policy decides: credentials, and tasks.
    #[must_use]
    pub const fn is_decided_about(self) -> bool {
        self.works_on_tasks() || matches!(self, Self::Orchestrator)
    }

    /// True when tasks can be for such an identity.
    #[must_use]
    pub const fn works_on_tasks(self) -> bool {
        matches!(self, Self::AiAgent | Self::ServiceAccount)
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
    /// True when a key was proven that a token can be bound to.
    #[must_use]
    pub const fn proves_key(self) -> bool {
        matches!(self, Self::X509Svid)
    }

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

/// The SHA-256 of a certificate's DER: what a token is bound to (RFC 8705 `x5t#S256`). Its text is base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

/// A string that is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint is 32 bytes of base64url")]
pub struct ParseThumbprintError;

impl Thumbprint {
    /// The thumbprint of a certificate.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate_der);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The bytes, for comparison in constant time.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hexadecimal, as it stands in records.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Thumbprint {
    type Err = ParseThumbprintError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(s).map_err(|_| ParseThumbprintError)?;
        Ok(Self(bytes.try_into().map_err(|_| ParseThumbprintError)?))
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = ParseThumbprintError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> String {
        thumbprint.to_string()
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

#[cfg(test)]
mod tests;
