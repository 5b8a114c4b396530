//! Opening break-glass: a freshly authenticated person with the right to it, one access of one task, a justification, and policy's
//! own answer. Nothing is granted here; the agent's next try for just this access is.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::answer::Decided;
use crate::broker::approvals::Covers;
use crate::broker::ask::{OpenBreakGlass, ShownHandle};
use crate::broker::asking::Of;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::record::{self, event, family_stream};
use crate::broker::words::DecisionWords;
use crate::broker::{TRIES_MAX, ordinary};
use crate::identity::people::VerifiedPerson;
use crate::intent::judge::Asked as Judged;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::facts::{Facts, Question};
use crate::model::glass::OpeningFacts;
use crate::model::id::{Audience, GlassId, TaskId};
use crate::model::limits::{GLASS_USES_MAX, GLASSES_PER_TASK_MAX, JUSTIFICATION_CHARS_MIN, REASON_BYTES_MAX};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

const OPEN: &str = "OpenBreakGlass";

/// What was answered to somebody who would open a glass.
#[derive(Debug)]
pub struct Opened {
    /// What was decided.
    pub decided: Decided,
    /// The glass; `None` unless granted.
    pub glass: Option<v1::BreakGlass>,
    /// Position of the event.
    pub position: u64,
}

/// What one try is about.
struct Opening<'a> {
    ask: &'a OpenBreakGlass,
    person: &'a VerifiedPerson,
    life: Duration,
    uses_max: u32,
}

impl Broker {
    /// Opens break-glass for one access of a task. A denial is an answer.
    ///
    /// # Errors
    /// `NotPermitted` for whoever is no person with the right to it, of an agent as a signal; `Unauthenticated` for a stale login;
    /// `Invalid` without a justification; `Precondition` while one stands open for the same.
    pub async fn open_break_glass(&self, caller: &Caller, ask: OpenBreakGlass) -> Result<Opened, BrokerError> {
        let person = match caller {
            Caller::Person(person) => person,
            Caller::Workload(_) => return Err(self.refuse_break_glass(caller, Some(ask.task), None).await),
            Caller::Operator { .. } => return Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed }),
        };
        let _place = self.enter(caller)?;
        self.may_change(&self.0.known.look(), caller, (OPEN, Right::BreakGlass))?;
        let opening = self.opening(&ask, person)?;
        for _ in 0..TRIES_MAX {
            if let Some(opened) = self.try_to_open(caller, &opening).await? {
                return Ok(opened);
            }
        }
        Err(BrokerError::Conflict)
    }

    /// Refuses a workload that would open break-glass, whatever it says. Against its own task, with its handle, it is a signal.
    pub async fn refuse_break_glass(
        &self,
        caller: &Caller,
        task: Option<TaskId>,
        handle: Option<&ShownHandle>,
    ) -> BrokerError {
        match self.enter(caller) {
            Ok(_place) => self.refuse_glass(caller, (task, handle), OPEN).await,
            Err(error) => error,
        }
    }

    fn opening<'a>(&self, ask: &'a OpenBreakGlass, person: &'a VerifiedPerson) -> Result<Opening<'a>, BrokerError> {
        if ask.justification.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("justification", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        if ask.justification.trim().chars().count() < JUSTIFICATION_CHARS_MIN {
            let problem = format!("is missing, or shorter than {JUSTIFICATION_CHARS_MIN} characters");
            return Err(BrokerError::invalid("justification", problem));
        }
        let settings = &self.0.settings.glass;
        let life = ask.life.unwrap_or(settings.life_default);
        if life < SECOND || life > settings.life_max {
            return Err(BrokerError::above_limit("life", format!("not from 1 s to {} s", settings.life_max.as_secs())));
        }
        let uses_max = ask.uses_max.max(1);
        if uses_max > GLASS_USES_MAX {
            return Err(BrokerError::above_limit("uses_max", format!("more than {GLASS_USES_MAX}")));
        }
        Ok(Opening { ask, person, life, uses_max })
    }

    /// One look, one decision, one append; `None` when something changed meanwhile.
    async fn try_to_open(&self, caller: &Caller, opening: &Opening<'_>) -> Result<Option<Opened>, BrokerError> {
        let Opening { ask, person, life, uses_max } = *opening;
        let mut view = {
            let state = self.0.known.look();
            self.may_change(&state, caller, (OPEN, Right::BreakGlass))?;
            let now = self.now_to_grant(&state)?;
            let view = View::of(&state, ask.task, Some(&ask.audience), now)?;
            let mut view = view.ok_or(BrokerError::NotFound { what: "task" })?;
            view.look_at_duties(&state, std::slice::from_ref(&ask.access));
            let key = GuardKey::initiator(person.name());
            view.expects.push(Expect { key, at: state.marks.at(&key) });
            view
        };
        let mut facts = opening.facts(&view)?;
        let covers = self.glass_covers(&view, &ask.audience, &facts.entries)?;
        let mut decision = crate::policy::decide::decide(&view.bundle, &facts);
        let denied_before = self.was_denied(&view, &ask.audience, &facts)?;
        if let Some(opening) = facts.opening.as_mut().filter(|_| denied_before) {
            opening.denied_before = true;
            decision = crate::policy::decide::decide(&view.bundle, &facts);
        }
        let granted = decision.outcome.is_grant();
        if granted {
            self.has_room_for_glass(&mut view, &covers)?;
        }
        let id = self.new_decision_id()?;
        let access = vec![ask.access.clone()];
        let words =
            DecisionWords { access, purpose: ask.justification.clone(), ..DecisionWords::bare(facts, decision) };
        let decided = Decided::new(id, &words.decision, Vec::new());
        let sealed = self.seal_decision(view.root, id, &words)?;
        let glass = granted.then(|| self.0.entropy.bytes().map(|random| GlassId::new(view.now, random))).transpose();
        let glass = glass.map_err(BrokerError::unavailable)?;
        let until = view.now.after(life).min(view.deadline);
        let payload = pb::BreakGlassOpened {
            glass_id: glass.map(|id| id.to_string()).unwrap_or_default(),
            task_id: ask.task.to_string(),
            decision: Some(record::decision(id, &words.decision, &words.facts, &view.policy, &view.bundle, sealed)),
            audience: ask.audience.to_string(),
            agent: view.agent.to_string(),
            initiator: view.initiator.name.to_string(),
            covers: covers.to_vec().into(),
            until_ms: until.as_millis(),
            uses_max,
            review_by_ms: until.after(self.0.settings.glass.review_within).as_millis(),
            owners: owners_of(&view),
            denied_before,
        };
        let payload = Payload::BreakGlassOpened(payload);
        let event = event(family_stream(view.root), caller.actor(), &ask.context, payload);
        let Some(committed) = self.append(ordinary(event, view.expects)).await? else { return Ok(None) };
        let position = committed.last();
        let (by, task, agent, tool) = (person.name(), ask.task, &view.agent, &ask.access.tool);
        let Some(glass) = glass else {
            tracing::warn!(%by, %task, %agent, %tool, decision = %id, "break-glass was refused");
            return Ok(Some(Opened { decided, glass: None, position }));
        };
        let audience = &ask.audience;
        tracing::warn!(%glass, %by, %task, %agent, %audience, %tool, uses_max, denied_before, "break-glass was opened");
        let shown = self.shown_glass(glass).await?;
        Ok(Some(Opened { decided, glass: Some(shown), position }))
    }

    /// True while a person's denial of that access of that agent stands, in whichever task it was asked for and with whatever beside it:
    /// a role for somebody else is another access, and so is a smaller amount where nothing but values was in doubt. Rules see it, and it is on record; the shipped
    /// `break-glass-denied-before` opens nothing then.
    fn was_denied(&self, view: &View, audience: &Audience, facts: &Facts) -> Result<bool, BrokerError> {
        if !self.0.known.look().approvals.denials().any() {
            return Ok(false);
        }
        let of = Of { agent: &view.agent, audience, bundle: Some(view.bundle.as_ref()) };
        let shapes = self.opened_shapes(of, facts)?;
        Ok(self.0.known.look().approvals.denials().last(&shapes, view.now).is_some())
    }

    /// Holds that nothing stands open for the same, for two would add up to more, and that the task has room for another.
    fn has_room_for_glass(&self, view: &mut View, covers: &Covers) -> Result<(), BrokerError> {
        let state = self.0.known.look();
        if let Some((id, glass)) = state.glasses.covering(covers) {
            // What is closed meanwhile is looked at again, and what is over by the clock is over.
            let key = GuardKey::glass(&id);
            view.expects.push(Expect { key, at: state.marks.at(&key) });
            if glass.is_open(view.now) {
                return Err(BrokerError::Precondition { code: ReasonCode::BreakGlassOpen, decision: None });
            }
        }
        if state.glasses.count_of(view.id) >= GLASSES_PER_TASK_MAX {
            let problem = format!("break-glass was opened {GLASSES_PER_TASK_MAX} times for the task");
            return Err(BrokerError::above_limit("task_id", problem));
        }
        Ok(())
    }
}

impl Opening<'_> {
    /// The facts of the task's agent, as if it asked for the access, with who would open it.
    fn facts(&self, view: &View) -> Result<Facts, BrokerError> {
        let agent = view.bundle.identities().identify(&view.agent);
        Ok(Facts {
            entries: view.judge(std::slice::from_ref(&self.ask.access), Judged::New)?,
            opening: Some(OpeningFacts {
                by: self.person.name().clone(),
                initiated: view.initiator.name == *self.person.name(),
                life_s: self.life.as_secs(),
                uses_max: self.uses_max,
                agent_class: agent.map(|agent| agent.class),
                denied_before: false,
            }),
            ..view.facts_without_agent(Question::BreakGlass, Some(&self.ask.audience))
        })
    }
}

/// Who answers for the agents at work on the task and on those above it: when it comes to the review, some may be forgotten.
fn owners_of(view: &View) -> Vec<String> {
    let owner = |agent: &SpiffeId| Some(view.bundle.identities().identify(agent)?.owner.as_ref()?.to_string());
    let agents = std::iter::once(&view.agent).chain(&view.agents_above);
    let owners: BTreeSet<String> = agents.filter_map(owner).collect();
    owners.into_iter().collect()
}

const SECOND: Duration = Duration::from_secs(1);
