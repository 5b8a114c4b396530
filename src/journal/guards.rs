//! Guards: what a decision relied on, as sixteen-byte keys, and which events touch them. Derived from events alone, so that
//! the table of guards is rebuilt from the log. Where keys are kept and forgotten is `guard_table`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::digest::of_names;
use crate::model::id::{Audience, DecisionId, GlassId, GrantId, InitiatorName, RequestId, TaskId, ToolName};
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal::approval_answered::Verdict;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::pb::journal::{CredentialDecided, Decision, Event, Revoked, TaskDecided};
use crate::pb::v1::Outcome;

/// Names one thing that decisions rely on: 128 bits of a SHA-256 over its kind and name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardKey([u8; 16]);

impl GuardKey {
    /// The standing of a task: registered, amended, paused, resumed, ended, revoked.
    #[must_use]
    pub fn task(id: &TaskId) -> Self {
        Self::of(TASK, &[&id.to_string()])
    }

    /// What a task family has used up, seen and been told: grants, budgets, reports, signals.
    #[must_use]
    pub fn usage(root: &TaskId) -> Self {
        Self::of(USAGE, &[&root.to_string()])
    }

    /// A grant: renewed, suspended, released, revoked.
    #[must_use]
    pub fn grant(id: &GrantId) -> Self {
        Self::of(GRANT, &[&id.to_string()])
    }

    /// Blocks of an agent.
    #[must_use]
    pub fn agent(id: &SpiffeId) -> Self {
        Self::of(AGENT, &[id.as_str()])
    }

    /// Blocks of an initiator.
    #[must_use]
    pub fn initiator(name: &InitiatorName) -> Self {
        Self::of(INITIATOR, &[name.as_str()])
    }

    /// Blocks of an audience.
    #[must_use]
    pub fn audience(audience: &Audience) -> Self {
        Self::of(AUDIENCE, &[audience.as_str()])
    }

    /// The block of everything, and whom we trust.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(EVERYTHING, &[])
    }

    /// The policy bundle in force.
    #[must_use]
    pub fn policy() -> Self {
        Self::of(POLICY, &[])
    }

    /// Which activations of policy wait for a second person.
    #[must_use]
    pub fn policy_proposals() -> Self {
        Self::of(POLICY_PROPOSALS, &[])
    }

    /// The terminal answer to a request. `scope` is the id of its task; for a registration, the id of the actor.
    #[must_use]
    pub fn request(scope: &str, id: &RequestId) -> Self {
        Self::of(REQUEST, &[scope, id.as_str()])
    }

    /// A report on a task. Its id is the reporter's own, so that nobody can use up the id of another's report.
    #[must_use]
    pub fn report(task: &TaskId, reporter: &str, id: &RequestId) -> Self {
        Self::of(REPORT, &[&task.to_string(), reporter, id.as_str()])
    }

    /// The grants of a tool to an agent, in whatever task: for duties that must be kept apart.
    #[must_use]
    pub fn agent_duty(agent: &SpiffeId, tool: &ToolName) -> Self {
        Self::of(AGENT_DUTY, &[agent.as_str(), tool.as_str()])
    }

    /// The grants of a tool on behalf of an initiator, in whatever task.
    #[must_use]
    pub fn initiator_duty(initiator: &InitiatorName, tool: &ToolName) -> Self {
        Self::of(INITIATOR_DUTY, &[initiator.as_str(), tool.as_str()])
    }

    /// What waits for a person for which this agent asks, or this orchestrator, in whatever task.
    #[must_use]
    pub fn pending_of(asker: &SpiffeId) -> Self {
        Self::of(PENDING_OF, &[asker.as_str()])
    }

    /// That people denied anything, of whatever task: for what is granted unasked because policy only observes.
    #[must_use]
    pub fn denials() -> Self {
        Self::of(DENIALS, &[])
    }

    /// What was opened by break-glass: opened, used, closed, reviewed.
    #[must_use]
    pub fn glass(id: &GlassId) -> Self {
        Self::of(GLASS, &[&id.to_string()])
    }

    /// What waits for a person on behalf of an initiator, in whatever task.
    #[must_use]
    pub fn initiator_pending(initiator: &InitiatorName) -> Self {
        Self::of(INITIATOR_PENDING, &[initiator.as_str()])
    }

    /// What the decisions of a class of identities are compared with, and whether they are known to drift.
    #[must_use]
    pub fn drift_reference(class: &str) -> Self {
        Self::of(DRIFT_REFERENCE, &[class])
    }

    /// The labels of a decision.
    #[must_use]
    pub fn labels(decision: &DecisionId) -> Self {
        Self::of(LABELS, &[&decision.to_string()])
    }

    fn of(kind: u8, names: &[&str]) -> Self {
        Self(of_names(kind, names))
    }
}

impl fmt::Debug for GuardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for GuardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A guard that must not have been touched since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// What was relied on.
    pub key: GuardKey,
    /// One more than the position of the last event that touched it; 0 when none had.
    pub at: u64,
}

/// What an event does to guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The key changes.
    Bump {
        /// Which.
        key: GuardKey,
        /// How long it is remembered.
        life: Life,
    },
    /// A task comes to be, below another perhaps.
    Register {
        /// Its guard.
        task: GuardKey,
        /// The guard of the task above.
        parent: Option<GuardKey>,
    },
    /// A task and all below it end: what they kept may be forgotten.
    End {
        /// Its guard.
        task: GuardKey,
    },
}

/// How long a guard is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// For good: there are only so many of them.
    Lasting,
    /// Until the task whose guard this is ends.
    Task(GuardKey),
    /// Only as long as a request may be in flight.
    Passing,
}

/// What an event does to guards, in order.
#[must_use]
pub fn touches(event: &Event) -> Vec<Touch> {
    let mut out = Touches { list: Vec::with_capacity(8), root: event.stream.strip_prefix("task/") };
    match &event.payload {
        Some(Payload::TaskDecided(decided)) => {
            let actor = event.actor.as_ref().map(|actor| actor.id.as_str()).unwrap_or_default();
            out.task_decided(decided, actor);
        }
        Some(Payload::TaskAmended(amended)) => {
            out.request(&amended.task_id, &amended.request_id, amended.decision.as_ref());
            if amended.asked_people.is_some() {
                let actor = event.actor.as_ref().map(|actor| actor.id.as_str()).unwrap_or_default();
                out.asked_people(actor, &amended.initiator);
            }
            if amended.applied {
                out.task(&amended.task_id);
                out.usage();
            }
        }
        Some(Payload::TaskPaused(paused)) => out.task(&paused.task_id),
        Some(Payload::TaskResumed(resumed)) => out.task(&resumed.task_id),
        Some(Payload::TaskEnded(ended)) => {
            out.task(&ended.task_id);
            out.list.push(Touch::End { task: task_key(&ended.task_id) });
        }
        Some(Payload::CredentialDecided(decided)) => out.credential_decided(decided),
        Some(Payload::GrantReconsidered(reconsidered)) => {
            if reconsidered.effect() != Effect::Kept {
                out.grant(&reconsidered.grant_id, &reconsidered.task_id);
                out.usage();
            }
        }
        Some(Payload::GrantReleased(released)) => out.grant(&released.grant_id, &released.task_id),
        Some(Payload::Revoked(Revoked { target_kind, target, .. })) => out.target(target_kind, target),
        Some(Payload::BlockLifted(lifted)) => out.target(&lifted.target_kind, &lifted.target),
        // A family is told of it like of anything else that its next answer may rest on.
        Some(Payload::ApprovalAnswered(answered)) => {
            out.usage();
            if answered.verdict() == Verdict::Denied {
                out.bump(GuardKey::denials(), Life::Lasting);
            }
        }
        Some(Payload::ApprovalEscalated(_)) => out.usage(),
        Some(Payload::ApprovalWithdrawn(withdrawn)) => {
            out.usage();
            if !withdrawn.grant_id.is_empty() {
                out.grant(&withdrawn.grant_id, &withdrawn.task_id);
            }
        }
        // What was granted since is revoked with it; who renews it meanwhile finds the task changed.
        Some(Payload::ExtensionTakenBack(taken)) => {
            out.task(&taken.task_id);
            out.usage();
        }
        // What was answered before, without it, is not to be answered again.
        Some(Payload::BreakGlassOpened(opened)) => {
            out.usage();
            out.glass(&opened.glass_id, &opened.task_id);
        }
        Some(Payload::BreakGlassUsed(used)) => out.glass(&used.glass_id, &used.task_id),
        Some(Payload::BreakGlassClosed(closed)) => {
            out.usage();
            out.glass(&closed.glass_id, &closed.task_id);
            closed.grant_ids.iter().for_each(|grant| out.grant(grant, &closed.task_id));
        }
        Some(Payload::BreakGlassReviewed(reviewed)) => out.glass(&reviewed.glass_id, &reviewed.task_id),
        Some(Payload::BreakGlassReviewOverdue(overdue)) => out.glass(&overdue.glass_id, &overdue.task_id),
        Some(Payload::SignalReported(signal)) => out.report(event, &signal.task_id, &signal.request_id),
        Some(Payload::ToolCallReported(call)) => out.report(event, &call.task_id, &call.request_id),
        // Whatever is being granted is decided again with it in mind.
        Some(Payload::TrustWithdrawn(_) | Payload::TrustRestored(_)) => {
            out.bump(GuardKey::everything(), Life::Lasting);
        }
        // What was decided while policy only observed is not to be granted after.
        Some(Payload::ObservingEnded(_)) => out.bump(GuardKey::policy(), Life::Lasting),
        // It makes void what was proposed, so both have changed.
        Some(Payload::PolicyActivated(_)) => {
            out.bump(GuardKey::policy(), Life::Lasting);
            out.bump(GuardKey::policy_proposals(), Life::Lasting);
        }
        Some(Payload::PolicyProposed(_) | Payload::PolicyProposalWithdrawn(_)) => {
            out.bump(GuardKey::policy_proposals(), Life::Lasting);
        }
        Some(Payload::DriftReferenceSet(set)) => out.drift(&set.class),
        Some(Payload::DriftDetected(found)) => out.drift(&found.class),
        Some(Payload::DriftEnded(ended)) => out.drift(&ended.class),
        Some(Payload::DecisionLabelled(labelled)) => {
            out.bump(GuardKey::of(LABELS, &[&labelled.decision_id]), Life::Passing);
        }
        Some(
            Payload::BrokerStarted(_)
            | Payload::KeyRotated(_)
            | Payload::Refused(_)
            | Payload::FamilyReconsidered(_)
            | Payload::ReportKeyGiven(_),
        )
        | None => {}
    }
    out.list
}

struct Touches<'a> {
    list: Vec<Touch>,
    // The root task, from the name of the stream.
    root: Option<&'a str>,
}

impl Touches<'_> {
    fn bump(&mut self, key: GuardKey, life: Life) {
        self.list.push(Touch::Bump { key, life });
    }

    fn task(&mut self, id: &str) {
        let key = task_key(id);
        self.bump(key, Life::Task(key));
    }

    fn usage(&mut self) {
        if let Some(root) = self.root {
            self.bump(GuardKey::of(USAGE, &[root]), Life::Task(task_key(root)));
        }
    }

    fn grant(&mut self, id: &str, task: &str) {
        self.bump(GuardKey::of(GRANT, &[id]), Life::Task(task_key(task)));
    }

    fn glass(&mut self, id: &str, task: &str) {
        if !id.is_empty() {
            self.bump(GuardKey::of(GLASS, &[id]), Life::Task(task_key(task)));
        }
    }

    // There are no more classes than these.
    fn drift(&mut self, class: &str) {
        self.bump(GuardKey::drift_reference(class), Life::Lasting);
    }

    // Reports come without end while a task lives, so they are remembered for as long as one may be in flight.
    fn report(&mut self, event: &Event, task: &str, id: &str) {
        let reporter = event.actor.as_ref().map(|actor| actor.id.as_str()).unwrap_or_default();
        self.bump(GuardKey::of(REPORT, &[task, reporter, id]), Life::Passing);
        self.usage();
    }

    // A pending answer is none: the request may be decided again.
    fn request(&mut self, task: &str, id: &str, decision: Option<&Decision>) {
        if !id.is_empty() && decision.is_none_or(is_terminal) {
            self.bump(GuardKey::of(REQUEST, &[task, id]), Life::Task(task_key(task)));
        }
    }

    fn task_decided(&mut self, decided: &TaskDecided, actor: &str) {
        if !decided.request_id.is_empty() && decided.decision.as_ref().is_none_or(is_terminal) {
            self.bump(GuardKey::of(REQUEST, &[actor, &decided.request_id]), Life::Passing);
        }
        let Some(task) = &decided.task else { return };
        let parent = (!task.parent_task_id.is_empty()).then(|| task_key(&task.parent_task_id));
        self.list.push(Touch::Register { task: task_key(&task.task_id), parent });
        self.task(&task.task_id);
        if parent.is_some() {
            self.usage();
        }
    }

    fn credential_decided(&mut self, decided: &CredentialDecided) {
        self.request(&decided.task_id, &decided.request_id, decided.decision.as_ref());
        if decided.asked_people.is_some() {
            self.asked_people(&decided.agent, &decided.initiator);
        }
        if !decided.sealed_profile.is_empty() {
            // What else is decided in the family at the same time is held against it.
            self.usage();
        }
        let Some(grant) = &decided.grant else { return };
        self.grant(&grant.grant_id, &decided.task_id);
        self.usage();
        for tool in &grant.tools {
            // What an agent has others do counts as done by itself.
            for agent in [&decided.agent].into_iter().chain(&decided.agents_above) {
                self.bump(GuardKey::of(AGENT_DUTY, &[agent, tool]), Life::Passing);
            }
            self.bump(GuardKey::of(INITIATOR_DUTY, &[&decided.initiator, tool]), Life::Passing);
        }
    }

    // Who asks the same at the same time finds it, and nobody is asked for more than may be at a time.
    fn asked_people(&mut self, asker: &str, initiator: &str) {
        self.usage();
        self.bump(GuardKey::of(PENDING_OF, &[asker]), Life::Passing);
        self.bump(GuardKey::of(INITIATOR_PENDING, &[initiator]), Life::Passing);
    }

    fn target(&mut self, kind: &str, target: &str) {
        match kind {
            // It is cancelled, with all below it.
            "task" => {
                self.task(target);
                self.list.push(Touch::End { task: task_key(target) });
            }
            // Which task it is of is not said; a grant that is known keeps its place in the table.
            "grant" => self.bump(GuardKey::of(GRANT, &[target]), Life::Passing),
            "agent" => self.bump(GuardKey::of(AGENT, &[target]), Life::Lasting),
            "initiator" => self.bump(GuardKey::of(INITIATOR, &[target]), Life::Lasting),
            "audience" => self.bump(GuardKey::of(AUDIENCE, &[target]), Life::Lasting),
            // What is not known might be anything.
            _ => self.bump(GuardKey::everything(), Life::Lasting),
        }
    }
}

fn task_key(id: &str) -> GuardKey {
    GuardKey::of(TASK, &[id])
}

// Where policy only observed, what was done instead is the answer.
fn is_terminal(decision: &Decision) -> bool {
    let in_force = if decision.instead == 0 { decision.outcome } else { decision.instead };
    matches!(Outcome::try_from(in_force), Ok(Outcome::Granted | Outcome::Narrowed | Outcome::Denied))
}

const TASK: u8 = 1;
const USAGE: u8 = 2;
const GRANT: u8 = 3;
const AGENT: u8 = 4;
const INITIATOR: u8 = 5;
const AUDIENCE: u8 = 6;
const EVERYTHING: u8 = 7;
const POLICY: u8 = 8;
const REQUEST: u8 = 9;
const AGENT_DUTY: u8 = 10;
const INITIATOR_DUTY: u8 = 11;
const REPORT: u8 = 12;
const PENDING_OF: u8 = 13;
const INITIATOR_PENDING: u8 = 14;
const GLASS: u8 = 16;
const DRIFT_REFERENCE: u8 = 17;
const POLICY_PROPOSALS: u8 = 18;
const LABELS: u8 = 19;
const DENIALS: u8 = 20;

#[cfg(test)]
mod tests;
