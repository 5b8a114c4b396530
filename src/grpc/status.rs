//! Errors as gRPC tells them: a code, and `google.rpc.ErrorInfo` with the reason code and the decision's id. The caller learns
//! nothing that is not safe to tell; the log gets the cause.

use std::collections::HashMap;
use std::error::Error;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::broker::error::BrokerError;
use crate::model::reason::ReasonCode;

/// `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "carnet";
/// The member of `ErrorInfo.metadata` that names the decision.
pub const DECISION_ID: &str = "decision_id";

/// The status of an error. What may not be seen and what does not exist look the same.
#[must_use]
pub fn of(error: &BrokerError) -> Status {
    let mut details = ErrorDetails::new();
    let mut metadata = HashMap::new();
    let reason = error.code();
    let mut message = reason.for_agent().to_owned();
    let code = match error {
        BrokerError::Invalid { field, problem, .. } => {
            details.add_bad_request_violation(*field, problem.clone());
            message = format!("{field}: {problem}");
            Code::InvalidArgument
        }
        BrokerError::Unauthenticated { .. } => Code::Unauthenticated,
        BrokerError::NotPermitted { .. } => Code::PermissionDenied,
        BrokerError::NotFound { what } => {
            message = format!("there is no such {what}");
            Code::NotFound
        }
        BrokerError::Precondition { decision, .. } => {
            if let Some(id) = decision {
                metadata.insert(DECISION_ID.to_owned(), id.to_string());
            }
            Code::FailedPrecondition
        }
        BrokerError::Conflict => Code::Aborted,
        BrokerError::RateLimited | BrokerError::StorageFull => Code::ResourceExhausted,
        BrokerError::Unavailable(_) => Code::Unavailable,
        BrokerError::Internal(_) => Code::Internal,
    };
    details.set_error_info(reason.as_str(), DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// A status for a reason that comes from the edge itself.
#[must_use]
pub fn refusal(code: Code, reason: ReasonCode) -> Status {
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, HashMap::new());
    Status::with_error_details(code, reason.for_agent(), details)
}

/// Tells the log what the caller is not told.
pub(in crate::grpc) fn log(error: &BrokerError) {
    match error {
        BrokerError::Internal(cause) => {
            tracing::error!(cause = %Causes(cause.as_ref()), "a request failed by a defect")
        }
        BrokerError::Unavailable(cause) => {
            tracing::warn!(cause = %Causes(cause.as_ref()), "a request could not be decided");
        }
        BrokerError::StorageFull => tracing::warn!("a request was refused because storage is full"),
        BrokerError::Invalid { .. }
        | BrokerError::Unauthenticated { .. }
        | BrokerError::NotPermitted { .. }
        | BrokerError::NotFound { .. }
        | BrokerError::Precondition { .. }
        | BrokerError::Conflict
        | BrokerError::RateLimited => tracing::debug!(code = %error.code(), "a request was refused"),
    }
}

/// An error and what caused it, in one line.
struct Causes<'a>(&'a (dyn Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The name of a code, as metrics have it.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
