//! How events change what the broker knows. Nothing else changes it, so that a restart, a snapshot and a live broker come to
//! the same state. It reads no clock: time is the time of the events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::broker::answer::GrantChange;
use crate::broker::ask::Target;
use crate::broker::bundles::Bundles;
use crate::broker::draws::{Draws, let_in};
use crate::broker::forget::forget;
use crate::broker::gather::is_tainted_since;
use crate::broker::hashes::Hashes;
use crate::broker::record::parse_target;
use crate::broker::retain::Trigger;
use crate::broker::state::{Answer, Block, Grant, NamedClasses, State, Tally, Task};
use crate::broker::words::{self, Context, WordsError};
use crate::intent::echo::Sent;
use crate::journal::guards::touches;
use crate::journal::projection::Recorded;
use crate::model::decision::Outcome;
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::id::{GrantId, ParseIdError, TaskId, ToolName};
use crate::model::identity::Initiator;
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::seal::sealer::Sealer;

mod amendments;
mod approvals;
mod drift;
mod glasses;
mod policy;
mod profiles;
mod reports;
mod trust;

/// Tallies that are kept: as many as verbs can be waiting for.
const TALLIES_MAX: usize = 4096;

/// What a fold needs beside the events: keys, and policy bundles as they were.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Means {
    pub(in crate::broker) sealer: Arc<Sealer>,
    pub(in crate::broker) bundles: Bundles,
}

/// Why an event could not be folded: it holds something that this version of Carnet does not write, or words that were not
/// erased and yet do not open. To go on without it could leave alive what it has ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum FoldError {
    #[error("an id does not parse")]
    Id(#[from] ParseIdError),
    #[error("a SPIFFE ID or a trust domain does not parse")]
    SpiffeId(#[from] crate::model::spiffe_id::ParseSpiffeIdError),
    #[error("no {0} that this version knows")]
    Value(&'static str),
    #[error("words of an event do not open")]
    Words(#[source] WordsError),
}

/// Applies one event.
///
/// # Errors
/// When it is not understood. The state is then of no use.
pub(in crate::broker) fn fold(state: &mut State, recorded: &Recorded, means: &Means) -> Result<(), FoldError> {
    state.next = recorded.position + 1;
    state.time = state.time.max(recorded.time);
    state.marks.apply(&touches(&recorded.event), recorded.position, recorded.time);
    let mut step = Step { state, position: recorded.position, time: recorded.time, tally: Tally::default(), means };
    step.apply(&recorded.event)?;
    let tally = step.tally;
    if tally != Tally::default() {
        if state.tallies.len() >= TALLIES_MAX {
            state.tallies.pop_front();
        }
        state.tallies.push_back((recorded.position, tally));
    }
    forget(state);
    Ok(())
}

struct Step<'a> {
    state: &'a mut State,
    position: u64,
    time: Timestamp,
    tally: Tally,
    means: &'a Means,
}

impl Step<'_> {
    fn apply(&mut self, event: &pb::Event) -> Result<(), FoldError> {
        let actor = event.actor.as_ref();
        match &event.payload {
            Some(Payload::TaskDecided(e)) => self.task_decided(e, actor),
            Some(Payload::TaskAmended(e)) => self.task_amended(e, actor),
            Some(Payload::ExtensionTakenBack(e)) => self.extension_taken_back(e),
            Some(Payload::TaskPaused(e)) => self.paused(e.task_id.parse()?),
            Some(Payload::TaskResumed(e)) => self.resumed(e.task_id.parse()?),
            Some(Payload::TaskEnded(e)) => {
                let state = match crate::pb::v1::TaskState::try_from(e.state) {
                    Ok(crate::pb::v1::TaskState::Completed) => TaskState::Completed,
                    Ok(crate::pb::v1::TaskState::Cancelled) => TaskState::Cancelled,
                    Ok(crate::pb::v1::TaskState::Expired) => TaskState::Expired,
                    _ => return Err(FoldError::Value("task state")),
                };
                self.task_ended(e.task_id.parse()?, state);
                Ok(())
            }
            Some(Payload::CredentialDecided(e)) => {
                self.sample(e, actor);
                self.credential_decided(e)
            }
            Some(Payload::GrantReconsidered(e)) => self.reconsidered(e),
            Some(Payload::FamilyReconsidered(e)) => self.family_reconsidered(e),
            Some(Payload::GrantReleased(e)) => {
                self.end_grant(e.grant_id.parse()?, &GrantStanding::Released);
                Ok(())
            }
            Some(Payload::Revoked(e)) => self.revoked(e),
            Some(Payload::BlockLifted(e)) => {
                let target = parse_target(&e.target_kind, &e.target)?;
                self.state.blocks.remove(&target);
                Ok(())
            }
            Some(Payload::TrustWithdrawn(e)) => self.trust_withdrawn(e),
            Some(Payload::TrustRestored(e)) => self.trust_restored(e),
            Some(Payload::ApprovalAnswered(e)) => self.approval_answered(e, actor),
            Some(Payload::ApprovalWithdrawn(e)) => self.approval_withdrawn(e),
            Some(Payload::ApprovalEscalated(e)) => self.approval_escalated(e),
            Some(Payload::BreakGlassOpened(e)) => self.glass_opened(e, actor),
            Some(Payload::BreakGlassUsed(e)) => self.glass_used(e),
            Some(Payload::BreakGlassClosed(e)) => self.glass_closed(e),
            Some(Payload::BreakGlassReviewed(e)) => self.glass_reviewed(e, actor),
            Some(Payload::BreakGlassReviewOverdue(e)) => self.glass_overdue(e),
            Some(Payload::SignalReported(e)) => self.signal(e, actor),
            Some(Payload::ToolCallReported(e)) => self.tool_call(e, actor),
            Some(Payload::ReportKeyGiven(e)) => self.key_given(e, actor),
            Some(Payload::PolicyActivated(e)) => {
                self.policy_activated(e, actor.map(|a| a.id.clone()).unwrap_or_default());
                Ok(())
            }
            Some(Payload::PolicyProposed(e)) => self.policy_proposed(e, actor),
            Some(Payload::PolicyProposalWithdrawn(e)) => self.policy_proposal_withdrawn(e),
            Some(Payload::DriftReferenceSet(e)) => self.drift_reference_set(e, actor),
            Some(Payload::DriftDetected(e)) => self.drift_crossed(&e.class, &e.what, true),
            Some(Payload::DriftEnded(e)) => self.drift_crossed(&e.class, &e.what, false),
            Some(Payload::ObservingEnded(e)) => {
                self.observing_ended(e.policy_revision);
                Ok(())
            }
            Some(
                Payload::BrokerStarted(_) | Payload::KeyRotated(_) | Payload::Refused(_) | Payload::DecisionLabelled(_),
            ) => Ok(()),
            None => Err(FoldError::Value("kind of event")),
        }
    }

    fn task_decided(&mut self, e: &pb::TaskDecided, actor: Option<&pb::Actor>) -> Result<(), FoldError> {
        let asker = actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?;
        let answer = answer(self.position, e.decision.as_ref(), &e.asked_digest)?;
        if matches!(answer.outcome, Outcome::Granted | Outcome::Denied) {
            let asker: SpiffeId = asker;
            self.state.by.answered.push_back((self.time, asker.clone(), e.request_id.clone()));
            self.state.registrations.entry(asker).or_default().insert(e.request_id.clone(), answer);
        }
        let Some(task) = &e.task else { return Ok(()) };
        let id: TaskId = task.task_id.parse()?;
        let root: TaskId = task.root_task_id.parse()?;
        let parent = if task.parent_task_id.is_empty() { None } else { Some(task.parent_task_id.parse()?) };
        let words = self.open(root, "task", &task.task_id, &task.sealed)?;
        let entry = Task {
            root,
            parent,
            children: Vec::new(),
            agent: task.agent.parse()?,
            orchestrator: task.orchestrator.parse()?,
            initiator: Initiator { name: task.initiator.parse()?, verified: task.initiator_verified },
            created: self.time,
            deadline: Timestamp::from_millis(task.deadline_ms),
            depth: task.depth,
            state: TaskState::Active,
            audiences: task.audiences.iter().map(|a| a.parse()).collect::<Result<_, _>>()?,
            unattended: task.unattended,
            hashes: Hashes::of(words.as_ref()),
            words: words.map(Arc::new),
            grants: BTreeSet::new(),
            open: BTreeSet::new(),
            answers: std::collections::HashMap::new(),
            denied: std::collections::HashMap::new(),
        };
        let by = &mut self.state.by;
        by.tasks_of_agent.entry(entry.agent.clone()).or_default().insert(id);
        by.tasks_of_initiator.entry(entry.initiator.name.clone()).or_default().insert(id);
        by.deadlines.insert((entry.deadline, id));
        if let Some(parent) = parent.and_then(|p| self.state.tasks.get_mut(&p)) {
            parent.children.push(id);
        }
        self.state.families.entry(root).or_default().members.push(id);
        self.state.tasks.insert(id, entry);
        for orchestrator in self.state.orchestrators(id) {
            self.state.by.tasks_of_orchestrator.entry(orchestrator).or_default().insert(id);
        }
        Ok(())
    }

    fn paused(&mut self, id: TaskId) -> Result<(), FoldError> {
        if let Some(task) = self.state.tasks.get_mut(&id) {
            task.state = TaskState::Paused;
        }
        for grant in self.state.standing_grants(id) {
            self.suspend(grant, SuspensionCause::Paused);
        }
        Ok(())
    }

    fn resumed(&mut self, id: TaskId) -> Result<(), FoldError> {
        if let Some(task) = self.state.tasks.get_mut(&id) {
            task.state = TaskState::Active;
        }
        for grant in self.state.standing_grants(id) {
            // A task between, or one above, may be paused for itself.
            let task = self.state.grants.get(&grant).map(|g| g.task);
            if task.and_then(|t| self.state.effective_state(t)) == Some(TaskState::Active) {
                self.lift(grant, SuspensionCause::Paused);
            }
        }
        Ok(())
    }

    fn task_ended(&mut self, id: TaskId, end: TaskState) {
        for grant in self.state.standing_grants(id) {
            self.end_grant(grant, &GrantStanding::Revoked);
        }
        for member in self.state.subtree(id) {
            let Some(task) = self.state.tasks.get_mut(&member) else { continue };
            if task.state.is_ended() {
                continue;
            }
            task.state = end;
            self.state.approvals.close(member, self.position);
            self.state.glasses.close_of(member, self.time);
            self.state.by.deadlines.remove(&(task.deadline, member));
            if task.parent.is_none() {
                self.state.by.ended.insert((self.time, member));
            }
        }
    }

    fn credential_decided(&mut self, e: &pb::CredentialDecided) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let answer = answer(self.position, e.decision.as_ref(), &e.asked_digest)?;
        let Some(root) = self.state.tasks.get(&id).map(|task| task.root) else { return Ok(()) };
        if matches!(answer.outcome, Outcome::Granted | Outcome::Narrowed | Outcome::Denied) {
            self.state.answered(id, &e.request_id, answer);
        }
        self.profile_shown((id, root), e)?;
        if let Some(asked) = &e.asked_people {
            self.asked_people(&approvals::Question::of_credential(e), asked)?;
        }
        let (Some(grant), Some(decision)) = (&e.grant, answer.decision) else { return Ok(()) };
        let grant_id: GrantId = grant.grant_id.parse()?;
        self.approval_used(&grant.approval_id, grant_id)?;
        let entry = Grant {
            task: id,
            jti: grant.jti.parse()?,
            audience: e.audience.parse()?,
            issued: Timestamp::from_secs(grant.issued_s),
            expires: Timestamp::from_secs(grant.expires_s),
            position: self.position,
            decision,
            tools: grant.tools.iter().map(|t| ToolName::try_from(t.clone())).collect::<Result<_, _>>()?,
            named: BTreeMap::new(),
            standing: GrantStanding::Open(BTreeSet::new()),
            drifts_since: None,
            distrusted: BTreeMap::new(),
            observed: policy::observed(e.decision.as_ref()),
        };
        if !grant.renews_jti.is_empty() {
            self.renewed(grant_id, entry);
            return Ok(());
        }
        let others = self.state.has_standing_grants(root);
        let Some(task) = self.state.tasks.get_mut(&id) else { return Ok(()) };
        task.grants.insert(grant_id);
        // What policy would have withheld is nothing usual.
        if entry.observed.is_none() {
            self.state.behaviour.learn(
                (&task.agent, root),
                (&entry.audience, &entry.tools, &grant.resources),
                self.time,
            );
        }
        self.state.open(id, (entry.expires, grant_id));
        let tools = entry.tools.clone();
        self.state.by.expiries.insert((entry.expires, grant_id));
        self.state.by.grants_of_audience.entry(entry.audience.clone()).or_default().insert(grant_id);
        let draws: Draws = if grant.sealed_draws.is_empty() {
            Draws::default()
        } else {
            self.open(root, "draws", &grant.jti, &grant.sealed_draws)?.unwrap_or_default()
        };
        self.state.grants.insert(grant_id, Grant { named: draws.named_by_tool(&tools), ..entry });
        let bundle = self.state.policy.as_ref().and_then(|p| p.bundle.clone());
        let catalogue = bundle.as_ref().map(|b| b.catalogue());
        let line =
            self.state.lineage(id).into_iter().map(|(_, task)| (task.agent.clone(), task.initiator.name.clone()));
        for (agent, initiator) in line.collect::<BTreeSet<_>>() {
            for tool in &tools {
                self.state.duties.record(catalogue, (&agent, &initiator), tool, (self.time, self.position));
            }
        }
        let family = self.state.families.entry(root).or_default();
        let before = family.session.facts();
        draws.take_in(family, &tools, catalogue, self.position);
        // A call is made before anybody reports it, so what a grant lets in counts against the older ones from now on.
        if others && is_tainted_since(&before, &family.session.facts()) {
            self.owe(root, Trigger::Granted, None);
        }
        Ok(())
    }

    /// What live grants let in counts as the bundle has it that is in force now: their calls go on, and so do they, renewed
    /// again and again.
    fn teach(&mut self, root: TaskId) {
        let bundle = self.state.policy.as_ref().and_then(|p| p.bundle.clone());
        let catalogue = bundle.as_ref().map(|b| b.catalogue());
        let grants = self.state.standing_grants(root);
        let mut tools = NamedClasses::new();
        for grant in grants.iter().filter_map(|id| self.state.grants.get(id)) {
            for tool in &grant.tools {
                let named = grant.named.get(tool).into_iter().flatten().cloned();
                tools.entry(tool.clone()).or_default().extend(named);
            }
        }
        if let Some(family) = self.state.families.get_mut(&root) {
            let sent = Sent::default();
            tools.iter().for_each(|(tool, named)| let_in(family, (tool, named), catalogue, &sent, self.position));
        }
    }

    /// The grant goes on under a new token; the old one is dead from here on.
    fn renewed(&mut self, id: GrantId, mut entry: Grant) {
        let Some(old) = self.state.grants.get(&id).cloned() else { return };
        // INVARIANT: guards keep a renewal from following an end; were one recorded all the same, the end would stand.
        let GrantStanding::Open(causes) = &old.standing else { return };
        let mut causes = causes.clone();
        causes.remove(&SuspensionCause::Drift);
        // Its agent has proven itself to whom we trust now, or nothing would have been granted.
        causes.remove(&SuspensionCause::TrustWithdrawn);
        entry.standing = GrantStanding::Open(causes);
        // A renewal draws nothing, and covers no more than what was drawn for.
        entry.named.clone_from(&old.named);
        self.state.close(entry.task, (old.expires, id));
        self.state.open(entry.task, (entry.expires, id));
        let by = &mut self.state.by;
        by.expiries.remove(&(old.expires, id));
        by.expiries.insert((entry.expires, id));
        if let Some(since) = old.drifts_since {
            by.drifting.remove(&(since, id));
        }
        let dead = self.change(id, &Grant { standing: GrantStanding::Revoked, ..old });
        self.state.retired.push_back(dead.clone());
        self.state.changes.push(dead);
        self.state.grants.insert(id, entry);
    }

    fn revoked(&mut self, e: &pb::Revoked) -> Result<(), FoldError> {
        let target = parse_target(&e.target_kind, &e.target)?;
        if let Target::Task(id) = &target {
            self.task_ended(*id, TaskState::Cancelled);
        }
        for grant in self.state.grants_under(&target) {
            self.end_grant(grant, &GrantStanding::Revoked);
        }
        // What was approved before is not to come back with the lifting of a block.
        for task in self.state.tasks_under(&target) {
            self.state.approvals.close(task, self.position);
        }
        if let Target::Agent(id) = &target {
            self.state.approvals.close_asked_by(id, self.position);
        }
        self.close_glasses_under(&target);
        self.unsaid_under(&target);
        if e.blocks {
            let block = Block { sealed_reason: e.sealed.to_vec(), since: self.time, position: self.position };
            self.state.blocks.insert(target, block);
        }
        Ok(())
    }

    fn open<W: serde::de::DeserializeOwned>(
        &self,
        root: TaskId,
        kind: &'static str,
        id: &str,
        bytes: &[u8],
    ) -> Result<Option<W>, FoldError> {
        match words::open(&self.means.sealer, root, Context { kind, id }, bytes) {
            Ok(words) => Ok(Some(words)),
            // Nothing can be decided about the family any more: the words of its tasks are gone too.
            Err(error) if error.is_erased() => Ok(None),
            Err(error) => Err(FoldError::Words(error)),
        }
    }

    fn suspend(&mut self, id: GrantId, cause: SuspensionCause) {
        let time = self.time;
        let Some(grant) = self.state.grants.get_mut(&id) else { return };
        let GrantStanding::Open(causes) = &mut grant.standing else { return };
        let was_live = causes.is_empty();
        if !causes.insert(cause) {
            return;
        }
        if cause == SuspensionCause::Drift {
            grant.drifts_since = Some(time);
            self.state.by.drifting.insert((time, id));
        }
        if was_live && grant.expires > time {
            self.tally.suspended += 1;
        }
        self.tell(id);
    }

    fn lift(&mut self, id: GrantId, cause: SuspensionCause) {
        let Some(grant) = self.state.grants.get_mut(&id) else { return };
        let GrantStanding::Open(causes) = &mut grant.standing else { return };
        if !causes.remove(&cause) {
            return;
        }
        if cause == SuspensionCause::Drift
            && let Some(since) = grant.drifts_since.take()
        {
            self.state.by.drifting.remove(&(since, id));
        }
        self.tell(id);
    }

    fn end_grant(&mut self, id: GrantId, end: &GrantStanding) {
        let Some(grant) = self.state.grants.get_mut(&id) else { return };
        if grant.standing.is_ended() {
            return;
        }
        let had_expired = !grant.is_open(self.time);
        grant.standing = end.clone();
        let (task, expires) = (grant.task, grant.expires);
        if let Some(since) = grant.drifts_since.take() {
            self.state.by.drifting.remove(&(since, id));
        }
        self.state.close(task, (expires, id));
        self.tally.revoked += u32::from(!had_expired);
        self.tell(id);
    }

    fn tell(&mut self, id: GrantId) {
        if let Some(grant) = self.state.grants.get(&id) {
            let change = self.change(id, grant);
            self.state.changes.push(change);
        }
    }

    fn change(&self, id: GrantId, grant: &Grant) -> GrantChange {
        GrantChange {
            position: self.position,
            time: self.time,
            jti: grant.jti,
            grant: id,
            task: grant.task,
            audience: grant.audience.clone(),
            standing: grant.standing.clone(),
            expires: grant.expires,
        }
    }
}

fn answer(position: u64, decision: Option<&pb::Decision>, asked: &[u8]) -> Result<Answer, FoldError> {
    let decision = decision.ok_or(FoldError::Value("decision"))?;
    Ok(Answer {
        position,
        asked: asked.try_into().unwrap_or_default(),
        outcome: crate::broker::record::in_force(decision).ok_or(FoldError::Value("outcome"))?,
        decision: Some(decision.decision_id.parse()?),
    })
}

#[cfg(test)]
mod tests;
