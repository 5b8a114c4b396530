//! Whom we trust, live: one source of SVID and trust bundles, its revisions, and the recheck of a peer at each request. The
//! source's own revision is read every time, so that nothing superseded is relied upon, not even for the length of a wake-up.
//!
//! Certificate revocation lists, which a Workload API may send along, are not looked at (the `spiffe` crate drops them): an SVID
//! is good until it expires or its authority leaves the trust bundle. Revoke the agent to shut it out sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::server::ResolvesServerCert;
use rustls::{ServerConfig, version};
use spiffe_rustls::{TerminalSourcePolicy, TlsStatus};

use super::caller::VerifiedCaller;
use super::error::{CallerError, IdentityError, JwtSvidError, RefusedToken, Unready};
use super::jwt_source::{Held, JwtSource};
use super::jwt_svid::{JwtAuthorities, JwtSvidRules};
use super::known_tokens::{KnownTokens, Shown};
use super::peer::{Proof, Verdict, VerifiedPeer};
use super::verifier::PeerVerifier;
use super::view::{LiveView, View, provider};
use super::workload::{IdentityChanges, Workload};
use crate::clock::{Clock, LOOK_AGAIN};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// Which trust domains' workloads are accepted, given that there is a trust bundle of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedDomains {
    /// The own trust domain alone.
    Own,
    /// These and no others; the own one only when it is among them.
    Listed(BTreeSet<TrustDomain>),
    /// The own one and whichever the Workload API gives a trust bundle of: whoever runs that decides who comes in.
    DangerWhoeverIsFederated,
}

/// The own SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSvid {
    /// Whom it names.
    pub spiffe_id: SpiffeId,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Which key of its trust domain signed it, where it says so.
    pub authority_key: Option<Vec<u8>>,
}

/// The X.509 authorities that the Workload API names of each accepted trust domain, as SHA-256 of their certificates.
pub type Authorities = BTreeMap<TrustDomain, Arc<BTreeSet<[u8; 32]>>>;

/// What trust is made from.
#[derive(Debug, Clone)]
pub struct TrustOptions {
    /// The Workload API: `unix:///path` or `tcp://ip:port`.
    pub endpoint: String,
    /// Whose workloads are accepted.
    pub accepted: AcceptedDomains,
    /// How long to wait for the first SVID.
    pub first_svid_within: Duration,
    /// What tells the time of every check.
    pub clock: Clock,
}

/// Whom we trust. Clones share it.
#[derive(Clone)]
pub struct Trust {
    shared: Arc<Shared>,
}

struct Shared {
    workload: Workload,
    clock: Clock,
    resolver: Arc<dyn ResolvesServerCert>,
    tls: TlsStatus,
    view: LiveView,
    jwt: OnceLock<JwtSource>,
    known_tokens: KnownTokens,
}

/// How trust stands, for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStatus {
    /// Counts up with every change.
    pub revision: u64,
    /// Our own SVID while anybody is trusted; otherwise why not.
    pub own: Result<OwnSvid, Unready>,
    /// The accepted trust domains that have a usable trust bundle, each with the number of its authorities.
    pub domains: Vec<(TrustDomain, usize)>,
    /// The accepted trust domains that have none.
    pub missing: Vec<TrustDomain>,
    /// Whether the Workload API can be reached; what it gave stays valid for a while without it.
    pub connected: bool,
    /// How often reaching it, or using what it sent, has failed.
    pub failures: u64,
    /// How the accepted trust domains' JWT authorities stand; `None` when no JWT-SVID is accepted anyway.
    pub jwt: Option<JwtStatus>,
}

/// How JWT authorities stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtStatus {
    /// Whether the Workload API has said anything of them yet.
    pub heard: bool,
    /// The accepted trust domains, each with the number of its usable keys: without any, its tokens are refused.
    pub domains: Vec<(TrustDomain, usize)>,
}

impl Trust {
    /// Waits for the first SVID and keeps it and the trust bundles current from then on.
    ///
    /// # Errors
    /// When the endpoint is malformed, no SVID comes in time, or TLS cannot be set up with it.
    pub async fn connect(options: TrustOptions) -> Result<Self, IdentityError> {
        let workload = Workload::from_endpoint(&options.endpoint, options.first_svid_within).await?;
        Self::over(workload, options.accepted, options.clock)
    }

    /// Trust over an identity that is at hand already. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up with the SVID.
    pub fn over(workload: Workload, accepted: AcceptedDomains, clock: Clock) -> Result<Self, IdentityError> {
        let _installed = provider();
        // Of this configuration only the resolver of the own certificate is used: the verifier is ours, see `verifier`.
        let (config, tls) = spiffe_rustls::mtls_server(workload.source().clone())
            .authorize(|_: &spiffe::SpiffeId| false)
            .trust_domain_policy(spiffe_rustls::AllowList(BTreeSet::new()))
            .terminal_source_policy(TerminalSourcePolicy::FailClosed)
            .build_with_status()
            .map_err(|error| IdentityError::Tls(Box::new(error)))?;
        let view = LiveView::over(&workload, accepted, clock.clone());
        let resolver = Arc::clone(&config.cert_resolver);
        let (jwt, known_tokens) = (OnceLock::new(), KnownTokens::default());
        Ok(Self { shared: Arc::new(Shared { workload, clock, resolver, tls, view, jwt, known_tokens }) })
    }

    /// The identity that this trust belongs to, for connections that we open ourselves.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.shared.workload
    }

    /// What tells the time of every check.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Counts up with every change: a rotation, a new or a withdrawn trust bundle.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.view().revision
    }

    /// How trust stands now.
    #[must_use]
    pub fn status(&self) -> TrustStatus {
        let view = self.view();
        let missing = match self.shared.view.accepted() {
            AcceptedDomains::Own | AcceptedDomains::DangerWhoeverIsFederated => Vec::new(),
            AcceptedDomains::Listed(listed) => {
                listed.iter().filter(|name| !view.domains.contains_key(*name)).cloned().collect()
            }
        };
        TrustStatus {
            revision: view.revision,
            own: view.readiness(self.shared.clock.now()).cloned(),
            domains: view.domains.iter().map(|(name, domain)| (name.clone(), domain.authorities)).collect(),
            missing,
            connected: self.shared.workload.is_connected(),
            failures: self.shared.workload.failures() + self.shared.jwt.get().map_or(0, JwtSource::failures),
            jwt: self.shared.jwt.get().map(|source| self.jwt_status(&source.held(), &view)),
        }
    }

    /// The end of the own SVID, also when it has passed; `None` when none is held.
    #[must_use]
    pub fn own_not_after(&self) -> Option<Timestamp> {
        self.view().own.as_ref().ok().map(|own| own.not_after)
    }

    /// Whether workloads of this trust domain are accepted at the moment.
    #[must_use]
    pub fn trusts(&self, name: &TrustDomain) -> bool {
        let view = self.view();
        view.readiness(self.shared.clock.now()).is_ok() && view.domains.contains_key(name)
    }

    /// Whom we trust: trust domains that are missing are not trusted, or no longer. `None` while the Workload API has taken
    /// everything back, for that says nothing about any one of them.
    #[must_use]
    pub fn authorities(&self) -> Option<Authorities> {
        let view = self.view();
        view.told.then(|| view.named.clone())
    }

    /// True while the Workload API has taken the identity back and may be about to give the next one: whoever asks is worth
    /// waiting for [`Trust::settled`].
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.shared.view.is_unsettled()
    }

    /// Waits while [`Trust::is_unsettled`]. Afterwards there is an identity again, or there is none.
    pub async fn settled(&self) {
        self.shared.view.settled().await;
    }

    /// The same for whoever shows a token: the keys that verify it come by a stream of their own, and go with the identity.
    #[must_use]
    pub fn is_unsettled_for_tokens(&self) -> bool {
        self.is_unsettled() || self.shared.jwt.get().is_some_and(JwtSource::is_unsettled)
    }

    /// Waits while [`Trust::is_unsettled_for_tokens`].
    pub async fn settled_for_tokens(&self) {
        self.settled().await;
        if let Some(source) = self.shared.jwt.get() {
            source.settled().await;
        }
    }

    /// Waits until a peer's identity no longer holds, and says why. A moment in which nobody can be judged is sat out.
    pub async fn lost(&self, peer: &Arc<VerifiedPeer>) -> CallerError {
        let clock = &self.shared.clock;
        let (mut changes, mut more) = (self.changes(), true);
        let mut jwt = self.shared.jwt.get().map(JwtSource::changes);
        loop {
            match peer.proof() {
                Proof::Token(_) => self.settled_for_tokens().await,
                Proof::Certificate { .. } => self.settled().await,
            }
            if let Err(error) = self.recheck(peer, clock.now()) {
                return error;
            }
            let jwt_changed = async {
                match &mut jwt {
                    Some(jwt) => jwt.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = clock.reach(peer.expires_at()) => {}
                changed = changes.changed(), if more => more = changed,
                () = jwt_changed => {}
                // Besides changes, time ends trust too: our own SVID expires.
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Tells of changes from now on.
    #[must_use]
    pub fn changes(&self) -> IdentityChanges {
        self.shared.workload.changes()
    }

    /// Asks whether a peer's identity still holds: not expired, and under the present revision of trust its chain leads to the
    /// bundle of its own trust domain. A chain is verified again only when the revision has changed since.
    ///
    /// # Errors
    /// When it does not hold, or when nobody is trusted at the moment.
    pub fn recheck(&self, peer: &Arc<VerifiedPeer>, now: Timestamp) -> Result<VerifiedCaller, CallerError> {
        if now >= peer.expires_at() {
            return Err(CallerError::Expired(peer.expires_at()));
        }
        let view = self.view();
        view.readiness(now).map_err(CallerError::Unready)?;
        let verdict = match peer.proof() {
            Proof::Token(key) if view.domains.contains_key(peer.trust_domain()) => {
                match self.jwt_authorities().holds(peer.trust_domain(), key) {
                    Ok(true) => Verdict::Holds,
                    Ok(false) => Verdict::ChainBroken,
                    Err(_) => Verdict::TrustWithdrawn,
                }
            }
            Proof::Token(_) => Verdict::TrustWithdrawn,
            Proof::Certificate { chain, .. } => match peer.verdict_under(view.revision) {
                Some(verdict) => verdict,
                None => {
                    let verdict = view.judge(chain, now).map_err(CallerError::Unready)?;
                    peer.keep(view.revision, verdict);
                    verdict
                }
            },
        };
        match verdict {
            Verdict::Holds => Ok(VerifiedCaller::assertion(Arc::clone(peer), now)),
            Verdict::TrustWithdrawn => Err(CallerError::TrustWithdrawn(peer.trust_domain().clone())),
            Verdict::ChainBroken => Err(CallerError::ChainBroken),
        }
    }

    /// Follows the JWT bundles of the Workload API from now on. Without it no token is accepted. Must be called within a Tokio
    /// runtime.
    pub fn accept_jwt_svids(&self) {
        self.shared.jwt.get_or_init(|| JwtSource::follow(&self.shared.workload));
    }

    /// The same, and waits until there are JWT authorities of an accepted trust domain.
    ///
    /// # Errors
    /// When there are none within the time.
    pub async fn connect_jwt(&self, within: Duration) -> Result<(), IdentityError> {
        self.accept_jwt_svids();
        let Some(source) = self.shared.jwt.get() else { return Err(IdentityError::NoJwtBundles { within }) };
        let given = async {
            let mut changes = source.changes();
            while !self.jwt_status(&source.held(), &self.view()).domains.iter().any(|(_, keys)| *keys > 0) {
                changes.changed().await;
            }
        };
        tokio::time::timeout(within, given).await.map_err(|_elapsed| IdentityError::NoJwtBundles { within })
    }

    fn jwt_status(&self, held: &Held<JwtAuthorities>, view: &View) -> JwtStatus {
        let keys = |name: &TrustDomain| match held {
            Held::Given(authorities) => authorities.of_domain(name),
            Held::Nothing | Held::Withdrawn => 0,
        };
        let domains: BTreeSet<&TrustDomain> = match self.shared.view.accepted() {
            AcceptedDomains::Own | AcceptedDomains::DangerWhoeverIsFederated => view.domains.keys().collect(),
            AcceptedDomains::Listed(listed) => listed.iter().collect(),
        };
        JwtStatus {
            heard: !matches!(held, Held::Nothing),
            domains: domains.into_iter().map(|name| (name.clone(), keys(name))).collect(),
        }
    }

    /// Whom a token names that was verified before and still holds; `None` when it has to be verified.
    #[must_use]
    pub fn known_token(
        &self,
        token: &str,
        rules: &JwtSvidRules,
        address: Option<SocketAddr>,
    ) -> Option<Arc<VerifiedPeer>> {
        let peer = self.shared.known_tokens.find(Shown::of(token, rules), address)?;
        self.recheck(&peer, self.clock().now()).is_ok().then_some(peer)
    }

    /// Verifies a JWT-SVID that somebody shows. A trust domain is trusted as a whole: whose X.509 authorities were withdrawn,
    /// its tokens are refused too.
    ///
    /// # Errors
    /// Names the first rule that it breaks; also when nobody is trusted at the moment.
    pub fn authenticate(
        &self,
        token: &str,
        rules: &JwtSvidRules,
        address: Option<SocketAddr>,
    ) -> Result<Arc<VerifiedPeer>, RefusedToken> {
        let (view, now) = (self.view(), self.clock().now());
        view.readiness(now).map_err(JwtSvidError::Unready)?;
        let trusted = |name: &TrustDomain| {
            if !view.accepts(name) {
                return Err(JwtSvidError::TrustDomainNotAccepted(name.clone()));
            }
            if !view.domains.contains_key(name) {
                return Err(JwtSvidError::NoTrustBundle(name.clone()));
            }
            Ok(())
        };
        let source = self.shared.jwt.get();
        let authorities = match source.map(JwtSource::held) {
            Some(Held::Given(authorities)) => authorities,
            Some(Held::Nothing) => return Err(JwtSvidError::Unready(Unready::JwtBundlesUnheard).into()),
            // With them goes what could be said against a token; they may be back in a moment.
            Some(Held::Withdrawn) if source.is_some_and(JwtSource::is_unsettled) => {
                return Err(JwtSvidError::Unready(Unready::Withdrawn).into());
            }
            Some(Held::Withdrawn) | None => JwtAuthorities::default(),
        };
        let svid = authorities.judge(token, rules, now).map_err(|refused| RefusedToken {
            // What a trust domain signs proves something as long as it is trusted itself.
            proven: refused.proven.filter(|id| trusted(&id.trust_domain()).is_ok()),
            error: refused.error,
        })?;
        trusted(&svid.spiffe_id.trust_domain())?;
        let peer = Arc::new(VerifiedPeer::token_assertion(svid, address, now));
        self.shared.known_tokens.keep(Shown::of(token, rules), &peer, now);
        Ok(peer)
    }

    fn jwt_authorities(&self) -> JwtAuthorities {
        match self.shared.jwt.get().map(JwtSource::held) {
            Some(Held::Given(authorities)) => authorities,
            Some(Held::Nothing | Held::Withdrawn) | None => JwtAuthorities::default(),
        }
    }

    /// Ends the updates; from then on nobody is trusted.
    pub async fn close(&self) {
        self.shared.workload.close().await;
    }

    /// The present revision of trust.
    pub(in crate::identity) fn view(&self) -> Arc<View> {
        self.shared.view.now()
    }

    /// Waits until the own certificate of the present revision can be presented: a conversion takes a moment after a rotation.
    pub(in crate::identity) async fn presentable(&self) -> Result<(), Unready> {
        self.settled().await;
        let mut tls = self.shared.tls.clone();
        loop {
            match tls.current().error.as_deref() {
                None => return Ok(()),
                Some(spiffe_rustls::Error::PendingRevision { .. }) => {
                    if tls.changed().await.is_err() {
                        return Err(Unready::Closed);
                    }
                }
                Some(_) => {
                    return Err(self.view().readiness(self.shared.clock.now()).err().unwrap_or(Unready::Withdrawn));
                }
            }
        }
    }

    /// A TLS server that requires an SVID from its clients.
    pub(in crate::identity) fn mutual_tls(&self, protocols: &[&[u8]]) -> Result<ServerConfig, IdentityError> {
        let verifier = Arc::new(PeerVerifier::new(self.clone()));
        let mut config = ServerConfig::builder_with_details(provider(), Arc::new(TlsTime(self.shared.clock.clone())))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(IdentityError::Rustls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.shared.resolver));
        harden(&mut config, protocols);
        Ok(config)
    }

    /// A TLS server that presents the SVID and asks for none.
    pub(in crate::identity) fn server_tls(&self, protocols: &[&[u8]]) -> Result<ServerConfig, IdentityError> {
        server_tls(Arc::clone(&self.shared.resolver), protocols)
    }
}

/// A TLS server that asks for no certificate.
pub(in crate::identity) fn server_tls(
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(IdentityError::Rustls)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    harden(&mut config, protocols);
    Ok(config)
}

/// No session is resumed: a resumed handshake verifies no certificate. No early data: it could be replayed.
fn harden(config: &mut ServerConfig, protocols: &[&[u8]]) {
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("status", &self.status()).finish()
    }
}

#[derive(Debug)]
struct TlsTime(Clock);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        Some(rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().as_millis())))
    }
}
