//! What concerns the whole is changed by right: by the operator, and by people whom the configuration gives it to. Who is refused
//! goes on record.

use crate::broker::Broker;
use crate::broker::ask::Target;
use crate::broker::caller::{Caller, Refusal};
use crate::broker::error::BrokerError;
use crate::broker::state::State;
use crate::model::id::TaskId;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;

impl Broker {
    /// Holds that the caller may change what concerns the whole: a person has that right, is not blocked, and authenticated
    /// freshly, for it reaches far.
    ///
    /// # Errors
    /// `NotPermitted` without the right or under a block, `Unauthenticated` for a stale login.
    pub(in crate::broker) fn may_change(
        &self,
        state: &State,
        caller: &Caller,
        (rpc, right): (&'static str, Right),
    ) -> Result<(), BrokerError> {
        let error = match caller {
            Caller::Workload(_) => BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed },
            _ if !caller.has(right) => BrokerError::NotPermitted { code: ReasonCode::RightMissing },
            _ if state.is_shut_out(caller) => BrokerError::NotPermitted { code: ReasonCode::Blocked },
            _ if caller.is_stale(self.0.clock.now()) => {
                BrokerError::Unauthenticated { code: ReasonCode::AuthenticationStale }
            }
            _ => return Ok(()),
        };
        self.note_refused(caller, rpc, error.code(), None);
        Err(error)
    }

    /// Counts what was refused to a caller. That the operator was refused says nothing about an identity, and is counted where it says
    /// something else.
    pub(in crate::broker) fn note_refused(
        &self,
        caller: &Caller,
        rpc: &'static str,
        code: ReasonCode,
        task: Option<TaskId>,
    ) {
        let peer_address = match caller {
            Caller::Workload(workload) => workload.peer.address(),
            Caller::Person(person) => person.address(),
            Caller::Operator { .. } => return,
        };
        self.note_refusal(Refusal { subject: caller.id(), rpc, code, peer_address, task });
    }
}

impl State {
    /// True for a person who is blocked as an initiator: it may be somebody else with the person's account, who must not lift the
    /// block, nor end what others look after.
    pub(in crate::broker) fn is_shut_out(&self, caller: &Caller) -> bool {
        matches!(caller, Caller::Person(p) if self.blocks.contains_key(&Target::Initiator(p.name().clone())))
    }
}
