//! Labels, calibrations and drift, as they are asked for.

use crate::broker::ask::{Calibrate, LabelDecision, ListLabels, SetDriftReference};
use crate::broker::drift::class_named;
use crate::broker::error::BrokerError;
use crate::broker::label::label;
use crate::grpc::codec::field;
use crate::model::identity::IdentityClass;
use crate::model::limits::{
    CALIBRATE_DECISIONS_MAX, CALIBRATE_LABELS_MAX, PAGE_SIZE_MAX, REASON_BYTES_MAX, REFERENCE_BYTES_MAX,
};
use crate::pb::v1;

/// Says what a decision was about.
pub(in crate::grpc) fn labelled(request: v1::LabelDecisionRequest) -> Result<LabelDecision, BrokerError> {
    Ok(LabelDecision {
        decision: field::id("decision_id", &request.decision_id)?,
        label: label(request.label).ok_or_else(|| BrokerError::invalid("label", "none of those that there are"))?,
        note: field::text("note", request.note, REASON_BYTES_MAX)?,
    })
}

/// Lists labels.
pub(in crate::grpc) fn listed(request: v1::ListLabelsRequest) -> Result<ListLabels, BrokerError> {
    if request.page_size > PAGE_SIZE_MAX {
        return Err(BrokerError::above_limit("page_size", format!("above {PAGE_SIZE_MAX}")));
    }
    Ok(ListLabels {
        decision: field::id_if_given("decision_id", &request.decision_id)?,
        from: field::time_if_given("from", request.from)?,
        until: field::time_if_given("until", request.until)?,
        page_size: request.page_size,
        page_token: field::line("page_token", request.page_token, REFERENCE_BYTES_MAX)?,
    })
}

/// Asks what other thresholds would have meant.
pub(in crate::grpc) fn calibrated(request: &v1::CalibrateRequest) -> Result<Calibrate, BrokerError> {
    Ok(Calibrate {
        class: class(&request.class)?,
        from: field::time_if_given("from", request.from)?,
        until: field::time_if_given("until", request.until)?,
        decisions_max: CALIBRATE_DECISIONS_MAX,
        labels_max: CALIBRATE_LABELS_MAX,
    })
}

/// Says what decisions are compared with.
pub(in crate::grpc) fn referred(request: &v1::SetDriftReferenceRequest) -> Result<SetDriftReference, BrokerError> {
    Ok(SetDriftReference { class: class(&request.class)?, clear: request.clear })
}

fn class(name: &str) -> Result<IdentityClass, BrokerError> {
    class_named(name).ok_or_else(|| BrokerError::invalid("class", "no class of identities that work on tasks"))
}
