//! One event in one line, for lists and timelines. Holds no words of people or agents.

use std::collections::BTreeSet;

use crate::broker::record::outcome;
use crate::journal::projection::Recorded;
use crate::model::decision::Outcome;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::approval_answered::Verdict;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::pb::v1;

/// The event as a list shows it.
pub(in crate::broker) fn summary(recorded: &Recorded) -> v1::EventSummary {
    let event = &recorded.event;
    let mut out = v1::EventSummary {
        position: recorded.position,
        time: Some(timestamp(recorded.time)),
        kind: crate::journal::terms::kind_name(event).to_owned(),
        actor: event.actor.as_ref().map(|a| a.id.clone()).unwrap_or_default(),
        ..v1::EventSummary::default()
    };
    match &event.payload {
        Some(Payload::CredentialDecided(e)) => credential(&mut out, e),
        Some(Payload::TaskDecided(e)) => {
            decided(&mut out, e.decision.as_ref());
            out.task_id = e.task.as_ref().map(|t| t.task_id.clone()).unwrap_or_default();
            out.summary = match &e.task {
                Some(task) => format!("registered for {} on behalf of {}", task.agent, task.initiator),
                None => "registration refused".to_owned(),
            };
        }
        Some(Payload::TaskAmended(e)) => {
            decided(&mut out, e.decision.as_ref());
            out.task_id.clone_from(&e.task_id);
            let what = if e.widened { "to more" } else { "to less" };
            out.summary = match (e.applied, e.approval_id.as_str()) {
                (true, "") => format!("amended {what}"),
                (true, approval) => format!("amended {what} by {approval}"),
                (false, "") => format!("amendment {what} not in force"),
                (false, approval) => format!("amendment {what} waits for people as {approval}"),
            };
        }
        Some(Payload::TaskPaused(e)) => about(&mut out, &e.task_id, "paused"),
        Some(Payload::TaskResumed(e)) => about(&mut out, &e.task_id, "resumed"),
        Some(Payload::TaskEnded(e)) => {
            let end = match v1::TaskState::try_from(e.state) {
                Ok(v1::TaskState::Completed) => "completed",
                Ok(v1::TaskState::Cancelled) => "cancelled",
                _ => "expired",
            };
            about(&mut out, &e.task_id, end);
        }
        Some(Payload::GrantReconsidered(e)) => {
            decided(&mut out, e.decision.as_ref());
            out.grant_id.clone_from(&e.grant_id);
            let effect = match e.effect() {
                Effect::Suspended => "suspended",
                Effect::Restored => "restored",
                Effect::Revoked => "revoked",
                Effect::Kept | Effect::Unspecified => "kept",
            };
            about(&mut out, &e.task_id, &format!("grant {effect} after {}", e.trigger));
        }
        Some(Payload::FamilyReconsidered(e)) => {
            about(&mut out, &e.root_task_id, &format!("live grants were decided again through event {}", e.through));
        }
        Some(Payload::GrantReleased(e)) => {
            out.grant_id.clone_from(&e.grant_id);
            about(&mut out, &e.task_id, "grant released");
        }
        Some(Payload::Revoked(e)) => {
            let block = if e.blocks { ", and blocked" } else { "" };
            let unsaid = match e.unsaid_count {
                0 => String::new(),
                1 => "; one approval of theirs counts no more".to_owned(),
                many => format!("; {many} approvals of theirs count no more"),
            };
            out.summary = format!("revoked {} {}{block}{unsaid}", e.target_kind, e.target);
        }
        Some(Payload::BlockLifted(e)) => out.summary = format!("lifted block on {} {}", e.target_kind, e.target),
        Some(Payload::TrustWithdrawn(e)) => {
            out.reasons = vec![e.code.clone()];
            out.summary = format!("`{}` is no longer trusted: grants of its agents are suspended", e.trust_domain);
        }
        Some(Payload::TrustRestored(e)) => {
            let grants = if e.lifts { "are live again" } else { "stay suspended until they are renewed" };
            out.summary = format!("`{}` is trusted again: grants of its agents {grants}", e.trust_domain);
        }
        Some(Payload::ApprovalAnswered(e)) => {
            out.decision_id.clone_from(&e.decision_id);
            let said = match (e.verdict(), e.settles) {
                (Verdict::Approved, true) => "approved",
                (Verdict::Approved, false) => "approved, and more are needed",
                (Verdict::Denied, _) => "denied",
                (Verdict::Unanswered | Verdict::Unspecified, _) => "not answered in time",
            };
            about(&mut out, &e.task_id, &format!("{} {said}", e.approval_id));
        }
        Some(Payload::ApprovalWithdrawn(e)) => {
            out.grant_id.clone_from(&e.grant_id);
            let what = match (e.grant_id.as_str(), e.extended_at) {
                ("", 0) => String::new(),
                ("", at) => format!(", and with it the amendment at position {at}"),
                _ => ", and its grant revoked".to_owned(),
            };
            about(&mut out, &e.task_id, &format!("{} taken back{what}", e.approval_id));
        }
        Some(Payload::ApprovalEscalated(e)) => {
            out.decision_id.clone_from(&e.decision_id);
            let to = match (e.widened, e.as_review) {
                (true, _) => ", to whoever reviews instead of owners",
                (_, true) => ", to reviewers instead of the initiator",
                (false, false) => "",
            };
            about(&mut out, &e.task_id, &format!("{} escalated{to}", e.approval_id));
        }
        Some(Payload::ExtensionTakenBack(e)) => {
            let what = "what the amendment added is taken back, and what was granted since is revoked";
            about(&mut out, &e.task_id, &format!("{what} ({})", e.approval_id));
        }
        Some(Payload::BreakGlassOpened(e)) => {
            decided(&mut out, e.decision.as_ref());
            let what = if e.glass_id.is_empty() { "not opened".to_owned() } else { format!("{} opened", e.glass_id) };
            about(&mut out, &e.task_id, &format!("break-glass {what} for {}", e.agent));
        }
        Some(Payload::BreakGlassUsed(e)) => {
            out.decision_id.clone_from(&e.decision_id);
            out.grant_id.clone_from(&e.grant_id);
            about(&mut out, &e.task_id, &format!("break-glass {} used for {}", e.glass_id, e.grant_id));
        }
        Some(Payload::BreakGlassClosed(e)) => {
            about(&mut out, &e.task_id, &format!("break-glass {} closed", e.glass_id));
        }
        Some(Payload::BreakGlassReviewOverdue(e)) => {
            about(&mut out, &e.task_id, &format!("break-glass {} not reviewed in time", e.glass_id));
        }
        Some(Payload::BreakGlassReviewed(e)) => {
            let found = match e.verdict() {
                pb::break_glass_reviewed::Verdict::Justified => "justified",
                pb::break_glass_reviewed::Verdict::Unjustified => "not justified",
                pb::break_glass_reviewed::Verdict::Unspecified => "reviewed",
            };
            about(&mut out, &e.task_id, &format!("break-glass {} found {found}", e.glass_id));
        }
        Some(Payload::DecisionLabelled(e)) => {
            out.decision_id.clone_from(&e.decision_id);
            let label = crate::broker::label::label(e.label).map_or("", crate::model::label::Label::as_str);
            let own = if e.answered_it { ", by who had answered it" } else { "" };
            about(&mut out, &e.task_id, &format!("labelled {label}{own}"));
        }
        Some(Payload::DriftReferenceSet(e)) => {
            out.summary = match &e.reference {
                Some(reference) => format!("{} decisions are the reference of {}", reference.samples, e.class),
                None => format!("the next decisions make the reference of {}", e.class),
            };
        }
        Some(Payload::DriftDetected(e)) => {
            let (psi, threshold) = (thousandths(e.psi_milli), thousandths(e.threshold_milli));
            out.summary = format!("{} of {} drift: index {psi}, threshold {threshold}", e.what, e.class);
        }
        Some(Payload::DriftEnded(e)) => {
            let psi = thousandths(e.psi_milli);
            out.summary = format!("{} of {} no longer drift: index {psi}", e.what, e.class);
        }
        Some(Payload::SignalReported(e)) => {
            about(&mut out, &e.task_id, &format!("signal `{}` of {} points from {}", e.name, e.points, e.source));
        }
        Some(Payload::ToolCallReported(e)) => {
            out.tools = vec![e.tool.clone()];
            out.grant_id.clone_from(&e.grant_id);
            let failed = if e.failed { " failed" } else { "" };
            about(&mut out, &e.task_id, &format!("call of `{}`{failed}, as reported by its {}", e.tool, e.reporter));
        }
        Some(Payload::ReportKeyGiven(e)) => {
            out.tools = vec![e.tool.clone()];
            out.grant_id.clone_from(&e.grant_id);
            about(&mut out, &e.task_id, &format!("key for digests given to the {} of `{}`", e.reporter, e.tool));
        }
        Some(Payload::PolicyActivated(e)) => {
            let back = e.returns_to.as_ref().map(|was| format!(", GOING BACK to revision {}", was.revision));
            let proposed =
                if e.proposed_by.is_empty() { String::new() } else { format!(", proposed by {}", e.proposed_by) };
            let (by, back) = (answers_for(&e.owner, &e.signed_by), back.unwrap_or_default());
            out.summary = format!("policy revision {} in force{by}{proposed}{back}: {}", e.revision, e.digest);
        }
        Some(Payload::PolicyProposed(e)) => {
            let back = e.returns_to.as_ref().map(|was| format!(", GOING BACK to revision {}", was.revision));
            let (by, back) = (answers_for(&e.owner, &e.signed_by), back.unwrap_or_default());
            out.summary =
                format!("policy revision {} proposed{by}{back}: {} ({})", e.revision, e.digest, e.proposal_id);
        }
        Some(Payload::PolicyProposalWithdrawn(e)) => out.summary = format!("{} taken back", e.proposal_id),
        Some(Payload::KeyRotated(e)) => out.summary = format!("token key {} follows {}", e.kid, e.previous_kid),
        Some(Payload::BrokerStarted(e)) => {
            out.summary = match e.torn_bytes {
                0 => "started".to_owned(),
                torn => format!("started; {torn} bytes of a torn last group were cut off"),
            };
        }
        Some(Payload::Refused(e)) => {
            out.reasons = vec![e.code.clone()];
            let times = if e.count == 1 { String::new() } else { format!(" {} times", e.count) };
            let shown =
                if e.shown.is_empty() { String::new() } else { format!(", which showed {}", e.shown.join(", ")) };
            about(&mut out, &e.task_id, &format!("refused {} to {}{times}: {}{shown}", e.rpc, e.subject, e.code));
        }
        Some(Payload::ObservingEnded(e)) => {
            let classes = e.classes.join(", ");
            out.summary = format!("policy revision {} no longer only observes {classes}", e.policy_revision);
        }
        None => {}
    }
    if out.observed_only {
        out.summary.push_str(would_have(outcome(out.outcome)));
    }
    out
}

/// What policy would have done, had it not only observed.
const fn would_have(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Denied) => "; would have been denied: observed only",
        Some(Outcome::Review) => "; would have waited for reviewers: observed only",
        Some(Outcome::StepUp) => "; would have waited for the initiator: observed only",
        Some(Outcome::Narrowed) => "; would have been narrowed: observed only",
        Some(Outcome::Granted) | None => "; observed only",
    }
}

/// Who stands behind a bundle, as far as anybody does.
fn answers_for(owner: &str, signed_by: &[pb::PolicySigner]) -> String {
    let names: BTreeSet<&str> = signed_by.iter().map(|signer| signer.name.as_str()).collect();
    let owner = if owner.is_empty() { String::new() } else { format!(", owned by {owner}") };
    if names.is_empty() {
        return owner;
    }
    format!("{owner}, signed by {}", names.into_iter().collect::<Vec<_>>().join(" and "))
}

fn thousandths(milli: u32) -> String {
    format!("{}.{:03}", milli / 1000, milli % 1000)
}

fn credential(out: &mut v1::EventSummary, e: &pb::CredentialDecided) {
    decided(out, e.decision.as_ref());
    out.task_id.clone_from(&e.task_id);
    if let Some(grant) = &e.grant {
        out.grant_id.clone_from(&grant.grant_id);
    }
    let renewed = e.grant.as_ref().is_some_and(|g| !g.renews_jti.is_empty());
    let what = if renewed { "renewed" } else { "asked for" };
    out.summary = format!("{what} {} at {}", out.tools.join(", "), e.audience);
}

fn decided(out: &mut v1::EventSummary, decision: Option<&pb::Decision>) {
    let Some(decision) = decision else { return };
    out.decision_id.clone_from(&decision.decision_id);
    out.outcome = decision.outcome;
    out.observed_only = decision.instead != 0;
    out.reasons = decision.reasons.iter().map(|r| r.code.clone()).collect();
    out.tools = decision.conclusions.iter().map(|c| c.tool.clone()).collect();
}

fn about(out: &mut v1::EventSummary, task: &str, text: &str) {
    task.clone_into(&mut out.task_id);
    text.clone_into(&mut out.summary);
}

/// A point in time on the wire.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    let nanos = i32::try_from(millis % 1000).unwrap_or_default() * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX), nanos }
}

/// A point in time from the wire; what lies before 1970 is its beginning.
#[must_use]
pub fn from_wire(at: &prost_types::Timestamp) -> Timestamp {
    let millis = i128::from(at.seconds) * 1000 + i128::from(at.nanos / 1_000_000);
    Timestamp::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
}

/// The ids that came with an event.
pub(in crate::broker) fn wire_context(event: &pb::Event) -> v1::RequestContext {
    v1::RequestContext {
        prompt_id: event.prompt_id.clone(),
        tool_call_id: event.tool_call_id.clone(),
        traceparent: event.traceparent.clone(),
    }
}
