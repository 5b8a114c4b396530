//! The claims of a token, read strictly and written always alike (RFC 9068, RFC 8693 `act`, RFC 8705 `cnf`, RFC 8417
//! `txn`). Claims that we don't know are passed over, as RFC 7519 wants it; what limits a token stands in those we know.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::detail::Detail;
use crate::model::id::{Audience, GlassId, GrantId, Jti, TaskId};
use crate::model::identity::Thumbprint;
use crate::model::limits::{ACCESS_ENTRIES_MAX, DELEGATION_DEPTH_MAX, REFERENCE_BYTES_MAX};
use crate::model::risk::Band;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// The claims of one token. The order of the fields is the order in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: Issuer,
    /// On whose behalf: the verified person, otherwise the SPIFFE ID of the orchestrator.
    pub sub: String,
    /// The agent that asked for it.
    pub client_id: SpiffeId,
    /// The agent that acts for `sub`; absent when they are the same. Nested actors are history and decide nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// The one resource server that it is for.
    #[serde(deserialize_with = "one_audience")]
    pub aud: Audience,
    /// When it was issued.
    pub iat: NumericDate,
    /// From when on it is valid.
    pub nbf: NumericDate,
    /// When it ends.
    pub exp: NumericDate,
    /// Its own name.
    pub jti: Jti,
    /// What it shares with the other tokens of the same run.
    pub txn: String,
    /// A shadow of `authorization_details`.
    pub scope: String,
    /// What it is good for.
    pub authorization_details: AuthorizationDetails,
    /// Whose key it is bound to; absent only where policy allows tokens that anybody may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// What it was issued for.
    #[serde(rename = "https://carnet.dev/claims/task")]
    pub task: TaskClaim,
}

/// The claim that joins a token to the record. Reviewers read it; the agent learns nothing from it that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskClaim {
    /// The task.
    pub id: TaskId,
    /// The grant, which outlives its tokens when they are renewed. Uses are counted under it.
    pub grant: GrantId,
    /// `sha-256:` and the digest of the intent.
    pub intent_hash: String,
    /// `sha-256:` and the digest of the ceiling; absent when the task declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_hash: Option<String>,
    /// A coarse level of the risk that it was granted at.
    pub risk_band: Band,
    /// The policy bundle that granted it.
    pub policy_version: String,
    /// True when policy only observed: what it would have withheld was granted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub observed_only: bool,
    /// What a person opened by break-glass, without which it would not have been granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<GlassId>,
}

/// Who acts (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The agent.
    pub sub: SpiffeId,
    /// The agent that it got the task from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

/// What the presenter must prove (RFC 8705 §3.1). A method that we don't know is refused: it could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// SHA-256 of the certificate of its connection.
    #[serde(rename = "x5t#S256")]
    pub certificate: Thumbprint,
}

/// The issuer of tokens: compared byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(Arc<str>);

/// Whole seconds since 1970, up to the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NumericDate(u64);

/// `authorization_details`: read only when it comes to what the token is good for, so that a token with a type that we
/// don't know is told apart from a token that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationDetails(Result<Vec<Detail>, UnknownDetailError>);

/// An entry has a type, a field or a value that we don't know, or there are none or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authorization details are not of a known type and form")]
pub struct UnknownDetailError;

/// Why a payload is no set of claims. Values are not repeated: they may be what somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// A claim is absent, stands twice, or has another shape.
    #[error("claims are malformed at byte {at}")]
    Shape {
        /// Where.
        at: usize,
    },
    /// `act` is not the agent, or the chain is longer than delegation goes.
    #[error("`act` does not name the agent, or is too deep")]
    Actor,
    /// A text that must say something is empty.
    #[error("`sub` or `txn` is empty")]
    Empty,
}

impl Claims {
    /// Reads a payload whose signature holds.
    ///
    /// # Errors
    /// When a claim is absent, stands twice, or has another shape.
    pub fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        let claims: Self = serde_json::from_slice(payload).map_err(|e| ClaimsError::Shape { at: e.column() })?;
        if claims.sub.is_empty() || claims.txn.is_empty() {
            return Err(ClaimsError::Empty);
        }
        if let Some(actor) = &claims.act {
            let chain = std::iter::successors(Some(actor), |a| a.act.as_deref()).count();
            if actor.sub != claims.client_id || chain > DELEGATION_DEPTH_MAX as usize {
                return Err(ClaimsError::Actor);
            }
        }
        Ok(claims)
    }

    /// The payload: the same claims give the same bytes.
    ///
    /// # Errors
    /// When they were read from a token whose authorization details are unknown.
    pub fn to_payload(&self) -> Result<Vec<u8>, UnknownDetailError> {
        serde_json::to_vec(self).map_err(|_| UnknownDetailError)
    }
}

impl AuthorizationDetails {
    /// Entries that were made here.
    #[must_use]
    pub const fn new(details: Vec<Detail>) -> Self {
        Self(Ok(details))
    }

    /// The entries.
    ///
    /// # Errors
    /// When one is not of a known type and form: then the token is good for nothing here.
    pub fn entries(&self) -> Result<&[Detail], UnknownDetailError> {
        self.0.as_deref().map_err(|e| *e)
    }
}

impl Serialize for AuthorizationDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuthorizationDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let details = serde_json::from_str::<Vec<Detail>>(raw.get()).map_err(|_| UnknownDetailError);
        let in_bounds = |d: &Vec<Detail>| !d.is_empty() && d.len() <= ACCESS_ENTRIES_MAX;
        Ok(Self(details.and_then(|d| if in_bounds(&d) { Ok(d) } else { Err(UnknownDetailError) })))
    }
}

impl NumericDate {
    /// The last second of the year 9999.
    pub const MAX: Self = Self(253_402_300_799);

    /// Whole seconds since 1970; what lies beyond the year 9999 is its end.
    #[must_use]
    pub fn from_secs(secs: u64) -> Self {
        Self(secs.min(Self::MAX.0))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The point in time.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp::from_secs(self.0)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    /// From an integer, and from nothing else: no fraction, exponent, sign or string.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secs = u64::deserialize(deserializer)?;
        if secs > Self::MAX.0 { Err(de::Error::custom("beyond the year 9999")) } else { Ok(Self(secs)) }
    }
}

impl Issuer {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An issuer is a text without control characters and not too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an issuer: empty, longer than {REFERENCE_BYTES_MAX} bytes, or with control characters")]
pub struct ParseIssuerError;

impl FromStr for Issuer {
    type Err = ParseIssuerError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.is_empty() || s.len() > REFERENCE_BYTES_MAX || s.chars().any(char::is_control) {
            return Err(ParseIssuerError);
        }
        Ok(Self(s.into()))
    }
}

impl TryFrom<String> for Issuer {
    type Error = ParseIssuerError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> String {
        issuer.0.as_ref().to_owned()
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn one_audience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Audience, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrList {
        One(Audience),
        List([Audience; 1]),
    }
    match OneOrList::deserialize(deserializer)? {
        OneOrList::One(audience) | OneOrList::List([audience]) => Ok(audience),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
