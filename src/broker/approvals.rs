//! Approvals as the broker knows them: what people were asked, what they said, and what it is good for. A fold of the journal like
//! everything that is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::denials::Denials;
use crate::model::approval::{self, ApprovalFacts, Cure, Verdict};
use crate::model::decision::Outcome;
use crate::model::id::{ApprovalId, DecisionId, GrantId, InitiatorName, TaskId};
use crate::model::risk::Band;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// How people are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// How long a request waits for an answer. Unanswered, it is denied.
    pub answer_within: Duration,
    /// The same for tasks that nobody attends; never longer.
    pub unattended_answer_within: Duration,
    /// How long an approval can be used once it was given.
    pub use_within: Duration,
    /// How long a denial, or that nobody answered, stands for the same access of the same agent.
    pub denial_stands: Duration,
    /// How long it waits until more people are told, and may answer; `None` when that never is.
    pub escalate_after: Option<Duration>,
    /// True when reviewers answer from then on for an initiator who did not.
    pub escalate_step_up: bool,
    /// Most requests of one agent, and amendments by one orchestrator, that wait at a time, so that nobody is worn down.
    pub pending_per_agent_max: usize,
    /// Most requests on behalf of one initiator that wait at a time.
    pub pending_per_initiator_max: usize,
}

impl ApprovalSettings {
    /// As `deploy/config/carnet.toml` has them.
    pub const DEFAULT: Self = Self {
        answer_within: approval::ANSWER_WITHIN_DEFAULT,
        unattended_answer_within: approval::ANSWER_WITHIN_DEFAULT,
        use_within: approval::USE_WITHIN_DEFAULT,
        denial_stands: approval::DENIAL_STANDS_DEFAULT,
        escalate_after: Some(Duration::from_secs(
            approval::ANSWER_WITHIN_DEFAULT.as_secs() / approval::ESCALATE_AFTER_PART as u64,
        )),
        escalate_step_up: false,
        pending_per_agent_max: approval::PENDING_PER_AGENT_DEFAULT as usize,
        pending_per_initiator_max: approval::PENDING_PER_INITIATOR_DEFAULT as usize,
    };
}

impl ApprovalSettings {
    /// How long a request waits for an answer.
    #[must_use]
    pub fn waits(&self, unattended: bool) -> Duration {
        if unattended { self.unattended_answer_within.min(self.answer_within) } else { self.answer_within }
    }
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Digest of what an approval is asked for, under the key of its family.
pub(in crate::broker) type Covers = [u8; 32];

/// What people are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) enum About {
    /// A credential of the task's agent.
    Credential,
    /// A change of the task itself, for which this orchestrator asks.
    Amendment(SpiffeId),
}

/// What people were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Approval {
    pub(in crate::broker) about: About,
    pub(in crate::broker) task: TaskId,
    pub(in crate::broker) agent: SpiffeId,
    pub(in crate::broker) initiator: InitiatorName,
    /// Whose word it is that this is the initiator: what others say in somebody's name takes no place of that person's.
    pub(in crate::broker) on_the_word_of: Option<SpiffeId>,
    pub(in crate::broker) covers: Covers,
    /// `StepUp` or `Review`.
    pub(in crate::broker) outcome: Outcome,
    pub(in crate::broker) needed: u32,
    /// The decision that is shown.
    pub(in crate::broker) decision: DecisionId,
    /// Position of the event that holds it.
    pub(in crate::broker) position: u64,
    pub(in crate::broker) policy_digest: String,
    pub(in crate::broker) band: Band,
    pub(in crate::broker) doubts: Vec<Cure>,
    /// What scorers said of it then, or their silence: source and points.
    pub(in crate::broker) scores: Vec<(String, u32)>,
    pub(in crate::broker) asked: Timestamp,
    pub(in crate::broker) standing: ApprovalStanding,
    /// Until when it waits, can be used or stands, by its standing.
    pub(in crate::broker) until: Timestamp,
    /// Owners of tools for whom policy wants somebody to answer.
    pub(in crate::broker) owners: BTreeSet<String>,
    pub(in crate::broker) escalated: Option<Escalated>,
    /// Who approved, each once.
    pub(in crate::broker) votes: Vec<(InitiatorName, Verdict, Timestamp)>,
    /// Position of the event that changed it last.
    pub(in crate::broker) changed: u64,
}

/// That it was not answered in time, and more people may answer since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Escalated {
    pub(in crate::broker) at: Timestamp,
    /// Of the event.
    pub(in crate::broker) position: u64,
    /// It was for the initiator, and is a review since.
    pub(in crate::broker) as_review: bool,
}

/// Where an approval stands. What only the clock says is not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) enum ApprovalStanding {
    Pending,
    Answered(Verdict),
    Used(GrantId),
    /// The task was amended by it, by the event at that position.
    Extended(u64),
    Withdrawn,
    /// Another stands in its place, its task has ended, or another policy bundle is in force.
    Closed,
}

impl Approval {
    /// Who asks: the agent, or the orchestrator that would amend its task. Nobody takes up another's places.
    pub(in crate::broker) const fn asker(&self) -> &SpiffeId {
        match &self.about {
            About::Credential => &self.agent,
            About::Amendment(by) => by,
        }
    }

    /// The initiator, when somebody verified that; what was merely said says nothing about a person.
    pub(in crate::broker) fn verified_initiator(&self) -> Option<&InitiatorName> {
        Some(&self.initiator).filter(|_| self.on_the_word_of.is_none())
    }

    /// On whose behalf, and on whose word.
    pub(in crate::broker) fn behalf(&self) -> Behalf {
        (self.initiator.clone(), self.on_the_word_of.clone())
    }

    /// True while an answer to it can still come to something.
    pub(in crate::broker) const fn is_open(&self) -> bool {
        matches!(self.standing, ApprovalStanding::Pending | ApprovalStanding::Answered(Verdict::Approved))
    }

    /// What it takes now: `StepUp` or `Review`.
    pub(in crate::broker) fn asks(&self) -> Outcome {
        if self.escalated.is_some_and(|escalated| escalated.as_review) { Outcome::Review } else { self.outcome }
    }

    /// When it was approved for good.
    pub(in crate::broker) fn approved_at(&self) -> Option<Timestamp> {
        let approved = self.standing == ApprovalStanding::Answered(Verdict::Approved);
        self.votes.last().filter(|_| approved).map(|(_, _, at)| *at)
    }

    /// True when it waits for an answer.
    pub(in crate::broker) fn waits(&self, now: Timestamp) -> bool {
        self.standing == ApprovalStanding::Pending && now < self.until
    }

    /// What a decision is to know of it; `None` when nothing was said, or it is no longer good for anything.
    pub(in crate::broker) fn facts(
        &self,
        id: ApprovalId,
        settings: &ApprovalSettings,
        now: Timestamp,
    ) -> Option<ApprovalFacts> {
        let (verdict, until) = match self.standing {
            ApprovalStanding::Answered(verdict) => (verdict, self.until),
            // Nobody answered, which may not be recorded yet.
            ApprovalStanding::Pending if self.until <= now => {
                (Verdict::Unanswered, self.until.after(settings.denial_stands))
            }
            ApprovalStanding::Pending
            | ApprovalStanding::Used(_)
            | ApprovalStanding::Extended(_)
            | ApprovalStanding::Withdrawn
            | ApprovalStanding::Closed => return None,
        };
        (now < until).then(|| ApprovalFacts {
            id,
            verdict,
            by: self.votes.iter().map(|(person, ..)| person.clone()).collect(),
            policy_digest: self.policy_digest.clone(),
            band: self.band,
            cures: self.doubts.clone(),
            until,
            used: false,
        })
    }

    /// True when who was shown this would see nothing new in a decision like that.
    pub(in crate::broker) fn shows(
        &self,
        outcome: Outcome,
        needed: u32,
        policy_digest: &str,
        band: Band,
        doubts: &[Cure],
    ) -> bool {
        (self.outcome, self.needed) == (outcome, needed)
            && self.policy_digest == policy_digest
            && band <= self.band
            && doubts.iter().all(|doubt| self.doubts.iter().any(|shown| shown.covers(doubt, &BTreeSet::new())))
    }
}

/// On whose behalf, and on whose word when nobody was verified.
type Behalf = (InitiatorName, Option<SpiffeId>);

/// All of them, with ways to find one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Approvals {
    all: BTreeMap<ApprovalId, Approval>,
    by_covers: HashMap<Covers, ApprovalId>,
    /// Those of each task.
    of_task: HashMap<TaskId, BTreeSet<ApprovalId>>,
    /// Those that wait, by until when.
    waiting: BTreeSet<(Timestamp, ApprovalId)>,
    /// Those among them that were not escalated, by when they were asked.
    not_escalated: BTreeSet<(Timestamp, ApprovalId)>,
    waiting_of_asker: HashMap<SpiffeId, usize>,
    waiting_of_initiator: HashMap<Behalf, usize>,
    /// By the position of the event that changed them last.
    by_change: BTreeSet<(u64, ApprovalId)>,
    denied: Denials,
}

impl Approvals {
    pub(in crate::broker) fn find(&self, id: ApprovalId) -> Option<&Approval> {
        self.all.get(&id)
    }

    /// The latest that covers that.
    pub(in crate::broker) fn covering(&self, covers: &Covers) -> Option<(ApprovalId, &Approval)> {
        let id = *self.by_covers.get(covers)?;
        self.all.get(&id).map(|approval| (id, approval))
    }

    /// What people denied, in whichever task.
    pub(in crate::broker) const fn denials(&self) -> &Denials {
        &self.denied
    }

    /// The same, to be changed.
    pub(in crate::broker) const fn denials_mut(&mut self) -> &mut Denials {
        &mut self.denied
    }

    /// How many wait for which that one asks, and on behalf of that initiator.
    pub(in crate::broker) fn waiting(&self, asker: &SpiffeId, behalf: &Behalf) -> (usize, usize) {
        let of = |count: Option<&usize>| count.copied().unwrap_or_default();
        (of(self.waiting_of_asker.get(asker)), of(self.waiting_of_initiator.get(behalf)))
    }

    /// How many there are of a task, whatever became of them.
    pub(in crate::broker) fn count_of(&self, task: TaskId) -> usize {
        self.of_task.get(&task).map_or(0, BTreeSet::len)
    }

    /// How many wait.
    pub(in crate::broker) fn count_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Those whose time is over and who wait by the record, the longest over first.
    pub(in crate::broker) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = ApprovalId> {
        self.waiting.iter().take_while(move |(until, _)| *until <= now).map(|(_, id)| *id)
    }

    /// How many wait and were escalated.
    pub(in crate::broker) fn count_escalated(&self) -> usize {
        self.waiting.len().saturating_sub(self.not_escalated.len())
    }

    /// Those who wait by the record, were not escalated, and were asked so long ago, the longest first.
    pub(in crate::broker) fn asked_until(&self, now: Timestamp, ago: Duration) -> impl Iterator<Item = ApprovalId> {
        self.not_escalated.iter().take_while(move |(asked, _)| asked.after(ago) <= now).map(|(_, id)| *id)
    }

    /// All, newest first, from the one before `below`.
    pub(in crate::broker) fn listed(&self, below: Option<ApprovalId>) -> impl Iterator<Item = (ApprovalId, &Approval)> {
        use std::ops::Bound;
        let older = (Bound::Unbounded, below.map_or(Bound::Unbounded, Bound::Excluded));
        self.all.range(older).rev().map(|(id, approval)| (*id, approval))
    }

    /// Those that wait by the record, newest first, whatever else there is.
    pub(in crate::broker) fn listed_waiting(&self) -> Vec<(ApprovalId, &Approval)> {
        let ids: BTreeSet<ApprovalId> = self.waiting.iter().map(|(_, id)| *id).collect();
        ids.into_iter().rev().filter_map(|id| Some((id, self.all.get(&id)?))).collect()
    }

    /// Those of these tasks, newest first, from the one before `below`.
    pub(in crate::broker) fn of_tasks<'a>(
        &'a self,
        tasks: impl Iterator<Item = &'a TaskId>,
        below: Option<ApprovalId>,
    ) -> Vec<(ApprovalId, &'a Approval)> {
        let ids = tasks.filter_map(|task| self.of_task.get(task)).flatten();
        let ids: BTreeSet<ApprovalId> = ids.copied().filter(|id| below.is_none_or(|below| *id < below)).collect();
        ids.into_iter().rev().filter_map(|id| Some((id, self.all.get(&id)?))).collect()
    }

    /// Those that an event after `position` has changed, in the order of their last change.
    pub(in crate::broker) fn changed_after(&self, position: u64) -> impl Iterator<Item = (ApprovalId, &Approval)> {
        let first = (position.saturating_add(1), ApprovalId::from_bytes([0; 16]));
        let ids = self.by_change.range(first..);
        ids.filter_map(|(_, id)| self.all.get(id).map(|approval| (*id, approval)))
    }

    /// For snapshots.
    pub(in crate::broker) fn saved(&self) -> SavedApprovals {
        SavedApprovals {
            all: self.all.iter().map(|(id, approval)| (*id, approval.clone())).collect(),
            covering: self.by_covers.iter().map(|(covers, id)| (*covers, *id)).collect(),
        }
    }

    /// From a snapshot.
    pub(in crate::broker) fn from_saved(saved: SavedApprovals) -> Self {
        let mut approvals = Self::default();
        for (id, approval) in saved.all {
            approvals.insert(id, approval);
        }
        approvals.by_covers = saved.covering.into_iter().collect();
        approvals
    }

    /// Puts one there, or another in its place.
    pub(in crate::broker) fn insert(&mut self, id: ApprovalId, approval: Approval) {
        self.take_out(id);
        if approval.standing == ApprovalStanding::Pending {
            self.waiting.insert((approval.until, id));
            if approval.escalated.is_none() {
                self.not_escalated.insert((approval.asked, id));
            }
            *self.waiting_of_asker.entry(approval.asker().clone()).or_default() += 1;
            *self.waiting_of_initiator.entry(approval.behalf()).or_default() += 1;
        }
        self.by_covers.insert(approval.covers, id);
        self.of_task.entry(approval.task).or_default().insert(id);
        self.by_change.insert((approval.changed, id));
        self.all.insert(id, approval);
    }

    /// Changes one; nothing happens when there is none of that id.
    pub(in crate::broker) fn change(&mut self, id: ApprovalId, position: u64, change: impl FnOnce(&mut Approval)) {
        let Some(mut approval) = self.all.get(&id).cloned() else { return };
        // What took its place keeps it.
        let covering = self.by_covers.get(&approval.covers).copied();
        change(&mut approval);
        approval.changed = position;
        let covers = approval.covers;
        self.insert(id, approval);
        if let Some(covering) = covering {
            self.by_covers.insert(covers, covering);
        }
    }

    /// What is open of that to which this person said yes.
    pub(in crate::broker) fn said_by(&self, person: &InitiatorName) -> Vec<ApprovalId> {
        let said = |one: &Approval| one.is_open() && one.votes.iter().any(|(voter, ..)| voter == person);
        self.all.iter().filter(|(_, one)| said(one)).map(|(id, _)| *id).collect()
    }

    /// Takes back what a person said of what is still open: of what waits, the yes counts no more, and what was approved is asked anew.
    pub(in crate::broker) fn unsay(&mut self, person: &InitiatorName, position: u64) {
        for id in self.said_by(person) {
            self.change(id, position, |approval| match approval.standing {
                ApprovalStanding::Pending => approval.votes.retain(|(voter, ..)| voter != person),
                _ => approval.standing = ApprovalStanding::Closed,
            });
        }
    }

    /// Closes what waits or could be used of a task that has ended.
    pub(in crate::broker) fn close(&mut self, task: TaskId, position: u64) {
        let ids = self.of_task.get(&task).into_iter().flatten().copied().collect();
        self.close_open(ids, position, |_| true);
    }

    /// Closes what waits or could be used of a task's amendments: the task is not what was shown any more.
    pub(in crate::broker) fn close_amendments(&mut self, task: TaskId, position: u64) {
        let ids = self.of_task.get(&task).into_iter().flatten().copied().collect();
        self.close_open(ids, position, |approval| matches!(approval.about, About::Amendment(_)));
    }

    /// Closes what waits or could be used of amendments for which this orchestrator asks, in whichever task.
    pub(in crate::broker) fn close_asked_by(&mut self, orchestrator: &SpiffeId, position: u64) {
        let ids = self.all.keys().copied().collect();
        self.close_open(
            ids,
            position,
            |approval| matches!(&approval.about, About::Amendment(by) if by == orchestrator),
        );
    }

    /// Closes what waits or could be used that was shown under another policy bundle than this one: no answer to it comes to anything.
    pub(in crate::broker) fn close_under_others(&mut self, policy_digest: &str, position: u64) {
        let ids = self.all.keys().copied().collect();
        self.close_open(ids, position, |approval| approval.policy_digest != policy_digest);
    }

    fn close_open(&mut self, ids: Vec<ApprovalId>, position: u64, wanted: impl Fn(&Approval) -> bool) {
        let closes = |id: &ApprovalId| self.all.get(id).is_some_and(|approval| approval.is_open() && wanted(approval));
        let ids: Vec<ApprovalId> = ids.into_iter().filter(closes).collect();
        for id in ids {
            self.change(id, position, |approval| approval.standing = ApprovalStanding::Closed);
        }
    }

    /// Lets go of all of a task.
    pub(in crate::broker) fn forget(&mut self, task: TaskId) {
        for id in self.of_task.get(&task).cloned().unwrap_or_default() {
            self.take_out(id);
        }
    }

    fn take_out(&mut self, id: ApprovalId) {
        let Some(old) = self.all.remove(&id) else { return };
        self.by_change.remove(&(old.changed, id));
        self.not_escalated.remove(&(old.asked, id));
        if self.waiting.remove(&(old.until, id)) {
            count_down(&mut self.waiting_of_asker, old.asker());
            count_down(&mut self.waiting_of_initiator, &old.behalf());
        }
        if self.by_covers.get(&old.covers) == Some(&id) {
            self.by_covers.remove(&old.covers);
        }
        if let Some(of_task) = self.of_task.get_mut(&old.task) {
            of_task.remove(&id);
            if of_task.is_empty() {
                self.of_task.remove(&old.task);
            }
        }
    }
}

/// Approvals as a snapshot holds them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::broker) struct SavedApprovals {
    all: Vec<(ApprovalId, Approval)>,
    covering: Vec<(Covers, ApprovalId)>,
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}

#[cfg(test)]
mod tests;
