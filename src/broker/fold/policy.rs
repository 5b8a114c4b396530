//! How events change which policy bundle is in force, whether it only observes, which were, and which are proposed. Live grants are
//! owed another look with each change, and what waits for people under another bundle is over.

use std::sync::Arc;

use super::{FoldError, Step};
use crate::broker::proposals::{Before, Proposal};
use crate::broker::record;
use crate::broker::retain::Trigger;
use crate::broker::state::{ActivePolicy, PolicyOrigin};
use crate::model::decision::Outcome;
use crate::model::signer::Signer;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn policy_activated(&mut self, e: &pb::PolicyActivated, by: String) {
        self.drift_begins_again(&e.digest);
        let bundle = self.means.bundles.bundle(&e.digest, &e.files);
        let observe = bundle.as_ref().and_then(|bundle| bundle.observe());
        let observed = observe.is_some_and(|observe| observe.until() <= self.time);
        let origin = PolicyOrigin {
            owner: e.owner.clone(),
            signed_by: signers(&e.signed_by),
            manifest: e.manifest.to_vec(),
            returns_to: e.returns_to.as_ref().map(before),
            proposed_by: e.proposed_by.clone(),
        };
        self.state.policy = Some(ActivePolicy {
            bundle,
            files: e.files.clone().into(),
            digest: e.digest.clone(),
            revision: e.revision,
            activated: self.time,
            activated_by: by,
            position: self.position,
            observed,
            origin: Arc::new(origin),
        });
        let here = Before { revision: e.revision, position: self.position };
        self.state.policies_before.insert(&e.digest, here);
        self.state.proposals.clear();
        self.state.approvals.close_under_others(&e.digest, self.position);
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

    pub(super) fn policy_proposed(
        &mut self,
        e: &pb::PolicyProposed,
        actor: Option<&pb::Actor>,
    ) -> Result<(), FoldError> {
        let proposal = Proposal {
            digest: e.digest.clone(),
            revision: e.revision,
            owner: e.owner.clone(),
            signed_by: signers(&e.signed_by),
            returns_to: e.returns_to.as_ref().map(before),
            by: actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?,
            position: self.position,
            proposed: self.time,
            until: Timestamp::from_millis(e.until_ms),
        };
        self.state.proposals.insert(e.proposal_id.parse()?, proposal);
        Ok(())
    }

    pub(super) fn policy_proposal_withdrawn(&mut self, e: &pb::PolicyProposalWithdrawn) -> Result<(), FoldError> {
        self.state.proposals.remove(e.proposal_id.parse()?);
        Ok(())
    }
}

/// What policy answered, where that was not enforced.
pub(super) fn observed(decision: Option<&pb::Decision>) -> Option<Outcome> {
    decision.filter(|decision| decision.instead != 0).and_then(|decision| record::outcome(decision.outcome))
}

fn signers(recorded: &[pb::PolicySigner]) -> Vec<Signer> {
    recorded.iter().map(|s| Signer { name: s.name.clone(), key_id: s.key_id.clone() }).collect()
}

const fn before(recorded: &pb::PolicyReturn) -> Before {
    Before { revision: recorded.revision, position: recorded.position }
}
