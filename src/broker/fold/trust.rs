//! Trust domains that come and go: what that does to the grants of their agents, and to what hangs below their tasks.

use std::collections::BTreeSet;

use super::{FoldError, Step};
use crate::model::grant::SuspensionCause;
use crate::model::id::{GrantId, TaskId};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn trust_withdrawn(&mut self, e: &pb::TrustWithdrawn) -> Result<(), FoldError> {
        let name: TrustDomain = e.trust_domain.parse()?;
        let authorities = e.authorities.iter().map(|digest| digest.to_vec()).collect();
        self.state.withdrawn.insert(name.clone(), authorities);
        for grant in self.grants_under(&name) {
            self.suspend(grant, SuspensionCause::TrustWithdrawn);
        }
        Ok(())
    }

    pub(super) fn trust_restored(&mut self, e: &pb::TrustRestored) -> Result<(), FoldError> {
        let name: TrustDomain = e.trust_domain.parse()?;
        self.state.withdrawn.remove(&name);
        let grants = if e.lifts { self.grants_under(&name) } else { BTreeSet::new() };
        for grant in grants {
            // Another agent above it may be of a trust domain that is still not trusted.
            let task = self.state.grants.get(&grant).map(|g| g.task);
            if task.is_some_and(|task| !self.state.has_withdrawn(self.agents_of(task))) {
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

    fn agents_of(&self, task: TaskId) -> impl Iterator<Item = &SpiffeId> {
        self.state.lineage(task).into_iter().map(|(_, task)| &task.agent)
    }
}
