//! A request that policy would not grant, and what a person opened for just that: found by what it is good for, never told of. And
//! agents that ask for break-glass themselves, which is a signal against their task.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::approvals::Covers;
use crate::broker::ask::ShownHandle;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::evidence::{has_room, take_in};
use crate::broker::gather::{View, no_context};
use crate::broker::record::{asked_digest, event, family_stream};
use crate::broker::request::Asking;
use crate::broker::state::State;
use crate::broker::words::{self, Context, DecisionWords, Sentence};
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::decision::Decision;
use crate::model::facts::{EntryFacts, Facts};
use crate::model::glass::{ASKED_FOR_SIGNAL, GlassFacts};
use crate::model::id::{Audience, GrantId, RequestId, SignalName, TaskId};
use crate::model::reason::ReasonCode;
use crate::model::risk::Signal;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// Points of an agent that asks for break-glass; the bundle's table caps them.
const ASKED_FOR_POINTS: u32 = 25;
/// What is said of it.
const ASKED_FOR_WORDS: &str = "the agent asked for break-glass, which people alone open";

/// The glass that a grant was made through.
pub(in crate::broker) fn carried_glass(words: &DecisionWords) -> Option<GlassFacts> {
    let used = words.decision.glass?;
    words.facts.glass.clone().filter(|glass| glass.id == used)
}

/// True when the decision refuses an agent that asks for break-glass.
pub(in crate::broker) fn asks_for_glass(decision: &Decision) -> bool {
    decision.reasons.iter().any(|reason| reason.code == ReasonCode::BreakGlassNotForAgents)
}

/// That a grant was made through it, for the append that grants.
pub(in crate::broker) fn used_event(
    asking: &Asking<'_>,
    view: &View,
    words: &DecisionWords,
    (grant, decision): (GrantId, crate::model::id::DecisionId),
) -> Option<pb::Event> {
    // A renewal is no use of its own.
    let glass = words.decision.glass.filter(|_| asking.renews.is_none())?;
    let used = pb::BreakGlassUsed {
        glass_id: glass.to_string(),
        task_id: asking.task.to_string(),
        grant_id: grant.to_string(),
        decision_id: decision.to_string(),
    };
    let payload = Payload::BreakGlassUsed(used);
    Some(event(family_stream(view.root), asking.workload.actor(), asking.context, payload))
}

impl Broker {
    /// What a glass is good for, known again by: its task alone, the task's agent, the audience, and of the access the tool, actions,
    /// resources and every value of its sinks. Keyed by the family.
    pub(in crate::broker) fn glass_covers(
        &self,
        view: &View,
        audience: &Audience,
        entries: &[EntryFacts],
    ) -> Result<Covers, BrokerError> {
        let mut parts = vec!["glass".to_owned(), view.id.to_string(), view.agent.to_string(), audience.to_string()];
        for entry in entries {
            let own = || view.bundle.catalogue().tool(&entry.tool).map(|tool| tool.actions.clone()).unwrap_or_default();
            let actions = if entry.actions.is_empty() { own() } else { entry.actions.clone() };
            let sinks = entry.sinks.iter().map(|sink| format!("{}={}", sink.name, sink.value)).collect();
            parts.push(entry.tool.to_string());
            for mut list in [actions, entry.resources.clone(), sinks] {
                list.sort_unstable();
                parts.push(list.len().to_string());
                parts.extend(list);
            }
        }
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        self.keyed(view.root, asked_digest(&parts))
    }

    /// Adds to the facts what a person opened for just this, and to the look what an append that uses it relies on: that it is as it
    /// was, and that nobody blocked who opened it. False when there is none. What a grant was made through is good for its renewals,
    /// and a grant that was made without is not renewed through one.
    pub(in crate::broker) fn through_glass(
        &self,
        asking: &Asking<'_>,
        view: &mut View,
        facts: &mut Facts,
    ) -> Result<bool, BrokerError> {
        if !self.0.known.look().glasses.any_of(asking.task) {
            return Ok(false);
        }
        let covers = self.glass_covers(view, asking.audience, &facts.entries)?;
        let state = self.0.known.look();
        let found = match (asking.glass, asking.renews) {
            (Some(id), _) => state.glasses.find(id).map(|glass| (id, glass)).filter(|(_, g)| g.is_open(view.now)),
            (None, Some(_)) => None,
            (None, None) => state.glasses.covering(&covers).filter(|(_, glass)| glass.has_uses(view.now)),
        };
        let Some((id, glass)) = found.filter(|(_, glass)| glass.covers == covers) else { return Ok(false) };
        let keys = [GuardKey::glass(&id), GuardKey::initiator(&glass.by)];
        view.expects.extend(keys.map(|key| Expect { key, at: state.marks.at(&key) }));
        facts.glass = Some(glass.facts(id));
        Ok(true)
    }

    /// The signal against the task of an agent that asks for break-glass, once for each family: whoever asks again and again says
    /// nothing new.
    pub(in crate::broker) fn asked_for_glass(
        &self,
        (task, root): (TaskId, TaskId),
        signals: &[Signal],
        now: Timestamp,
    ) -> Result<Option<pb::Event>, BrokerError> {
        let actor = broker_actor();
        let name: SignalName = ASKED_FOR_SIGNAL.parse().map_err(BrokerError::internal)?;
        let request: RequestId = ASKED_FOR_SIGNAL.parse().map_err(BrokerError::internal)?;
        let known = signals.iter().any(|signal| signal.name == name && signal.source == actor.id);
        if known || !has_room(signals, &name, &actor.id) {
            return Ok(None);
        }
        let key = GuardKey::report(&task, &actor.id, &request);
        let sentence = Sentence { text: ASKED_FOR_WORDS.to_owned() };
        let payload = pb::SignalReported {
            task_id: task.to_string(),
            request_id: request.to_string(),
            name: name.to_string(),
            source: actor.id.clone(),
            scorer: String::new(),
            points: ASKED_FOR_POINTS,
            observed_ms: now.as_millis(),
            sealed: words::seal(&self.0.sealer, root, Context { kind: "signal", id: &key.to_string() }, &sentence)?,
        };
        Ok(Some(event(family_stream(root), actor, &no_context(), Payload::SignalReported(payload))))
    }

    /// Refuses a workload that would open break-glass, whatever it names. Against its own task it is a signal, when it shows the
    /// handle: others of its SPIFFE ID work on other tasks.
    pub(in crate::broker) async fn refuse_glass(
        &self,
        caller: &Caller,
        (task, handle): (Option<TaskId>, Option<&ShownHandle>),
        rpc: &'static str,
    ) -> BrokerError {
        let code = ReasonCode::BreakGlassNotForAgents;
        self.note_refused(caller, rpc, code, task);
        let shown = |id: &TaskId| handle.is_some_and(|handle| self.handle_fits(*id, handle));
        let is_agent = |id: &TaskId| self.0.known.look().tasks.get(id).is_some_and(|known| caller.is(&known.agent));
        if let Some(task) = task.filter(|id| shown(id) && is_agent(id)) {
            self.count_asked_for_glass(task).await;
        }
        BrokerError::NotPermitted { code }
    }

    /// Counts against a task that its agent asked for break-glass, also where nothing else can be recorded of it.
    pub(in crate::broker) async fn count_asked_for_glass(&self, task: TaskId) {
        if let Err(error) = self.record_asked_for_glass(task).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(%task, error, "that an agent asked for break-glass could not be recorded as a signal");
        }
    }

    async fn record_asked_for_glass(&self, task: TaskId) -> Result<(), BrokerError> {
        let mut class = EntryClass::Ordinary;
        for _ in 0..super::TRIES_MAX {
            let looked = {
                let state = self.0.known.look();
                let own = state.tasks.get(&task).filter(|known| !known.state.is_ended());
                own.and_then(|known| Some((known.root, state.families.get(&known.root)?.signals.clone())))
                    .map(|(root, signals)| (root, signals, expect_family(&state, root)))
            };
            let Some((root, mut signals, expect)) = looked else { return Ok(()) };
            let now = self.0.clock.now();
            let Some(event) = self.asked_for_glass((task, root), &signals, now)? else { return Ok(()) };
            tracing::warn!(%task, "an agent asked for break-glass");
            let entry = Entry { events: vec![event], expects: vec![expect], class };
            match self.record_cause(root, entry, broker_actor(), None).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                // As for signals that are reported: what is held back is for what ends or suspends something.
                Err(BrokerError::StorageFull) if class == EntryClass::Ordinary => {
                    take_in(Arc::make_mut(&mut signals), signal(now)?);
                    class = self.class_on_a_full_disk(root, move |view| view.signals.clone_from(&signals)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(BrokerError::Conflict)
    }
}

/// The signal, as it counts.
fn signal(now: Timestamp) -> Result<Signal, BrokerError> {
    Ok(Signal {
        name: ASKED_FOR_SIGNAL.parse().map_err(BrokerError::internal)?,
        source: broker_actor().id,
        scorer: String::new(),
        points: ASKED_FOR_POINTS,
        explanation: ASKED_FOR_WORDS.to_owned(),
        observed: now,
    })
}

fn expect_family(state: &State, root: TaskId) -> Expect {
    let key = GuardKey::usage(&root);
    Expect { key, at: state.marks.at(&key) }
}
