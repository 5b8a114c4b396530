//! Objects that are not the caller's look as if they did not exist. That they were asked for is recorded: it says that the caller
//! knows an id that it should not know, or guesses at a handle.

use crate::broker::Broker;
use crate::broker::caller::{Caller, Refusal};
use crate::broker::error::BrokerError;
use crate::broker::state::State;
use crate::model::id::TaskId;
use crate::model::reason::ReasonCode;

/// What was asked for, and by which RPC.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Sought {
    pub(in crate::broker) rpc: &'static str,
    pub(in crate::broker) what: &'static str,
}

impl Broker {
    /// Refuses what belongs to a task that is not the caller's, or whose handle the caller does not show. What does not exist is
    /// refused alike, and says nothing about anybody.
    pub(in crate::broker) fn hidden(
        &self,
        state: &State,
        caller: &Caller,
        task: TaskId,
        sought: Sought,
    ) -> BrokerError {
        if let (Some(known), Caller::Workload(workload)) = (state.tasks.get(&task), caller) {
            let is_agent = caller.is(&known.agent);
            self.note_refusal(Refusal {
                subject: workload.peer.spiffe_id().to_string(),
                rpc: sought.rpc,
                code: if is_agent { ReasonCode::HandleWrong } else { ReasonCode::NotFound },
                peer_address: workload.peer.address(),
                task: Some(task),
            });
        }
        BrokerError::NotFound { what: sought.what }
    }
}
