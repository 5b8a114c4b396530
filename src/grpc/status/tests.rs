//! Each error has its code and reason, and tells no more than is safe.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::model::id::DecisionId;
use crate::model::time::Timestamp;

fn secret() -> Box<dyn Error + Send + Sync> {
    "the cause: /var/lib/carnet/secret".into()
}

#[test]
fn every_error_has_its_code_and_reason() {
    let id = DecisionId::new(Timestamp::from_secs(1), [1; 10]);
    let field = BrokerError::invalid("intent", "empty");
    let limit = BrokerError::above_limit("intent", "longer than 9 bytes");
    let precondition = BrokerError::Precondition { code: ReasonCode::TaskEnded, decision: Some(id) };
    for (error, code, reason) in [
        (field, Code::InvalidArgument, "INVALID_ARGUMENT"),
        (limit, Code::InvalidArgument, "LIMIT_EXCEEDED"),
        (BrokerError::Unauthenticated { code: ReasonCode::SvidExpired }, Code::Unauthenticated, "SVID_EXPIRED"),
        (BrokerError::NotPermitted { code: ReasonCode::IdentityUnknown }, Code::PermissionDenied, "IDENTITY_UNKNOWN"),
        (BrokerError::NotFound { what: "task" }, Code::NotFound, "NOT_FOUND"),
        (precondition, Code::FailedPrecondition, "TASK_ENDED"),
        (BrokerError::Conflict, Code::Aborted, "CONFLICT"),
        (BrokerError::RateLimited, Code::ResourceExhausted, "RATE_LIMITED"),
        (BrokerError::StorageFull, Code::ResourceExhausted, "STORAGE_FULL"),
        (BrokerError::Unavailable(secret()), Code::Unavailable, "UNAVAILABLE"),
        (BrokerError::Internal(secret()), Code::Internal, "INTERNAL"),
    ] {
        let status = of(&error);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str(), info.domain.as_str()), (code, reason, DOMAIN), "{error}");
        assert!(!status.message().is_empty() && !status.message().contains("cause"), "{}", status.message());
        assert_eq!(info.metadata.contains_key(DECISION_ID), reason == "TASK_ENDED");
    }
}

#[test]
fn a_malformed_field_is_named() {
    let status = of(&BrokerError::invalid("access.tool", "empty"));
    let request = status.get_details_bad_request().unwrap();
    assert_eq!(request.field_violations[0].field, "access.tool");
    assert_eq!(status.message(), "access.tool: empty");
}

#[test]
fn a_wrong_handle_looks_like_no_task() {
    let wrong = refusal(Code::NotFound, ReasonCode::HandleWrong);
    assert_eq!(wrong.message(), ReasonCode::NotFound.for_agent());
}

#[test]
fn the_log_gets_the_whole_chain_of_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("above")]
    struct Above(#[source] std::fmt::Error);
    let text = Causes(&Above(std::fmt::Error)).to_string();
    assert!(text.starts_with("above: ") && text.len() > 7, "{text}");
}
