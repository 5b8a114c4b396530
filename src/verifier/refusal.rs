//! Why a call is refused. Who called learns only that it was; the code is for the audit event.

use crate::jose::error::{JoseError, TimeError};
use crate::token::check::ConstraintError;
use crate::token::claims::{ClaimsError, UnknownDetailError};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No token was shown.
    #[error("no token was shown")]
    NoToken,
    /// More than one `Authorization` header, another scheme, or not exactly one token.
    #[error("not exactly one bearer token")]
    Authorization,
    /// The token is malformed, or of another kind.
    #[error("the token is malformed")]
    Form(#[source] JoseError),
    /// The signature does not hold, or the key is for another algorithm.
    #[error("the signature does not hold")]
    Signature(#[source] JoseError),
    /// The issuer has no such key.
    #[error("the key is not the issuer's")]
    KeyUnknown,
    /// There are no keys, or they are older than allowed.
    #[error("the issuer's keys are not known, or not well enough")]
    KeysStale,
    /// A claim is absent or malformed.
    #[error("the claims are malformed")]
    Claims(#[source] ClaimsError),
    /// Another issuer.
    #[error("the token is another issuer's")]
    Issuer,
    /// Another resource server.
    #[error("the token is for another audience")]
    Audience,
    /// Not valid now.
    #[error("the token is not valid now")]
    Time(#[source] TimeError),
    /// Bound to no key, where that is required.
    #[error("the token is bound to no key")]
    Unbound,
    /// The connection shows no certificate.
    #[error("the caller showed no certificate")]
    NoCertificate,
    /// The connection's certificate is another.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
    /// The connection's SPIFFE ID is not the token's agent.
    #[error("the caller is not the agent of the token")]
    OtherCaller,
    /// Revocations are not known, or not recently enough.
    #[error("the view of revocations is too old")]
    ViewStale,
    /// Revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Suspended; may come back.
    #[error("the token is suspended")]
    Suspended,
    /// Given back by its agent.
    #[error("the token was released")]
    Released,
    /// What the token is good for is not of a known form.
    #[error("the authorization details are not known")]
    Details(#[source] UnknownDetailError),
    /// The call is another one.
    #[error("the token does not cover the call")]
    Constraint(#[source] ConstraintError),
    /// All its calls were made.
    #[error("the calls that were granted were made")]
    Spent,
    /// Uses of the grant may have been forgotten.
    #[error("it is not known how often the grant was used")]
    UsesUnknown,
    /// No more grants can be counted.
    #[error("too many grants are being counted")]
    UsesFull,
}

/// What the caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 401 without an error code: credentials are needed (RFC 6750 §3.1).
    CredentialsNeeded,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
}

impl Refusal {
    /// The code for the audit event.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "NO_TOKEN",
            Self::Authorization => "AUTHORIZATION_MALFORMED",
            Self::Form(_) => "TOKEN_MALFORMED",
            Self::Signature(_) => "SIGNATURE_INVALID",
            Self::KeyUnknown => "KEY_UNKNOWN",
            Self::KeysStale => "KEYS_STALE",
            Self::Claims(_) => "CLAIMS_MALFORMED",
            Self::Issuer => "ISSUER_MISMATCH",
            Self::Audience => "AUDIENCE_MISMATCH",
            Self::Time(TimeError::Expired) => "TOKEN_EXPIRED",
            Self::Time(TimeError::NotYet | TimeError::IssuedAhead) => "TOKEN_NOT_YET_VALID",
            Self::Time(TimeError::Life) => "TOKEN_LIFE_TOO_LONG",
            Self::Unbound => "TOKEN_UNBOUND",
            Self::NoCertificate => "CERTIFICATE_ABSENT",
            Self::OtherCertificate => "CERTIFICATE_MISMATCH",
            Self::OtherCaller => "CALLER_MISMATCH",
            Self::ViewStale => "REVOCATIONS_STALE",
            Self::Revoked => "TOKEN_REVOKED",
            Self::Suspended => "TOKEN_SUSPENDED",
            Self::Released => "TOKEN_RELEASED",
            Self::Details(_) => "DETAILS_UNKNOWN",
            Self::Constraint(ConstraintError::Tool) => "TOOL_NOT_GRANTED",
            Self::Constraint(ConstraintError::Location) => "LOCATION_NOT_GRANTED",
            Self::Constraint(ConstraintError::Action) => "ACTION_NOT_GRANTED",
            Self::Constraint(ConstraintError::Resource) => "RESOURCE_NOT_GRANTED",
            Self::Constraint(ConstraintError::Sink(_)) => "SINK_DIFFERS",
            Self::Constraint(ConstraintError::Unreadable(_)) => "SINK_UNREADABLE",
            Self::Spent => "CALLS_SPENT",
            Self::UsesUnknown => "USES_UNKNOWN",
            Self::UsesFull => "USES_FULL",
        }
    }

    /// What the caller is answered: whatever is wrong with a token looks the same.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        match self {
            Self::NoToken => Answer::CredentialsNeeded,
            Self::Details(_) | Self::Constraint(_) | Self::Spent | Self::UsesUnknown | Self::UsesFull => {
                Answer::InsufficientScope
            }
            _ => Answer::InvalidToken,
        }
    }
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::CredentialsNeeded | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3).
    #[must_use]
    pub const fn www_authenticate(self) -> &'static str {
        match self {
            Self::CredentialsNeeded => "Bearer",
            Self::InvalidToken => r#"Bearer error="invalid_token""#,
            Self::InsufficientScope => r#"Bearer error="insufficient_scope""#,
        }
    }
}
