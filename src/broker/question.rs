//! Whether a decision is on a question of its own, or goes on from one that was asked before: so that whoever counts questions
//! counts what was wanted, and not how often it was tried. Nothing is decided by it.

use crate::broker::Broker;
use crate::broker::asking::Pending;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::request::Asking;
use crate::broker::words::DecisionWords;
use crate::model::approval::Verdict;
use crate::model::decision::Outcome;

impl Broker {
    /// The approval, the grant or the decision that it goes on from; empty when it is a question of its own. Two tries at the same
    /// time may each be taken for one.
    pub(in crate::broker) fn goes_on_from(
        &self,
        asking: &Asking<'_>,
        view: &View,
        words: &DecisionWords,
        pending: Option<&Pending>,
    ) -> Result<String, BrokerError> {
        if let Some((grant, _)) = asking.renews {
            return Ok(grant.to_string());
        }
        if let Some(pending) = pending {
            return Ok(pending.asked.as_ref().map_or_else(|| pending.id.to_string(), |asked| asked.replaces.clone()));
        }
        if let Some(approval) = words.decision.approval {
            return Ok(approval.to_string());
        }
        let is_denied = words.decision.outcome == Outcome::Denied;
        if !is_denied && words.decision.glass.is_none() {
            return Ok(String::new());
        }
        let (covers, asked) = (self.covers(asking, view)?, self.keyed(view.root, asking.asked)?);
        let state = self.0.known.look();
        // What was denied in another task is asked anew in this one.
        let said = words.facts.approval.as_ref().filter(|said| said.verdict != Verdict::Approved).map(|said| said.id);
        let own = said.filter(|id| state.approvals.find(*id).is_some_and(|approval| approval.task == asking.task));
        let waited = || state.approvals.covering(&covers).map(|(id, _)| id).filter(|_| !is_denied);
        if let Some(approval) = own.or_else(waited) {
            return Ok(approval.to_string());
        }
        let before = state.tasks.get(&asking.task).and_then(|task| task.denied.get(&asked));
        Ok(before.map(|(_, decision)| decision.to_string()).unwrap_or_default())
    }
}

/// Who answered what the decision rests on.
pub(in crate::broker) fn answered_by(words: &DecisionWords) -> Vec<String> {
    let rests_on = words.facts.approval.as_ref().filter(|said| {
        let by_denial = words.decision.outcome == Outcome::Denied && said.verdict == Verdict::Denied;
        by_denial || words.decision.approval == Some(said.id)
    });
    rests_on.into_iter().flat_map(|said| &said.by).map(ToString::to_string).collect()
}
