//! How what the broker decides stands in events, and how it is read back.

use bytes::Bytes;

use crate::broker::ask::{RequestContext, Target};
use crate::broker::fold::FoldError;
use crate::broker::state::ActivePolicy;
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{EntryFacts, FACTS_VERSION, Facts};
use crate::model::id::{DecisionId, TaskId};
use crate::model::provenance::Provenance;
use crate::model::risk::Band;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::policy::bundle::PolicyBundle;
use crate::seal::sealer::COMMON;

/// The stream of a task family.
pub(in crate::broker) fn family_stream(root: TaskId) -> String {
    format!("task/{root}")
}

/// The family under whose key the words in a stream are sealed.
pub(in crate::broker) fn family_of(stream: &str) -> TaskId {
    stream.strip_prefix("task/").and_then(|root| root.parse().ok()).unwrap_or(COMMON)
}

/// The stream of what concerns the broker as a whole.
pub(in crate::broker) const SYSTEM_STREAM: &str = "system";

/// An event with everything but its place.
pub(in crate::broker) fn event(
    stream: String,
    actor: pb::Actor,
    context: &RequestContext,
    payload: Payload,
) -> pb::Event {
    pb::Event {
        stream,
        actor: Some(actor),
        traceparent: context.traceparent.clone(),
        prompt_id: context.prompt_id.clone(),
        tool_call_id: context.tool_call_id.clone(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        payload: Some(payload),
    }
}

/// A decision as it is recorded: what may be read after erasure, and the sealed words.
pub(in crate::broker) fn decision(
    id: DecisionId,
    decision: &Decision,
    facts: &Facts,
    policy: &ActivePolicy,
    bundle: &PolicyBundle,
    sealed: Bytes,
) -> pb::Decision {
    let reasons = decision.reasons.iter().map(|r| pb::Reason {
        code: r.code.to_string(),
        access: r.entry,
        policy: r.policy.as_ref().map(ToString::to_string).unwrap_or_default(),
    });
    let contributions = decision.risk.contributions.iter().map(|c| pb::Contribution {
        signal: c.signal.to_string(),
        source: c.source.clone(),
        points: c.points,
        counted: c.counted,
    });
    let conclusions = facts.entries.iter().zip(&decision.entries).map(|(e, d)| conclusion(e, d.outcome, bundle));
    pb::Decision {
        decision_id: id.to_string(),
        question: facts.question.as_str().to_owned(),
        outcome: wire_outcome(decision.outcome).into(),
        reasons: reasons.collect(),
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        policy_digest: policy.digest.clone(),
        policy_revision: policy.revision,
        risk: decision.risk.score.points().into(),
        band: wire_band(decision.risk.band).into(),
        contributions: contributions.collect(),
        conclusions: conclusions.collect(),
        ttl_max_s: u32::try_from(decision.ttl_max.as_secs()).unwrap_or(u32::MAX),
        approvals_needed: decision.approvals_needed,
        facts_version: FACTS_VERSION,
        sealed,
        instead: decision.instead.map_or(0, |instead| wire_outcome(instead).into()),
        observed_class: if decision.observed_only() { facts.principal.class.to_string() } else { String::new() },
    }
}

fn conclusion(entry: &EntryFacts, outcome: Outcome, bundle: &PolicyBundle) -> pb::Conclusion {
    let effect = bundle.catalogue().tool(&entry.tool).map(|t| t.effect.to_string()).unwrap_or_default();
    let sinks = entry.sinks.iter().map(|s| pb::SinkConclusion {
        name: s.name.clone(),
        provenance: wire_provenance(s.provenance).into(),
        evidence_position: s.evidence.as_ref().map(|e| e.position).unwrap_or_default(),
    });
    pb::Conclusion {
        tool: entry.tool.to_string(),
        effect,
        ceiling: entry.ceiling.as_str().to_owned(),
        intent_fit: entry.intent_fit.verdict.as_str().to_owned(),
        sinks: sinks.collect(),
        outcome: wire_outcome(outcome).into(),
    }
}

/// Reads a target back.
pub(in crate::broker) fn parse_target(kind: &str, name: &str) -> Result<Target, FoldError> {
    Ok(match kind {
        "grant" => Target::Grant(name.parse()?),
        "task" => Target::Task(name.parse()?),
        "agent" => Target::Agent(name.parse()?),
        "initiator" => Target::Initiator(name.parse()?),
        "audience" => Target::Audience(name.parse()?),
        "everything" => Target::Everything,
        _ => return Err(FoldError::Value("target kind")),
    })
}

/// The outcome on the wire and in events.
#[must_use]
pub const fn wire_outcome(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Granted => v1::Outcome::Granted,
        Outcome::Narrowed => v1::Outcome::Narrowed,
        Outcome::StepUp => v1::Outcome::StepUp,
        Outcome::Review => v1::Outcome::Review,
        Outcome::Denied => v1::Outcome::Denied,
    }
}

/// The outcome that a number of an event stands for.
#[must_use]
pub fn outcome(number: i32) -> Option<Outcome> {
    Some(match v1::Outcome::try_from(number).ok()? {
        v1::Outcome::Granted => Outcome::Granted,
        v1::Outcome::Narrowed => Outcome::Narrowed,
        v1::Outcome::StepUp => Outcome::StepUp,
        v1::Outcome::Review => Outcome::Review,
        v1::Outcome::Denied => Outcome::Denied,
        v1::Outcome::Unspecified => return None,
    })
}

/// What holds of a recorded decision: its outcome, or what was done instead where policy only observed.
#[must_use]
pub fn in_force(decision: &pb::Decision) -> Option<Outcome> {
    if decision.instead == 0 { outcome(decision.outcome) } else { outcome(decision.instead) }
}

/// The band on the wire and in events.
#[must_use]
pub const fn wire_band(band: Band) -> v1::Band {
    match band {
        Band::Low => v1::Band::Low,
        Band::Elevated => v1::Band::Elevated,
        Band::High => v1::Band::High,
        Band::Critical => v1::Band::Critical,
    }
}

/// The band that a number of an event stands for.
#[must_use]
pub fn band(number: i32) -> Option<Band> {
    Some(match v1::Band::try_from(number).ok()? {
        v1::Band::Low => Band::Low,
        v1::Band::Elevated => Band::Elevated,
        v1::Band::High => Band::High,
        v1::Band::Critical => Band::Critical,
        v1::Band::Unspecified => return None,
    })
}

/// The provenance on the wire and in events.
#[must_use]
pub const fn wire_provenance(provenance: Provenance) -> v1::Provenance {
    match provenance {
        Provenance::Intent => v1::Provenance::Intent,
        Provenance::Ceiling => v1::Provenance::Ceiling,
        Provenance::Field => v1::Provenance::Field,
        Provenance::Argument => v1::Provenance::Argument,
        Provenance::Text => v1::Provenance::Text,
        Provenance::None => v1::Provenance::None,
    }
}

/// SHA-256 over what was asked, with each part's length before it, so that no two asks share one.
pub(in crate::broker) fn asked_digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}
