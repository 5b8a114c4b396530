//! Policy bundles: the one in force, what a candidate would be, and its activation.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::answer::Activated;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::observing::Observing;
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::state::Tally;
use crate::broker::{Broker, ordinary};
use crate::journal::guards::Expect;
use crate::journal::guards::GuardKey;
use crate::model::id::TaskId;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::BundleFile;
use crate::pb::journal::event::Payload;
use crate::policy::bundle::{BundleFiles, OBSERVE, PolicyBundle};
use crate::policy::error::BundleError;

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
    /// Its files.
    pub files: Arc<[BundleFile]>,
    /// The bundle itself; `None` when it no longer loads.
    pub bundle: Option<Arc<PolicyBundle>>,
    /// For whom it only observes, or did; `None` when it says so of nobody.
    pub observing: Option<Observing>,
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
            files: policy.files.clone(),
            bundle: policy.bundle.clone(),
            observing: policy.observing(self.now(&state)),
        })
    }

    /// Loads and tests a candidate. It blocks for as long as that takes.
    #[must_use]
    pub fn check_policy(&self, files: Vec<(String, Bytes)>) -> CheckedPolicy {
        match bundle_files(files).and_then(PolicyBundle::load) {
            Ok(bundle) => checked(&bundle, self.now(&self.0.known.look())),
            Err(error) => CheckedPolicy {
                problems: error.problems().into_iter().map(|p| (p.path, p.message)).collect(),
                ..CheckedPolicy::default()
            },
        }
    }

    /// Makes a candidate the bundle in force and decides every live grant again under it.
    ///
    /// # Errors
    /// `PolicyRejected` when it does not load, fails its tests, is not the one that was checked, or would go back;
    /// `NotPermitted` or `Unauthenticated` for a person who lacks the right, or authenticated too long ago.
    pub async fn activate_policy(
        &self,
        caller: &Caller,
        files: Vec<(String, Bytes)>,
        revision: u64,
        digest: String,
    ) -> Result<Activated, BrokerError> {
        let _place = self.enter_apart(caller)?;
        self.may_change(&self.0.known.look(), caller, ("ActivatePolicy", Right::ActivatePolicy))?;
        let files = bundle_files(files).map_err(|error| BrokerError::Invalid {
            code: ReasonCode::PolicyRejected,
            field: "bundle",
            problem: error.to_string(),
        })?;
        let (this, actor) = (self.clone(), caller.actor());
        // Goes on when the caller goes away.
        let activation = tokio::spawn(async move {
            let (digest, position) = this.put_in_force(actor.clone(), files, revision, Some(digest)).await?;
            let swept = this.reconsider_all(&actor, position).await;
            Ok(Activated {
                digest,
                revision,
                position,
                grants_suspended: swept.tally.suspended,
                grants_revoked: swept.tally.revoked,
                families_owed: swept.owed,
                observing: this.observing_now(),
            })
        });
        activation.await.map_err(BrokerError::internal)?
    }

    /// Activates what the configuration names, on the broker's own behalf. Live grants are decided again while it runs.
    pub(in crate::broker) async fn activate_configured(
        &self,
        files: BundleFiles,
        revision: u64,
    ) -> Result<(), BrokerError> {
        self.put_in_force(broker_actor(), files, revision, None).await.map(drop)
    }

    /// Loads, tests and activates; its digest, and the position from which on it is in force.
    async fn put_in_force(
        &self,
        actor: pb::Actor,
        files: BundleFiles,
        revision: u64,
        digest: Option<String>,
    ) -> Result<(String, u64), BrokerError> {
        let now = self.now(&self.0.known.look());
        let loaded = tokio::task::spawn_blocking(move || {
            let bundle = PolicyBundle::load(files).map_err(|e| e.to_string())?;
            let checked = checked(&bundle, now);
            match checked.problems.first() {
                None => Ok(Arc::new(bundle)),
                Some((path, problem)) => Err(format!("{path}: {problem}")),
            }
        });
        let bundle = loaded.await.map_err(BrokerError::internal)?.map_err(|problem| rejected("bundle", problem))?;
        let found = bundle.digest().to_string();
        if digest.is_some_and(|expected| expected != found) {
            return Err(rejected("digest", "is not the digest of the bundle"));
        }
        self.0.bundles.keep(bundle.clone());
        let files: Vec<BundleFile> = bundle
            .files()
            .iter()
            .map(|(path, content)| BundleFile { path: path.to_owned(), content: content.to_vec().into() })
            .collect();
        let payload = pb::PolicyActivated { digest: found.clone(), revision, files };
        let event = event(SYSTEM_STREAM.to_owned(), actor, &no_context(), Payload::PolicyActivated(payload));
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                if state.policy.as_ref().is_some_and(|p| revision <= p.revision) {
                    return Err(rejected("revision", "is not above the one in force"));
                }
                let key = GuardKey::policy();
                Ok(ordinary(event.clone(), vec![Expect { key, at: state.marks.at(&key) }]))
            })
            .await?;
        self.warn_of_observing();
        Ok((found, committed.last()))
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

fn checked(bundle: &PolicyBundle, now: Timestamp) -> CheckedPolicy {
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
    }
}

fn failure(case: &crate::policy::cases::CaseResult) -> (String, String) {
    let what = case.failure.as_deref().unwrap_or_default();
    (case.path.clone(), format!("test `{}`: {what}", case.name))
}

fn rejected(field: &'static str, problem: impl Into<String>) -> BrokerError {
    BrokerError::Invalid { code: ReasonCode::PolicyRejected, field, problem: problem.into() }
}

/// Files as they were sent, as a bundle.
fn bundle_files(files: Vec<(String, Bytes)>) -> Result<BundleFiles, BundleError> {
    BundleFiles::new(files.into_iter().map(|(path, content)| (path, content.to_vec())))
}
