//! The answer to a registration that was asked for before: the same, whatever has become of the task and of the token that said
//! who its initiator is.

use super::{UnexpectedEventError, ceiling_bytes, request_id_reused};
use crate::broker::Broker;
use crate::broker::answer::{Decided, Registered};
use crate::broker::ask::{RegisterTask, ShownToken};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::record::{asked_digest, family_of};
use crate::broker::state::Answer;
use crate::identity::people::token_digest;
use crate::model::id::{DecisionId, InitiatorName, TaskId};
use crate::pb::journal::event::Payload;

impl Broker {
    /// The answer that was given to the same request id before: for the same token, or another of the same person's.
    pub(super) async fn registered_again(
        &self,
        caller: &Caller,
        ask: &RegisterTask,
        answer: Answer,
        asked: [u8; 32],
    ) -> Result<Registered, BrokerError> {
        let recorded = self.reading(move |this| this.recorded_registration(answer, asked)).await?;
        let is_same = |shown: &ShownToken| token_digest(&shown.0).as_slice() == recorded.token;
        if ask.initiator_token.as_ref().is_some_and(|shown| !is_same(shown)) {
            let now = self.initiator_shown(caller, ask).await?;
            if now.is_none_or(|now| *now.name() != recorded.initiator) {
                return Err(request_id_reused());
            }
        }
        Ok(recorded.registered)
    }

    fn recorded_registration(&self, answer: Answer, asked: [u8; 32]) -> Result<Recorded, BrokerError> {
        let recorded = self.0.journal.read(answer.position).map_err(BrokerError::unavailable)?;
        let root = family_of(&recorded.event.stream);
        if answer.asked != self.keyed(root, asked)? {
            return Err(request_id_reused());
        }
        let Some(Payload::TaskDecided(event)) = recorded.event.payload else {
            return Err(BrokerError::internal(UnexpectedEventError));
        };
        let decision = event.decision.ok_or_else(|| BrokerError::internal(UnexpectedEventError))?;
        let words = self.decision_words(root, &decision)?;
        let id: DecisionId = decision.decision_id.parse().map_err(BrokerError::internal)?;
        let decided = Decided::new(id, &words.decision, words.differences);
        let initiator = words.facts.initiator.name;
        let token = event.initiator_evidence.map(|evidence| evidence.token_digest).unwrap_or_default();
        let Some(task) = event.task else {
            return Ok(Recorded { registered: Registered { decided, task: None }, initiator, token });
        };
        let id: TaskId = task.task_id.parse().map_err(BrokerError::internal)?;
        let view = match self.task_view(id) {
            // It ended some time ago, and the record alone knows of it.
            Err(BrokerError::NotFound { .. }) => self.recorded_task(&task, recorded.time)?,
            view => view?,
        };
        let registered = Registered { decided, task: Some((view, self.0.handles.handle(id))) };
        Ok(Recorded { registered, initiator, token })
    }
}

/// A registration as the record has it.
struct Recorded {
    registered: Registered,
    initiator: InitiatorName,
    /// The digest of the token that the initiator was verified by; empty without one.
    token: bytes::Bytes,
}

/// What was asked, so that another question under the same request id is known for one. Who repeats a registration is given the
/// handle of the task again, and so shows what it takes to get it. A token that names the initiator may be a newer one.
pub(super) fn digest(ask: &RegisterTask) -> [u8; 32] {
    let profile = serde_json::to_vec(&ask.profile).unwrap_or_default();
    let audiences: Vec<&str> = ask.audiences.iter().map(|a| a.as_str()).collect();
    let mut said = vec![u8::from(ask.initiator_token.is_some())];
    // Who does not say so asks what could be asked before it could be said, and that has the digest that it had.
    said.extend(ask.unattended.then_some(1));
    asked_digest(&[
        b"register",
        ask.intent.as_bytes(),
        ask.initiator.as_ref().map(|i| i.as_str()).unwrap_or_default().as_bytes(),
        ask.agent.as_str().as_bytes(),
        &ceiling_bytes(ask.ceiling.as_ref()),
        &ask.deadline.as_millis().to_be_bytes(),
        ask.parent.map(|p| p.to_string()).unwrap_or_default().as_bytes(),
        ask.parent_handle.as_ref().map(|handle| handle.0.as_bytes()).unwrap_or_default(),
        &profile,
        audiences.join("\n").as_bytes(),
        &said,
    ])
}
