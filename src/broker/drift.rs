//! Whether what is decided looks as it did: for each class of identities that work on tasks, folded from decisions, held against a
//! reference, recorded when it crosses the threshold of the bundle in force. Nothing is decided by it. It holds scores and the names
//! of tools that stand open in events, and no words of people or agents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::broker::ask::SetDriftReference;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::state::State;
use crate::broker::summary::timestamp;
use crate::broker::{Broker, ordinary};
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::id::ToolName;
use crate::model::identity::IdentityClass;
use crate::model::person::Right;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::risk::drift::counts::{Counts, What};
use crate::risk::drift::watched::{Crossing, Watched, Window};
use crate::risk::drift::{FAMILIES_MIN, SAMPLES_MIN, THRESHOLD_MILLI_DEFAULT, WINDOW_DAYS};

/// What is known of every class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Drift(pub(in crate::broker) BTreeMap<IdentityClass, Watched>);

impl Broker {
    /// How each class stands.
    ///
    /// # Errors
    /// `RateLimited` when the caller has too much in flight.
    pub fn drift(&self, caller: &Caller) -> Result<v1::GetDriftResponse, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let state = self.0.known.look();
        Ok(v1::GetDriftResponse {
            classes: state.drift.0.iter().map(|(class, watched)| shown(*class, watched)).collect(),
            samples_min: SAMPLES_MIN,
            families_min: FAMILIES_MIN,
            threshold: f64::from(threshold_milli(&state)) / 1000.0,
            window_days: u32::try_from(WINDOW_DAYS).unwrap_or(u32::MAX),
        })
    }

    /// Every index that there is: of which class, of what, and how high it is.
    #[must_use]
    pub fn drift_indices(&self) -> Vec<(&'static str, &'static str, f64)> {
        let state = self.0.known.look();
        let classes = state.drift.0.iter();
        let pairs = classes.flat_map(|(class, watched)| What::ALL.map(|what| (class, watched, what)));
        pairs.filter_map(|(class, watched, what)| Some((class.as_str(), what.as_str(), watched.psi(what)?))).collect()
    }

    /// Makes what was decided of late the reference of a class, or lets the next decisions make one. Returns how many decisions it
    /// holds, and the position of the event.
    ///
    /// # Errors
    /// `NotPermitted` or `Unauthenticated` for a person who lacks the right, or authenticated too long ago; `Invalid` when too little
    /// was decided of late.
    pub async fn set_drift_reference(
        &self,
        caller: &Caller,
        ask: SetDriftReference,
    ) -> Result<(u64, u64), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let class = ask.class.as_str();
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                self.may_change(&state, caller, ("SetDriftReference", Right::ActivatePolicy))?;
                let reference = if ask.clear { None } else { Some(enough(&state, ask.class)?) };
                let payload = pb::DriftReferenceSet {
                    class: class.to_owned(),
                    cleared: ask.clear,
                    reference: reference.map(recorded),
                };
                let payload = Payload::DriftReferenceSet(payload);
                let event = event(SYSTEM_STREAM.to_owned(), caller.actor(), &no_context(), payload);
                let mut expects = watch_guards(&state, ask.class).to_vec();
                expects.extend(shut_out(caller).map(|key| Expect { key, at: state.marks.at(&key) }));
                Ok(ordinary(event, expects))
            })
            .await?;
        let samples = committed.recorded().first().and_then(|recorded| match &recorded.event.payload {
            Some(Payload::DriftReferenceSet(e)) => e.reference.as_ref().map(|reference| reference.samples),
            _ => None,
        });
        Ok((samples.unwrap_or(0), committed.last()))
    }

    /// Records which indices have crossed the threshold since it was last recorded. A guard that no longer holds says that somebody
    /// set a reference or activated a bundle meanwhile: the next sweep looks again.
    pub(in crate::broker) async fn record_drift(&self) -> Result<(), BrokerError> {
        let entries = crossings(&self.0.known.look());
        for entry in entries {
            match self.append(entry).await {
                // It is no news, and the operator is told of it elsewhere.
                Ok(_) | Err(BrokerError::StorageFull) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What is to be recorded of each class that has crossed a threshold.
pub(in crate::broker) fn crossings(state: &State) -> Vec<Entry> {
    let threshold = threshold_milli(state);
    let entry = |(class, watched): (&IdentityClass, &Watched)| {
        let crossings = watched.crossings(threshold).into_iter();
        let events: Vec<pb::Event> = crossings.map(|crossing| crossed(*class, watched, crossing, threshold)).collect();
        let expects = watch_guards(state, *class).to_vec();
        (!events.is_empty()).then_some(Entry { events, expects, class: EntryClass::Ordinary })
    };
    state.drift.0.iter().filter_map(entry).collect()
}

/// What figures of a class rely on: its reference, and the bundle, with which windows begin and which has the threshold.
fn watch_guards(state: &State, class: IdentityClass) -> [Expect; 2] {
    let keys = [GuardKey::drift_reference(class.as_str()), GuardKey::policy()];
    keys.map(|key| Expect { key, at: state.marks.at(&key) })
}

/// What was decided of late for a class, when it is enough to be a reference.
fn enough(state: &State, class: IdentityClass) -> Result<&Window, BrokerError> {
    let current = state.drift.0.get(&class).map(Watched::current);
    current.filter(|window| window.counts.is_enough()).ok_or_else(|| {
        let (samples, families) = current.map_or((0, 0), |w| (w.counts.samples, w.counts.families));
        let problem = format!(
            "has {samples} decisions of {families} task families in its current window, and a reference takes {SAMPLES_MIN} of \
             {FAMILIES_MIN}"
        );
        BrokerError::invalid("class", problem)
    })
}

/// What a block of the person would touch.
fn shut_out(caller: &Caller) -> Option<GuardKey> {
    match caller {
        Caller::Person(person) => Some(GuardKey::initiator(person.name())),
        Caller::Workload(_) | Caller::Operator { .. } => None,
    }
}

fn threshold_milli(state: &State) -> u32 {
    let bundle = state.policy.as_ref().and_then(|policy| policy.bundle.as_ref());
    bundle.map_or(THRESHOLD_MILLI_DEFAULT, |bundle| bundle.risk().psi_threshold_milli())
}

fn crossed(class: IdentityClass, watched: &Watched, crossing: Crossing, threshold_milli: u32) -> pb::Event {
    let (class, what) = (class.as_str().to_owned(), crossing.what.as_str().to_owned());
    let (samples, reference_samples) = (watched.current().counts.samples, watched.reference().counts.samples);
    let psi_milli = crossing.psi_milli;
    let payload = if crossing.begins {
        let found = pb::DriftDetected { class, what, psi_milli, threshold_milli, samples, reference_samples };
        Payload::DriftDetected(found)
    } else {
        Payload::DriftEnded(pb::DriftEnded { class, what, psi_milli, threshold_milli, samples, reference_samples })
    };
    event(SYSTEM_STREAM.to_owned(), broker_actor(), &no_context(), payload)
}

/// The class of whoever asked, as it was when it was decided; `None` for who works on no task.
pub(in crate::broker) fn class_of(event: &pb::Event) -> Option<IdentityClass> {
    class_named(&event.actor.as_ref()?.class)
}

/// The class of that name, when identities of it work on tasks.
#[must_use]
pub fn class_named(name: &str) -> Option<IdentityClass> {
    IdentityClass::ALL.into_iter().find(|class| class.as_str() == name && class.works_on_tasks())
}

/// True for a decision on something that was not asked before. A renewal is no new step, and what waits for people, or is answered
/// by what they said or opened, was asked already; so was what is denied word for word as it was before. What is granted is a step
/// of its own each time.
pub(in crate::broker) fn is_a_question(decided: &pb::CredentialDecided) -> bool {
    if !decided.goes_on_from.is_empty() {
        return false;
    }
    // Older records do not say it.
    let asked_before = !decided.approval_id.is_empty() && decided.asked_people.is_none();
    let goes_on = |grant: &pb::Grant| !grant.renews_jti.is_empty() || !grant.approval_id.is_empty();
    !asked_before && !decided.grant.as_ref().is_some_and(goes_on)
}

fn recorded(window: &Window) -> pb::DriftCounts {
    let counts = &window.counts;
    let tool = |(tool, count): (&ToolName, &u64)| pb::DriftTool { tool: tool.to_string(), count: *count };
    pb::DriftCounts {
        samples: counts.samples,
        from_ms: window.from.as_millis(),
        until_ms: window.until.as_millis(),
        scores: counts.scores.to_vec(),
        tools: counts.tools.iter().map(tool).collect(),
        tools_other: counts.tools_other,
        families: counts.families,
    }
}

fn shown(class: IdentityClass, watched: &Watched) -> v1::ClassDrift {
    let index = |what: What| {
        let (psi, drifting) = (watched.psi(what)?, watched.is_drifting(what));
        Some(v1::DriftIndex { what: what.as_str().to_owned(), psi, drifting })
    };
    v1::ClassDrift {
        class: class.to_string(),
        reference: Some(window(watched.reference())),
        current: Some(window(watched.current())),
        set_by: watched.set().map(|set| set.by.clone()).unwrap_or_default(),
        set_at: watched.set().map(|set| timestamp(set.at)),
        indices: What::ALL.into_iter().filter_map(index).collect(),
    }
}

fn window(window: &Window) -> v1::DriftWindow {
    let Window { counts: Counts { samples, scores, tools, tools_other, families }, from, until } = window;
    let has_any = *samples > 0;
    v1::DriftWindow {
        samples: *samples,
        from: has_any.then(|| timestamp(*from)),
        until: has_any.then(|| timestamp(*until)),
        scores: scores.to_vec(),
        tools: tools.iter().map(|(tool, count)| v1::ToolCount { tool: tool.to_string(), count: *count }).collect(),
        tools_other: *tools_other,
        families: *families,
    }
}
