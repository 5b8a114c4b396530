//! Values of reported calls that are told by their digests.

use crate::broker::error::BrokerError;
use crate::grpc::codec::field;
use crate::model::digested::{DIGEST_BYTES, DigestedCall, DigestedField, DigestedKind};
use crate::model::limits::{DIGESTED_FIELDS_MAX, DIGESTED_PATH_BYTES_MAX, NAME_BYTES_MAX};
use crate::pb::v1;

/// What of a call is told by digests.
pub(in crate::grpc) fn call(
    arguments: Vec<v1::DigestedField>,
    result: Vec<v1::DigestedField>,
    key_id: String,
) -> Result<DigestedCall, BrokerError> {
    field::counted("digested_result", arguments.len().saturating_add(result.len()), DIGESTED_FIELDS_MAX)?;
    let key_id = field::line("digest_key_id", key_id, NAME_BYTES_MAX)?;
    if key_id.is_empty() != (arguments.is_empty() && result.is_empty()) {
        return Err(BrokerError::invalid("digest_key_id", "is needed where values are told by digest, and only there"));
    }
    let read = |name, fields: Vec<v1::DigestedField>| -> Result<Vec<DigestedField>, BrokerError> {
        fields.into_iter().map(|told| one(name, told)).collect()
    };
    let (arguments, result) = (read("digested_arguments", arguments)?, read("digested_result", result)?);
    Ok(DigestedCall { key_id, arguments, result })
}

fn one(name: &'static str, told: v1::DigestedField) -> Result<DigestedField, BrokerError> {
    let path = field::line(name, told.path, DIGESTED_PATH_BYTES_MAX)?;
    let kind = DigestedKind::named(&told.kind);
    let kind = kind.ok_or_else(|| BrokerError::invalid(name, "holds a kind that is none"))?;
    let hmac = <[u8; DIGEST_BYTES]>::try_from(told.hmac.as_ref());
    let hmac =
        hmac.map_err(|_| BrokerError::invalid(name, format!("holds a digest that has not {DIGEST_BYTES} bytes")))?;
    Ok(DigestedField { path, kind, hmac })
}
