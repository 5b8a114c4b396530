//! Objects that are not the caller's look as if they did not exist. That they were asked for is recorded: it says that the caller
//! knows an id that it should not know, or guesses at a handle.

use crate::broker::Broker;
use crate::broker::ask::ShownHandle;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::state::{Grant, State};
use crate::model::id::{GrantId, TaskId};
use crate::model::identity::IdentityClass;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;

/// What was asked for, and by which RPC.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Sought {
    pub(in crate::broker) rpc: &'static str,
    pub(in crate::broker) what: &'static str,
}

impl Broker {
    /// True when the caller registered the task or one above it. An agent that opened a sub-task shows the handle of what it
    /// opened, or of a task above that: its replicas have the same SPIFFE ID.
    pub(in crate::broker) fn orchestrates(
        &self,
        state: &State,
        caller: &Caller,
        task: TaskId,
        handle: Option<&ShownHandle>,
    ) -> bool {
        let line = state.lineage(task);
        let mut registered = line.iter().skip_while(|(_, task)| !caller.is(&task.orchestrator)).peekable();
        match caller {
            Caller::Person(_) | Caller::Operator { .. } => false,
            Caller::Workload(w) if w.class == IdentityClass::Orchestrator => registered.peek().is_some(),
            Caller::Workload(_) => handle.is_some_and(|h| registered.any(|(id, _)| self.handle_fits(*id, h))),
        }
    }

    /// True when the caller may see the task: the operator, a person who may read or who initiated it, who registered it or one
    /// above it, or its agent with its handle.
    pub(in crate::broker) fn may_see(
        &self,
        state: &State,
        caller: &Caller,
        task: TaskId,
        handle: Option<&ShownHandle>,
    ) -> bool {
        let known = state.tasks.get(&task);
        let is_agent = known.is_some_and(|known| caller.is(&known.agent));
        caller.has(Right::Read)
            || known.is_some_and(|known| caller.initiated(known))
            || self.orchestrates(state, caller, task, handle)
            || (is_agent && handle.is_some_and(|h| self.handle_fits(task, h)))
    }

    /// Refuses what belongs to a task that is not the caller's, or whose handle the caller does not show. What does not exist is
    /// refused alike, and says nothing about anybody.
    pub(in crate::broker) fn hidden(
        &self,
        state: &State,
        caller: &Caller,
        task: TaskId,
        sought: Sought,
    ) -> BrokerError {
        if let Some(known) = state.tasks.get(&task) {
            let opened = state.lineage(task).iter().any(|(_, task)| caller.is(&task.orchestrator));
            let lacks_handle = opened || caller.is(&known.agent);
            let code = if lacks_handle { ReasonCode::HandleWrong } else { ReasonCode::NotFound };
            self.note_refused(caller, sought.rpc, code, Some(task));
        }
        BrokerError::NotFound { what: sought.what }
    }

    /// Refuses what belongs to a task to somebody whom no handle would have helped.
    pub(in crate::broker) fn not_yours(&self, caller: &Caller, task: TaskId, sought: Sought) -> BrokerError {
        self.note_refused(caller, sought.rpc, ReasonCode::NotFound, Some(task));
        BrokerError::NotFound { what: sought.what }
    }

    /// The grant, when it is of the task that it was named with; whether that task is the caller's is settled before. Who names
    /// another task's is noted beside that task. A grant that there is not any more says nothing about anybody: honest agents are
    /// late, too.
    pub(in crate::broker) fn grant_of<'s>(
        &self,
        state: &'s State,
        caller: &Caller,
        (id, task): (GrantId, TaskId),
        sought: Sought,
    ) -> Result<&'s Grant, BrokerError> {
        match state.grants.get(&id) {
            Some(grant) if grant.task == task => Ok(grant),
            Some(grant) => Err(self.not_yours(caller, grant.task, sought)),
            None => Err(BrokerError::NotFound { what: sought.what }),
        }
    }
}
