//! Policy bundles as files, and what is told of them.

use crate::broker::activate::{Activation, CheckedPolicy, PolicyView};
use crate::broker::error::BrokerError;
use crate::broker::observing::Observing;
use crate::broker::proposals::{Before, Proposal};
use crate::grpc::codec::answer::time;
use crate::grpc::codec::field;
use crate::model::id::PolicyProposalId;
use crate::model::limits::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, REFERENCE_BYTES_MAX};
use crate::model::signer::Signer;
use crate::pb::v1;

/// The files of a bundle: paths and contents.
pub(in crate::grpc) fn files(bundle: Option<v1::PolicyBundle>) -> Result<Vec<(String, bytes::Bytes)>, BrokerError> {
    let files = bundle.ok_or_else(|| BrokerError::invalid("bundle", "missing"))?.files;
    // The manifest is one beside them.
    field::counted("bundle.files", files.len(), BUNDLE_FILES_MAX + 1)?;
    let size: usize = files.iter().map(|f| f.content.len()).sum();
    if size > BUNDLE_BYTES_MAX {
        return Err(BrokerError::above_limit("bundle.files", format!("hold more than {BUNDLE_BYTES_MAX} bytes")));
    }
    files
        .into_iter()
        .map(|file| Ok((field::line("bundle.files.path", file.path, REFERENCE_BYTES_MAX)?, file.content)))
        .collect()
}

/// The bundle in force.
pub(in crate::grpc) fn active(policy: &PolicyView, include_files: bool) -> v1::GetActivePolicyResponse {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let file = |f: &crate::pb::journal::BundleFile| v1::PolicyFile { path: f.path.clone(), content: f.content.clone() };
    v1::GetActivePolicyResponse {
        digest: policy.digest.clone(),
        revision: policy.revision,
        activated: Some(time(policy.activated)),
        activated_by: policy.activated_by.clone(),
        bundle: include_files
            .then(|| v1::PolicyBundle { files: policy.files.iter().chain(&policy.manifest).map(file).collect() }),
        policies: policy.bundle.as_ref().map(|b| count(b.rules().count())).unwrap_or_default(),
        tools: policy.bundle.as_ref().map(|b| count(b.catalogue().tools().count())).unwrap_or_default(),
        owner: policy.owner.clone(),
        signed_by: signers(&policy.signed_by),
        proposed_by: policy.proposed_by.clone(),
        returns_to: policy.returns_to.map(returns),
        observing: policy.observing.as_ref().map(observing),
    }
}

fn observing(observing: &Observing) -> v1::Observing {
    v1::Observing {
        until: Some(time(observing.until)),
        classes: observing.classes.iter().map(ToString::to_string).collect(),
        over: observing.over,
    }
}

/// What a candidate would be.
pub(in crate::grpc) fn checked(checked: CheckedPolicy) -> v1::CheckPolicyResponse {
    let problem = |(path, message)| v1::PolicyProblem { path, message };
    v1::CheckPolicyResponse {
        digest: checked.digest,
        problems: checked.problems.into_iter().map(problem).collect(),
        tests_passed: checked.passed,
        tests_failed: checked.failed,
        never_fired: checked.never_fired,
        revision: checked.revision,
        owner: checked.owner,
        signed_by: signers(&checked.signed_by),
        returns_to: checked.returns_to.map(returns),
        observing: checked.observing.as_ref().map(observing),
    }
}

/// What came of an activation.
pub(in crate::grpc) fn activated(activation: Activation) -> v1::ActivatePolicyResponse {
    match activation {
        Activation::InForce(activated) => v1::ActivatePolicyResponse {
            digest: activated.digest,
            revision: activated.revision,
            position: activated.position,
            grants_suspended: activated.grants_suspended,
            grants_revoked: activated.grants_revoked,
            families_owed: activated.families_owed,
            proposal: None,
            owner: activated.owner,
            signed_by: signers(&activated.signed_by),
            proposed_by: activated.proposed_by,
            returns_to: activated.returns_to.map(returns),
            observing: activated.observing.as_ref().map(observing),
        },
        Activation::Proposed(id, proposed) => v1::ActivatePolicyResponse {
            proposal: Some(proposal((id, &proposed))),
            ..v1::ActivatePolicyResponse::default()
        },
    }
}

/// What waits for a second person.
pub(in crate::grpc) fn proposal((id, proposal): (PolicyProposalId, &Proposal)) -> v1::PolicyProposal {
    v1::PolicyProposal {
        proposal_id: id.to_string(),
        digest: proposal.digest.clone(),
        revision: proposal.revision,
        owner: proposal.owner.clone(),
        signed_by: signers(&proposal.signed_by),
        proposed_by: proposal.by.to_string(),
        proposed: Some(time(proposal.proposed)),
        until: Some(time(proposal.until)),
        returns_to: proposal.returns_to.map(returns),
        position: proposal.position,
    }
}

fn signers(signers: &[Signer]) -> Vec<v1::PolicySigner> {
    signers.iter().map(|s| v1::PolicySigner { name: s.name.clone(), key_id: s.key_id.clone() }).collect()
}

const fn returns(before: Before) -> v1::PolicyReturn {
    v1::PolicyReturn { revision: before.revision, position: before.position }
}
