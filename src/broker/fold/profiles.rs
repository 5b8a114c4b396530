//! How events change what is known of an agent's make-up.

use std::sync::Arc;

use super::{FoldError, Step};
use crate::broker::words::{self, Context};
use crate::model::id::TaskId;
use crate::model::task::AgentProfile;
use crate::pb::journal as pb;

impl Step<'_> {
    /// What an agent shows first of its make-up stands for what was not registered: for its task, and for those above it that are its own
    /// too, or else it could open itself a task below to begin anew.
    pub(super) fn profile_shown(
        &mut self,
        (id, root): (TaskId, TaskId),
        e: &pb::CredentialDecided,
    ) -> Result<(), FoldError> {
        let Some(decision) = e.decision.as_ref().filter(|_| !e.sealed_profile.is_empty()) else { return Ok(()) };
        let context = Context { kind: "profile", id: &decision.decision_id };
        let shown = match words::open::<AgentProfile>(&self.means.sealer, root, context, &e.sealed_profile) {
            Ok(shown) => shown,
            Err(error) if error.is_erased() => return Ok(()),
            Err(error) => return Err(FoldError::Words(error)),
        };
        let line = self.state.lineage(id);
        let agent = line.first().map(|(_, task)| &task.agent);
        let own = line.iter().filter(|(_, task)| Some(&task.agent) == agent).map(|(id, _)| *id);
        for id in own.collect::<Vec<_>>() {
            if let Some(words) = self.state.tasks.get_mut(&id).and_then(|task| task.words.as_mut()) {
                Arc::make_mut(words).profile.complete(&shown);
            }
        }
        Ok(())
    }
}
