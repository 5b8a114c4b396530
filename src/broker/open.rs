//! Opening a broker: the journal is read, what it amounts to is known, and a policy bundle is in force.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::bundles::Bundles;
use crate::broker::caller::{Caller, Refusal, UnprovenRefusal, WorkloadCaller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::fold::Means;
use crate::broker::gather::no_context;
use crate::broker::hours::Hours;
use crate::broker::known::Known;
use crate::broker::limit::Limiter;
use crate::broker::open_calls::OpenCalls;
use crate::broker::proposals::{ActivationSettings, Persons};
use crate::broker::put_in_force::wire_signer;
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::refusals::Refusals;
use crate::broker::repeat::Repeats;
use crate::broker::scorers::{ScorerPart, Scorers};
use crate::broker::{Broker, Inner, Settings, ending};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::identity::error::JwtSvidError;
use crate::identity::jwt_svid::JwtSvidRules;
use crate::identity::peer::VerifiedPeer;
use crate::identity::people::{People, PersonError, ShownFor};
use crate::identity::svid::ShownIdentity;
use crate::identity::trust::Trust;
use crate::journal::Journal;
use crate::journal::error::JournalError;
use crate::journal::open::OpenReport;
use crate::journal::options::Options;
use crate::mint::ring::KeyRing;
use crate::model::reason::ReasonCode;
use crate::notify::{BeginError, Notifier};
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::policy::bundle::BundleFiles;
use crate::seal::handle::HandleKey;
use crate::seal::sealer::Sealer;

/// What a broker is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it behaves.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Who is trusted.
    pub trust: Trust,
    /// Who vouches for people; `None` when nobody does, and nobody is a person then.
    pub people: Option<People>,
    /// Keys of the words.
    pub sealer: Arc<Sealer>,
    /// Key of the task handles.
    pub handles: HandleKey,
    /// Keys of the tokens.
    pub keys: Arc<KeyRing>,
    /// Where the journal lies.
    pub journal: Options,
    /// Whom it tells what waits for people.
    pub notifier: Notifier,
    /// Who is asked how suspicious a step is.
    pub scorers: Vec<ScorerPart>,
    /// The bundle that the configuration names.
    pub policy: BundleFiles,
    /// True when that bundle is activated whenever it is not the one in force; otherwise only when none is.
    pub activate: bool,
}

/// What keeps a broker from being opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal does not open.
    #[error("the journal does not open")]
    Journal(#[from] JournalError),
    /// No policy bundle could be put in force.
    #[error("the policy bundle cannot be put in force")]
    Policy(#[source] BrokerError),
    /// The start could not be recorded.
    #[error("the start cannot be recorded")]
    Record(#[source] BrokerError),
    /// It cannot be read how far receivers of webhooks were told.
    #[error("the receivers of webhooks cannot be told on")]
    Notices(#[from] BeginError),
    /// The bundle in force is of a form that this version does not load.
    #[error("the policy bundle in force, `{digest}`, does not load: all would be refused until another is activated")]
    InForce {
        /// Its digest.
        digest: String,
    },
}

/// Reads the journal as [`Broker::open`] does, up to what it amounts to, and changes nothing. Blocks while it reads.
///
/// # Errors
/// When a broker would not open with it, or could decide nothing.
pub fn inspect(journal: Options, sealer: Arc<Sealer>) -> Result<OpenReport, OpenError> {
    let known = Known::new(Means { sealer, bundles: Bundles::default() });
    let report = crate::journal::open::inspect(journal, &known)?;
    let state = known.look();
    match &state.policy {
        Some(policy) if policy.bundle.is_none() => Err(OpenError::InForce { digest: policy.digest.clone() }),
        _ => Ok(report),
    }
}

impl Broker {
    /// Opens a broker. It reads the journal, which blocks for as long as that takes.
    ///
    /// # Errors
    /// When the journal is damaged or locked, or the policy bundle does not load.
    pub async fn open(parts: Parts) -> Result<Self, OpenError> {
        let bundles = Bundles::default();
        let means = Means { sealer: parts.sealer.clone(), bundles: bundles.clone() };
        let known = Arc::new(Known::new(means));
        let projection = known.clone();
        let hours = Arc::new(Hours::new(parts.clock.clone(), parts.trust.clone()));
        let mut options = parts.journal;
        let time = hours.clone();
        options.now = Arc::new(move || time.read());
        let opened = tokio::task::spawn_blocking(move || Journal::open(options, projection)).await;
        let (journal, report) = opened.map_err(|e| OpenError::Record(BrokerError::internal(e)))??;
        let broker = Self(Arc::new(Inner {
            limiter: Limiter::new(parts.settings.limits),
            ends: Limiter::new(parts.settings.limits),
            open_calls: OpenCalls::default(),
            open_ends: OpenCalls::default(),
            settings: parts.settings,
            clock: parts.clock,
            hours,
            entropy: parts.entropy,
            trust: parts.trust,
            people: parts.people,
            sealer: parts.sealer,
            handles: parts.handles,
            keys: parts.keys,
            known,
            journal,
            notifier: parts.notifier,
            bundles,
            refusals: Refusals::default(),
            repeats: Repeats::default(),
            scorers: Scorers::new(parts.scorers),
            signing: std::sync::Mutex::default(),
            trusted: std::sync::Mutex::default(),
            torn_bytes: report.torn_bytes,
        }));
        broker.begin(parts.policy, parts.activate, &report).await?;
        if let Err(error) = broker.0.notifier.begin(&broker.0.journal).await {
            broker.0.journal.clone().close().await;
            return Err(error.into());
        }
        Ok(broker)
    }

    async fn begin(&self, files: BundleFiles, activate: bool, found: &OpenReport) -> Result<(), OpenError> {
        let digest = files.digest().to_string();
        let ActivationSettings { signers, persons, .. } = self.0.settings.activation.clone();
        let in_force = {
            let state = self.0.known.look();
            state.policy.as_ref().map(|p| (p.digest.clone(), p.revision))
        };
        let revision = match &in_force {
            None => Some(1),
            // Two persons are not got around by starting anew.
            Some((active, revision)) if activate && *active != digest && persons == Persons::One => Some(revision + 1),
            Some((active, revision)) => {
                if *active != digest {
                    tracing::warn!(
                        active,
                        revision,
                        configured = digest,
                        "another policy bundle is in force than configured"
                    );
                }
                None
            }
        };
        if let Some(revision) = revision {
            match self.activate_configured(files, revision).await {
                // A broker that did not start on a full disk could not revoke.
                Err(BrokerError::StorageFull) if in_force.is_some() => tracing::warn!(
                    configured = digest,
                    "the disk is full, so the configured policy bundle is not activated: the one before stays in force"
                ),
                activated => activated.map_err(OpenError::Policy)?,
            }
        }
        if revision.is_none() {
            self.warn_of_observing();
        }
        let (policy_digest, policy_revision) = {
            let state = self.0.known.look();
            state.policy.as_ref().map(|p| (p.digest.clone(), p.revision)).unwrap_or_default()
        };
        let started = pb::BrokerStarted {
            policy_digest,
            policy_revision,
            torn_bytes: found.torn_bytes,
            replayed: found.replayed,
            activation_persons: persons.count(),
            signatures_required: signers.as_ref().map_or(0, |s| u32::try_from(s.needed()).unwrap_or(u32::MAX)),
            signing_keys: signers.iter().flat_map(|signers| signers.all()).map(wire_signer).collect(),
        };
        let started = event(SYSTEM_STREAM.to_owned(), broker_actor(), &no_context(), Payload::BrokerStarted(started));
        // From what is held back, if need be, for the same reason.
        self.append(ending(started, Vec::new())).await.map_err(OpenError::Record)?;
        self.record_trust(true).await.map_err(OpenError::Record)?;
        Ok(())
    }

    /// Ends the journal in good order, with what was only counted so far. Nothing can be asked afterwards.
    pub async fn close(&self) {
        self.0.scorers.end();
        let now = self.0.clock.now();
        loop {
            match self.record_refusals(now, true).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "counted refusals were not recorded");
                    break;
                }
            }
        }
        self.0.notifier.close().await;
        self.0.journal.clone().close().await;
    }

    /// Says who the peer of a connection is, as the policy bundle in force has it.
    ///
    /// # Errors
    /// `Unauthenticated` when its proof no longer holds, `NotPermitted` when no pattern matches it.
    pub fn authenticate(&self, peer: &Arc<VerifiedPeer>) -> Result<Caller, BrokerError> {
        let now = self.0.clock.now();
        let _verified = self.0.trust.recheck(peer, now)?;
        let bundle = {
            let state = self.0.known.look();
            crate::broker::gather::active(&state)?.1
        };
        Ok(Caller::Workload(WorkloadCaller::under(&bundle, peer)?))
    }

    /// Waits while the broker's own identity is gone for a moment; `None` when it is not.
    #[must_use]
    pub fn settling(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.0.trust.is_unsettled().then(|| {
            let trust = self.0.trust.clone();
            async move { trust.settled().await }
        })
    }

    /// The same where tokens of workloads are shown: what verifies them may be gone for a moment too.
    #[must_use]
    pub fn settling_for_tokens(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.0.trust.is_unsettled_for_tokens().then(|| {
            let trust = self.0.trust.clone();
            async move { trust.settled_for_tokens().await }
        })
    }

    /// Waits until a caller is no longer who it was when it called, and says why: a stream outlives the request that opened it.
    pub async fn outlived(&self, caller: &Caller) -> BrokerError {
        match caller {
            Caller::Workload(workload) => self.0.trust.lost(&workload.peer).await.into(),
            Caller::Person(person) => {
                person.expired().await;
                BrokerError::Unauthenticated { code: ReasonCode::TokenExpired }
            }
            Caller::Operator { .. } => std::future::pending().await,
        }
    }

    /// Verifies the token that a person shows with a request.
    ///
    /// # Errors
    /// `Unauthenticated` when it does not hold; that somebody tried is noted. `Unavailable` without the keys of its issuer.
    pub async fn authenticate_person(
        &self,
        token: &str,
        address: Option<SocketAddr>,
        rpc: &'static str,
    ) -> Result<Caller, BrokerError> {
        let people = self.0.people.as_ref();
        let people = people.ok_or(BrokerError::Unauthenticated { code: ReasonCode::Unauthenticated })?;
        // A broker that has no identity of its own knows nobody, people included.
        self.0.trust.settled().await;
        self.0.trust.status().own.map_err(BrokerError::unavailable)?;
        match people.verify(token, ShownFor::Acting, address).await {
            Ok(person) => Ok(Caller::Person(Arc::new(person))),
            Err(error @ PersonError::Unavailable(_)) => Err(BrokerError::unavailable(error)),
            Err(error) => {
                tracing::debug!(?address, error = &error as &dyn std::error::Error, "a person's token was refused");
                let code = error.reason();
                self.note_unproven(&UnprovenRefusal { shown: None, rpc, code, peer_address: address });
                Err(BrokerError::Unauthenticated { code })
            }
        }
    }

    /// Verifies the JWT-SVID that a request shows. Who that is to the policy bundle, [`Broker::authenticate`] says.
    ///
    /// # Errors
    /// `Unauthenticated` when it does not hold; that somebody tried is noted, for whom where the token was signed for somebody.
    pub fn authenticate_token(
        &self,
        token: &str,
        rules: &JwtSvidRules,
        address: Option<SocketAddr>,
        rpc: &'static str,
    ) -> Result<Arc<VerifiedPeer>, BrokerError> {
        if let Some(peer) = self.0.trust.known_token(token, rules, address) {
            return Ok(peer);
        }
        let refused = match self.0.trust.authenticate(token, rules, address) {
            Ok(peer) => return Ok(peer),
            Err(refused) => refused,
        };
        tracing::debug!(?address, error = %refused.error, "a token was refused");
        if let JwtSvidError::Unready(_) = refused.error {
            return Err(BrokerError::unavailable(refused.error));
        }
        let code = refused.error.reason();
        match refused.proven {
            // A token that was stolen, or relayed, is found by whose it is.
            Some(id) => {
                self.note_refusal(Refusal { subject: id.to_string(), rpc, code, peer_address: address, task: None })
            }
            None => {
                let shown = ShownIdentity::of_token(token).map(|shown| shown.to_string());
                self.note_unproven(&UnprovenRefusal { shown, rpc, code, peer_address: address });
            }
        }
        Err(BrokerError::Unauthenticated { code })
    }

    /// The keys that verify tokens, as a JWK Set.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.0.keys.jwks(self.0.clock.now())
    }

    /// What is amiss and does not keep the broker from answering: it goes on with what is still valid, and without those that it
    /// has no trust bundle of.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let status = self.0.trust.status();
        let mut remarks = Vec::new();
        if !status.connected {
            let left = status.own.map(|own| own.not_after.since(self.0.clock.now()).as_secs()).unwrap_or_default();
            remarks.push(format!("the Workload API cannot be reached; the own SVID is valid for another {left} s"));
        }
        remarks.extend(status.missing.iter().map(|name| format!("there is no trust bundle of `{name}`")));
        remarks.extend(self.0.people.iter().flat_map(People::remarks));
        if let Some(observing) = self.observing_now() {
            remarks.push(format!("policy only observes {observing}"));
        }
        let paused = self.0.scorers.paused(&self.0.clock);
        remarks.extend(paused.iter().map(|name| format!("the scorer `{name}` fails, and counts as absent")));
        if let Some(jwt) = &status.jwt {
            if !jwt.heard {
                remarks.push("the Workload API has given no JWT bundles yet".to_owned());
            }
            let without = jwt.domains.iter().filter(|(_, keys)| *keys == 0);
            remarks.extend(
                without.map(|(name, _)| format!("there is no JWT authority of `{name}`: its tokens are refused")),
            );
        }
        remarks
    }

    /// What keeps the broker from answering; empty when it is ready.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let status = self.0.trust.status();
        let mut problems = Vec::new();
        // While it waits for its next identity it keeps its callers waiting, and they need go nowhere else.
        if let Err(unready) = &status.own
            && !self.0.trust.is_unsettled()
        {
            problems.push(unready.to_string());
        }
        let state = self.0.known.look();
        if crate::broker::gather::active(&state).is_err() {
            problems.push("no policy bundle is in force".to_owned());
        }
        problems.extend(self.0.hours.behind(&state).map(|behind| behind.to_string()));
        let now = self.now(&state);
        drop(state);
        let keys = &self.0.keys;
        let unsigned = keys.algorithms().into_iter().filter(|algorithm| keys.current(*algorithm, now).is_none());
        problems.extend(unsigned.map(|algorithm| format!("no key signs {algorithm}")));
        if self.0.journal.is_closed() {
            problems.push("the journal is closed".to_owned());
        } else if self.0.journal.is_full() {
            problems.push("the disk is full: what is left is held back for ends and revocations".to_owned());
        }
        problems
    }
}
