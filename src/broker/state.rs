//! What the broker knows now: a fold of the journal, and nothing that is not in it. It is read under a short lock and never
//! written but by `fold`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::broker::answer::GrantChange;
use crate::broker::approvals::Approvals;
use crate::broker::ask::Target;
use crate::broker::behaviour::Behaviour;
use crate::broker::changes::Changes;
use crate::broker::drift::Drift;
use crate::broker::duties::Duties;
use crate::broker::evidence::Reports;
use crate::broker::glasses::Glasses;
use crate::broker::hashes::Hashes;
use crate::broker::proposals::{Before, PoliciesBefore, Proposals};
use crate::broker::retain::Trigger;
use crate::broker::words::TaskWords;
use crate::intent::session::Session;
use crate::intent::usage::Usage;
use crate::journal::guard_table::GuardTable;
use crate::model::decision::Outcome;
use crate::model::grant::GrantStanding;
use crate::model::id::{Audience, DataClass, DecisionId, GrantId, InitiatorName, Jti, RequestId, TaskId, ToolName};
use crate::model::identity::{IdentityClass, Initiator};
use crate::model::limits::{ANSWERS_PER_FAMILY_MAX, OPEN_GRANTS_PER_FAMILY_MAX};
use crate::model::risk::Signal;
use crate::model::signer::Signer;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::journal::BundleFile;
use crate::policy::bundle::PolicyBundle;
use crate::risk::drift::watched::Added;

/// How it is named among blocks that the trust domain of an agent is no longer trusted.
pub(in crate::broker) const TRUST_BLOCK: &str = "trust_domain";

/// Everything that the events so far amount to.
#[derive(Debug, Default)]
pub(in crate::broker) struct State {
    /// The position that comes next.
    pub(in crate::broker) next: u64,
    /// The time of the last event.
    pub(in crate::broker) time: Timestamp,
    /// When each guarded thing last changed.
    pub(in crate::broker) marks: GuardTable,
    /// In the order in which they are listed, so that a page is read without the rest.
    pub(in crate::broker) tasks: BTreeMap<TaskId, Task>,
    pub(in crate::broker) families: HashMap<TaskId, Family>,
    pub(in crate::broker) grants: HashMap<GrantId, Grant>,
    pub(in crate::broker) blocks: BTreeMap<Target, Block>,
    /// Answers to registrations, by who asked.
    pub(in crate::broker) registrations: HashMap<SpiffeId, HashMap<String, Answer>>,
    pub(in crate::broker) policy: Option<ActivePolicy>,
    /// Trust domains that are no longer trusted.
    pub(in crate::broker) withdrawn: BTreeMap<TrustDomain, Withdrawal>,
    /// What receivers of revocations are told.
    pub(in crate::broker) changes: Changes,
    /// Tokens that a renewal replaced, by the end of their life: dead, though their grant lives.
    pub(in crate::broker) retired: VecDeque<GrantChange>,
    /// What agents and initiators must not combine, in whichever task.
    pub(in crate::broker) duties: Duties,
    /// What people were asked.
    pub(in crate::broker) approvals: Approvals,
    /// What people opened by break-glass.
    pub(in crate::broker) glasses: Glasses,
    /// Policy that waits for a second person.
    pub(in crate::broker) proposals: Proposals,
    /// Which policy bundles were in force, the one that is among them.
    pub(in crate::broker) policies_before: PoliciesBefore,
    /// What is usual for each agent.
    pub(in crate::broker) behaviour: Behaviour,
    /// What is decided for each class of identities, against a reference.
    pub(in crate::broker) drift: Drift,
    /// Ways to find what an end concerns.
    pub(in crate::broker) by: Finders,
    /// How many grants the latest events ended, suspended or brought back, by position.
    pub(in crate::broker) tallies: VecDeque<(u64, Tally)>,
}

/// How many grants an event ended or suspended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::broker) struct Tally {
    pub(in crate::broker) revoked: u32,
    pub(in crate::broker) suspended: u32,
}

/// Indexes over tasks and grants, each derived from them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Finders {
    pub(in crate::broker) tasks_of_agent: HashMap<SpiffeId, BTreeSet<TaskId>>,
    pub(in crate::broker) tasks_of_initiator: HashMap<InitiatorName, BTreeSet<TaskId>>,
    /// By who registered them, or one above.
    pub(in crate::broker) tasks_of_orchestrator: HashMap<SpiffeId, BTreeSet<TaskId>>,
    pub(in crate::broker) grants_of_audience: HashMap<Audience, BTreeSet<GrantId>>,
    /// Tasks that are not ended, by their deadline.
    pub(in crate::broker) deadlines: BTreeSet<(Timestamp, TaskId)>,
    /// Grants by the end of their current token.
    pub(in crate::broker) expiries: BTreeSet<(Timestamp, GrantId)>,
    /// Ended root tasks by when they ended, to be forgotten.
    pub(in crate::broker) ended: BTreeSet<(Timestamp, TaskId)>,
    /// Answers to registrations by when they were given, to be forgotten.
    pub(in crate::broker) answered: VecDeque<(Timestamp, SpiffeId, String)>,
    /// Grants that drifted, by since when.
    pub(in crate::broker) drifting: BTreeSet<(Timestamp, GrantId)>,
    /// Families whose live grants are to be decided again.
    pub(in crate::broker) due: BTreeSet<TaskId>,
    /// Families with reports that are known again, by when the oldest was made, or earlier.
    pub(in crate::broker) reported: BTreeSet<(Timestamp, TaskId)>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Task {
    pub(in crate::broker) root: TaskId,
    pub(in crate::broker) parent: Option<TaskId>,
    pub(in crate::broker) children: Vec<TaskId>,
    pub(in crate::broker) agent: SpiffeId,
    pub(in crate::broker) orchestrator: SpiffeId,
    pub(in crate::broker) initiator: Initiator,
    pub(in crate::broker) created: Timestamp,
    pub(in crate::broker) deadline: Timestamp,
    pub(in crate::broker) depth: u32,
    pub(in crate::broker) state: TaskState,
    pub(in crate::broker) audiences: Vec<Audience>,
    /// Nobody attends it, by itself; what is below an unattended task is not attended either.
    pub(in crate::broker) unattended: bool,
    /// As tokens say them.
    pub(in crate::broker) hashes: Hashes,
    /// `None` when they were erased.
    pub(in crate::broker) words: Option<Arc<TaskWords>>,
    pub(in crate::broker) grants: BTreeSet<GrantId>,
    /// Those of them that no event has ended, by the end of their current token.
    pub(in crate::broker) open: BTreeSet<(Timestamp, GrantId)>,
    /// Terminal answers, by request id.
    pub(in crate::broker) answers: HashMap<String, Answer>,
    /// Of those, the first denial of each ask, by the digest of what was asked.
    pub(in crate::broker) denied: HashMap<[u8; 32], (u64, DecisionId)>,
}

/// What a root task and all below it share: one history, one pool of budgets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broker) struct Family {
    pub(in crate::broker) session: Arc<Session>,
    pub(in crate::broker) usage: Arc<Usage>,
    pub(in crate::broker) signals: Arc<Vec<Signal>>,
    /// The root and all below it.
    pub(in crate::broker) members: Vec<TaskId>,
    /// How many grants of theirs no event has ended.
    pub(in crate::broker) open: usize,
    /// How many terminal answers they have.
    pub(in crate::broker) answers: usize,
    /// Reports that were counted lately.
    pub(in crate::broker) reports: Reports,
    /// Who was given the key for digests of reported values.
    pub(in crate::broker) keyed: BTreeSet<String>,
    /// What it added to the watch over each class.
    pub(in crate::broker) counted: BTreeMap<IdentityClass, Added>,
    /// Set while its live grants are to be decided again.
    pub(in crate::broker) due: Option<Due>,
}

/// Why the live grants of a family are to be decided again. It stands from the event that is the cause until the one that says
/// that it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Due {
    /// Position of the latest cause. Grants that were made after it were decided with it in mind.
    pub(in crate::broker) position: u64,
    /// When it was recorded.
    pub(in crate::broker) since: Timestamp,
    /// What it was.
    pub(in crate::broker) trigger: Trigger,
    /// Tasks that were amended: what is below them is held against its ceilings anew.
    pub(in crate::broker) amended: BTreeSet<TaskId>,
}

/// Classes of data that an agent named, by tool.
pub(in crate::broker) type NamedClasses = BTreeMap<ToolName, Vec<DataClass>>;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Grant {
    pub(in crate::broker) task: TaskId,
    pub(in crate::broker) jti: Jti,
    pub(in crate::broker) audience: Audience,
    pub(in crate::broker) issued: Timestamp,
    pub(in crate::broker) expires: Timestamp,
    /// Position of the event that holds its current token's claims.
    pub(in crate::broker) position: u64,
    pub(in crate::broker) decision: DecisionId,
    /// The tools that it covers.
    pub(in crate::broker) tools: Vec<ToolName>,
    /// The classes of data that the agent named for each of them, as far as it named any. They are words of its own: a snapshot has them
    /// sealed with the memory of the family.
    #[serde(skip)]
    pub(in crate::broker) named: NamedClasses,
    pub(in crate::broker) standing: GrantStanding,
    /// Since when it drifts.
    pub(in crate::broker) drifts_since: Option<Timestamp>,
    /// The trust domains for which it is suspended, each with the position of the withdrawal that did it. What comes back
    /// after a later one says nothing about an earlier.
    pub(in crate::broker) distrusted: BTreeMap<TrustDomain, u64>,
    /// What policy last answered about it by the record, where it only observed and that was not enforced.
    pub(in crate::broker) observed: Option<Outcome>,
}

/// That a trust domain is no longer trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Withdrawal {
    /// Position of the event that says so.
    pub(in crate::broker) position: u64,
    /// The SHA-256 of the authorities that were trusted of it; none when they are not known.
    pub(in crate::broker) authorities: BTreeSet<Vec<u8>>,
}

/// The terminal answer to a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Answer {
    /// Position of the event that holds it.
    pub(in crate::broker) position: u64,
    /// Digest of what was asked.
    pub(in crate::broker) asked: [u8; 32],
    pub(in crate::broker) outcome: Outcome,
    pub(in crate::broker) decision: Option<DecisionId>,
}

/// A block that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Block {
    /// Why, as it stands in the event.
    pub(in crate::broker) sealed_reason: Vec<u8>,
    pub(in crate::broker) since: Timestamp,
    pub(in crate::broker) position: u64,
}

/// The policy bundle in force.
#[derive(Debug, Clone)]
pub(in crate::broker) struct ActivePolicy {
    /// `None` when the recorded bundle no longer loads: everything is refused until another is activated.
    pub(in crate::broker) bundle: Option<Arc<PolicyBundle>>,
    /// The bundle as it is recorded.
    pub(in crate::broker) files: Arc<[BundleFile]>,
    pub(in crate::broker) digest: String,
    pub(in crate::broker) revision: u64,
    pub(in crate::broker) activated: Timestamp,
    pub(in crate::broker) activated_by: String,
    pub(in crate::broker) position: u64,
    /// True once it is on record that the bundle no longer only observes; from the beginning, when that was over by then.
    pub(in crate::broker) observed: bool,
    pub(in crate::broker) origin: Arc<PolicyOrigin>,
}

/// Who stands behind a bundle, and where it stood before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct PolicyOrigin {
    /// Who answers for it, as its manifest says.
    pub(in crate::broker) owner: String,
    /// Whose signatures held.
    pub(in crate::broker) signed_by: Vec<Signer>,
    /// The manifest as it was sent; empty when there was none.
    pub(in crate::broker) manifest: Vec<u8>,
    /// When the same files had been in force before others were.
    pub(in crate::broker) returns_to: Option<Before>,
    /// The person who proposed it, where another one activated it.
    pub(in crate::broker) proposed_by: String,
}

impl State {
    /// The tasks from `id` up to its root, itself first; empty when it is unknown.
    pub(in crate::broker) fn lineage(&self, id: TaskId) -> Vec<(TaskId, &Task)> {
        let mut line = Vec::new();
        let mut at = Some(id);
        while let Some((id, task)) = at.and_then(|id| self.tasks.get_key_value(&id)) {
            line.push((*id, task));
            at = task.parent;
        }
        line
    }

    /// The answer to a registration that this identity asked for before under that request id.
    pub(in crate::broker) fn registration(&self, asker: &SpiffeId, request: &RequestId) -> Option<Answer> {
        self.registrations.get(asker)?.get(request.as_str()).copied()
    }

    /// Who registered the task, and who those above it.
    pub(in crate::broker) fn orchestrators(&self, id: TaskId) -> BTreeSet<SpiffeId> {
        self.lineage(id).into_iter().map(|(_, task)| task.orchestrator.clone()).collect()
    }

    /// The task and all below it, itself first.
    pub(in crate::broker) fn subtree(&self, id: TaskId) -> Vec<TaskId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(task) = all.get(at).and_then(|id| self.tasks.get(id)) {
            all.extend(&task.children);
            at += 1;
        }
        all
    }

    /// How a task stands when everything above it is taken into account.
    pub(in crate::broker) fn effective_state(&self, id: TaskId) -> Option<TaskState> {
        let line = self.lineage(id);
        let (_, own) = line.first()?;
        if own.state.is_ended() {
            return Some(own.state);
        }
        let paused = line.iter().any(|(_, task)| task.state == TaskState::Paused);
        Some(if paused { TaskState::Paused } else { own.state })
    }

    /// The kinds of block that stand against any of those agents, an initiator or an audience. That an agent's trust domain is
    /// no longer trusted counts as one.
    pub(in crate::broker) fn blocks_against<'a>(
        &self,
        agents: impl IntoIterator<Item = &'a SpiffeId>,
        initiator: &InitiatorName,
        audience: Option<&Audience>,
    ) -> Vec<String> {
        let agents: Vec<&SpiffeId> = agents.into_iter().collect();
        let untrusted = self.has_withdrawn(agents.iter().copied());
        let mut targets: Vec<Target> = agents.into_iter().cloned().map(Target::Agent).collect();
        targets.extend([Target::Initiator(initiator.clone()), Target::Everything]);
        targets.extend(audience.cloned().map(Target::Audience));
        let standing = targets.iter().filter(|t| self.blocks.contains_key(t));
        let mut kinds: Vec<String> = standing.map(|t| t.kind().to_owned()).collect();
        kinds.dedup();
        kinds.extend(untrusted.then(|| TRUST_BLOCK.to_owned()));
        kinds
    }

    /// True when the trust domain of one of those is no longer trusted.
    pub(in crate::broker) fn has_withdrawn<'a>(&self, agents: impl IntoIterator<Item = &'a SpiffeId>) -> bool {
        !self.withdrawn.is_empty() && agents.into_iter().any(|id| self.withdrawn.contains_key(&id.trust_domain()))
    }

    /// Grants of a task and all below it that no event has ended. The clock is not asked: what it has ended here may still be
    /// accepted where another clock is read.
    pub(in crate::broker) fn standing_grants(&self, id: TaskId) -> Vec<GrantId> {
        let tasks = self.subtree(id);
        let grants = tasks.iter().filter_map(|id| self.tasks.get(id)).flat_map(|task| &task.grants);
        grants.copied().filter(|g| self.grants.get(g).is_some_and(|g| !g.standing.is_ended())).collect()
    }

    /// Those of them that were made or renewed after that position.
    pub(in crate::broker) fn granted_since(&self, id: TaskId, position: u64) -> Vec<GrantId> {
        let since = |id: &GrantId| self.grants.get(id).is_some_and(|grant| grant.position > position);
        self.standing_grants(id).into_iter().filter(since).collect()
    }

    /// Grants of those tasks, and of all below them, that no event has ended.
    pub(in crate::broker) fn grants_of<'a>(&self, tasks: impl IntoIterator<Item = &'a TaskId>) -> BTreeSet<GrantId> {
        tasks.into_iter().flat_map(|id| self.standing_grants(*id)).collect()
    }

    /// Grants of what `target` names, and of all below it, that no event has ended.
    pub(in crate::broker) fn grants_under(&self, target: &Target) -> BTreeSet<GrantId> {
        let of = |tasks: Option<&BTreeSet<TaskId>>| self.grants_of(tasks.into_iter().flatten());
        let standing = |id: &GrantId| self.grants.get(id).is_some_and(|grant| !grant.standing.is_ended());
        match target {
            Target::Grant(id) => Some(*id).into_iter().filter(standing).collect(),
            Target::Task(id) => self.grants_of([id]),
            Target::Agent(agent) => of(self.by.tasks_of_agent.get(agent)),
            Target::Initiator(name) => of(self.by.tasks_of_initiator.get(name)),
            Target::Audience(audience) => {
                self.by.grants_of_audience.get(audience).into_iter().flatten().copied().filter(standing).collect()
            }
            Target::Everything => self.grants.keys().copied().filter(standing).collect(),
        }
    }

    /// The tasks of what `target` names, and all below them; of an audience none, for no task is one's.
    pub(in crate::broker) fn tasks_under(&self, target: &Target) -> BTreeSet<TaskId> {
        let below = |tasks: Option<&BTreeSet<TaskId>>| -> BTreeSet<TaskId> {
            tasks.into_iter().flatten().flat_map(|id| self.subtree(*id)).collect()
        };
        match target {
            Target::Task(id) => self.subtree(*id).into_iter().collect(),
            Target::Agent(agent) => below(self.by.tasks_of_agent.get(agent)),
            Target::Initiator(name) => below(self.by.tasks_of_initiator.get(name)),
            Target::Everything => self.tasks.keys().copied().collect(),
            Target::Grant(_) | Target::Audience(_) => BTreeSet::new(),
        }
    }

    /// True when the family has such grants.
    pub(in crate::broker) fn has_standing_grants(&self, root: TaskId) -> bool {
        self.families.get(&root).is_some_and(|family| family.open > 0)
    }

    /// True when the family has as many grants as it may that neither an event nor the clock has ended.
    pub(in crate::broker) fn has_no_room(&self, root: TaskId, now: Timestamp) -> bool {
        let Some(family) = self.families.get(&root).filter(|family| family.open >= OPEN_GRANTS_PER_FAMILY_MAX) else {
            return false;
        };
        let tasks = family.members.iter().filter_map(|id| self.tasks.get(id));
        tasks.map(|task| task.open_count(now)).sum::<usize>() >= OPEN_GRANTS_PER_FAMILY_MAX
    }

    /// Counts a grant of that task as one that no event has ended.
    pub(in crate::broker) fn open(&mut self, task: TaskId, grant: (Timestamp, GrantId)) {
        let Some(task) = self.tasks.get_mut(&task) else { return };
        if task.open.insert(grant) {
            self.families.entry(task.root).or_default().open += 1;
        }
    }

    /// Counts it no more.
    pub(in crate::broker) fn close(&mut self, task: TaskId, grant: (Timestamp, GrantId)) {
        let Some(task) = self.tasks.get_mut(&task) else { return };
        if task.open.remove(&grant)
            && let Some(family) = self.families.get_mut(&task.root)
        {
            family.open = family.open.saturating_sub(1);
        }
    }

    /// Keeps the terminal answer to a request id of a task.
    pub(in crate::broker) fn answered(&mut self, task: TaskId, request: &str, answer: Answer) {
        let Some(task) = self.tasks.get_mut(&task) else { return };
        task.note_denial(&answer);
        if task.answers.insert(request.to_owned(), answer).is_none() {
            self.families.entry(task.root).or_default().answers += 1;
        }
    }

    /// How many grants of a task and all below it neither an event nor the clock has ended.
    pub(in crate::broker) fn open_count(&self, id: TaskId, now: Timestamp) -> usize {
        self.subtree(id).iter().filter_map(|id| self.tasks.get(id)).map(|task| task.open_count(now)).sum()
    }

    /// [`State::standing_grants`], those that live longest first.
    pub(in crate::broker) fn standing_by_life(&self, id: TaskId) -> Vec<GrantId> {
        let mut grants = self.standing_grants(id);
        grants.sort_by_key(|g| Reverse(self.grants.get(g).map(|g| g.expires)));
        grants
    }
}

impl Family {
    /// It has as many terminal answers as a family may.
    pub(in crate::broker) const fn is_answered_out(&self) -> bool {
        self.answers >= ANSWERS_PER_FAMILY_MAX
    }
}

impl Task {
    /// Keeps the first denial of what was asked.
    pub(in crate::broker) fn note_denial(&mut self, answer: &Answer) {
        let Some(decision) = answer.decision.filter(|_| answer.outcome == Outcome::Denied) else { return };
        let first = self.denied.entry(answer.asked).or_insert((answer.position, decision));
        *first = (answer.position, decision).min(*first);
    }

    /// How many of its grants neither an event nor the clock has ended.
    pub(in crate::broker) fn open_count(&self, now: Timestamp) -> usize {
        self.open.iter().rev().take_while(|(expires, _)| *expires > now).count()
    }
}

impl Grant {
    /// True when neither an event nor the clock has ended it.
    pub(in crate::broker) fn is_open(&self, now: Timestamp) -> bool {
        !self.standing.is_ended() && self.expires > now
    }
}
