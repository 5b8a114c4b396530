//! From what the broker knows to facts: one look under the lock, then everything that takes time outside of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::ask::RequestContext;
use crate::broker::caller::WorkloadCaller;
use crate::broker::duties;
use crate::broker::error::BrokerError;
use crate::broker::fold::FoldError;
use crate::broker::principal::absent;
use crate::broker::state::{ActivePolicy, State};
use crate::broker::words::{CallWords, TaskWords, root_intent};
use crate::intent::judge::{Asked as Judged, Grounds, PastUse, entries};
use crate::intent::session::digested::Digested;
use crate::intent::session::{ReportedCall, Reporter, Session};
use crate::intent::task::Intent;
use crate::intent::usage::Usage;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::access::Access;
use crate::model::behaviour::BehaviourFacts;
use crate::model::ceiling::Ceiling;
use crate::model::digested::{DigestKey, DigestedCall};
use crate::model::facts::{
    EntryFacts, FACTS_VERSION, Facts, InitiatorFacts, PrincipalFacts, Question, SessionFacts, TaskFacts,
};
use crate::model::id::{Audience, GrantId, Jti, RequestId, TaskId, ToolName};
use crate::model::identity::Initiator;
use crate::model::reason::ReasonCode;
use crate::model::risk::Signal;
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::{AgentProfile, ProfilePart, TaskState};
use crate::model::time::{Timestamp, Ttl};
use crate::pb::journal as pb;
use crate::policy::bundle::PolicyBundle;

/// One consistent look at a task and all that a decision about it relies on.
#[derive(Debug, Clone)]
pub(in crate::broker) struct View {
    pub(in crate::broker) now: Timestamp,
    pub(in crate::broker) id: TaskId,
    pub(in crate::broker) root: TaskId,
    pub(in crate::broker) parent: Option<TaskId>,
    pub(in crate::broker) agent: SpiffeId,
    /// Who registered the task at the root of the family: whoever handed its work on since decides nothing.
    pub(in crate::broker) orchestrator: SpiffeId,
    /// The agents of the tasks above, nearest first.
    pub(in crate::broker) agents_above: Vec<SpiffeId>,
    pub(in crate::broker) initiator: Initiator,
    /// When the task at the root was registered.
    pub(in crate::broker) created: Timestamp,
    /// The earliest deadline of the task and those above it.
    pub(in crate::broker) deadline: Timestamp,
    /// The task's own deadline, and the earliest of those above it.
    pub(in crate::broker) deadlines: (Timestamp, Option<Timestamp>),
    pub(in crate::broker) depth: u32,
    pub(in crate::broker) state: TaskState,
    pub(in crate::broker) audiences: Vec<Audience>,
    /// Nobody attends the task, or one above it.
    pub(in crate::broker) unattended: bool,
    /// Of the root's intent: what an agent wrote for another grounds nothing.
    pub(in crate::broker) intent_hash: Arc<str>,
    /// Of the nearest ceiling that binds.
    pub(in crate::broker) authority_hash: Option<Arc<str>>,
    /// Words of the task and of those above it, itself first.
    pub(in crate::broker) words: Vec<Arc<TaskWords>>,
    pub(in crate::broker) session: Arc<Session>,
    pub(in crate::broker) usage: Arc<Usage>,
    pub(in crate::broker) signals: Arc<Vec<Signal>>,
    pub(in crate::broker) blocks: Vec<String>,
    pub(in crate::broker) policy: ActivePolicy,
    pub(in crate::broker) bundle: Arc<PolicyBundle>,
    /// What the agent and the initiator used elsewhere of tools that must not be combined with those asked for.
    pub(in crate::broker) past: Vec<PastUse>,
    /// How what is asked for fits what the agent was granted before.
    pub(in crate::broker) behaviour: Option<BehaviourFacts>,
    /// True when what is asked for is covered by a grant already, and so draws on no budget.
    pub(in crate::broker) renews: bool,
    /// What an append that relies on this look must find unchanged.
    pub(in crate::broker) expects: Vec<Expect>,
}

/// What is asked, as far as facts need it.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Asked<'a> {
    pub(in crate::broker) audience: Option<&'a Audience>,
    pub(in crate::broker) ttl: Option<Ttl>,
    pub(in crate::broker) profile: &'a AgentProfile,
    /// What the agent was made of when people approved what is renewed.
    pub(in crate::broker) approved: Option<&'a AgentProfile>,
}

impl View {
    /// Looks at a task. `None` when there is no such task.
    pub(in crate::broker) fn of(
        state: &State,
        id: TaskId,
        audience: Option<&Audience>,
        now: Timestamp,
    ) -> Result<Option<Self>, BrokerError> {
        let line = state.lineage(id);
        let (Some((_, task)), Some((_, root))) = (line.first(), line.last()) else { return Ok(None) };
        let Some(family) = state.families.get(&task.root) else { return Ok(None) };
        let (policy, bundle) = active(state)?;
        // Words that were erased or do not open leave nothing to judge by.
        let words = line.iter().map(|(_, t)| t.words.clone()).collect::<Option<Vec<_>>>();
        let words = words.ok_or_else(|| BrokerError::unavailable(WordsGoneError))?;
        let above = line.iter().skip(1).map(|(_, t)| t.deadline).min();
        let deadline = above.map_or(task.deadline, |above| above.min(task.deadline));
        let mut state_now = state.effective_state(id).unwrap_or(task.state);
        if !state_now.is_ended() && deadline <= now {
            state_now = TaskState::Expired;
        }
        let mut keys: Vec<GuardKey> = line.iter().map(|(id, _)| GuardKey::task(id)).collect();
        let mut agents: Vec<&SpiffeId> = line.iter().map(|(_, t)| &t.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        // What runs below an agent's task runs by its leave, so its block concerns it too.
        keys.extend(agents.iter().map(|agent| GuardKey::agent(agent)));
        keys.extend([
            GuardKey::usage(&task.root),
            GuardKey::initiator(&task.initiator.name),
            GuardKey::everything(),
            GuardKey::policy(),
        ]);
        keys.extend(audience.map(GuardKey::audience));
        let mut blocks = state.blocks_against(agents, &task.initiator.name, audience);
        blocks.extend(stranger_among(&bundle, line.iter().skip(1).map(|(_, t)| &t.agent)));
        let expects = keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }).collect();
        Ok(Some(Self {
            now,
            id,
            root: task.root,
            parent: task.parent,
            agent: task.agent.clone(),
            orchestrator: root.orchestrator.clone(),
            agents_above: line.iter().skip(1).map(|(_, t)| t.agent.clone()).collect(),
            initiator: task.initiator.clone(),
            created: root.created,
            deadline,
            deadlines: (task.deadline, above),
            depth: task.depth,
            state: state_now,
            audiences: task.audiences.clone(),
            unattended: line.iter().any(|(_, task)| task.unattended),
            intent_hash: root.hashes.intent.clone(),
            authority_hash: line.iter().find_map(|(_, task)| task.hashes.authority.clone()),
            words,
            session: family.session.clone(),
            usage: family.usage.clone(),
            signals: family.signals.clone(),
            blocks,
            policy,
            bundle,
            past: Vec::new(),
            behaviour: None,
            renews: false,
            expects,
        }))
    }

    /// Adds who asks for a change of the task: its block concerns the change.
    pub(in crate::broker) fn asked_by(&mut self, state: &State, asker: &SpiffeId) {
        let agents = self.agents_above.iter().chain([&self.agent, asker]);
        self.blocks = state.blocks_against(agents, &self.initiator.name, None);
        self.blocks.extend(stranger_among(&self.bundle, &self.agents_above));
        let key = GuardKey::agent(asker);
        self.expects.push(Expect { key, at: state.marks.at(&key) });
    }

    /// Adds that the request id was not answered before.
    pub(in crate::broker) fn expect_unanswered(&mut self, scope: &str, request: &RequestId) {
        self.expects.push(Expect { key: GuardKey::request(scope, request), at: 0 });
    }

    /// Adds what initiator and agents did in other tasks, as far as it must not be combined with `access`. What an agent may not do
    /// it does not have others do either.
    pub(in crate::broker) fn look_at_duties(&mut self, state: &State, access: &[Access]) {
        let catalogue = self.bundle.catalogue();
        let (mut past, mut keys) = (Vec::new(), Vec::new());
        for agent in self.agents() {
            let who = (agent, &self.initiator.name);
            past.extend(state.duties.of(catalogue, who, access));
            keys.extend(duties::guards(catalogue, who, access));
        }
        past.sort_unstable();
        past.dedup();
        keys.sort_unstable();
        keys.dedup();
        self.past = past;
        self.expects.extend(keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }));
    }

    /// Who works on it, and those above who had it handed on, nearest first.
    fn agents(&self) -> impl Iterator<Item = &SpiffeId> {
        [&self.agent].into_iter().chain(&self.agents_above)
    }

    /// True when the profile has parts that were neither registered for the agent's tasks of the lineage nor shown before: they stand
    /// for it from then on.
    pub(in crate::broker) fn is_shown_first(&self, profile: &AgentProfile) -> bool {
        self.own_words().any(|words| words.profile.lacks(profile))
    }

    /// Words of the tasks of the lineage that are the agent's own.
    fn own_words(&self) -> impl Iterator<Item = &Arc<TaskWords>> {
        let own = self.agents().zip(&self.words).filter(|(agent, _)| **agent == self.agent);
        own.map(|(_, words)| words)
    }

    /// What changed of the agent since any task of the lineage was registered for it: a sub-task that it opens for itself says
    /// nothing about what it was when it was trusted. From what people approved whatever differs has changed: who approved it of an agent
    /// that did not say what it is made of was shown no make-up that it could say later.
    fn profile_changes(&self, now: &AgentProfile, approved: Option<&AgentProfile>) -> Vec<ProfilePart> {
        let since_registered = self.own_words().flat_map(|words| words.profile.changes(now));
        let since_approved = approved.into_iter().flat_map(|approved| approved.differs(now));
        let changed: BTreeSet<ProfilePart> = since_registered.chain(since_approved).collect();
        changed.into_iter().collect()
    }

    /// Makes it a look at the renewal of a grant: the grant must be open under that token, stay as it is, and does not count
    /// against its own budget.
    pub(in crate::broker) fn renewing(&mut self, state: &State, (id, jti): (GrantId, Jti)) -> Result<(), BrokerError> {
        let gone = |code| BrokerError::Precondition { code, decision: None };
        let grant = state.grants.get(&id).ok_or(BrokerError::NotFound { what: "grant" })?;
        if grant.jti != jti || grant.standing.is_ended() {
            return Err(gone(ReasonCode::GrantRevoked));
        }
        if grant.expires <= self.now {
            return Err(gone(ReasonCode::GrantExpired));
        }
        let key = GuardKey::grant(&id);
        self.expects.push(Expect { key, at: state.marks.at(&key) });
        self.renews = true;
        Ok(())
    }

    /// The facts of a request by `caller`.
    pub(in crate::broker) fn facts(
        &self,
        question: Question,
        caller: &WorkloadCaller,
        asked: Asked<'_>,
        entries: Vec<EntryFacts>,
    ) -> Facts {
        let age = self.now.since(caller.peer.not_before());
        Facts {
            version: FACTS_VERSION,
            question,
            now: self.now,
            principal: PrincipalFacts {
                id: caller.peer.spiffe_id().clone(),
                known: true,
                class: caller.class,
                owner: caller.owner.clone(),
                authentication: caller.peer.authentication(),
                svid_age_s: age.as_secs(),
                network_declared: caller.network_declared,
                profile_changes: self.profile_changes(asked.profile, asked.approved),
            },
            initiator: InitiatorFacts { name: self.initiator.name.clone(), verified: self.initiator.verified },
            task: self.task_facts(asked.audience),
            audience: asked.audience.cloned(),
            entries,
            session: self.session.facts(),
            behaviour: self.behaviour.clone(),
            signals: self.signals.as_ref().clone(),
            ttl_asked: asked.ttl,
            registration: None,
            approval: None,
            glass: None,
            opening: None,
            approving: None,
            observing: self.policy.observes_until(caller.class, self.now),
        }
    }

    /// The facts of the task while its agent is not at hand: how that proves itself is looked at when it asks.
    pub(in crate::broker) fn facts_without_agent(&self, question: Question, audience: Option<&Audience>) -> Facts {
        Facts {
            version: FACTS_VERSION,
            question,
            now: self.now,
            principal: absent(&self.bundle, &self.agent),
            initiator: InitiatorFacts { name: self.initiator.name.clone(), verified: self.initiator.verified },
            task: self.task_facts(audience),
            audience: audience.cloned(),
            entries: Vec::new(),
            session: self.session_facts(),
            behaviour: None,
            signals: self.signals.as_ref().clone(),
            ttl_asked: None,
            registration: None,
            approval: None,
            glass: None,
            opening: None,
            approving: None,
            // What nobody asks for, and what a person opens in an emergency, is decided as always.
            observing: None,
        }
    }

    /// The facts of the task itself.
    pub(in crate::broker) fn task_facts(&self, audience: Option<&Audience>) -> TaskFacts {
        let allowed = audience.is_none_or(|a| self.audiences.is_empty() || self.audiences.contains(a));
        TaskFacts {
            id: self.id,
            root: self.root,
            orchestrator: self.orchestrator.clone(),
            agent: self.agent.clone(),
            depth: self.depth,
            ceiling_declared: !self.declared().is_empty(),
            age_s: self.now.since(self.created).as_secs(),
            remaining_s: self.deadline.since(self.now).as_secs(),
            outlived: false,
            state: self.state,
            blocks: self.blocks.clone(),
            audience_allowed: allowed,
        }
    }

    /// What the session has seen.
    pub(in crate::broker) fn session_facts(&self) -> SessionFacts {
        self.session.facts()
    }

    /// Judges each entry against the ceilings of the task and of those above it; values are grounded in the root's intent.
    ///
    /// # Errors
    /// When the arguments of an entry cannot be read as its tool's sinks.
    pub(in crate::broker) fn judge(&self, access: &[Access], asked: Judged) -> Result<Vec<EntryFacts>, BrokerError> {
        let (bounds, declared) = (self.ceilings(), self.declared());
        let grounds = Grounds {
            intent: self.intent(),
            bounds: &bounds,
            declared: &declared,
            session: &self.session,
            usage: &self.usage,
            past: &self.past,
            agent: Some(&self.agent),
            now: self.now,
        };
        let judged = entries(access, self.bundle.catalogue(), &grounds, asked);
        judged.map_err(|e| BrokerError::invalid("access.arguments_json", e.to_string()))
    }

    /// What the family would have seen with a call that was reported; `None` when no grant could be lost for it.
    pub(in crate::broker) fn tainted_by(
        &self,
        call: &pb::ToolCallReported,
        words: (&CallWords, Option<&DigestKey>),
    ) -> Result<Option<Arc<Session>>, FoldError> {
        let mut session = self.session.clone();
        let bundle = Some(self.bundle.as_ref());
        remember(&mut session, (self.intent(), &self.declared()), bundle, &self.agent, (call, words), 0)?;
        Ok(is_tainted_since(&self.session.facts(), &session.facts()).then_some(session))
    }

    /// The intent of the task that began the family.
    pub(in crate::broker) fn intent(&self) -> &Intent {
        root_intent(self.words.last())
    }

    /// The ceilings that hold: the task's own and those above it.
    pub(in crate::broker) fn ceilings(&self) -> Vec<&Ceiling> {
        self.words.iter().filter_map(|w| w.ceiling.as_ref()).collect()
    }

    /// That of them which grounds values.
    pub(in crate::broker) fn declared(&self) -> Vec<&Ceiling> {
        declared(self.words.last())
    }

    /// The longest life that the ceilings allow.
    pub(in crate::broker) fn ceiling_ttl(&self) -> Option<Ttl> {
        self.words.iter().filter_map(|w| w.ceiling.as_ref().and_then(|c| c.ttl_max)).min()
    }
}

/// The ceiling that grounds values: the root's, where an orchestrator wrote it. Those below it only take away, whoever wrote them.
pub(in crate::broker) fn declared(root: Option<&Arc<TaskWords>>) -> Vec<&Ceiling> {
    root.and_then(|words| words.declared()).into_iter().collect()
}

/// The kind of block that it is when one of those who handed the work on is nobody to the policy bundle who works on tasks: what
/// runs below an agent runs by its leave.
pub(in crate::broker) fn stranger_among<'a>(
    bundle: &PolicyBundle,
    above: impl IntoIterator<Item = &'a SpiffeId>,
) -> Option<String> {
    let works = |id: &SpiffeId| bundle.identities().identify(id).is_some_and(|i| i.class.works_on_tasks());
    above.into_iter().any(|id| !works(id)).then(|| IDENTITY_BLOCK.to_owned())
}

/// As blocks are told.
const IDENTITY_BLOCK: &str = "identity";

/// The policy in force; an error when there is none that loads.
pub(in crate::broker) fn active(state: &State) -> Result<(ActivePolicy, Arc<PolicyBundle>), BrokerError> {
    let policy = state.policy.clone().ok_or_else(|| BrokerError::unavailable(NoPolicyError))?;
    let bundle = policy.bundle.clone().ok_or_else(|| BrokerError::unavailable(NoPolicyError))?;
    Ok((policy, bundle))
}

/// True when a task may lose grants for what it has seen since.
pub(in crate::broker) fn is_tainted_since(before: &SessionFacts, after: &SessionFacts) -> bool {
    (before.untrusted_input, &before.carries, before.overflowed)
        != (after.untrusted_input, &after.carries, after.overflowed)
}

/// Adds a reported call to what a family has seen; with the key under which values were digested, where some were. `agent` works on the
/// task that it was made for.
pub(in crate::broker) fn remember(
    session: &mut Arc<Session>,
    (intent, declared): (&Intent, &[&Ceiling]),
    bundle: Option<&PolicyBundle>,
    agent: &SpiffeId,
    (event, (words, key)): (&pb::ToolCallReported, (&CallWords, Option<&DigestKey>)),
    position: u64,
) -> Result<(), FoldError> {
    let tool = ToolName::try_from(event.tool.clone())?;
    let reporter = match event.reporter.as_str() {
        "audience" => Reporter::Audience,
        "gateway" => Reporter::Gateway,
        "server" => Reporter::Server,
        "agent" => Reporter::Agent,
        _ => return Err(FoldError::Value("reporter")),
    };
    let call = ReportedCall {
        tool: &tool,
        spec: bundle.and_then(|b| b.catalogue().tool(&tool)),
        arguments: &words.arguments,
        result: &words.result,
        reporter,
        position,
        failed: event.failed,
    };
    let session = Arc::make_mut(session);
    match key {
        None => session.report_by(&call, Some(agent), intent, declared),
        Some(key) => {
            let DigestedCall { arguments, result, .. } = &words.digested;
            let granted = !event.grant_id.is_empty() && !event.sinks_differ;
            let digested = Digested { key, arguments, result, granted };
            session.report_digested(&call, &digested, Some(agent), intent, declared);
        }
    }
    Ok(())
}

/// The context of what no caller asked for.
pub(in crate::broker) fn no_context() -> RequestContext {
    RequestContext::default()
}

/// The task's words were erased or do not open.
#[derive(Debug, thiserror::Error)]
#[error("the words of the task are gone")]
struct WordsGoneError;

/// No policy bundle is in force.
#[derive(Debug, thiserror::Error)]
#[error("no policy bundle is in force")]
pub(in crate::broker) struct NoPolicyError;
