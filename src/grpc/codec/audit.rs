//! What is searched for in the record.

use crate::broker::ask::SearchEvents;
use crate::broker::error::BrokerError;
use crate::broker::record::outcome;
use crate::grpc::codec::field;
use crate::model::limits::{NAME_BYTES_MAX, PAGE_SIZE_MAX, REFERENCE_BYTES_MAX};
use crate::model::reason::ReasonCode;
use crate::pb::v1;

/// Searches the record.
pub(in crate::grpc) fn search(request: v1::SearchEventsRequest) -> Result<SearchEvents, BrokerError> {
    if request.page_size > PAGE_SIZE_MAX {
        return Err(BrokerError::above_limit("page_size", format!("above {PAGE_SIZE_MAX}")));
    }
    Ok(SearchEvents {
        task: field::id_if_given("task_id", &request.task_id)?,
        agent: if request.agent.is_empty() { None } else { Some(field::spiffe_id("agent", &request.agent)?) },
        initiator: field::id_if_given("initiator", &request.initiator)?,
        tool: field::id_if_given("tool", &request.tool)?,
        outcome: match request.outcome {
            0 => None,
            number => Some(outcome(number).ok_or_else(|| BrokerError::invalid("outcome", "not an outcome"))?),
        },
        reason: reason(&request.reason)?,
        trace_id: trace_id(request.trace_id)?,
        from: field::time_if_given("from", request.from)?,
        until: field::time_if_given("until", request.until)?,
        kind: kind(request.kind)?,
        page_size: request.page_size,
        page_token: field::line("page_token", request.page_token, REFERENCE_BYTES_MAX)?,
    })
}

fn reason(text: &str) -> Result<Option<ReasonCode>, BrokerError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| BrokerError::invalid("reason", "not a reason code"))
}

/// W3C Trace Context §3.2.2.3.
fn trace_id(text: String) -> Result<Option<String>, BrokerError> {
    match text.len() {
        0 => Ok(None),
        32 if text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => Ok(Some(text)),
        _ => Err(BrokerError::invalid("trace_id", "not 32 lower-case hexadecimal digits")),
    }
}

fn kind(text: String) -> Result<Option<String>, BrokerError> {
    let kind = field::line("kind", text, NAME_BYTES_MAX)?;
    Ok(if kind.is_empty() { None } else { Some(kind) })
}
