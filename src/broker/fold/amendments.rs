//! How amendments change a task, and what takes one back.

use std::sync::Arc;

use super::approvals::Question;
use super::{FoldError, Step, answer};
use crate::broker::approvals::About;
use crate::broker::hashes::Hashes;
use crate::broker::retain::Trigger;
use crate::broker::words::{AmendWords, root_intent};
use crate::model::decision::Outcome;
use crate::model::grant::GrantStanding;
use crate::model::id::TaskId;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn task_amended(&mut self, e: &pb::TaskAmended, actor: Option<&pb::Actor>) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let answer = answer(self.position, e.decision.as_ref(), &e.asked_digest)?;
        let Some(root) = self.state.tasks.get(&id).map(|t| t.root) else { return Ok(()) };
        let words: Option<AmendWords> =
            if e.sealed.is_empty() { None } else { self.open(root, "amend", &e.request_id, &e.sealed)? };
        if matches!(answer.outcome, Outcome::Granted | Outcome::Denied) {
            self.state.answered(id, &e.request_id, answer);
        }
        if let Some(asked) = &e.asked_people {
            let by = actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?;
            let question = Question {
                about: About::Amendment(by),
                approval_id: &e.approval_id,
                task_id: &e.task_id,
                decision: e.decision.as_ref(),
                asked_digest: &e.asked_digest,
                agent: &e.agent,
                initiator: &e.initiator,
            };
            self.asked_people(&question, asked)?;
        }
        if !e.applied {
            return Ok(());
        }
        // Who was asked about another was shown what the task was before.
        self.state.approvals.close_amendments(id, self.position);
        self.approval_extended(&e.approval_id)?;
        self.amend(id, e.deadline_ms, words);
        self.owe(root, Trigger::Amended, Some(id));
        Ok(())
    }

    pub(super) fn extension_taken_back(&mut self, e: &pb::ExtensionTakenBack) -> Result<(), FoldError> {
        let id: TaskId = e.task_id.parse()?;
        let Some(root) = self.state.tasks.get(&id).map(|t| t.root) else { return Ok(()) };
        let words: Option<AmendWords> =
            if e.sealed.is_empty() { None } else { self.open(root, "taken-back", &e.approval_id, &e.sealed)? };
        // Whether it needed the extension is not asked: it was decided with that in mind, or renewed.
        for grant in self.state.granted_since(id, e.extended_at) {
            self.end_grant(grant, &GrantStanding::Revoked);
        }
        self.state.approvals.close_amendments(id, self.position);
        let named = words.as_ref().map(|words| words.named_no_more.clone()).unwrap_or_default();
        self.amend(id, e.deadline_ms, words);
        self.unground(root, e.extended_at, &named);
        self.owe(root, Trigger::Amended, Some(id));
        Ok(())
    }

    /// What was reported since then is no ground any more. Which of it needed the extension cannot be told, here either.
    fn unground(&mut self, root: TaskId, since: u64, named: &[String]) {
        let words = self.state.tasks.get(&root).and_then(|task| task.words.clone());
        if let Some(family) = self.state.families.get_mut(&root) {
            Arc::make_mut(&mut family.session).take_back(since, named, root_intent(words.as_ref()));
        }
    }

    fn amend(&mut self, id: TaskId, deadline_ms: u64, words: Option<AmendWords>) {
        let Some(task) = self.state.tasks.get_mut(&id) else { return };
        if deadline_ms > 0 {
            // What has ended has no deadline any more.
            let stood = self.state.by.deadlines.remove(&(task.deadline, id));
            task.deadline = Timestamp::from_millis(deadline_ms);
            if stood {
                self.state.by.deadlines.insert((task.deadline, id));
            }
        }
        if let (Some(amended), Some(words)) = (words, task.words.as_mut()) {
            Arc::make_mut(words).amend(amended);
            task.hashes = Hashes::of(Some(words));
        }
    }
}
