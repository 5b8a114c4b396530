//! Why the broker could not answer. A denial is an answer, not an error.

use crate::identity::error::CallerError;
use crate::model::id::DecisionId;
use crate::model::reason::ReasonCode;

/// Why the broker could not answer. Edges turn it into a status; what may not be seen and what does not exist are one.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A field is malformed or above its limit.
    #[error("{field}: {problem}")]
    Invalid {
        /// `InvalidArgument`, `LimitExceeded` or `RequestIdReused`.
        code: ReasonCode,
        /// The field, as the API names it.
        field: &'static str,
        /// What is wrong with it; holds no value that was sent.
        problem: String,
    },
    /// No identity was proven, or it no longer holds.
    #[error("not authenticated: {code}")]
    Unauthenticated {
        /// Why.
        code: ReasonCode,
    },
    /// The caller may not do this at all.
    #[error("not permitted: {code}")]
    NotPermitted {
        /// Why.
        code: ReasonCode,
    },
    /// There is no such object, or it is not the caller's.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The object is not in a state for this.
    #[error("{code}")]
    Precondition {
        /// Why.
        code: ReasonCode,
        /// The decision that it is about, if there is one.
        decision: Option<DecisionId>,
    },
    /// The task changed under the request more often than it was tried.
    #[error("the task changed at the same time")]
    Conflict,
    /// The caller is above its rate, or has too much in flight.
    #[error("too many requests")]
    RateLimited,
    /// What is left of the disk is held back for ends and revocations.
    #[error("storage is full")]
    StorageFull,
    /// The journal, a key or a trust bundle is not available.
    #[error("unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A defect.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<CallerError> for BrokerError {
    fn from(error: CallerError) -> Self {
        match error {
            CallerError::Unready(_) => Self::unavailable(error),
            refused => Self::Unauthenticated { code: refused.reason() },
        }
    }
}

impl BrokerError {
    /// The reason code that the caller is told.
    #[must_use]
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::Invalid { code, .. }
            | Self::Unauthenticated { code }
            | Self::NotPermitted { code }
            | Self::Precondition { code, .. } => *code,
            Self::NotFound { .. } => ReasonCode::NotFound,
            Self::Conflict => ReasonCode::Conflict,
            Self::RateLimited => ReasonCode::RateLimited,
            Self::StorageFull => ReasonCode::StorageFull,
            Self::Unavailable(_) => ReasonCode::Unavailable,
            Self::Internal(_) => ReasonCode::Internal,
        }
    }

    /// A field that is malformed.
    #[must_use]
    pub fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { code: ReasonCode::InvalidArgument, field, problem: problem.into() }
    }

    /// A field that is above its limit.
    #[must_use]
    pub fn above_limit(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { code: ReasonCode::LimitExceeded, field, problem: problem.into() }
    }

    /// Something is not available that must be.
    #[must_use]
    pub fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Box::new(cause))
    }

    /// A defect.
    #[must_use]
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(cause))
    }
}
