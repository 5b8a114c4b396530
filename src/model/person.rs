//! People: what one may do at their door, and what an issuer said of one. Which accounts are whose, the configuration says.

use std::fmt;
use std::str::FromStr;

use super::time::Timestamp;

/// Something that a person may be allowed to do at the people's door. What is one's own, the tasks that one verifiedly
/// initiated, needs none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Read the record, every task and the policy bundle in force.
    Read,
    /// Revoke whatever there is, and lift blocks.
    Revoke,
    /// Activate a policy bundle.
    ActivatePolicy,
    /// Review requests of agents, and approve or deny them; review what was opened by break-glass.
    Approve,
    /// Open break-glass.
    BreakGlass,
    /// Say of recorded decisions what they were about, as it turned out.
    Label,
}

/// A name that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `read`, `revoke`, `activate_policy`, `approve`, `break_glass`, `label`")]
pub struct UnknownRightError(pub String);

impl Right {
    /// Every right, in order.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Revoke, Self::ActivatePolicy, Self::Approve, Self::BreakGlass, Self::Label];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Revoke => "revoke",
            Self::ActivatePolicy => "activate_policy",
            Self::Approve => "approve",
            Self::BreakGlass => "break_glass",
            Self::Label => "label",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = UnknownRightError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|right| right.as_str() == s).ok_or_else(|| UnknownRightError(s.to_owned()))
    }
}

/// The kinds of token that say who a person is. An issuer gives one of them to us, never both, so that neither can be taken
/// for the other (RFC 8725 §3.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonTokenKind {
    /// An access token for Carnet (RFC 9068): made for being shown to a resource server.
    AccessToken,
    /// An ID token for a client that is Carnet's own (OpenID Connect Core §2): for issuers whose access tokens are no JWTs, or
    /// do not say when and how somebody authenticated.
    IdToken,
}

impl PersonTokenKind {
    /// Every kind, in order.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::IdToken];

    /// The name in configuration and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::IdToken => "id_token",
        }
    }
}

/// What an issuer said of a person, in a token that was verified: evidence, as it stands in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonEvidence {
    /// `iss`
    pub issuer: String,
    /// `sub`: the account with that issuer.
    pub subject: String,
    /// `acr`: the class of the authentication; empty when it was not said.
    pub acr: String,
    /// `amr`: the methods of the authentication (RFC 8176).
    pub amr: Vec<String>,
    /// `auth_time`: when the person last authenticated, where it says so.
    pub authenticated: Option<Timestamp>,
    /// Which kind of token said it.
    pub kind: PersonTokenKind,
}
