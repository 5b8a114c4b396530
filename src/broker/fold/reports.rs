//! How evidence changes what is known, and which families owe their live grants another look because of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{FoldError, Step};
use crate::broker::evidence::{call_digest, signal_digest, take_in};
use crate::broker::gather::{declared, is_tainted_since, remember};
use crate::broker::reason::ASKED;
use crate::broker::report_key::{KEYED_MAX, digest_key};
use crate::broker::retain::Trigger;
use crate::broker::state::{Due, Family};
use crate::broker::words::{CallWords, Sentence, WordsError, root_intent};
use crate::journal::guards::GuardKey;
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::id::{RequestId, TaskId};
use crate::model::risk::Signal;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::seal::error::SealError;

impl Step<'_> {
    pub(super) fn signal(&mut self, e: &pb::SignalReported, actor: Option<&pb::Actor>) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let Some(root) = self.state.tasks.get(&id).map(|t| t.root) else { return Ok(()) };
        let key = report_key(id, actor, &e.request_id)?;
        let sentence: Option<Sentence> = self.open(root, "signal", &key.to_string(), &e.sealed)?;
        self.counted(root, (key, reporter(actor)), sentence.as_ref().map(|s| signal_digest(e, &s.text)))?;
        let signal = Signal {
            name: e.name.parse()?,
            source: e.source.clone(),
            scorer: e.scorer.clone(),
            points: e.points,
            explanation: sentence.map(|s| s.text).unwrap_or_default(),
            observed: Timestamp::from_millis(e.observed_ms),
        };
        let stands = self.state.has_standing_grants(root);
        let signals = Arc::make_mut(&mut self.state.families.entry(root).or_default().signals);
        // A scorer that speaks again takes its silence back, unless a grant stands that was decided with it.
        if signal.is_score() && !signal.is_absence() && !stands {
            signals.retain(|known| known.source != signal.source || !known.is_absence());
        }
        if take_in(signals, signal) {
            self.owe(root, Trigger::Signal, None);
        }
        Ok(())
    }

    pub(super) fn tool_call(&mut self, e: &pb::ToolCallReported, actor: Option<&pb::Actor>) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let Some(root) = self.state.tasks.get(&id).map(|t| t.root) else { return Ok(()) };
        let key = report_key(id, actor, &e.request_id)?;
        let words: Option<CallWords> = self.open(root, "call", &key.to_string(), &e.sealed)?;
        self.counted(root, (key, reporter(actor)), words.as_ref().map(|w| call_digest(e, w)))?;
        let Some(words) = words else { return Ok(()) };
        let key = match words.digested.is_empty() {
            true => None,
            false => match digest_key(&self.means.sealer, root) {
                Ok(key) => Some(key),
                // As for words that were erased.
                Err(SealError::Erased(_)) => return Ok(()),
                Err(error) => return Err(FoldError::Words(WordsError::Seal(error))),
            },
        };
        let line = self.state.lineage(id);
        let Some(agent) = line.first().map(|(_, task)| task.agent.clone()) else { return Ok(()) };
        let root_words = line.last().and_then(|(_, t)| t.words.clone());
        let bundle = self.state.policy.as_ref().and_then(|p| p.bundle.clone());
        let declared = declared(root_words.as_ref());
        let intent = root_intent(root_words.as_ref());
        let family: &mut Family = self.state.families.entry(root).or_default();
        let before = family.session.facts();
        let (grounds, told) = ((intent, declared.as_slice()), (&words, key.as_ref()));
        remember(&mut family.session, grounds, bundle.as_deref(), &agent, (e, told), self.position)?;
        // What was concluded about the values of a grant stands; only a change of the task as a whole can change its answer.
        if is_tainted_since(&before, &family.session.facts()) {
            self.owe(root, Trigger::ToolReport, None);
        }
        Ok(())
    }

    pub(super) fn key_given(&mut self, e: &pb::ReportKeyGiven, actor: Option<&pb::Actor>) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let Some(root) = self.state.tasks.get(&id).map(|t| t.root) else { return Ok(()) };
        let keyed = &mut self.state.families.entry(root).or_default().keyed;
        if keyed.len() < KEYED_MAX {
            keyed.insert(reporter(actor).to_owned());
        }
        Ok(())
    }

    pub(super) fn reconsidered(&mut self, e: &pb::GrantReconsidered) -> Result<(), FoldError> {
        use pb::grant_reconsidered::Effect;
        let id = e.grant_id.parse()?;
        match e.effect() {
            Effect::Suspended => self.suspend(id, SuspensionCause::Drift),
            Effect::Restored => self.lift(id, SuspensionCause::Drift),
            Effect::Revoked => self.end_grant(id, &GrantStanding::Revoked),
            Effect::Kept => {}
            Effect::Unspecified => return Err(FoldError::Value("effect")),
        }
        if let Some(grant) = self.state.grants.get_mut(&id) {
            grant.observed = super::policy::observed(e.decision.as_ref());
        }
        Ok(())
    }

    pub(super) fn family_reconsidered(&mut self, e: &pb::FamilyReconsidered) -> Result<(), FoldError> {
        let root = e.root_task_id.parse()?;
        // A cause that came while the family was decided again is owed still.
        if let Some(family) = self.state.families.get_mut(&root)
            && family.due.as_ref().is_some_and(|due| due.position <= e.through)
        {
            family.due = None;
            self.state.by.due.remove(&root);
        }
        Ok(())
    }

    /// This event makes it necessary to decide the live grants of a family again, if it has any. Those that the log's time has
    /// ended are among them: it may have run ahead, and their tokens live.
    pub(super) fn owe(&mut self, root: TaskId, trigger: Trigger, amended: Option<TaskId>) {
        if !self.state.has_standing_grants(root) {
            return;
        }
        let Some(family) = self.state.families.get_mut(&root) else { return };
        let mut tasks: BTreeSet<TaskId> = family.due.take().map(|due| due.amended).unwrap_or_default();
        tasks.extend(amended);
        family.due = Some(Due { position: self.position, since: self.time, trigger, amended: tasks });
        self.state.by.due.insert(root);
    }

    fn counted(&mut self, root: TaskId, key: (GuardKey, &str), asked: Option<[u8; 32]>) -> Result<(), FoldError> {
        let asked = match asked.map(|asked| self.means.sealer.digest(root, ASKED, &asked)).transpose() {
            Ok(asked) => asked,
            Err(SealError::Erased(_)) => None,
            Err(error) => return Err(FoldError::Words(WordsError::Seal(error))),
        };
        let family = self.state.families.entry(root).or_default();
        if family.reports.oldest().is_none() {
            self.state.by.reported.insert((self.time, root));
        }
        family.reports.keep(key, (self.position, self.time), asked);
        Ok(())
    }
}

fn reporter(actor: Option<&pb::Actor>) -> &str {
    actor.map(|a| a.id.as_str()).unwrap_or_default()
}

fn report_key(task: TaskId, actor: Option<&pb::Actor>, request: &str) -> Result<GuardKey, FoldError> {
    let request: RequestId = request.parse()?;
    Ok(GuardKey::report(&task, reporter(actor), &request))
}
