//! Amending a task: its ceiling or its deadline. To less is free, to more is a decision, which may wait for people; live grants
//! are decided again before it is answered.

use crate::broker::amend_asking::in_short;
use crate::broker::answer::{Amended, Decided};
use crate::broker::ask::AmendTask;
use crate::broker::asking::Pending;
use crate::broker::caller::{Caller, WorkloadCaller};
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::hidden::Sought;
use crate::broker::record::{self, asked_digest, event, family_stream};
use crate::broker::register::{UnexpectedEventError, ceiling_bytes, request_id_reused};
use crate::broker::request::since;
use crate::broker::state::Answer;
use crate::broker::words::{self, AmendWords, Context, DecisionWords};
use crate::broker::{Broker, ordinary};
use crate::intent::compare;
use crate::journal::entry::Entry;
use crate::journal::guards::GuardKey;
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{AmendFacts, Facts, Question, RegistrationFacts};
use crate::model::id::TaskId;
use crate::model::identity::IdentityClass;
use crate::model::limits::TASK_SECONDS_MAX;
use crate::model::reason::ReasonCode;
use crate::model::task::AgentProfile;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// What refusals name.
const RPC: &str = "AmendTask";

impl Broker {
    /// Replaces a task's ceiling or deadline, when policy grants it, or people have.
    ///
    /// # Errors
    /// `NotFound` when the caller did not register the task, `Precondition` when it has ended or as much waits for people as may,
    /// `Invalid` for a deadline that has passed or lies too far ahead.
    pub async fn amend_task(&self, caller: &Caller, ask: AmendTask) -> Result<Amended, BrokerError> {
        let mut entered = self.enter(caller)?;
        let asker = caller.workload()?;
        let asked = digest(&ask);
        for _ in 0..super::TRIES_MAX {
            let look = {
                let state = self.0.known.look();
                let task = state.tasks.get(&ask.task).filter(|_| self.orchestrates(&state, caller, ask.task, None));
                let sought = Sought { rpc: RPC, what: "task" };
                let task = task.ok_or_else(|| self.hidden(&state, caller, ask.task, sought))?;
                match task.answers.get(ask.request_id.as_str()) {
                    Some(answer) => Err((*answer, task.root)),
                    None => {
                        let now = self.now_to_grant(&state)?;
                        check(&ask, now)?;
                        let view = View::of(&state, ask.task, None, now)?;
                        let mut view = view.ok_or(BrokerError::NotFound { what: "task" })?;
                        view.asked_by(&state, asker.peer.spiffe_id());
                        Ok(view)
                    }
                }
            };
            let mut view = match look {
                Ok(view) => view,
                Err((answer, root)) => {
                    drop(entered.leave());
                    let task = ask.task;
                    let amended = self.reading(move |this| this.amended_again(task, answer, root, asked)).await?;
                    // What the first try may have left undone.
                    self.reconsider(root, answer.position, &caller.actor()).await?;
                    return Ok(amended);
                }
            };
            if view.state.is_ended() {
                return Err(BrokerError::Precondition { code: ReasonCode::TaskEnded, decision: None });
            }
            let asker = WorkloadCaller::under(&view.bundle, &asker.peer)?;
            // An answer is the same again only for who proves himself in the same way.
            let usual = asker.peer.authentication().proves_key();
            if usual && let Some((decided, _)) = self.0.repeats.find(ask.task, asked, &view.expects, view.now) {
                let code = decided.reasons.first().map_or(ReasonCode::Forbidden, |(code, _)| *code);
                self.note_refused(caller, RPC, code, Some(ask.task));
                return Ok(Amended { decided, task: self.task_view(ask.task)? });
            }
            let (relied_on, now) = (view.expects.clone(), view.now);
            view.expect_unanswered(&ask.task.to_string(), &ask.request_id);
            let mut facts = facts(&view, &asker, &ask);
            let covers = self.amendment_covers(&asker, &ask, &view)?;
            let decision = self.decide_amendment(&mut view, &covers, &mut facts)?;
            let mut pending = None;
            if decision.in_force().waits_for_people() {
                let note = |code| self.note_refused(caller, RPC, code, Some(ask.task));
                pending = Some(self.pending(note, &view, covers, (&facts, &decision))?);
            }
            let asks = pending.as_ref().is_some_and(|pending| pending.asked.is_some());
            let root = view.root;
            let (entry, decided) = self.amendment((&asker, &ask, asked), view, (facts, decision), pending)?;
            let recorded = self.record_cause(root, entry, asker.actor(), entered.leave()).await?;
            let Some((position, _)) = recorded else { continue };
            if usual && decided.outcome.waits_for_people() {
                let relies_on = if asks { since(relied_on, GuardKey::usage(&root), position) } else { relied_on };
                self.0.repeats.keep(ask.task, asked, relies_on, now, (decided.clone(), position));
            }
            return Ok(Amended { decided, task: self.task_view(ask.task)? });
        }
        Err(BrokerError::Conflict)
    }

    fn amendment(
        &self,
        (asker, ask, asked): (&WorkloadCaller, &AmendTask, [u8; 32]),
        mut view: View,
        (facts, decision): (Facts, Decision),
        pending: Option<Pending>,
    ) -> Result<(Entry, Decided), BrokerError> {
        let applied = decision.in_force() == Outcome::Granted;
        let widened = facts.registration.as_ref().is_some_and(|r| r.widens);
        let id = self.new_decision_id()?;
        let words = DecisionWords::bare(facts, decision);
        let sealed = self.seal_decision(view.root, id, &words)?;
        let mut decided = Decided::new(id, &words.decision, Vec::new());
        let by_orchestrator = asker.class == IdentityClass::Orchestrator;
        let amended = ask.ceiling.clone();
        let amended =
            amended.map(|ceiling| AmendWords { ceiling, by_orchestrator, grounds: None, named_no_more: Vec::new() });
        let ceiling = match &amended {
            Some(words) => {
                let context = Context { kind: "amend", id: ask.request_id.as_str() };
                words::seal(&self.0.sealer, view.root, context, words)?
            }
            None => bytes::Bytes::new(),
        };
        let mut asked_people = None;
        if let Some(pending) = pending {
            decided.approval = Some(pending.id);
            asked_people = pending.asked;
            view.expects.extend(pending.expects);
        }
        let payload = pb::TaskAmended {
            task_id: ask.task.to_string(),
            request_id: ask.request_id.to_string(),
            decision: Some(record::decision(id, &words.decision, &words.facts, &view.policy, &view.bundle, sealed)),
            applied,
            deadline_ms: ask.deadline.map(Timestamp::as_millis).unwrap_or_default(),
            sealed: ceiling,
            widened,
            asked_digest: self.keyed(view.root, asked)?.to_vec().into(),
            agent: view.agent.to_string(),
            initiator: view.initiator.name.to_string(),
            approval_id: decided.approval.map(|id| id.to_string()).unwrap_or_default(),
            asked_people,
        };
        let event = event(family_stream(view.root), asker.actor(), &ask.context, Payload::TaskAmended(payload));
        Ok((ordinary(event, view.expects), decided))
    }

    fn amended_again(
        &self,
        task: TaskId,
        answer: Answer,
        root: TaskId,
        asked: [u8; 32],
    ) -> Result<Amended, BrokerError> {
        if answer.asked != self.keyed(root, asked)? {
            return Err(request_id_reused());
        }
        let recorded = self.0.journal.read(answer.position).map_err(BrokerError::unavailable)?;
        let Some(Payload::TaskAmended(event)) = recorded.event.payload else {
            return Err(request_id_reused());
        };
        let decision = event.decision.ok_or_else(|| BrokerError::internal(UnexpectedEventError))?;
        let words = self.decision_words(root, &decision)?;
        let id = decision.decision_id.parse().map_err(BrokerError::internal)?;
        Ok(Amended { decided: Decided::new(id, &words.decision, words.differences), task: self.task_view(task)? })
    }
}

fn facts(view: &View, asker: &WorkloadCaller, ask: &AmendTask) -> Facts {
    let none = AgentProfile::default();
    let asked = crate::broker::gather::Asked { audience: None, ttl: None, profile: &none, approved: None };
    let mut facts = view.facts(Question::Amend, asker, asked, Vec::new());
    facts.principal.profile_changes.clear();
    let (words, catalogue) = (view.words.first(), view.bundle.catalogue());
    let own = words.and_then(|w| w.ceiling.as_ref());
    let (deadline, above) = view.deadlines;
    let longer = ask.deadline.is_some_and(|d| d > deadline);
    let mut adds = ask.ceiling.as_ref().map(|c| compare::beyond_by_keys(Some(c), own, catalogue)).unwrap_or_default();
    let wider = !adds.is_empty();
    // Only the root's ceiling grounds values. What is declared when the work has begun may be what somebody has read.
    let declared = view.declared().first().copied();
    let of_root = ask.ceiling.as_ref().filter(|_| view.parent.is_none());
    let first = of_root.filter(|_| declared.is_none());
    let names = of_root.map(|c| compare::grounds(c, declared)).unwrap_or_default();
    // Below the root nothing that is named becomes ground.
    let ground = if view.parent.is_none() { declared } else { own };
    let grounded = !names.is_empty() || first.is_some_and(|_| asker.class != IdentityClass::Orchestrator);
    adds.extend(first.iter().flat_map(|c| &c.tools).map(|tool| format!("declares `{}`", tool.tool)));
    adds.extend(names);
    let takes = match (own, &ask.ceiling) {
        (Some(own), Some(_)) => compare::beyond_by_keys(Some(own), ask.ceiling.as_ref(), catalogue),
        _ => Vec::new(),
    };
    let mut beyond = Vec::new();
    if ask.ceiling.is_some() {
        for above in view.words.iter().skip(1).filter_map(|w| w.ceiling.as_ref()) {
            beyond.extend(compare::beyond_by_keys(ask.ceiling.as_ref(), Some(above), catalogue));
        }
    }
    if longer && above.is_some() && ask.deadline > above {
        beyond.push("deadline".to_owned());
    }
    let amends = AmendFacts {
        ceiling_before: own.cloned(),
        declared_before: words.is_some_and(|w| w.by_orchestrator),
        grounds_before: words.and_then(|w| w.grounds.clone()),
        deadline_before: deadline,
        deadline: ask.deadline.unwrap_or(deadline),
        adds: in_short(adds),
        takes: in_short(takes),
        gains: ask.ceiling.iter().flat_map(|c| compare::gaining(c, own.filter(|_| first.is_none()), ground)).collect(),
    };
    facts.registration = Some(RegistrationFacts {
        agent_class: view.bundle.identities().identify(&view.agent).map(|i| i.class),
        ceiling: ask.ceiling.clone().or_else(|| own.cloned()),
        audiences: view.audiences.clone(),
        life_s: ask.deadline.unwrap_or(deadline).since(view.now).as_secs(),
        widens: longer || wider || grounded,
        first_ceiling: first.is_some(),
        beyond_parent: beyond,
        amends: Some(amends),
    });
    facts
}

fn check(ask: &AmendTask, now: Timestamp) -> Result<(), BrokerError> {
    if ask.ceiling.is_none() && ask.deadline.is_none() {
        return Err(BrokerError::invalid("ceiling", "neither ceiling nor deadline is given"));
    }
    match ask.deadline {
        Some(deadline) if deadline <= now => Err(BrokerError::Invalid {
            code: ReasonCode::DeadlinePassed,
            field: "deadline",
            problem: "has passed".to_owned(),
        }),
        Some(deadline) if deadline.since(now).as_secs() > TASK_SECONDS_MAX => {
            Err(BrokerError::above_limit("deadline", format!("more than {} days ahead", TASK_SECONDS_MAX / 86_400)))
        }
        _ => Ok(()),
    }
}

fn digest(ask: &AmendTask) -> [u8; 32] {
    let deadline = ask.deadline.map(Timestamp::as_millis).unwrap_or_default();
    asked_digest(&[b"amend", &ceiling_bytes(ask.ceiling.as_ref()), &deadline.to_be_bytes()])
}
