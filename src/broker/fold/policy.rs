//! How events change which policy bundle is in force, which were, and which are proposed.

use std::sync::Arc;

use super::{FoldError, Step};
use crate::broker::proposals::{Before, Proposal};
use crate::broker::retain::Trigger;
use crate::broker::state::{ActivePolicy, PolicyOrigin};
use crate::model::signer::Signer;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;

impl Step<'_> {
    pub(super) fn policy_activated(&mut self, e: &pb::PolicyActivated, by: String) {
        self.drift_begins_again(&e.digest);
        let bundle = self.means.bundles.bundle(&e.digest, &e.files);
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
            origin: Arc::new(origin),
        });
        let here = Before { revision: e.revision, position: self.position };
        self.state.policies_before.insert(&e.digest, here);
        self.state.proposals.clear();
        for root in self.state.families.keys().copied().collect::<Vec<_>>() {
            self.teach(root);
            self.owe(root, Trigger::PolicyActivated, None);
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

fn signers(recorded: &[pb::PolicySigner]) -> Vec<Signer> {
    recorded.iter().map(|s| Signer { name: s.name.clone(), key_id: s.key_id.clone() }).collect()
}

const fn before(recorded: &pb::PolicyReturn) -> Before {
    Before { revision: recorded.revision, position: recorded.position }
}
