//! Single fields: identifiers, text, times and lengths of life, each with its limit and the name that the API has for it. A
//! refusal names the field and the rule, never the value.

use std::str::FromStr;

use zeroize::Zeroizing;

use crate::broker::ask::{RequestContext, ShownHandle, ShownToken};
use crate::broker::error::BrokerError;
use crate::model::decimal::Decimal;
use crate::model::id::ParseIdError;
use crate::model::json::{Json, ParseJsonError};
use crate::model::limits::{NAME_BYTES_MAX, REQUEST_ID_BYTES_MAX, TASK_SECONDS_MAX, TOKEN_BYTES_MAX};
use crate::model::spiffe_id::{ParseSpiffeIdError, SpiffeId};
use crate::model::task::AgentProfile;
use crate::model::time::{Timestamp, Ttl};
use crate::pb::v1;

/// The end of the year 9999: the last moment that a protobuf `Timestamp` names.
const SECONDS_MAX: i64 = 253_402_300_799;
/// Longest task handle that is read: four times what is ever made.
const HANDLE_BYTES_MAX: usize = 256;

/// An identifier.
pub(in crate::grpc) fn id<T: FromStr<Err = ParseIdError>>(field: &'static str, text: &str) -> Result<T, BrokerError> {
    text.parse().map_err(|e: ParseIdError| match e.problem {
        "too long" => BrokerError::above_limit(field, e.problem),
        problem => BrokerError::invalid(field, problem),
    })
}

/// An identifier that may be left out.
pub(in crate::grpc) fn id_if_given<T>(field: &'static str, text: &str) -> Result<Option<T>, BrokerError>
where
    T: FromStr<Err = ParseIdError>,
{
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// A SPIFFE ID.
pub(in crate::grpc) fn spiffe_id(field: &'static str, text: &str) -> Result<SpiffeId, BrokerError> {
    text.parse().map_err(|e| match e {
        ParseSpiffeIdError::TooLong | ParseSpiffeIdError::TrustDomainTooLong => {
            BrokerError::above_limit(field, e.to_string())
        }
        _ => BrokerError::invalid(field, e.to_string()),
    })
}

/// Text of several lines, empty or not: no control characters but tabs and ends of lines.
pub(in crate::grpc) fn text(field: &'static str, text: String, bytes_max: usize) -> Result<String, BrokerError> {
    bounded(field, &text, bytes_max)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(BrokerError::invalid(field, "holds a control character"));
    }
    Ok(text)
}

/// Text that must say something.
pub(in crate::grpc) fn words(field: &'static str, words: String, bytes_max: usize) -> Result<String, BrokerError> {
    let words = text(field, words, bytes_max)?;
    if words.trim().is_empty() {
        return Err(BrokerError::invalid(field, "empty"));
    }
    Ok(words)
}

/// One line, empty or not: no control characters at all.
pub(in crate::grpc) fn line(field: &'static str, text: String, bytes_max: usize) -> Result<String, BrokerError> {
    bounded(field, &text, bytes_max)?;
    if text.chars().any(char::is_control) {
        return Err(BrokerError::invalid(field, "holds a control character"));
    }
    Ok(text)
}

/// A list of lines, none of them empty.
pub(in crate::grpc) fn lines(
    field: &'static str,
    list: Vec<String>,
    count_max: usize,
    bytes_max: usize,
) -> Result<Vec<String>, BrokerError> {
    counted(field, list.len(), count_max)?;
    list.into_iter()
        .map(|text| {
            if text.is_empty() {
                return Err(BrokerError::invalid(field, "holds an empty entry"));
            }
            line(field, text, bytes_max)
        })
        .collect()
}

/// A list of identifiers.
pub(in crate::grpc) fn ids<T>(field: &'static str, list: &[String], count_max: usize) -> Result<Vec<T>, BrokerError>
where
    T: FromStr<Err = ParseIdError>,
{
    counted(field, list.len(), count_max)?;
    list.iter().map(|text| id(field, text)).collect()
}

/// Refuses a list that is too long.
pub(in crate::grpc) fn counted(field: &'static str, count: usize, count_max: usize) -> Result<(), BrokerError> {
    if count > count_max {
        return Err(BrokerError::above_limit(field, format!("holds more than {count_max} entries")));
    }
    Ok(())
}

/// Refuses text that is too long.
fn bounded(field: &'static str, text: &str, bytes_max: usize) -> Result<(), BrokerError> {
    if text.len() > bytes_max {
        return Err(BrokerError::above_limit(field, format!("longer than {bytes_max} bytes")));
    }
    Ok(())
}

/// A point in time that must be given.
pub(in crate::grpc) fn time(field: &'static str, at: Option<prost_types::Timestamp>) -> Result<Timestamp, BrokerError> {
    time_if_given(field, at)?.ok_or_else(|| BrokerError::invalid(field, "missing"))
}

/// A point in time that may be left out.
pub(in crate::grpc) fn time_if_given(
    field: &'static str,
    at: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, BrokerError> {
    let Some(at) = at else { return Ok(None) };
    let outside = || BrokerError::invalid(field, "not a time between 1970 and 9999");
    if !(0..=SECONDS_MAX).contains(&at.seconds) || !(0..1_000_000_000).contains(&at.nanos) {
        return Err(outside());
    }
    let seconds = u64::try_from(at.seconds).map_err(|_| outside())?;
    let millis = u64::try_from(at.nanos / 1_000_000).map_err(|_| outside())?;
    Ok(Some(Timestamp::from_millis(seconds * 1000 + millis)))
}

/// The length of a life that may be left out: whole seconds, at least one. What is merely longer than policy allows is cut
/// later; what no task can last is refused here.
pub(in crate::grpc) fn ttl(
    field: &'static str,
    span: Option<prost_types::Duration>,
) -> Result<Option<Ttl>, BrokerError> {
    let Some(span) = span else { return Ok(None) };
    let seconds = u64::try_from(span.seconds).map_err(|_| BrokerError::invalid(field, "below zero"))?;
    if span.nanos != 0 {
        return Err(BrokerError::invalid(field, "not whole seconds"));
    }
    if seconds > TASK_SECONDS_MAX {
        return Err(BrokerError::above_limit(field, format!("longer than {TASK_SECONDS_MAX} seconds")));
    }
    Ttl::from_secs(seconds).map(Some).map_err(|e| BrokerError::invalid(field, e.to_string()))
}

/// An amount, not below zero, that may be left out.
pub(in crate::grpc) fn amount(field: &'static str, text: &str) -> Result<Option<Decimal>, BrokerError> {
    if text.is_empty() {
        return Ok(None);
    }
    let amount: Decimal = text.parse().map_err(|_| BrokerError::invalid(field, "not a decimal number"))?;
    if amount.is_negative() {
        return Err(BrokerError::invalid(field, "below zero"));
    }
    Ok(Some(amount))
}

/// A JSON document that was refused, by the field that held it.
pub(in crate::grpc) fn json(field: &'static str, parsed: Result<Json, ParseJsonError>) -> Result<Json, BrokerError> {
    parsed.map_err(|e| match e {
        ParseJsonError::TooLong { .. } | ParseJsonError::TooDeep | ParseJsonError::TooMany => {
            BrokerError::above_limit(field, e.to_string())
        }
        ParseJsonError::Syntax(_) | ParseJsonError::NotAnObject => BrokerError::invalid(field, e.to_string()),
    })
}

/// A task handle that must be shown.
pub(in crate::grpc) fn handle(field: &'static str, shown: String) -> Result<ShownHandle, BrokerError> {
    handle_if_shown(field, shown)?.ok_or_else(|| BrokerError::invalid(field, "empty"))
}

/// A task handle that need not be shown.
pub(in crate::grpc) fn handle_if_shown(field: &'static str, shown: String) -> Result<Option<ShownHandle>, BrokerError> {
    let shown = Zeroizing::new(shown);
    bounded(field, &shown, HANDLE_BYTES_MAX)?;
    Ok(if shown.is_empty() { None } else { Some(ShownHandle(shown)) })
}

/// A person's token that need not be shown. What it is worth is the broker's to ask.
pub(in crate::grpc) fn token_if_shown(field: &'static str, shown: String) -> Result<Option<ShownToken>, BrokerError> {
    let shown = Zeroizing::new(shown);
    bounded(field, &shown, TOKEN_BYTES_MAX)?;
    Ok(if shown.is_empty() { None } else { Some(ShownToken(shown)) })
}

/// Ids for the timeline.
pub(in crate::grpc) fn context(context: Option<v1::RequestContext>) -> Result<RequestContext, BrokerError> {
    let context = context.unwrap_or_default();
    if !context.traceparent.is_empty() && !is_traceparent(&context.traceparent) {
        return Err(BrokerError::invalid("context.traceparent", "not a W3C traceparent"));
    }
    Ok(RequestContext {
        prompt_id: line("context.prompt_id", context.prompt_id, REQUEST_ID_BYTES_MAX)?,
        tool_call_id: line("context.tool_call_id", context.tool_call_id, REQUEST_ID_BYTES_MAX)?,
        traceparent: context.traceparent,
    })
}

/// W3C Trace Context §3.2: version, trace id, parent id and flags in lower-case hexadecimal; ids of zeros name nothing.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else { return false };
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let named = |part: &str| part.bytes().any(|b| b != b'0');
    hex(version, 2)
        && *version != "ff"
        && hex(trace, 32)
        && named(trace)
        && hex(parent, 16)
        && named(parent)
        && hex(flags, 2)
}

/// What an agent is made of.
pub(in crate::grpc) fn profile(profile: Option<v1::AgentProfile>) -> Result<AgentProfile, BrokerError> {
    let profile = profile.unwrap_or_default();
    Ok(AgentProfile {
        model: line("agent_profile.model", profile.model, NAME_BYTES_MAX)?,
        prompt_digest: line("agent_profile.prompt_digest", profile.prompt_digest, NAME_BYTES_MAX)?,
        corpus_digest: line("agent_profile.corpus_digest", profile.corpus_digest, NAME_BYTES_MAX)?,
        tools_digest: line("agent_profile.tools_digest", profile.tools_digest, NAME_BYTES_MAX)?,
    })
}
