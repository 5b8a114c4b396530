//! What nobody answered in the configured time is escalated, once: more people are told, and more may answer.

use crate::broker::approvals::{Approval, ApprovalSettings};
use crate::broker::caller::broker_actor;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{event, family_stream};
use crate::broker::routing::wanted;
use crate::broker::state::State;
use crate::broker::{Broker, ordinary};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::decision::Outcome;
use crate::model::id::ApprovalId;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// Those that are to be escalated now, the longest waiting first.
pub(in crate::broker) fn due(
    state: &State,
    settings: &ApprovalSettings,
    now: Timestamp,
) -> impl Iterator<Item = ApprovalId> {
    let after = settings.escalate_after;
    let asked = after.into_iter().flat_map(move |after| state.approvals.asked_until(now, after));
    // What is over is not told any more: that nobody answered is.
    asked.filter(move |id| state.approvals.find(*id).is_some_and(|approval| approval.waits(now)))
}

impl Broker {
    /// Records that it is escalated. Whoever answers at the same time comes before it or after it.
    pub(in crate::broker) async fn escalate(&self, id: ApprovalId) -> Result<(), BrokerError> {
        let due = || {
            let state = self.0.known.look();
            let (now, settings) = (self.now(&state), &self.0.settings);
            let waits = |approval: &&Approval| approval.waits(now) && approval.escalated.is_none();
            let approval = state.approvals.find(id).filter(waits)?;
            let root = state.tasks.get(&approval.task)?.root;
            let payload = pb::ApprovalEscalated {
                approval_id: id.to_string(),
                task_id: approval.task.to_string(),
                decision_id: approval.decision.to_string(),
                widened: wanted(&state, &settings.directory, approval).next().is_some(),
                as_review: settings.approvals.escalate_step_up && approval.outcome == Outcome::StepUp,
                tell: settings.directory.escalate_to().map(ToString::to_string).collect(),
                answer_by_ms: approval.until.as_millis(),
            };
            let payload = Payload::ApprovalEscalated(payload);
            let key = GuardKey::usage(&root);
            let expects = vec![Expect { key, at: state.marks.at(&key) }];
            Some(ordinary(event(family_stream(root), broker_actor(), &no_context(), payload), expects))
        };
        // A family that is told something all the time does not keep it from being escalated.
        self.settle_if_due(due).await.map(drop)
    }
}
