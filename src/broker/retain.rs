//! Deciding live grants again: the same `decide` over what was recorded with the grant and what is known now. A worse answer
//! suspends, a denial by a rule revokes, and what was suspended by drift is restored when the answer is good again.

use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::grants::covered;
use crate::broker::record::{self, event, family_stream};
use crate::broker::state::State;
use crate::broker::words::DecisionWords;
use crate::intent::judge::Asked as Judged;
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{FACTS_VERSION, Facts, Question};
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::id::{DecisionId, GrantId, Jti, TaskId};
use crate::model::reason::ReasonCode;
use crate::model::task::TaskState;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::policy::decide::decide;

/// A grant that may have to be decided again.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Candidate {
    pub(in crate::broker) id: GrantId,
    pub(in crate::broker) task: TaskId,
    pub(in crate::broker) jti: Jti,
    position: u64,
    drifting: bool,
}

/// Why grants are decided again.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Trigger {
    Signal,
    ToolReport,
    Amended,
    PolicyActivated,
}

impl Trigger {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::ToolReport => "tool_report",
            Self::Amended => "task_amended",
            Self::PolicyActivated => "policy_activated",
        }
    }
}

impl State {
    /// The open grants of a task and all below it.
    pub(in crate::broker) fn candidates(&self, task: TaskId, now: crate::model::time::Timestamp) -> Vec<Candidate> {
        let open = self.open_grants(task, now).into_iter();
        open.filter_map(|id| {
            let grant = self.grants.get(&id)?;
            let drifting =
                matches!(&grant.standing, GrantStanding::Open(causes) if causes.contains(&SuspensionCause::Drift));
            Some(Candidate { id, task: grant.task, jti: grant.jti, position: grant.position, drifting })
        })
        .collect()
    }
}

impl Broker {
    /// Decides candidates again under `view`, which already holds what is about to be recorded. Returns the events of those
    /// whose standing changes; a grant that stays as it is leaves none.
    pub(in crate::broker) fn reconsider(
        &self,
        view: &View,
        candidates: &[Candidate],
        trigger: Trigger,
        actor: &pb::Actor,
    ) -> Result<Vec<pb::Event>, BrokerError> {
        let mut events = Vec::new();
        for candidate in candidates {
            let recorded = self.recorded_decision(candidate.position, view.root)?;
            let mut facts = retain_facts(view, &recorded.words);
            if matches!(trigger, Trigger::Amended) {
                let now = view.judge(&covered(&recorded.words), Judged::Live)?;
                for (entry, now) in facts.entries.iter_mut().zip(now) {
                    entry.ceiling = now.ceiling;
                }
            }
            let decision = decide(&view.bundle, &facts);
            let then = recorded.words.decision.outcome;
            let Some(effect) = effect_of(&decision, then, candidate.drifting) else { continue };
            events.push(self.reconsidered(view, candidate, facts, decision, effect, trigger, actor)?);
        }
        Ok(events)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one event and named in it")]
    fn reconsidered(
        &self,
        view: &View,
        candidate: &Candidate,
        facts: Facts,
        decision: Decision,
        effect: Effect,
        trigger: Trigger,
        actor: &pb::Actor,
    ) -> Result<pb::Event, BrokerError> {
        let id = self.new_decision_id()?;
        let words =
            DecisionWords { facts, decision, access: Vec::new(), purpose: String::new(), differences: Vec::new() };
        let sealed = self.seal_decision(view.root, id, &words)?;
        let payload = pb::GrantReconsidered {
            task_id: candidate.task.to_string(),
            grant_id: candidate.id.to_string(),
            jti: candidate.jti.to_string(),
            decision: Some(record::decision(id, &words.decision, &words.facts, &view.policy, &view.bundle, sealed)),
            effect: effect.into(),
            trigger: trigger.as_str().to_owned(),
        };
        let payload = Payload::GrantReconsidered(payload);
        Ok(event(family_stream(view.root), actor.clone(), &crate::broker::gather::no_context(), payload))
    }

    /// A new id for a decision.
    pub(in crate::broker) fn new_decision_id(&self) -> Result<DecisionId, BrokerError> {
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        Ok(DecisionId::new(self.0.clock.now(), random))
    }
}

/// The facts of a grant now: what was concluded when it was granted, with what the task has come to since.
fn retain_facts(view: &View, words: &DecisionWords) -> Facts {
    let then = &words.facts;
    let included = then.entries.iter().zip(&words.decision.entries).filter(|(_, d)| d.included);
    let entries = included.map(|(entry, decided)| {
        let mut entry = entry.clone();
        entry.actions = decided.actions.clone();
        entry.resources = decided.resources.clone();
        entry
    });
    let mut task = view.task_facts(then.audience.as_ref());
    // A pause suspends by itself, and a block has revoked: neither is a reason to end a grant here.
    if task.state == TaskState::Paused {
        task.state = TaskState::Active;
    }
    Facts {
        version: FACTS_VERSION,
        question: Question::Retain,
        now: view.now,
        principal: then.principal.clone(),
        initiator: then.initiator.clone(),
        task,
        audience: then.audience.clone(),
        entries: entries.collect(),
        session: view.session_facts(),
        signals: view.signals.as_ref().clone(),
        ttl_asked: None,
        registration: None,
    }
}

/// What the answer means for the grant; `None` when it stays as it is.
fn effect_of(decision: &Decision, then: Outcome, drifting: bool) -> Option<Effect> {
    // INVARIANT: what can't be undone takes a rule. An evaluation that failed is no rule.
    let failed = decision.reasons.iter().any(|r| r.code == ReasonCode::PolicyError);
    match decision.outcome {
        // What was narrowed when it was granted is not worse for being narrowed still.
        now if now <= then => drifting.then_some(Effect::Restored),
        Outcome::Denied if !failed => Some(Effect::Revoked),
        _ => (!drifting).then_some(Effect::Suspended),
    }
}
