//! Terms: what an event can be found by. The same words are looked up in the index and compared with the event itself.

use std::collections::BTreeSet;

use crate::pb::journal::actor::Kind;
use crate::pb::journal::event::Payload;
use crate::pb::journal::{Decision, Event};
use crate::pb::names;

/// What a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TermKind {
    Decision = 1,
    Grant = 2,
    Trace = 3,
    Task = 4,
    Stream = 5,
    Agent = 6,
    Actor = 7,
    Initiator = 8,
    Tool = 9,
    Reason = 10,
    Kind = 11,
    Outcome = 12,
}

impl TermKind {
    /// Every kind, in the order in which it narrows a search most.
    pub(super) const ALL: [Self; 12] = [
        Self::Decision,
        Self::Grant,
        Self::Trace,
        Self::Task,
        Self::Stream,
        Self::Agent,
        Self::Actor,
        Self::Initiator,
        Self::Tool,
        Self::Reason,
        Self::Kind,
        Self::Outcome,
    ];
}

/// A term as the index knows it: its kind, and a hash that others may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Term {
    pub(super) kind: TermKind,
    pub(super) hash: u32,
}

impl Term {
    pub(super) fn of(kind: TermKind, text: &str) -> Self {
        Self { kind, hash: crc32c::crc32c_append(kind as u32, text.as_bytes()) >> (32 - HASH_BITS) }
    }
}

/// Bits of a hash: with the place of an event in its block it makes 32.
pub(super) const HASH_BITS: u32 = 22;
/// Terms of an event that has many; more cost one more allocation.
const TERMS_USUAL: usize = 20;

/// The terms of an event, each once.
pub(super) fn terms(event: &Event) -> Box<[Term]> {
    let mut all = Vec::with_capacity(TERMS_USUAL);
    visit(event, &mut |kind, text| all.push(Term::of(kind, text)));
    all.sort_unstable();
    all.dedup();
    all.into_boxed_slice()
}

/// True when the event has every one of these terms.
pub(super) fn has_all(event: &Event, wanted: &[(TermKind, String)]) -> bool {
    let mut missing: BTreeSet<usize> = (0..wanted.len()).collect();
    visit(event, &mut |kind, text| missing.retain(|at| wanted.get(*at).is_none_or(|(k, t)| *k != kind || t != text)));
    missing.is_empty()
}

/// The name of what happened, as searches know it, e.g. `credential_decided`.
#[must_use]
pub fn kind_name(event: &Event) -> &'static str {
    match &event.payload {
        Some(Payload::BrokerStarted(_)) => "broker_started",
        Some(Payload::TaskDecided(_)) => "task_decided",
        Some(Payload::TaskAmended(_)) => "task_amended",
        Some(Payload::TaskPaused(_)) => "task_paused",
        Some(Payload::TaskResumed(_)) => "task_resumed",
        Some(Payload::TaskEnded(_)) => "task_ended",
        Some(Payload::CredentialDecided(_)) => "credential_decided",
        Some(Payload::GrantReconsidered(_)) => "grant_reconsidered",
        Some(Payload::GrantReleased(_)) => "grant_released",
        Some(Payload::Revoked(_)) => "revoked",
        Some(Payload::BlockLifted(_)) => "block_lifted",
        Some(Payload::SignalReported(_)) => "signal_reported",
        Some(Payload::ToolCallReported(_)) => "tool_call_reported",
        Some(Payload::ReportKeyGiven(_)) => "report_key_given",
        Some(Payload::PolicyActivated(_)) => "policy_activated",
        Some(Payload::KeyRotated(_)) => "key_rotated",
        Some(Payload::Refused(_)) => "refused",
        Some(Payload::FamilyReconsidered(_)) => "family_reconsidered",
        Some(Payload::TrustWithdrawn(_)) => "trust_withdrawn",
        Some(Payload::TrustRestored(_)) => "trust_restored",
        Some(Payload::ApprovalAnswered(_)) => "approval_answered",
        Some(Payload::ApprovalWithdrawn(_)) => "approval_withdrawn",
        Some(Payload::ApprovalEscalated(_)) => "approval_escalated",
        Some(Payload::ExtensionTakenBack(_)) => "extension_taken_back",
        Some(Payload::BreakGlassOpened(opened)) if opened.glass_id.is_empty() => "break_glass_refused",
        Some(Payload::BreakGlassOpened(_)) => "break_glass_opened",
        Some(Payload::BreakGlassUsed(_)) => "break_glass_used",
        Some(Payload::BreakGlassClosed(_)) => "break_glass_closed",
        Some(Payload::BreakGlassReviewed(_)) => "break_glass_reviewed",
        Some(Payload::BreakGlassReviewOverdue(_)) => "break_glass_review_overdue",
        Some(Payload::DecisionLabelled(_)) => "decision_labelled",
        Some(Payload::DriftReferenceSet(_)) => "drift_reference_set",
        Some(Payload::DriftDetected(_)) => "drift_detected",
        Some(Payload::DriftEnded(_)) => "drift_ended",
        Some(Payload::ObservingEnded(_)) => "observing_ended",
        Some(Payload::PolicyProposed(_)) => "policy_proposed",
        Some(Payload::PolicyProposalWithdrawn(_)) => "policy_proposal_withdrawn",
        None => "",
    }
}

/// The trace id inside a W3C traceparent; empty when there is none.
pub(super) fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

// Tells every term of an event, empty ones left out.
fn visit<'a>(event: &'a Event, tell: &mut dyn FnMut(TermKind, &'a str)) {
    let mut tell = |kind, text: &'a str| {
        if !text.is_empty() {
            tell(kind, text);
        }
    };
    tell(TermKind::Kind, kind_name(event));
    tell(TermKind::Stream, &event.stream);
    tell(TermKind::Trace, trace_id(&event.traceparent));
    if let Some(actor) = &event.actor {
        tell(TermKind::Actor, &actor.id);
        if actor.kind() == Kind::Workload && matches!(actor.class.as_str(), "ai_agent" | "service_account") {
            tell(TermKind::Agent, &actor.id);
        }
    }
    visit_payload(event, &mut tell);
}

fn visit_payload<'a>(event: &'a Event, tell: &mut dyn FnMut(TermKind, &'a str)) {
    match &event.payload {
        Some(Payload::TaskDecided(decided)) => {
            visit_decision(decided.decision.as_ref(), tell);
            if let Some(task) = &decided.task {
                tell(TermKind::Task, &task.task_id);
                tell(TermKind::Agent, &task.agent);
                tell(TermKind::Initiator, &task.initiator);
            }
        }
        Some(Payload::TaskAmended(amended)) => {
            tell(TermKind::Task, &amended.task_id);
            tell(TermKind::Agent, &amended.agent);
            tell(TermKind::Initiator, &amended.initiator);
            visit_decision(amended.decision.as_ref(), tell);
        }
        Some(Payload::TaskPaused(paused)) => tell(TermKind::Task, &paused.task_id),
        Some(Payload::TaskResumed(resumed)) => tell(TermKind::Task, &resumed.task_id),
        Some(Payload::TaskEnded(ended)) => tell(TermKind::Task, &ended.task_id),
        Some(Payload::CredentialDecided(decided)) => {
            tell(TermKind::Task, &decided.task_id);
            tell(TermKind::Agent, &decided.agent);
            tell(TermKind::Initiator, &decided.initiator);
            visit_decision(decided.decision.as_ref(), tell);
            if let Some(grant) = &decided.grant {
                tell(TermKind::Grant, &grant.grant_id);
                grant.tools.iter().for_each(|tool| tell(TermKind::Tool, tool));
            }
        }
        Some(Payload::GrantReconsidered(reconsidered)) => {
            tell(TermKind::Task, &reconsidered.task_id);
            tell(TermKind::Grant, &reconsidered.grant_id);
            visit_decision(reconsidered.decision.as_ref(), tell);
        }
        Some(Payload::GrantReleased(released)) => {
            tell(TermKind::Task, &released.task_id);
            tell(TermKind::Grant, &released.grant_id);
        }
        Some(Payload::Revoked(revoked)) => visit_target(&revoked.target_kind, &revoked.target, tell),
        Some(Payload::BlockLifted(lifted)) => visit_target(&lifted.target_kind, &lifted.target, tell),
        Some(Payload::SignalReported(signal)) => tell(TermKind::Task, &signal.task_id),
        Some(Payload::ToolCallReported(call)) => {
            tell(TermKind::Task, &call.task_id);
            tell(TermKind::Grant, &call.grant_id);
            tell(TermKind::Tool, &call.tool);
        }
        Some(Payload::ReportKeyGiven(given)) => {
            tell(TermKind::Task, &given.task_id);
            tell(TermKind::Grant, &given.grant_id);
            tell(TermKind::Tool, &given.tool);
        }
        Some(Payload::Refused(refused)) => {
            tell(TermKind::Agent, &refused.subject);
            refused.shown.iter().for_each(|shown| tell(TermKind::Agent, shown));
            tell(TermKind::Task, &refused.task_id);
            tell(TermKind::Reason, &refused.code);
        }
        Some(Payload::ApprovalAnswered(answered)) => tell(TermKind::Task, &answered.task_id),
        Some(Payload::ApprovalEscalated(escalated)) => tell(TermKind::Task, &escalated.task_id),
        Some(Payload::ApprovalWithdrawn(withdrawn)) => {
            tell(TermKind::Task, &withdrawn.task_id);
            tell(TermKind::Grant, &withdrawn.grant_id);
        }
        Some(Payload::ExtensionTakenBack(taken)) => tell(TermKind::Task, &taken.task_id),
        Some(Payload::BreakGlassOpened(opened)) => {
            tell(TermKind::Task, &opened.task_id);
            tell(TermKind::Agent, &opened.agent);
            tell(TermKind::Initiator, &opened.initiator);
            visit_decision(opened.decision.as_ref(), tell);
        }
        Some(Payload::BreakGlassUsed(used)) => {
            tell(TermKind::Task, &used.task_id);
            tell(TermKind::Grant, &used.grant_id);
        }
        Some(Payload::BreakGlassClosed(closed)) => {
            tell(TermKind::Task, &closed.task_id);
            closed.grant_ids.iter().for_each(|grant| tell(TermKind::Grant, grant));
        }
        Some(Payload::BreakGlassReviewed(reviewed)) => tell(TermKind::Task, &reviewed.task_id),
        Some(Payload::BreakGlassReviewOverdue(overdue)) => tell(TermKind::Task, &overdue.task_id),
        Some(Payload::DecisionLabelled(labelled)) => {
            tell(TermKind::Task, &labelled.task_id);
            tell(TermKind::Decision, &labelled.decision_id);
        }
        Some(Payload::FamilyReconsidered(family)) => tell(TermKind::Task, &family.root_task_id),
        Some(Payload::TrustWithdrawn(withdrawn)) => tell(TermKind::Reason, &withdrawn.code),
        Some(
            Payload::BrokerStarted(_)
            | Payload::PolicyActivated(_)
            | Payload::KeyRotated(_)
            | Payload::TrustRestored(_)
            | Payload::DriftReferenceSet(_)
            | Payload::DriftDetected(_)
            | Payload::DriftEnded(_)
            | Payload::ObservingEnded(_)
            | Payload::PolicyProposed(_)
            | Payload::PolicyProposalWithdrawn(_),
        )
        | None => {}
    }
}

fn visit_decision<'a>(decision: Option<&'a Decision>, tell: &mut dyn FnMut(TermKind, &'a str)) {
    let Some(decision) = decision else { return };
    tell(TermKind::Decision, &decision.decision_id);
    tell(TermKind::Outcome, names::outcome(decision.outcome));
    decision.reasons.iter().for_each(|reason| tell(TermKind::Reason, &reason.code));
    decision.conclusions.iter().for_each(|conclusion| tell(TermKind::Tool, &conclusion.tool));
}

fn visit_target<'a>(kind: &str, target: &'a str, tell: &mut dyn FnMut(TermKind, &'a str)) {
    match kind {
        "task" => tell(TermKind::Task, target),
        "grant" => tell(TermKind::Grant, target),
        "agent" => tell(TermKind::Agent, target),
        "initiator" => tell(TermKind::Initiator, target),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
