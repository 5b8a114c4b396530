//! Pause and resume: a cause of suspension for every grant of the task and below it, and its removal.

use crate::broker::answer::TaskView;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::words::Context;
use crate::broker::{Broker, ending, ordinary};
use crate::journal::entry::Entry;
use crate::journal::guards::Expect;
use crate::journal::guards::GuardKey;
use crate::model::id::TaskId;
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::reason::ReasonCode;
use crate::model::task::TaskState;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

impl Broker {
    /// Pauses a task: its grants and those below are suspended, and nothing is granted until it is resumed. Pausing a paused
    /// task changes nothing.
    ///
    /// # Errors
    /// `NotFound` when the caller did not register it, `Precondition` when it has ended.
    pub async fn pause_task(&self, caller: &Caller, id: TaskId, reason: String) -> Result<TaskView, BrokerError> {
        let _place = self.enter_to_end(caller)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("reason", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        self.turn(caller, id, TaskState::Paused, &reason).await
    }

    /// Resumes a paused task. What was suspended for another cause, or ended meanwhile, stays so.
    ///
    /// # Errors
    /// As [`Broker::pause_task`].
    pub async fn resume_task(&self, caller: &Caller, id: TaskId) -> Result<TaskView, BrokerError> {
        let _place = self.enter(caller)?;
        self.turn(caller, id, TaskState::Active, "").await
    }

    async fn turn(&self, caller: &Caller, id: TaskId, to: TaskState, reason: &str) -> Result<TaskView, BrokerError> {
        for _ in 0..super::TRIES_MAX {
            let (root, expects) = {
                let state = self.0.known.look();
                let rpc = if to == TaskState::Paused { "PauseTask" } else { "ResumeTask" };
                let task = state.tasks.get(&id).filter(|_| self.orchestrates(&state, caller, id, None));
                let task = task.ok_or_else(|| self.hidden(&state, caller, id, Sought { rpc, what: "task" }))?;
                if task.state.is_ended() {
                    return Err(BrokerError::Precondition { code: ReasonCode::TaskEnded, decision: None });
                }
                if task.state == to {
                    drop(state);
                    return self.task_view(id);
                }
                (task.root, vec![Expect { key: GuardKey::task(&id), at: state.marks.at(&GuardKey::task(&id)) }])
            };
            let entry = self.turn_entry(caller, id, root, to, reason, expects);
            if self.append(entry).await?.is_some() {
                return self.task_view(id);
            }
        }
        Err(BrokerError::Conflict)
    }

    fn turn_entry(
        &self,
        caller: &Caller,
        id: TaskId,
        root: TaskId,
        to: TaskState,
        reason: &str,
        expects: Vec<Expect>,
    ) -> Entry {
        let (task_id, stream) = (id.to_string(), family_stream(root));
        if to == TaskState::Active {
            let payload = Payload::TaskResumed(pb::TaskResumed { task_id });
            return ordinary(event(stream, caller.actor(), &no_context(), payload), expects);
        }
        let sealed = self.seal_reason(&stream, Context { kind: "pause", id: &task_id }, reason);
        let payload = Payload::TaskPaused(pb::TaskPaused { task_id, sealed });
        ending(event(stream, caller.actor(), &no_context(), payload), expects)
    }
}
