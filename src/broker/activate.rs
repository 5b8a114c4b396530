//! Policy bundles: the one in force, what a candidate would be, and what is done once another is in force. How it comes to be is
//! in `put_in_force`.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::answer::Activated;
use crate::broker::caller::{Caller, Refusal};
use crate::broker::error::BrokerError;
use crate::broker::observing::Observing;
use crate::broker::proposals::{Before, Persons, Proposal};
use crate::broker::put_in_force::{By, Settled, Wanted, rejected, returns_to};
use crate::broker::state::Tally;
use crate::model::id::{PolicyProposalId, TaskId};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::signer::Signer;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::BundleFile;
use crate::policy::bundle::{BundleFiles, OBSERVE, PolicyBundle};
use crate::policy::error::BundleError;
use crate::policy::manifest::MANIFEST;
use crate::policy::signers::endorsement;

pub(in crate::broker) const ACTIVATE: &str = "ActivatePolicy";

/// The bundle in force.
#[derive(Debug, Clone)]
pub struct PolicyView {
    /// Its digest, hexadecimal.
    pub digest: String,
    /// Its revision.
    pub revision: u64,
    /// Since when.
    pub activated: Timestamp,
    /// Who activated it.
    pub activated_by: String,
    /// The person who proposed it; empty unless two were needed.
    pub proposed_by: String,
    /// Who answers for it, as its manifest says.
    pub owner: String,
    /// Whose signatures held when it was activated.
    pub signed_by: Vec<Signer>,
    /// When the same files had been in force before others were.
    pub returns_to: Option<Before>,
    /// For whom it only observes, or did; `None` when it says so of nobody.
    pub observing: Option<Observing>,
    /// Its manifest, if it has one.
    pub manifest: Option<BundleFile>,
    /// Its other files.
    pub files: Arc<[BundleFile]>,
    /// The bundle itself; `None` when it no longer loads.
    pub bundle: Option<Arc<PolicyBundle>>,
}

/// What a candidate would be.
#[derive(Debug, Clone, Default)]
pub struct CheckedPolicy {
    /// Its digest; empty when it does not load.
    pub digest: String,
    /// What keeps it from being activated: path and sentence.
    pub problems: Vec<(String, String)>,
    /// Its own tests that passed.
    pub passed: u32,
    /// Its own tests that failed.
    pub failed: u32,
    /// The policies that no test makes fire.
    pub never_fired: Vec<String>,
    /// The revision that its manifest names; 0 when it has none.
    pub revision: u64,
    /// Who answers for it, as its manifest says.
    pub owner: String,
    /// Whose signatures hold.
    pub signed_by: Vec<Signer>,
    /// When it was in force, if others are now.
    pub returns_to: Option<Before>,
    /// For whom it would only observe; `None` when it says so of nobody.
    pub observing: Option<Observing>,
}

/// What became of live grants that were all decided again.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::broker) struct Swept {
    tally: Tally,
    /// Families that could not be decided again yet.
    owed: u32,
}

/// What somebody would activate.
#[derive(Debug, Clone)]
pub struct ActivatePolicy {
    /// The files, the manifest among them.
    pub files: Vec<(String, Bytes)>,
    /// The revision that it is to have.
    pub revision: u64,
    /// The digest that was looked at.
    pub digest: String,
    /// True to go back to what was in force before.
    pub going_back: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Activation {
    /// It is in force.
    InForce(Activated),
    /// Another person must activate the same.
    Proposed(PolicyProposalId, Proposal),
}

impl Broker {
    /// The bundle in force.
    ///
    /// # Errors
    /// `Unavailable` when there is none.
    pub fn active_policy(&self, _caller: &Caller) -> Result<PolicyView, BrokerError> {
        let state = self.0.known.look();
        let policy = state.policy.as_ref();
        let policy = policy.ok_or_else(|| BrokerError::unavailable(crate::broker::gather::NoPolicyError))?;
        Ok(PolicyView {
            digest: policy.digest.clone(),
            revision: policy.revision,
            activated: policy.activated,
            activated_by: policy.activated_by.clone(),
            proposed_by: policy.origin.proposed_by.clone(),
            owner: policy.origin.owner.clone(),
            signed_by: policy.origin.signed_by.clone(),
            returns_to: policy.origin.returns_to,
            manifest: (!policy.origin.manifest.is_empty())
                .then(|| BundleFile { path: MANIFEST.to_owned(), content: policy.origin.manifest.clone().into() }),
            observing: policy.observing(self.now(&state)),
            files: policy.files.clone(),
            bundle: policy.bundle.clone(),
        })
    }

    /// Loads and tests a candidate, and looks at who signed it. It blocks for as long as that takes.
    #[must_use]
    pub fn check_policy(&self, files: Vec<(String, Bytes)>) -> CheckedPolicy {
        let files = match bundle_files(files) {
            Ok(files) => files,
            Err(error) => return refused(&error),
        };
        let endorsed = endorsement(&files, self.0.settings.activation.signers.as_deref());
        let mut found = match PolicyBundle::load(files) {
            Ok(bundle) => checked(&bundle, self.now(&self.0.known.look())),
            Err(error) => refused(&error),
        };
        match endorsed {
            Ok(endorsed) => {
                found.signed_by = endorsed.signed_by;
                if let Some(statement) = endorsed.statement {
                    (found.revision, found.owner) = (statement.revision, statement.owner.to_string());
                }
            }
            Err(error) => found.problems.push((MANIFEST.to_owned(), error.to_string())),
        }
        found.returns_to = returns_to(&self.0.known.look(), &found.digest);
        found
    }

    /// Makes a candidate the bundle in force and decides every live grant again under it; or, where two persons are needed and this
    /// is the first, proposes it.
    ///
    /// # Errors
    /// `PolicyRejected` when it does not load, fails its tests, is not the one that was checked, is not signed as it must be, or
    /// would go back, in its revision or without a word in its content; `NotPermitted` or `Unauthenticated` for a person who lacks
    /// the right, or authenticated too long ago, and for the operator where persons are needed.
    pub async fn activate_policy(&self, caller: &Caller, ask: ActivatePolicy) -> Result<Activation, BrokerError> {
        let _place = self.enter_apart(caller)?;
        self.may_change(&self.0.known.look(), caller, (ACTIVATE, Right::ActivatePolicy))?;
        if self.0.settings.activation.persons == Persons::Two && !matches!(caller, Caller::Person(_)) {
            tracing::warn!(by = %caller.id(), "policy was not activated: it takes two persons");
            // Whoever has the socket and not a second person tries to go round the one. That is on record, also of the operator.
            self.note_refusal(Refusal {
                subject: caller.id(),
                rpc: ACTIVATE,
                code: ReasonCode::TwoPersonsNeeded,
                peer_address: None,
                task: None,
            });
            return Err(BrokerError::NotPermitted { code: ReasonCode::TwoPersonsNeeded });
        }
        let files = bundle_files(ask.files).map_err(|error| rejected("bundle", error.to_string()))?;
        let wanted = Wanted { revision: ask.revision, digest: Some(ask.digest), going_back: ask.going_back };
        let (this, caller) = (self.clone(), caller.clone());
        // Goes on when the caller goes away.
        let activation = tokio::spawn(async move {
            let actor = caller.actor();
            match this.put_in_force(By::Caller(caller), files, wanted).await? {
                Settled::Proposed(id, proposal) => Ok(Activation::Proposed(id, proposal)),
                Settled::InForce(mut activated) => {
                    let swept = this.reconsider_all(&actor, activated.position).await;
                    activated.grants_suspended = swept.tally.suspended;
                    activated.grants_revoked = swept.tally.revoked;
                    activated.families_owed = swept.owed;
                    Ok(Activation::InForce(activated))
                }
            }
        });
        activation.await.map_err(BrokerError::internal)?
    }

    /// Activates what the configuration names, on the broker's own behalf: with the revision that its manifest names, or this one.
    /// Live grants are decided again while it runs.
    pub(in crate::broker) async fn activate_configured(
        &self,
        files: BundleFiles,
        revision: u64,
    ) -> Result<(), BrokerError> {
        let wanted = Wanted { revision, digest: None, going_back: true };
        self.put_in_force(By::Configuration, files, wanted).await.map(drop)
    }

    /// Decides every live grant again, one family at a time. What cannot be done now stays owed, and is resumed: the bundle is
    /// in force either way.
    pub(in crate::broker) async fn reconsider_all(&self, actor: &pb::Actor, position: u64) -> Swept {
        let mut swept = Swept::default();
        let roots: Vec<TaskId> = self.0.known.look().by.due.iter().copied().collect();
        for root in roots {
            match self.reconsider(root, position, actor).await {
                Ok(tally) => {
                    swept.tally.suspended += tally.suspended;
                    swept.tally.revoked += tally.revoked;
                }
                Err(error) => {
                    swept.owed += 1;
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%root, error, "live grants could not be decided again under what is in force now");
                }
            }
        }
        swept
    }
}

pub(in crate::broker) fn checked(bundle: &PolicyBundle, now: Timestamp) -> CheckedPolicy {
    let report = bundle.run_tests();
    let observe = bundle.observe();
    let too_long = observe.and_then(|observe| observe.problem(now)).map(|problem| (OBSERVE.to_owned(), problem));
    CheckedPolicy {
        digest: bundle.digest().to_string(),
        problems: too_long.into_iter().chain(report.failures().into_iter().map(failure)).collect(),
        passed: u32::try_from(report.passed()).unwrap_or(u32::MAX),
        failed: u32::try_from(report.failures().len()).unwrap_or(u32::MAX),
        never_fired: report.never_fired().iter().map(ToString::to_string).collect(),
        observing: observe.map(|observe| Observing::from_now(observe, now)),
        ..CheckedPolicy::default()
    }
}

fn refused(error: &BundleError) -> CheckedPolicy {
    let problems = error.problems().into_iter().map(|p| (p.path, p.message)).collect();
    CheckedPolicy { problems, ..CheckedPolicy::default() }
}

fn failure(case: &crate::policy::cases::CaseResult) -> (String, String) {
    let what = case.failure.as_deref().unwrap_or_default();
    (case.path.clone(), format!("test `{}`: {what}", case.name))
}

/// Files as they were sent, as a bundle.
fn bundle_files(files: Vec<(String, Bytes)>) -> Result<BundleFiles, BundleError> {
    BundleFiles::new(files.into_iter().map(|(path, content)| (path, content.to_vec())))
}
