//! Trust domains that come and go: what that does to the grants of their agents, and to what hangs below their tasks.

use std::collections::BTreeSet;

use super::{FoldError, Step};
use crate::broker::state::Withdrawal;
use crate::model::grant::SuspensionCause;
use crate::model::id::GrantId;
use crate::model::spiffe_id::TrustDomain;
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn trust_withdrawn(&mut self, e: &pb::TrustWithdrawn) -> Result<(), FoldError> {
        let name: TrustDomain = e.trust_domain.parse()?;
        let position = self.position;
        let authorities = e.authorities.iter().map(|digest| digest.to_vec()).collect();
        for grant in self.grants_under(&name) {
            if let Some(known) = self.state.grants.get_mut(&grant) {
                known.distrusted.entry(name.clone()).or_insert(position);
            }
            self.suspend(grant, SuspensionCause::TrustWithdrawn);
        }
        self.state.withdrawn.insert(name, Withdrawal { position, authorities });
        Ok(())
    }

    /// Lifts what that very withdrawal suspended. What an earlier one did stays until it is renewed: that the authorities are
    /// back which were there since says nothing about those before. So does what is suspended for another trust domain.
    pub(super) fn trust_restored(&mut self, e: &pb::TrustRestored) -> Result<(), FoldError> {
        let name: TrustDomain = e.trust_domain.parse()?;
        let Some(withdrawal) = self.state.withdrawn.remove(&name).filter(|_| e.lifts) else { return Ok(()) };
        for grant in self.grants_under(&name) {
            let Some(known) = self.state.grants.get_mut(&grant) else { continue };
            if known.distrusted.get(&name) == Some(&withdrawal.position) {
                known.distrusted.remove(&name);
            }
            if known.distrusted.is_empty() {
                self.lift(grant, SuspensionCause::TrustWithdrawn);
            }
        }
        Ok(())
    }

    /// The grants of tasks that agents of this trust domain work on, and of all tasks below those.
    fn grants_under(&self, name: &TrustDomain) -> BTreeSet<GrantId> {
        let agents = self.state.by.tasks_of_agent.iter().filter(|(agent, _)| agent.trust_domain() == *name);
        self.state.grants_of(agents.flat_map(|(_, tasks)| tasks))
    }
}
