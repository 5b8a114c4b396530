//! The state as it stands in a snapshot. Snapshots are derived: one of another format, or that does not open, is thrown away
//! and the journal is read instead. Words are sealed in it under the keys of their families, as they are in events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::broker::answer::GrantChange;
use crate::broker::approvals::{Approvals, SavedApprovals};
use crate::broker::ask::Target;
use crate::broker::behaviour::Behaviour;
use crate::broker::denials::Denial;
use crate::broker::drift::Drift;
use crate::broker::duties::Duties;
use crate::broker::evidence::Reports;
use crate::broker::fold::Means;
use crate::broker::glasses::{Glass, Glasses};
use crate::broker::hashes::Hashes;
use crate::broker::proposals::{Before, PoliciesBefore, Proposals};
use crate::broker::state::{
    ActivePolicy, Answer, Block, Due, Family, Grant, NamedClasses, PolicyOrigin, State, Task, Withdrawal,
};
use crate::broker::words::{self, Context, TaskWords};
use crate::intent::session::Session;
use crate::intent::usage::Usage;
use crate::journal::guard_table::GuardTable;
use crate::journal::projection::{LoadError, SaveError};
use crate::model::grant::GrantStanding;
use crate::model::id::{Audience, GlassId, GrantId, Jti, TaskId};
use crate::model::identity::{IdentityClass, Initiator};
use crate::model::risk::Signal;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::risk::drift::watched::Added;

/// Changes whenever the shape or the meaning of what is saved does.
pub(in crate::broker) const FORMAT: u32 = 21;

#[derive(Serialize, Deserialize)]
struct Saved {
    next: u64,
    time: Timestamp,
    marks: GuardTable,
    tasks: Vec<SavedTask>,
    families: Vec<SavedFamily>,
    grants: Vec<(GrantId, Grant)>,
    blocks: BTreeMap<Target, Block>,
    answered: Vec<(Timestamp, SpiffeId, String, Answer)>,
    policy: Option<SavedPolicy>,
    retired: Vec<SavedRetired>,
    ended: Vec<(Timestamp, TaskId)>,
    duties: Duties,
    behaviour: Behaviour,
    drift: Drift,
    withdrawn: BTreeMap<TrustDomain, Withdrawal>,
    approvals: SavedApprovals,
    /// Of each family, sealed: what was denied says amounts.
    denied: Vec<(TaskId, Vec<u8>)>,
    glasses: Vec<(GlassId, Glass)>,
    proposals: Proposals,
    policies_before: Vec<(String, Before)>,
}

#[derive(Serialize, Deserialize)]
struct SavedTask {
    id: TaskId,
    root: TaskId,
    parent: Option<TaskId>,
    agent: SpiffeId,
    orchestrator: SpiffeId,
    initiator: Initiator,
    created: Timestamp,
    deadline: Timestamp,
    depth: u32,
    state: TaskState,
    audiences: Vec<Audience>,
    unattended: bool,
    /// `None` when they were erased.
    words: Option<Vec<u8>>,
    answers: Vec<(String, Answer)>,
}

#[derive(Serialize, Deserialize)]
struct SavedFamily {
    root: TaskId,
    /// Where its key is, so that a start need not look for it among all that were made.
    key: Option<u32>,
    members: Vec<TaskId>,
    /// `None` when it was erased.
    memory: Option<Vec<u8>>,
    reports: Reports,
    keyed: BTreeSet<String>,
    counted: BTreeMap<IdentityClass, Added>,
    due: Option<Due>,
}

/// What a family has seen: made of words, so sealed.
#[derive(Serialize, Deserialize)]
struct Memory {
    session: Arc<Session>,
    usage: Arc<Usage>,
    signals: Arc<Vec<Signal>>,
    /// What agents named of the data that their grants touch.
    named: Vec<(GrantId, NamedClasses)>,
}

#[derive(Serialize, Deserialize)]
struct SavedPolicy {
    digest: String,
    revision: u64,
    activated: Timestamp,
    activated_by: String,
    position: u64,
    observed: bool,
    files: Vec<(String, Vec<u8>)>,
    origin: PolicyOrigin,
}

#[derive(Serialize, Deserialize)]
struct SavedRetired {
    position: u64,
    time: Timestamp,
    jti: Jti,
    grant: GrantId,
    task: TaskId,
    audience: Audience,
    standing: GrantStanding,
    expires: Timestamp,
}

/// Writes the state. What was erased is left out; what else cannot be sealed makes it no snapshot.
///
/// # Errors
/// When words cannot be sealed though they were not erased.
pub(in crate::broker) fn save(state: &State, means: &Means) -> Result<Vec<u8>, SaveError> {
    let task = |(id, t): (&TaskId, &Task)| {
        let words = t.words.as_ref().map(|w| seal(means, t.root, "saved-task", &id.to_string(), w.as_ref()));
        Ok(SavedTask {
            id: *id,
            root: t.root,
            parent: t.parent,
            agent: t.agent.clone(),
            orchestrator: t.orchestrator.clone(),
            initiator: t.initiator.clone(),
            created: t.created,
            deadline: t.deadline,
            depth: t.depth,
            state: t.state,
            audiences: t.audiences.clone(),
            unattended: t.unattended,
            words: words.transpose()?.flatten(),
            answers: t.answers.iter().map(|(id, a)| (id.clone(), *a)).collect(),
        })
    };
    let family = |(root, f): (&TaskId, &Family)| {
        let memory = Memory {
            session: f.session.clone(),
            usage: f.usage.clone(),
            signals: f.signals.clone(),
            named: named_in(state, f),
        };
        let memory = seal(means, *root, "saved-family", &root.to_string(), &memory)?;
        let (members, reports, due) = (f.members.clone(), f.reports.clone(), f.due.clone());
        let (keyed, counted) = (f.keyed.clone(), f.counted.clone());
        Ok(SavedFamily { root: *root, key: means.sealer.place(*root), members, memory, reports, keyed, counted, due })
    };
    // In the order of their ids, which is that of the files that hold their keys.
    let families: BTreeMap<&TaskId, &Family> = state.families.iter().collect();
    let answered = state.by.answered.iter().filter_map(|(at, asker, request)| {
        let answer = state.registrations.get(asker)?.get(request)?;
        Some((*at, asker.clone(), request.clone(), *answer))
    });
    let saved = Saved {
        next: state.next,
        time: state.time,
        marks: state.marks.clone(),
        tasks: state.tasks.iter().map(task).collect::<Result<_, SaveError>>()?,
        families: families.into_iter().map(family).collect::<Result<_, SaveError>>()?,
        grants: state.grants.iter().map(|(id, g)| (*id, g.clone())).collect(),
        blocks: state.blocks.clone(),
        answered: answered.collect(),
        policy: state.policy.as_ref().map(save_policy),
        retired: state.retired.iter().map(save_retired).collect(),
        ended: state.by.ended.iter().copied().collect(),
        duties: state.duties.clone(),
        behaviour: state.behaviour.clone(),
        drift: state.drift.clone(),
        withdrawn: state.withdrawn.clone(),
        approvals: state.approvals.saved(),
        denied: save_denials(state, means)?,
        glasses: state.glasses.saved(),
        proposals: state.proposals.clone(),
        policies_before: state.policies_before.saved(),
    };
    postcard::to_stdvec(&saved).map_err(|e| SaveError(Box::new(e)))
}

/// Reads what [`save`] wrote.
pub(in crate::broker) fn load(bytes: &[u8], means: &Means) -> Result<State, LoadError> {
    let saved: Saved = postcard::from_bytes(bytes).map_err(|e| LoadError(Box::new(e)))?;
    let mut state = State { next: saved.next, time: saved.time, marks: saved.marks, ..State::default() };
    let mut named = HashMap::new();
    for family in saved.families {
        if let Some(place) = family.key {
            means.sealer.expect(family.root, place);
        }
        let memory = match family.memory {
            Some(sealed) => open::<Memory>(means, family.root, "saved-family", &family.root.to_string(), &sealed)?,
            None => erased(means, family.root)?,
        };
        state.by.reported.extend(family.reports.oldest().map(|oldest| (oldest, family.root)));
        state.by.due.extend(family.due.is_some().then_some(family.root));
        let (members, reports, counted, due) = (family.members, family.reports, family.counted, family.due);
        let mut entry = Family { members, reports, keyed: family.keyed, counted, due, ..Family::default() };
        if let Some(memory) = memory {
            (entry.session, entry.usage, entry.signals) = (memory.session, memory.usage, memory.signals);
            named.extend(memory.named);
        }
        state.families.insert(family.root, entry);
    }
    for task in saved.tasks {
        let words = match &task.words {
            Some(sealed) => open::<TaskWords>(means, task.root, "saved-task", &task.id.to_string(), sealed)?,
            None => erased(means, task.root)?,
        };
        insert_task(&mut state, task, words);
    }
    let children: Vec<(TaskId, TaskId)> = state.tasks.iter().filter_map(|(id, t)| Some((t.parent?, *id))).collect();
    for (parent, child) in children {
        if let Some(parent) = state.tasks.get_mut(&parent) {
            parent.children.push(child);
        }
    }
    for task in state.tasks.values_mut() {
        task.children.sort_unstable();
    }
    for id in state.tasks.keys() {
        for orchestrator in state.orchestrators(*id) {
            state.by.tasks_of_orchestrator.entry(orchestrator).or_default().insert(*id);
        }
    }
    for (id, grant) in saved.grants {
        let named = named.remove(&id).unwrap_or_default();
        insert_grant(&mut state, id, Grant { named, ..grant });
    }
    for (at, asker, request, answer) in saved.answered {
        state.registrations.entry(asker.clone()).or_default().insert(request.clone(), answer);
        state.by.answered.push_back((at, asker, request));
    }
    state.blocks = saved.blocks;
    state.by.ended = saved.ended.into_iter().collect();
    state.duties = saved.duties;
    state.behaviour = saved.behaviour;
    state.drift = saved.drift;
    state.withdrawn = saved.withdrawn;
    state.approvals = Approvals::from_saved(saved.approvals);
    for (root, sealed) in saved.denied {
        // As when the journal is read: of what was erased nobody knows any more what was denied.
        let denied = open::<Vec<Denial>>(means, root, "saved-denials", &root.to_string(), &sealed)?.unwrap_or_default();
        denied.into_iter().for_each(|denial| state.approvals.denials_mut().remember(denial));
    }
    state.glasses = Glasses::from_saved(saved.glasses);
    state.proposals = saved.proposals;
    state.policies_before = PoliciesBefore::from_saved(saved.policies_before);
    state.retired = saved.retired.into_iter().map(load_retired).collect();
    state.policy = saved.policy.map(|p| load_policy(p, means));
    state.changes.begin_at(saved.next);
    Ok(state)
}

fn insert_task(state: &mut State, task: SavedTask, words: Option<TaskWords>) {
    let by = &mut state.by;
    by.tasks_of_agent.entry(task.agent.clone()).or_default().insert(task.id);
    by.tasks_of_initiator.entry(task.initiator.name.clone()).or_default().insert(task.id);
    if !task.state.is_ended() {
        by.deadlines.insert((task.deadline, task.id));
    }
    let mut entry = Task {
        root: task.root,
        parent: task.parent,
        children: Vec::new(),
        agent: task.agent,
        orchestrator: task.orchestrator,
        initiator: task.initiator,
        created: task.created,
        deadline: task.deadline,
        depth: task.depth,
        state: task.state,
        audiences: task.audiences,
        unattended: task.unattended,
        hashes: Hashes::of(words.as_ref()),
        words: words.map(Arc::new),
        grants: BTreeSet::new(),
        open: BTreeSet::new(),
        answers: task.answers.into_iter().collect::<HashMap<_, _>>(),
        denied: HashMap::new(),
    };
    for answer in entry.answers.values().copied().collect::<Vec<_>>() {
        entry.note_denial(&answer);
    }
    if let Some(family) = state.families.get_mut(&entry.root) {
        family.answers += entry.answers.len();
    }
    state.tasks.insert(task.id, entry);
}

/// What is denied, sealed for the family that it was denied to. What was erased is left out.
fn save_denials(state: &State, means: &Means) -> Result<Vec<(TaskId, Vec<u8>)>, SaveError> {
    let mut by_root: BTreeMap<TaskId, Vec<&Denial>> = BTreeMap::new();
    state.approvals.denials().all().for_each(|denial| by_root.entry(denial.root).or_default().push(denial));
    let sealed = |(root, denied): (TaskId, Vec<&Denial>)| {
        let sealed = seal(means, root, "saved-denials", &root.to_string(), &denied);
        sealed.map(|sealed| sealed.map(|sealed| (root, sealed))).transpose()
    };
    by_root.into_iter().filter_map(sealed).collect()
}

/// What was named for grants of the family.
fn named_in(state: &State, family: &Family) -> Vec<(GrantId, NamedClasses)> {
    let grants = family.members.iter().filter_map(|id| state.tasks.get(id)).flat_map(|task| &task.grants);
    let named = grants.filter_map(|id| Some((*id, state.grants.get(id)?.named.clone())));
    named.filter(|(_, named)| !named.is_empty()).collect()
}

fn insert_grant(state: &mut State, id: GrantId, grant: Grant) {
    if let Some(task) = state.tasks.get_mut(&grant.task) {
        task.grants.insert(id);
    }
    if !grant.standing.is_ended() {
        state.open(grant.task, (grant.expires, id));
    }
    state.by.expiries.insert((grant.expires, id));
    state.by.grants_of_audience.entry(grant.audience.clone()).or_default().insert(id);
    if let Some(since) = grant.drifts_since {
        state.by.drifting.insert((since, id));
    }
    state.grants.insert(id, grant);
}

fn save_policy(policy: &ActivePolicy) -> SavedPolicy {
    SavedPolicy {
        digest: policy.digest.clone(),
        revision: policy.revision,
        activated: policy.activated,
        activated_by: policy.activated_by.clone(),
        position: policy.position,
        observed: policy.observed,
        files: policy.files.iter().map(|f| (f.path.clone(), f.content.to_vec())).collect(),
        origin: policy.origin.as_ref().clone(),
    }
}

fn load_policy(policy: SavedPolicy, means: &Means) -> ActivePolicy {
    let file = |(path, content): (String, Vec<u8>)| crate::pb::journal::BundleFile { path, content: content.into() };
    let files: Arc<[_]> = policy.files.into_iter().map(file).collect();
    ActivePolicy {
        bundle: means.bundles.bundle(&policy.digest, &files),
        files,
        digest: policy.digest,
        revision: policy.revision,
        activated: policy.activated,
        activated_by: policy.activated_by,
        position: policy.position,
        observed: policy.observed,
        origin: Arc::new(policy.origin),
    }
}

fn save_retired(c: &GrantChange) -> SavedRetired {
    SavedRetired {
        position: c.position,
        time: c.time,
        jti: c.jti,
        grant: c.grant,
        task: c.task,
        audience: c.audience.clone(),
        standing: c.standing.clone(),
        expires: c.expires,
    }
}

fn load_retired(s: SavedRetired) -> GrantChange {
    GrantChange {
        position: s.position,
        time: s.time,
        jti: s.jti,
        grant: s.grant,
        task: s.task,
        audience: s.audience,
        standing: s.standing,
        expires: s.expires,
    }
}

/// `None` when the family was erased.
fn seal<W: Serialize>(
    means: &Means,
    root: TaskId,
    kind: &'static str,
    id: &str,
    words: &W,
) -> Result<Option<Vec<u8>>, SaveError> {
    match words::seal_derived(&means.sealer, root, Context { kind, id }, words) {
        Ok(sealed) => Ok(Some(sealed.to_vec())),
        Err(error) if error.is_erased() => Ok(None),
        Err(error) => Err(SaveError(Box::new(error))),
    }
}

fn open<W: serde::de::DeserializeOwned>(
    means: &Means,
    root: TaskId,
    kind: &'static str,
    id: &str,
    sealed: &[u8],
) -> Result<Option<W>, LoadError> {
    match words::open(&means.sealer, root, Context { kind, id }, sealed) {
        Ok(words) => Ok(Some(words)),
        Err(error) if error.is_erased() => Ok(None),
        Err(error) => Err(LoadError(Box::new(error))),
    }
}

/// What was left out may be missing only when it was erased: a family without its memory would seem to have seen nothing.
fn erased<W>(means: &Means, root: TaskId) -> Result<Option<W>, LoadError> {
    if means.sealer.is_erased(root) { Ok(None) } else { Err(LoadError(Box::new(LeftOutError(root)))) }
}

#[derive(Debug, thiserror::Error)]
#[error("the words of `{0}` are not in the snapshot, and were not erased")]
struct LeftOutError(TaskId);
