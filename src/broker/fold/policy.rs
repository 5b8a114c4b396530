//! The policy bundle in force, and whether it only observes, as events say. Live grants are owed another look with each change.

use super::Step;
use crate::broker::record;
use crate::broker::retain::Trigger;
use crate::broker::state::ActivePolicy;
use crate::model::decision::Outcome;
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn policy_activated(&mut self, e: &pb::PolicyActivated, by: String) {
        self.drift_begins_again(&e.digest);
        let bundle = self.means.bundles.bundle(&e.digest, &e.files);
        let observe = bundle.as_ref().and_then(|bundle| bundle.observe());
        let observed = observe.is_some_and(|observe| observe.until() <= self.time);
        self.state.policy = Some(ActivePolicy {
            bundle,
            files: e.files.clone().into(),
            digest: e.digest.clone(),
            revision: e.revision,
            activated: self.time,
            activated_by: by,
            position: self.position,
            observed,
        });
        for root in self.state.families.keys().copied().collect::<Vec<_>>() {
            self.teach(root);
            self.owe(root, Trigger::PolicyActivated, None);
        }
    }

    /// Policy is enforced from here on: what was let live because it only observed is decided again.
    pub(super) fn observing_ended(&mut self, revision: u64) {
        let Some(policy) = self.state.policy.as_mut().filter(|policy| policy.revision == revision) else { return };
        policy.observed = true;
        for root in self.state.families.keys().copied().collect::<Vec<_>>() {
            self.owe(root, Trigger::ObservingEnded, None);
        }
    }
}

/// What policy answered, where that was not enforced.
pub(super) fn observed(decision: Option<&pb::Decision>) -> Option<Outcome> {
    decision.filter(|decision| decision.instead != 0).and_then(|decision| record::outcome(decision.outcome))
}
