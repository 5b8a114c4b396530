//! Complete and cancel: one event, from which the ends of all grants below follow.

use crate::broker::answer::Ended;
use crate::broker::ask::ShownHandle;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::words::Context;
use crate::broker::{Broker, ending};
use crate::journal::entry::Entry;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::id::TaskId;
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::reason::ReasonCode;
use crate::model::task::TaskState;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

impl Broker {
    /// Ends a task as done. When it returns, every grant of it and below it is revoked, and that is durable. Completing an
    /// ended task changes nothing.
    ///
    /// # Errors
    /// `NotFound` when the caller did not register the task or one above it, or is an agent that shows no handle of these.
    pub async fn complete_task(
        &self,
        caller: &Caller,
        id: TaskId,
        handle: Option<ShownHandle>,
    ) -> Result<Ended, BrokerError> {
        let _place = self.enter_to_end(caller)?;
        self.end(caller, (id, handle), TaskState::Completed, "").await
    }

    /// Ends a task as given up, otherwise like [`Broker::complete_task`].
    ///
    /// # Errors
    /// As [`Broker::complete_task`], and when the reason is too long.
    pub async fn cancel_task(
        &self,
        caller: &Caller,
        id: TaskId,
        handle: Option<ShownHandle>,
        reason: String,
    ) -> Result<Ended, BrokerError> {
        let _place = self.enter_to_end(caller)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("reason", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        self.end(caller, (id, handle), TaskState::Cancelled, &reason).await
    }

    async fn end(
        &self,
        caller: &Caller,
        (id, handle): (TaskId, Option<ShownHandle>),
        end: TaskState,
        reason: &str,
    ) -> Result<Ended, BrokerError> {
        for _ in 0..super::TRIES_MAX {
            let entry = {
                let state = self.0.known.look();
                let rpc = if end == TaskState::Completed { "CompleteTask" } else { "CancelTask" };
                let registered = self.orchestrates(&state, caller, id, handle.as_ref());
                let task = state.tasks.get(&id).filter(|_| registered);
                let task = task.ok_or_else(|| self.hidden(&state, caller, id, Sought { rpc, what: "task" }))?;
                if task.state.is_ended() {
                    // A retry of the same end is answered alike; another end than the one that happened is not pretended.
                    if task.state != end {
                        return Err(BrokerError::Precondition { code: ReasonCode::TaskEnded, decision: None });
                    }
                    drop(state);
                    return Ok(Ended { task: self.task_view(id)?, grants_revoked: 0, position: 0 });
                }
                let expects = vec![Expect { key: GuardKey::task(&id), at: state.marks.at(&GuardKey::task(&id)) }];
                (task.root, expects)
            };
            let entry = self.end_entry(caller.actor(), id, entry.0, end, reason, entry.1);
            if let Some(committed) = self.append(entry).await? {
                let position = committed.last();
                let revoked = self.tally(position).revoked;
                return Ok(Ended { task: self.task_view(id)?, grants_revoked: revoked, position });
            }
        }
        Err(BrokerError::Conflict)
    }

    /// Ends a task whose deadline has passed.
    pub(in crate::broker) async fn expire(&self, id: TaskId) -> Result<(), BrokerError> {
        let looked = {
            let state = self.0.known.look();
            state.tasks.get(&id).filter(|t| !t.state.is_ended()).map(|task| {
                (task.root, vec![Expect { key: GuardKey::task(&id), at: state.marks.at(&GuardKey::task(&id)) }])
            })
        };
        let Some((root, expects)) = looked else { return Ok(()) };
        let entry = self.end_entry(broker_actor(), id, root, TaskState::Expired, "", expects);
        // When something else happened to the task, the next sweep looks again.
        self.append(entry).await.map(|_| ())
    }

    fn end_entry(
        &self,
        actor: pb::Actor,
        id: TaskId,
        root: TaskId,
        end: TaskState,
        reason: &str,
        expects: Vec<Expect>,
    ) -> Entry {
        let stream = family_stream(root);
        let sealed = self.seal_reason(&stream, Context { kind: "end", id: &id.to_string() }, reason);
        let state = match end {
            TaskState::Completed => v1::TaskState::Completed,
            TaskState::Cancelled => v1::TaskState::Cancelled,
            TaskState::Expired | TaskState::Active | TaskState::Paused => v1::TaskState::Expired,
        };
        let payload = pb::TaskEnded { task_id: id.to_string(), state: state.into(), sealed };
        ending(event(stream, actor, &no_context(), Payload::TaskEnded(payload)), expects)
    }
}
