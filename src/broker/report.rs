//! Reports: signals, and calls that were made. They are recorded first, whatever becomes of the grants; the live ones of the
//! family are decided again with the report in mind before it is answered.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::broker::Broker;
use crate::broker::answer::Reported;
use crate::broker::ask::{ReportSignal, ReportToolCall, RequestContext, ShownHandle};
use crate::broker::caller::{Caller, WorkloadCaller};
use crate::broker::error::BrokerError;
use crate::broker::evidence::{Counted, call_digest, has_room, signal_digest, take_in};
use crate::broker::gather::View;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::register::request_id_reused;
use crate::broker::state::{Grant, State, Tally, Task};
use crate::broker::words::{self, CallWords, Context, Sentence};
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::facts::Question;
use crate::model::id::{Audience, GrantId, TaskId, ToolName};
use crate::model::identity::IdentityClass;
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::risk::{Assessment, Signal};
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// A call that somebody names: which task and tool, under which grant.
pub(in crate::broker) struct Named<'a> {
    pub(in crate::broker) rpc: &'static str,
    pub(in crate::broker) task: TaskId,
    pub(in crate::broker) handle: Option<&'a ShownHandle>,
    pub(in crate::broker) grant: Option<GrantId>,
    pub(in crate::broker) tool: &'a ToolName,
}

impl Broker {
    /// Reports a piece of evidence about a task; its live grants, and those below it, are decided again before this returns.
    ///
    /// # Errors
    /// `NotFound` when there is no such task: a scorer watches over all of them, so it may report on any. `Invalid` when points
    /// are above 100, the id was used for another report, or the reporter has added as many different signals as it may.
    pub async fn report_signal(&self, caller: &Caller, ask: ReportSignal) -> Result<Reported, BrokerError> {
        let mut entered = self.enter(caller)?;
        let reporter = caller.workload()?;
        if ask.points > 100 {
            return Err(BrokerError::invalid("points", "above 100"));
        }
        if ask.explanation.len() > REASON_BYTES_MAX || ask.scorer.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("explanation", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        let now = self.0.clock.now();
        let source = reporter.peer.spiffe_id().to_string();
        let key = GuardKey::report(&ask.task, &source, &ask.request_id);
        let mut payload = pb::SignalReported {
            task_id: ask.task.to_string(),
            request_id: ask.request_id.to_string(),
            name: ask.name.to_string(),
            source: source.clone(),
            scorer: ask.scorer.clone(),
            points: ask.points,
            observed_ms: ask.observed.unwrap_or(now).min(now).as_millis(),
            sealed: Bytes::new(),
        };
        let asked = signal_digest(&payload, &ask.explanation);
        let mut class = EntryClass::Ordinary;
        for _ in 0..super::TRIES_MAX {
            let (root, looked) = {
                let state = self.0.known.look();
                look(&state, ask.task, (key, &source))?
            };
            let (expect, mut signals) = match looked {
                Looked::Counted(before) => {
                    drop(entered.leave());
                    return self.counted(ask.task, root, (before, asked), caller).await;
                }
                Looked::New(expect, signals) => (expect, signals),
            };
            if !has_room(&signals, &ask.name, &source) {
                return Err(BrokerError::above_limit("name", "too many different signals about the task"));
            }
            payload.sealed = {
                let sentence = Sentence { text: ask.explanation.clone() };
                self.seal_report(root, "signal", key, &sentence)?
            };
            let event = Payload::SignalReported(payload.clone());
            let event = event_of(root, caller, &ask.context, event);
            let entry = Entry { events: vec![event], expects: vec![expect], class };
            match self.record_cause(root, entry, caller.actor(), entered.leave()).await {
                Ok(Some((position, tally))) => return self.reported(ask.task, position, tally),
                Ok(None) => {}
                // What is held back is for what ends or suspends something.
                Err(BrokerError::StorageFull) if class == EntryClass::Ordinary => {
                    take_in(Arc::make_mut(&mut signals), signal_of(&ask, &payload));
                    class = self.class_on_a_full_disk(root, move |view| view.signals.clone_from(&signals)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(BrokerError::Conflict)
    }

    /// Reports a call that was made, with its arguments and what came back. It becomes ground for later values as far as the
    /// reporter is believed, and live grants are decided again when it taints the task.
    ///
    /// # Errors
    /// `NotFound` when the task is not the caller's, or the caller answers neither for the grant's audience nor for the tool;
    /// `Invalid` when the grant does not cover the tool, the id was used for another report, or values were digested under another
    /// key than the family's.
    pub async fn report_tool_call(&self, caller: &Caller, ask: ReportToolCall) -> Result<Reported, BrokerError> {
        let mut entered = self.enter(caller)?;
        let reporter = caller.workload()?;
        let key = GuardKey::report(&ask.task, reporter.peer.spiffe_id().as_str(), &ask.request_id);
        let (arguments, result, digested) = (ask.arguments.clone(), ask.result.clone(), ask.digested.clone());
        let words = CallWords { arguments, result, digested };
        let mut payload = pb::ToolCallReported {
            task_id: ask.task.to_string(),
            request_id: ask.request_id.to_string(),
            grant_id: ask.grant.map(|g| g.to_string()).unwrap_or_default(),
            tool: ask.tool.to_string(),
            reporter: String::new(),
            failed: ask.failed,
            sealed: Bytes::new(),
        };
        let asked = call_digest(&payload, &words);
        let mut class = EntryClass::Ordinary;
        for _ in 0..super::TRIES_MAX {
            let (root, looked, role) = {
                let state = self.0.known.look();
                let named = Named {
                    rpc: "ReportToolCall",
                    task: ask.task,
                    handle: ask.handle.as_ref(),
                    grant: ask.grant,
                    tool: &ask.tool,
                };
                let role = self.reporter_role(&state, caller, reporter, &named)?;
                let (root, looked) = look(&state, ask.task, (key, reporter.peer.spiffe_id().as_str()))?;
                (root, looked, role)
            };
            let expect = match looked {
                Looked::Counted(before) => {
                    drop(entered.leave());
                    return self.counted(ask.task, root, (before, asked), caller).await;
                }
                Looked::New(expect, _) => expect,
            };
            role.clone_into(&mut payload.reporter);
            let digest_key = self.key_of(root, &ask.digested)?;
            payload.sealed = self.seal_report(root, "call", key, &words)?;
            let event = event_of(root, caller, &ask.context, Payload::ToolCallReported(payload.clone()));
            let entry = Entry { events: vec![event], expects: vec![expect], class };
            match self.record_cause(root, entry, caller.actor(), entered.leave()).await {
                Ok(Some((position, tally))) => return self.reported(ask.task, position, tally),
                Ok(None) => {}
                // As for signals.
                Err(BrokerError::StorageFull) if class == EntryClass::Ordinary => {
                    let told = (&words, digest_key.as_ref());
                    let tainted = self.view(ask.task)?.tainted_by(&payload, told).map_err(BrokerError::internal)?;
                    let session = tainted.ok_or(BrokerError::StorageFull)?;
                    class = self.class_on_a_full_disk(root, move |view| view.session.clone_from(&session)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(BrokerError::Conflict)
    }

    /// In which role the caller may report the call.
    pub(in crate::broker) fn reporter_role(
        &self,
        state: &State,
        caller: &Caller,
        reporter: &WorkloadCaller,
        ask: &Named<'_>,
    ) -> Result<&'static str, BrokerError> {
        let sought = Sought { rpc: ask.rpc, what: "task" };
        let task = state.tasks.get(&ask.task).ok_or(BrokerError::NotFound { what: "task" })?;
        let is_server = reporter.class == IdentityClass::ResourceServer;
        let is_own = || caller.is(&task.agent) && ask.handle.is_some_and(|h| self.handle_fits(ask.task, h));
        // Before the grant is looked at: a wrong grant beside the right handle is no guess at a handle.
        if !is_server && !is_own() {
            return Err(self.hidden(state, caller, ask.task, sought));
        }
        let grant = ask.grant.map(|id| self.grant_of(state, caller, (id, ask.task), sought)).transpose()?;
        let role = if is_server {
            let role = served_role(state, caller, reporter, (task, grant), ask.tool);
            role.ok_or_else(|| self.not_yours(caller, ask.task, sought))?
        } else {
            "agent"
        };
        // Whoever serves one tool of a task could otherwise make ground in the name of any other.
        if grant.is_some_and(|grant| !grant.tools.contains(ask.tool)) {
            return Err(BrokerError::invalid("grant_id", "does not cover the tool"));
        }
        Ok(role)
    }

    pub(in crate::broker) fn seal_report<W: Serialize + DeserializeOwned>(
        &self,
        root: TaskId,
        kind: &'static str,
        key: GuardKey,
        words: &W,
    ) -> Result<Bytes, BrokerError> {
        let context = Context { kind, id: &key.to_string() };
        Ok(words::seal(&self.0.sealer, root, context, words)?)
    }

    fn reported(&self, task: TaskId, position: u64, tally: Tally) -> Result<Reported, BrokerError> {
        let risk = task_risk(&self.view(task)?);
        Ok(Reported {
            position,
            risk: risk.score.points(),
            band: risk.band,
            grants_suspended: tally.suspended,
            grants_revoked: tally.revoked,
        })
    }

    fn view(&self, task: TaskId) -> Result<View, BrokerError> {
        let state = self.0.known.look();
        View::of(&state, task, None, self.now(&state))?.ok_or(BrokerError::NotFound { what: "task" })
    }

    /// The answer to a report that was counted before, once everything that follows from it is done. It must say the same.
    async fn counted(
        &self,
        task: TaskId,
        root: TaskId,
        (before, asked): (Counted, [u8; 32]),
        caller: &Caller,
    ) -> Result<Reported, BrokerError> {
        if !before.is_same(|| self.keyed(root, asked))? {
            return Err(request_id_reused());
        }
        let position = before.position;
        let tally = self.reconsider(root, position, &caller.actor()).await?;
        self.reported(task, position, tally)
    }
}

pub(in crate::broker) enum Looked {
    /// It was counted before.
    Counted(Counted),
    /// With the signals of the family so far.
    New(Expect, Arc<Vec<Signal>>),
}

pub(in crate::broker) fn look(
    state: &State,
    task: TaskId,
    report: (GuardKey, &str),
) -> Result<(TaskId, Looked), BrokerError> {
    let hidden = || BrokerError::NotFound { what: "task" };
    let root = state.tasks.get(&task).ok_or_else(hidden)?.root;
    let family = state.families.get(&root).ok_or_else(hidden)?;
    let key = report.0;
    let new = || Looked::New(Expect { key, at: state.marks.at(&key) }, family.signals.clone());
    Ok((root, family.reports.find(report).map_or_else(new, Looked::Counted)))
}

fn event_of(root: TaskId, caller: &Caller, context: &RequestContext, payload: Payload) -> pb::Event {
    event(family_stream(root), caller.actor(), context, payload)
}

fn signal_of(ask: &ReportSignal, recorded: &pb::SignalReported) -> Signal {
    Signal {
        name: ask.name.clone(),
        source: recorded.source.clone(),
        scorer: ask.scorer.clone(),
        points: ask.points,
        explanation: ask.explanation.clone(),
        observed: Timestamp::from_millis(recorded.observed_ms),
    }
}

/// In which role a resource server may report a call of that tool.
fn served_role(
    state: &State,
    caller: &Caller,
    reporter: &WorkloadCaller,
    (task, grant): (&Task, Option<&Grant>),
    tool: &ToolName,
) -> Option<&'static str> {
    let bundle = state.policy.as_ref().and_then(|p| p.bundle.as_ref());
    let own = || bundle?.catalogue().tool(tool)?.audience.as_ref();
    // Where no grant says so, the task must be one that could have had it.
    let is_allowed = |audience: &Audience| task.audiences.is_empty() || task.audiences.contains(audience);
    if grant.is_none() && !own().is_none_or(is_allowed) {
        return None;
    }
    let serves = match grant {
        Some(grant) => caller.serves(grant),
        None => own().is_some_and(|audience| reporter.audiences.contains(audience)),
    };
    let granted = || state.families.get(&task.root).is_some_and(|family| family.usage.grants_of(tool) > 0);
    match (serves, reporter.gateway) {
        // A gateway sees calls that need no credential. Nobody calls a resource server without one, so what it says of such a
        // call is no ground.
        (true, false) if grant.is_none() && !granted() => Some("server"),
        (true, _) => Some("audience"),
        (false, true) => Some("gateway"),
        (false, false) => None,
    }
}

/// The risk of the task as such, whatever is asked for.
fn task_risk(view: &View) -> Assessment {
    let mut facts = view.facts_without_agent(Question::Retain, None);
    // Here nobody asks for anything, so there is no stranger.
    facts.principal.known = true;
    view.bundle.risk().assess(view.bundle.catalogue(), &facts)
}
