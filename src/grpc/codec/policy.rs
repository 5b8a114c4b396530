//! Policy bundles as files, and what is told of them.

use crate::broker::activate::{CheckedPolicy, PolicyView};
use crate::broker::answer::Activated;
use crate::broker::error::BrokerError;
use crate::broker::observing::Observing;
use crate::grpc::codec::answer::time;
use crate::grpc::codec::field;
use crate::model::limits::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, REFERENCE_BYTES_MAX};
use crate::pb::v1;

/// The files of a bundle: paths and contents.
pub(in crate::grpc) fn files(bundle: Option<v1::PolicyBundle>) -> Result<Vec<(String, bytes::Bytes)>, BrokerError> {
    let files = bundle.ok_or_else(|| BrokerError::invalid("bundle", "missing"))?.files;
    field::counted("bundle.files", files.len(), BUNDLE_FILES_MAX)?;
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
        bundle: include_files.then(|| v1::PolicyBundle { files: policy.files.iter().map(file).collect() }),
        policies: policy.bundle.as_ref().map(|b| count(b.rules().count())).unwrap_or_default(),
        tools: policy.bundle.as_ref().map(|b| count(b.catalogue().tools().count())).unwrap_or_default(),
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
        observing: checked.observing.as_ref().map(observing),
    }
}

/// What an activation did.
pub(in crate::grpc) fn activated(activated: Activated) -> v1::ActivatePolicyResponse {
    v1::ActivatePolicyResponse {
        digest: activated.digest,
        revision: activated.revision,
        position: activated.position,
        grants_suspended: activated.grants_suspended,
        grants_revoked: activated.grants_revoked,
        families_owed: activated.families_owed,
        observing: activated.observing.as_ref().map(observing),
    }
}
