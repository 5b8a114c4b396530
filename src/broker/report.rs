//! Reports: signals, and calls that were made. What they change is decided in the same append: the live grants of the task
//! are decided again with the report in mind.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::answer::Reported;
use crate::broker::ask::{ReportSignal, ReportToolCall};
use crate::broker::caller::{Caller, WorkloadCaller};
use crate::broker::error::BrokerError;
use crate::broker::gather::{View, remember};
use crate::broker::record::{asked_digest, event, family_stream};
use crate::broker::retain::Trigger;
use crate::broker::state::{Family, State};
use crate::broker::words::{self, CallWords, Context, Sentence};
use crate::journal::entry::{Entry, EntryClass};
use crate::model::facts::{FACTS_VERSION, Facts, InitiatorFacts, PrincipalFacts, Question};
use crate::model::id::{RequestId, TaskId};
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::risk::{Assessment, Signal};
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

impl Broker {
    /// Reports a piece of evidence about a task; its live grants, and those below it, are decided again before this returns.
    ///
    /// # Errors
    /// `NotFound` when the caller has nothing to do with the task; `Invalid` when points are above 100.
    pub async fn report_signal(&self, caller: &Caller, ask: ReportSignal) -> Result<Reported, BrokerError> {
        let _place = self.enter(caller)?;
        let reporter = caller.workload()?;
        if ask.points > 100 {
            return Err(BrokerError::invalid("points", "above 100"));
        }
        if ask.explanation.len() > REASON_BYTES_MAX || ask.scorer.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("explanation", "longer than 2048 bytes"));
        }
        let now = self.0.clock.now();
        let key = report_key(reporter, &ask.request_id)?;
        let signal = Signal {
            name: ask.name.clone(),
            source: reporter.peer.spiffe_id().to_string(),
            scorer: ask.scorer.clone(),
            points: ask.points,
            explanation: ask.explanation.clone(),
            observed: ask.observed.unwrap_or(now).min(now),
        };
        for _ in 0..super::TRIES_MAX {
            let looked = {
                let state = self.0.known.look();
                if !may_signal(&state, caller, reporter, ask.task) {
                    return Err(BrokerError::NotFound { what: "task" });
                }
                look(&state, ask.task, &key, now)?
            };
            let (mut view, candidates) = match looked {
                Looked::Answered(position) => return self.report_again(ask.task, position),
                Looked::New(view, candidates) => (*view, candidates),
            };
            view.expect_unanswered(&ask.task.to_string(), &key);
            let sealed = {
                let context = Context { kind: "signal", id: key.as_str() };
                let sentence = Sentence { text: ask.explanation.clone() };
                words::seal(&self.0.sealer, view.root, context, &sentence).map_err(BrokerError::unavailable)?
            };
            let payload = pb::SignalReported {
                task_id: ask.task.to_string(),
                request_id: key.to_string(),
                name: ask.name.to_string(),
                source: signal.source.clone(),
                scorer: ask.scorer.clone(),
                points: ask.points,
                observed_ms: signal.observed.as_millis(),
                sealed,
            };
            let actor = caller.actor();
            let first = event(family_stream(view.root), actor.clone(), &ask.context, Payload::SignalReported(payload));
            Arc::make_mut(&mut view.signals).push(signal.clone());
            let mut events = vec![first];
            events.extend(self.reconsider(&view, &candidates, Trigger::Signal, &actor)?);
            let entry = Entry { events, expects: view.expects.clone(), class: EntryClass::End };
            if let Some(committed) = self.append(entry).await? {
                return Ok(self.reported(&view, committed.first(), committed.last()));
            }
        }
        Err(BrokerError::Conflict)
    }

    /// Reports a call that was made, with its arguments and what came back. It becomes ground for later values as far as the
    /// reporter is believed, and live grants are decided again when it taints the task.
    ///
    /// # Errors
    /// `NotFound` when the task is not the caller's, or the caller answers neither for the grant's audience nor for the tool.
    pub async fn report_tool_call(&self, caller: &Caller, ask: ReportToolCall) -> Result<Reported, BrokerError> {
        let _place = self.enter(caller)?;
        let reporter = caller.workload()?;
        let now = self.0.clock.now();
        let key = report_key(reporter, &ask.request_id)?;
        let words = CallWords { arguments: ask.arguments.clone(), result: ask.result.clone() };
        for _ in 0..super::TRIES_MAX {
            let (looked, role) = {
                let state = self.0.known.look();
                let role = self.reporter_role(&state, caller, reporter, &ask)?;
                (look(&state, ask.task, &key, now)?, role)
            };
            let (mut view, candidates) = match looked {
                Looked::Answered(position) => return self.report_again(ask.task, position),
                Looked::New(view, candidates) => (*view, candidates),
            };
            view.expect_unanswered(&ask.task.to_string(), &key);
            let context = Context { kind: "call", id: key.as_str() };
            let sealed = words::seal(&self.0.sealer, view.root, context, &words).map_err(BrokerError::unavailable)?;
            let payload = pb::ToolCallReported {
                task_id: ask.task.to_string(),
                request_id: key.to_string(),
                grant_id: ask.grant.map(|g| g.to_string()).unwrap_or_default(),
                tool: ask.tool.to_string(),
                reporter: role.to_owned(),
                failed: ask.failed,
                sealed,
            };
            let tainted = take_in(&mut view, &payload, &words);
            let actor = caller.actor();
            let payload = Payload::ToolCallReported(payload);
            let mut events = vec![event(family_stream(view.root), actor.clone(), &ask.context, payload)];
            // What was concluded about the values of a grant stands; only a change of the task as a whole can change its answer.
            if tainted {
                events.extend(self.reconsider(&view, &candidates, Trigger::ToolReport, &actor)?);
            }
            let entry = Entry { events, expects: view.expects.clone(), class: EntryClass::Ordinary };
            if let Some(committed) = self.append(entry).await? {
                return Ok(self.reported(&view, committed.first(), committed.last()));
            }
        }
        Err(BrokerError::Conflict)
    }

    /// In which role the caller may report the call.
    fn reporter_role(
        &self,
        state: &State,
        caller: &Caller,
        reporter: &WorkloadCaller,
        ask: &ReportToolCall,
    ) -> Result<&'static str, BrokerError> {
        const HIDDEN: BrokerError = BrokerError::NotFound { what: "task" };
        let task = state.tasks.get(&ask.task).ok_or(HIDDEN)?;
        let grant = match ask.grant {
            Some(id) => Some(state.grants.get(&id).filter(|g| g.task == ask.task).ok_or(HIDDEN)?),
            None => None,
        };
        if reporter.class != IdentityClass::ResourceServer {
            let own = caller.is(&task.agent) && ask.handle.as_ref().is_some_and(|h| self.handle_fits(ask.task, h));
            return if own { Ok("agent") } else { Err(HIDDEN) };
        }
        let of_tool = state.policy.as_ref().and_then(|p| p.bundle.as_ref());
        let of_tool = of_tool.and_then(|b| b.catalogue().tool(&ask.tool)).and_then(|t| t.audience.as_ref());
        let served = match (grant, of_tool) {
            (Some(grant), _) => caller.serves(grant),
            (None, Some(audience)) => reporter.audiences.contains(audience),
            (None, None) => false,
        };
        match (served, reporter.gateway) {
            (true, _) => Ok("audience"),
            (false, true) => Ok("gateway"),
            (false, false) => Err(HIDDEN),
        }
    }

    fn reported(&self, view: &View, first: u64, last: u64) -> Reported {
        let tallies = (first..=last).map(|position| self.tally(position));
        let (suspended, revoked) = tallies.fold((0, 0), |(s, r), tally| (s + tally.suspended, r + tally.revoked));
        let risk = task_risk(view);
        Reported {
            position: first,
            risk: risk.score.points(),
            band: risk.band,
            grants_suspended: suspended,
            grants_revoked: revoked,
        }
    }

    /// The answer to a report that was made before.
    fn report_again(&self, task: TaskId, position: u64) -> Result<Reported, BrokerError> {
        let state = self.0.known.look();
        let view = View::of(&state, task, None, self.0.clock.now())?.ok_or(BrokerError::NotFound { what: "task" })?;
        drop(state);
        let risk = task_risk(&view);
        let (risk, band) = (risk.score.points(), risk.band);
        Ok(Reported { position, risk, band, grants_suspended: 0, grants_revoked: 0 })
    }
}

enum Looked {
    Answered(u64),
    New(Box<View>, Vec<crate::broker::retain::Candidate>),
}

fn look(state: &State, task: TaskId, request: &RequestId, now: Timestamp) -> Result<Looked, BrokerError> {
    let known = state.tasks.get(&task).ok_or(BrokerError::NotFound { what: "task" })?;
    if let Some(answer) = known.answers.get(request.as_str()) {
        return Ok(Looked::Answered(answer.position));
    }
    let view = View::of(state, task, None, now)?.ok_or(BrokerError::NotFound { what: "task" })?;
    // A sub-task shares its family's taint and signals, so the whole family is decided again.
    let candidates = state.candidates(view.root, now);
    Ok(Looked::New(Box::new(view), candidates))
}

/// Reporters choose their request ids each for themselves, so the reporter is part of what stands in the record: a digest
/// over both, as long as a request id may be.
fn report_key(reporter: &WorkloadCaller, request: &RequestId) -> Result<RequestId, BrokerError> {
    let digest = asked_digest(&[b"report", reporter.peer.spiffe_id().as_str().as_bytes(), request.as_str().as_bytes()]);
    let text: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    text.parse().map_err(BrokerError::internal)
}

fn may_signal(state: &State, caller: &Caller, reporter: &WorkloadCaller, task: TaskId) -> bool {
    match reporter.class {
        IdentityClass::Scorer => state.tasks.contains_key(&task),
        IdentityClass::ResourceServer => {
            let grants = state.tasks.get(&task).into_iter().flat_map(|t| &t.grants);
            grants.filter_map(|g| state.grants.get(g)).any(|g| caller.serves(g))
        }
        _ => caller.orchestrates(state, task),
    }
}

/// Adds the call to the view. True when the task as a whole is judged differently from now on.
fn take_in(view: &mut View, event: &pb::ToolCallReported, words: &CallWords) -> bool {
    let before = view.session_facts();
    let mut family = Family { session: view.session.clone(), ..Family::default() };
    let intent = view.words.last().map(|w| w.intent.as_str()).unwrap_or_default();
    remember(&mut family, intent, &view.ceilings(), Some(&view.bundle), event, words, u64::MAX);
    view.session = family.session;
    let after = view.session_facts();
    (before.untrusted_input, &before.carries, before.overflowed)
        != (after.untrusted_input, &after.carries, after.overflowed)
}

/// The risk of the task as such, whatever is asked for.
fn task_risk(view: &View) -> Assessment {
    let identity = view.bundle.identities().identify(&view.agent);
    let facts = Facts {
        version: FACTS_VERSION,
        question: Question::Retain,
        now: view.now,
        principal: PrincipalFacts {
            id: view.agent.clone(),
            class: identity.map_or(IdentityClass::AiAgent, |i| i.class),
            owner: identity.and_then(|i| i.owner.clone()),
            authentication: Authentication::X509Svid,
            svid_age_s: 0,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts { name: view.initiator.name.clone(), verified: view.initiator.verified },
        task: view.task_facts(None),
        audience: None,
        entries: Vec::new(),
        session: view.session_facts(),
        signals: view.signals.as_ref().clone(),
        ttl_asked: None,
        registration: None,
    };
    view.bundle.risk().assess(view.bundle.catalogue(), &facts)
}
