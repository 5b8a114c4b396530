//! Registering a task: a decision of its own, and a task only when it is granted.

mod again;

use crate::broker::answer::{Decided, Registered};
use crate::broker::ask::RegisterTask;
use crate::broker::caller::{self, Caller, WorkloadCaller};
use crate::broker::error::BrokerError;
use crate::broker::gather::{View, active, stranger_among};
use crate::broker::hidden::Sought;
use crate::broker::record::{self, event, family_of, family_stream};
use crate::broker::state::State;
use crate::broker::words::{self, Context, DecisionWords, TaskWords};
use crate::broker::{Broker, ordinary};
use crate::identity::people::{PersonError, ShownFor, VerifiedPerson};
use crate::intent::compare;
use crate::journal::entry::Entry;
use crate::journal::guards::Expect;
use crate::journal::guards::GuardKey;
use crate::model::ceiling::Ceiling;
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{
    FACTS_VERSION, Facts, InitiatorFacts, PrincipalFacts, Question, RegistrationFacts, SessionFacts, TaskFacts,
};
use crate::model::id::TaskId;
use crate::model::identity::{IdentityClass, Initiator};
use crate::model::limits::{DELEGATION_DEPTH_MAX, INTENT_BYTES_MAX, SUBTASKS_PER_ROOT_MAX, TASK_SECONDS_MAX};
use crate::model::reason::ReasonCode;
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::policy::decide::decide;

/// What refusals name.
const RPC: &str = "RegisterTask";

impl Broker {
    /// Registers a task. Policy decides who may register what for whom; without a grant there is no task.
    ///
    /// # Errors
    /// `Invalid` for a malformed ask, `NotFound` when the parent is not the caller's, `Precondition` when it has ended.
    pub async fn register_task(&self, caller: &Caller, ask: RegisterTask) -> Result<Registered, BrokerError> {
        let place = self.enter_apart(caller)?;
        let asker = caller.workload()?;
        let asked = again::digest(&ask);
        // An answer stands, whatever has become of the token that said who the initiator is.
        let answered = self.0.known.look().registration(asker.peer.spiffe_id(), &ask.request_id);
        if let Some(answer) = answered {
            return self.registered_again(caller, &ask, answer, asked).await;
        }
        let initiator = self.initiator_shown(caller, &ask).await?;
        // Not before: the issuer's keys may have to be got, and no sync waits for that.
        let attending = self.attend(place);
        let id = self.new_task_id()?;
        // A sub-task has its family's.
        let mut has_key = ask.parent.is_some();
        for _ in 0..super::TRIES_MAX {
            let look = {
                let state = self.0.known.look();
                match state.registration(asker.peer.spiffe_id(), &ask.request_id) {
                    // Whatever has become of the deadline, or of the task above.
                    Some(answer) => Err(answer),
                    None => {
                        let now = self.now_to_grant(&state)?;
                        check(&ask, now)?;
                        self.may_delegate(&state, caller, &ask)?;
                        Ok(Look::of(&state, asker, &ask, initiator.as_ref(), now)?)
                    }
                }
            };
            let look = match look {
                Ok(look) => look,
                Err(answer) => {
                    drop(attending);
                    return self.registered_again(caller, &ask, answer, asked).await;
                }
            };
            let facts = look.facts(&ask, id);
            let decision = decide(&look.bundle, &facts);
            if decision.in_force() == Outcome::Granted && !has_key {
                // Blocking I/O: the key must be durable before the first event that uses it.
                let sealer = self.0.sealer.clone();
                let made = tokio::task::spawn_blocking(move || sealer.create(id)).await;
                made.map_err(BrokerError::internal)?.map_err(BrokerError::unavailable)?;
                has_key = true;
            }
            let (entry, decided) = self.registration(&ask, &look, id, asked, facts, decision)?;
            if self.append(entry).await?.is_some() {
                return self.registered(id, decided);
            }
        }
        Err(BrokerError::Conflict)
    }

    fn registration(
        &self,
        ask: &RegisterTask,
        look: &Look,
        id: TaskId,
        asked: [u8; 32],
        facts: Facts,
        decision: Decision,
    ) -> Result<(Entry, Decided), BrokerError> {
        let root = look.parent.as_ref().map_or(id, |p| p.root);
        let decision_id = self.new_decision_id()?;
        let granted = decision.in_force() == Outcome::Granted;
        // What was refused belongs to no task, only to who asked.
        let actor = look.asker.actor();
        let stream =
            if granted || look.parent.is_some() { family_stream(root) } else { format!("identity/{}", actor.id) };
        let family = family_of(&stream);
        let task = if granted { Some(self.registered_task(ask, look, id, root)?) } else { None };
        let words = DecisionWords::bare(facts, decision);
        let sealed = self.seal_decision(family, decision_id, &words)?;
        let decided = Decided::new(decision_id, &words.decision, Vec::new());
        let payload = pb::TaskDecided {
            request_id: ask.request_id.to_string(),
            decision: Some(record::decision(
                decision_id,
                &words.decision,
                &words.facts,
                &look.policy,
                &look.bundle,
                sealed,
            )),
            task,
            asked_digest: self.keyed(family, asked)?.to_vec().into(),
            initiator_evidence: look.evidence.clone(),
        };
        let event = event(stream, actor, &ask.context, Payload::TaskDecided(payload));
        Ok((ordinary(event, look.expects.clone()), decided))
    }

    fn registered_task(
        &self,
        ask: &RegisterTask,
        look: &Look,
        id: TaskId,
        root: TaskId,
    ) -> Result<pb::RegisteredTask, BrokerError> {
        let words = TaskWords {
            intent: ask.intent.clone().into(),
            ceiling: ask.ceiling.clone(),
            by_orchestrator: look.asker.class == IdentityClass::Orchestrator,
            grounds: None,
            profile: ask.profile.clone(),
        };
        let context = Context { kind: "task", id: &id.to_string() };
        let sealed = words::seal(&self.0.sealer, root, context, &words)?;
        Ok(pb::RegisteredTask {
            task_id: id.to_string(),
            parent_task_id: ask.parent.map(|p| p.to_string()).unwrap_or_default(),
            root_task_id: root.to_string(),
            agent: ask.agent.to_string(),
            orchestrator: look.asker.peer.spiffe_id().to_string(),
            initiator: look.initiator.name.to_string(),
            initiator_verified: look.initiator.verified,
            deadline_ms: ask.deadline.as_millis(),
            depth: look.parent.as_ref().map_or(0, |p| p.depth + 1),
            audiences: ask.audiences.iter().map(ToString::to_string).collect(),
            sealed,
            unattended: ask.unattended,
        })
    }

    fn registered(&self, id: TaskId, decided: Decided) -> Result<Registered, BrokerError> {
        let task = match decided.outcome {
            Outcome::Granted => Some((self.task_view(id)?, self.0.handles.handle(id))),
            _ => None,
        };
        Ok(Registered { decided, task })
    }

    /// Holds that the caller may open a task there: at the root, or it registered the parent or one above, or it is the parent's
    /// agent and shows its handle.
    fn may_delegate(&self, state: &State, caller: &Caller, ask: &RegisterTask) -> Result<(), BrokerError> {
        let Some(parent) = ask.parent else { return Ok(()) };
        let task = state.tasks.get(&parent).ok_or(BrokerError::NotFound { what: "task" })?;
        let shown = ask.parent_handle.as_ref();
        let is_agents = caller.is(&task.agent) && shown.is_some_and(|h| self.handle_fits(parent, h));
        if is_agents || self.orchestrates(state, caller, parent, shown) {
            return Ok(());
        }
        Err(self.hidden(state, caller, parent, Sought { rpc: RPC, what: "task" }))
    }

    /// The initiator, when the orchestrator hands over a token that says who it is. What the token is worth is asked now; that it
    /// was shown stays in the record with the task.
    async fn initiator_shown(
        &self,
        caller: &Caller,
        ask: &RegisterTask,
    ) -> Result<Option<VerifiedPerson>, BrokerError> {
        let Some(token) = &ask.initiator_token else { return Ok(None) };
        let asker = caller.workload()?;
        let refused = |problem: &str| BrokerError::Invalid {
            code: ReasonCode::TokenInvalid,
            field: "initiator_token",
            problem: problem.to_owned(),
        };
        if ask.parent.is_some() {
            return Err(refused("a sub-task has its parent's initiator"));
        }
        let people = self.0.people.as_ref().ok_or_else(|| refused("no issuer of people's tokens is configured"))?;
        let shown = people.verify(&token.0, ShownFor::Initiating, asker.peer.address()).await;
        let person = match shown {
            Ok(person) => person,
            Err(error @ PersonError::Unavailable(_)) => return Err(BrokerError::unavailable(error)),
            Err(error) => {
                let (code, problem) = (error.reason(), error.to_string());
                self.note_refused(caller, RPC, code, None);
                return Err(BrokerError::Invalid { code, field: "initiator_token", problem });
            }
        };
        // It is a bearer's: whoever got hold of it could name this person as the initiator of anything.
        if !person.may_be_handed_over_by(asker.peer.spiffe_id()) {
            self.note_refused(caller, RPC, ReasonCode::TokenInvalid, None);
            return Err(refused("it was given to a client whose tokens this orchestrator does not hand over"));
        }
        if ask.initiator.as_ref().is_some_and(|named| named != person.name()) {
            return Err(refused("it is not that of the initiator who is named"));
        }
        Ok(Some(person))
    }

    fn new_task_id(&self) -> Result<TaskId, BrokerError> {
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        Ok(TaskId::new(self.0.clock.now(), random))
    }
}

/// One look at what a registration relies on.
struct Look {
    now: Timestamp,
    /// Who asks, as the bundle has it that decides.
    asker: WorkloadCaller,
    parent: Option<View>,
    initiator: Initiator,
    evidence: Option<pb::PersonEvidence>,
    members: usize,
    blocks: Vec<String>,
    policy: crate::broker::state::ActivePolicy,
    bundle: std::sync::Arc<crate::policy::bundle::PolicyBundle>,
    expects: Vec<Expect>,
}

impl Look {
    fn of(
        state: &State,
        asker: &WorkloadCaller,
        ask: &RegisterTask,
        shown: Option<&VerifiedPerson>,
        now: Timestamp,
    ) -> Result<Self, BrokerError> {
        let (policy, bundle) = active(state)?;
        let asker = WorkloadCaller::under(&bundle, &asker.peer)?;
        let parent = match ask.parent {
            Some(parent) => Some(View::of(state, parent, None, now)?.ok_or(BrokerError::NotFound { what: "task" })?),
            None => None,
        };
        let verified = |person: &VerifiedPerson| Initiator { name: person.name().clone(), verified: true };
        let initiator = match (&parent, &ask.initiator) {
            (None, _) if shown.is_some() => {
                shown.map(verified).ok_or_else(|| BrokerError::invalid("initiator", "missing"))?
            }
            (None, Some(name)) => Initiator { name: name.clone(), verified: false },
            (None, None) => return Err(BrokerError::invalid("initiator", "missing")),
            (Some(parent), None) => parent.initiator.clone(),
            (Some(parent), Some(name)) if *name == parent.initiator.name => parent.initiator.clone(),
            (Some(_), Some(_)) => return Err(BrokerError::invalid("initiator", "is not the parent's")),
        };
        let mut expects = match &parent {
            Some(parent) => parent.expects.clone(),
            None => {
                let keys = [GuardKey::initiator(&initiator.name), GuardKey::everything(), GuardKey::policy()];
                keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }).collect()
            }
        };
        let id = asker.peer.spiffe_id();
        for agent in [&ask.agent, id] {
            let key = GuardKey::agent(agent);
            expects.push(Expect { key, at: state.marks.at(&key) });
        }
        expects.push(Expect { key: GuardKey::request(id.as_str(), &ask.request_id), at: 0 });
        let members = parent.as_ref().and_then(|p| state.families.get(&p.root)).map_or(0, |f| f.members.len());
        // A blocked agent delegates nothing, and nothing is delegated below what it works on.
        let above = || parent.iter().flat_map(|p| p.agents_above.iter().chain([&p.agent]));
        let mut blocks = state.blocks_against(above().chain([&ask.agent, id]), &initiator.name, None);
        blocks.extend(stranger_among(&bundle, above()));
        let evidence = shown.map(caller::evidence);
        Ok(Self { now, asker, parent, initiator, evidence, members, blocks, policy, bundle, expects })
    }

    fn facts(&self, ask: &RegisterTask, id: TaskId) -> Facts {
        let (asker, parent) = (&self.asker, self.parent.as_ref());
        let life = ask.deadline.since(self.now).as_secs();
        Facts {
            version: FACTS_VERSION,
            question: Question::Register,
            now: self.now,
            principal: PrincipalFacts {
                id: asker.peer.spiffe_id().clone(),
                known: true,
                class: asker.class,
                owner: asker.owner.clone(),
                authentication: asker.peer.authentication(),
                svid_age_s: self.now.since(asker.peer.not_before()).as_secs(),
                network_declared: asker.network_declared,
                profile_changes: Vec::new(),
            },
            initiator: InitiatorFacts { name: self.initiator.name.clone(), verified: self.initiator.verified },
            task: TaskFacts {
                id,
                root: parent.map_or(id, |p| p.root),
                orchestrator: parent.map_or(asker.peer.spiffe_id(), |p| &p.orchestrator).clone(),
                agent: ask.agent.clone(),
                depth: parent.map_or(0, |p| p.depth + 1),
                ceiling_declared: match parent {
                    Some(parent) => !parent.declared().is_empty(),
                    None => ask.ceiling.is_some() && asker.class == IdentityClass::Orchestrator,
                },
                age_s: parent.map_or(0, |p| self.now.since(p.created).as_secs()),
                remaining_s: life,
                outlived: false,
                state: parent.map_or(TaskState::Active, |p| p.state),
                blocks: self.blocks.clone(),
                audience_allowed: true,
            },
            audience: None,
            entries: Vec::new(),
            session: parent.map_or_else(SessionFacts::default, View::session_facts),
            behaviour: None,
            signals: parent.map(|p| p.signals.as_ref().clone()).unwrap_or_default(),
            approval: None,
            glass: None,
            opening: None,
            approving: None,
            observing: self.policy.observes_until(asker.class, self.now),
            ttl_asked: None,
            registration: Some(RegistrationFacts {
                agent_class: self.bundle.identities().identify(&ask.agent).map(|i| i.class),
                ceiling: ask.ceiling.clone(),
                audiences: ask.audiences.clone(),
                life_s: life,
                widens: false,
                // That of a sub-task only takes away.
                first_ceiling: parent.is_none() && ask.ceiling.is_some(),
                beyond_parent: self.beyond_parent(ask),
                amends: None,
            }),
        }
    }

    /// The ways in which the sub-task would go beyond its parent.
    fn beyond_parent(&self, ask: &RegisterTask) -> Vec<String> {
        let Some(parent) = &self.parent else { return Vec::new() };
        let mut beyond = Vec::new();
        if ask.deadline > parent.deadline {
            beyond.push("deadline".to_owned());
        }
        if parent.depth + 1 > DELEGATION_DEPTH_MAX {
            beyond.push("depth".to_owned());
        }
        if self.members > SUBTASKS_PER_ROOT_MAX {
            beyond.push("number of sub-tasks".to_owned());
        }
        let outside = |a| !parent.audiences.is_empty() && !parent.audiences.contains(a);
        if ask.audiences.iter().any(outside) || (ask.audiences.is_empty() && !parent.audiences.is_empty()) {
            beyond.push("audiences".to_owned());
        }
        // A sub-task that declares no ceiling works under those above it, and so is not beyond them.
        if ask.ceiling.is_some() {
            for above in parent.ceilings() {
                beyond.extend(compare::beyond_by_keys(ask.ceiling.as_ref(), Some(above), self.bundle.catalogue()));
            }
        }
        beyond.sort();
        beyond.dedup();
        beyond
    }
}

fn check(ask: &RegisterTask, now: Timestamp) -> Result<(), BrokerError> {
    if ask.intent.trim().is_empty() {
        return Err(BrokerError::invalid("intent", "missing"));
    }
    if ask.intent.len() > INTENT_BYTES_MAX {
        return Err(BrokerError::above_limit("intent", format!("longer than {INTENT_BYTES_MAX} bytes")));
    }
    if ask.deadline <= now {
        return Err(BrokerError::Invalid {
            code: ReasonCode::DeadlinePassed,
            field: "deadline",
            problem: "has passed".to_owned(),
        });
    }
    if ask.deadline.since(now).as_secs() > TASK_SECONDS_MAX {
        return Err(BrokerError::above_limit(
            "deadline",
            format!("more than {} days ahead", TASK_SECONDS_MAX / 86_400),
        ));
    }
    Ok(())
}

/// The bytes of a ceiling that its hash is over.
pub(in crate::broker) fn ceiling_bytes(ceiling: Option<&Ceiling>) -> Vec<u8> {
    ceiling.map(|c| serde_json::to_vec(c).unwrap_or_default()).unwrap_or_default()
}

/// The id stands in the record with other content.
pub(in crate::broker) fn request_id_reused() -> BrokerError {
    BrokerError::Invalid {
        code: ReasonCode::RequestIdReused,
        field: "request_id",
        problem: "was used for a different request".to_owned(),
    }
}

/// The record holds something else than it must.
#[derive(Debug, thiserror::Error)]
#[error("an event is not of the kind that was recorded")]
pub(in crate::broker) struct UnexpectedEventError;
