//! Activations of policy that wait for a second person: who reads them, and how one is taken back. How one is made is in
//! `put_in_force`.

use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::proposals::Proposal;
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::{Broker, ordinary};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::id::PolicyProposalId;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

const WITHDRAW: &str = "WithdrawPolicyProposal";

impl Broker {
    /// What waits, oldest first. It is never more than a page.
    ///
    /// # Errors
    /// When the caller asks for too much at a time.
    pub fn policy_proposals(&self, caller: &Caller) -> Result<Vec<(PolicyProposalId, Proposal)>, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let state = self.0.known.look();
        let open = state.proposals.open(self.now(&state));
        Ok(open.map(|(id, proposal)| (id, proposal.clone())).collect())
    }

    /// Takes a proposal back: whoever may activate may, the operator too. It makes nothing possible that was not, so no login is too
    /// old for it. Returns the position of the event.
    ///
    /// # Errors
    /// `NotFound` when it does not wait any more; `NotPermitted` for who is blocked.
    pub async fn withdraw_policy_proposal(&self, caller: &Caller, id: PolicyProposalId) -> Result<u64, BrokerError> {
        let _place = self.enter(caller)?;
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                let code = match caller {
                    _ if !caller.has(Right::ActivatePolicy) => Some(ReasonCode::RightMissing),
                    _ if state.is_shut_out(caller) => Some(ReasonCode::Blocked),
                    _ => None,
                };
                if let Some(code) = code {
                    self.note_refused(caller, WITHDRAW, code, None);
                    return Err(BrokerError::NotPermitted { code });
                }
                if !state.proposals.open(self.now(&state)).any(|(open, _)| open == id) {
                    return Err(BrokerError::NotFound { what: "proposal" });
                }
                let payload = pb::PolicyProposalWithdrawn { proposal_id: id.to_string() };
                let payload = Payload::PolicyProposalWithdrawn(payload);
                let event = event(SYSTEM_STREAM.to_owned(), caller.actor(), &no_context(), payload);
                let key = GuardKey::policy_proposals();
                Ok(ordinary(event, vec![Expect { key, at: state.marks.at(&key) }]))
            })
            .await?;
        Ok(committed.last())
    }
}
