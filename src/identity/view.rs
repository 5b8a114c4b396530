//! One revision of trust, made ready for use: the own SVID's standing and, for each accepted trust domain, a verifier over the
//! authorities of that trust domain alone. Roots are never pooled.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, UnixTime};
use spiffe::X509SourceError;
use spiffe::x509_source::X509SourceState;

use super::error::{SvidError, Unready};
use super::peer::Verdict;
use super::svid::{CHAIN_CERTIFICATES_MAX, UnverifiedLeaf, is_authority, may_issue, read_leaf, validity};
use super::trust::{AcceptedDomains, Authorities, OwnSvid};
use super::workload::Workload;
use super::workload_api::{Held, Told};
use super::x509_bundles::X509Bundles;
use crate::clock::{Clock, Stopwatch};
use crate::model::identity::Thumbprint;
use crate::model::spiffe_id::TrustDomain;
use crate::model::time::Timestamp;

/// The part that a workload plays in a handshake: a certificate may be for one alone (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Part {
    Client,
    Server,
}

/// The present revision of a source: read every time, so that nothing superseded is relied upon, and made ready once.
pub(in crate::identity) struct LiveView {
    workload: Workload,
    accepted: AcceptedDomains,
    clock: Clock,
    held: RwLock<Arc<View>>,
}

impl LiveView {
    pub(in crate::identity) fn over(workload: &Workload, accepted: AcceptedDomains, clock: Clock) -> Self {
        let held = RwLock::new(Arc::new(View::of(workload, &Source::of(workload), &accepted, clock.now())));
        Self { workload: workload.clone(), accepted, clock, held }
    }

    pub(in crate::identity) const fn accepted(&self) -> &AcceptedDomains {
        &self.accepted
    }

    pub(in crate::identity) fn now(&self) -> Arc<View> {
        // Every request asks, so nothing is copied unless something has changed.
        let (state, now) = (self.workload.source().state(), self.clock.now());
        let revision = state.revision() + self.workload.bundles().revision();
        let current = |view: &View| view.revision > revision && view.closed == state.is_closed() && view.holds_at(now);
        {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if current(&held) {
                return Arc::clone(&held);
            }
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if !current(&held) {
            *held = Arc::new(View::of(&self.workload, &Source::of(&self.workload), &self.accepted, now));
        }
        Arc::clone(&held)
    }

    /// True while the Workload API has taken the identity back and may be about to give the next one.
    pub(in crate::identity) fn is_unsettled(&self) -> bool {
        let view = self.now();
        view.own == Err(Unready::Withdrawn) && view.known.elapsed() < self.workload.patience()
    }

    /// Waits while it is so. Afterwards there is an identity again, or there is none.
    pub(in crate::identity) async fn settled(&self) {
        if !self.is_unsettled() {
            return;
        }
        let mut changes = self.workload.changes();
        while self.is_unsettled() {
            let left = self.workload.patience().saturating_sub(self.now().known.elapsed());
            if !tokio::time::timeout(left, changes.changed()).await.unwrap_or(true) {
                return;
            }
        }
    }
}

/// What the Workload API has told: our own SVID, and the trust bundles, which come by a stream of their own.
struct Source {
    state: X509SourceState,
    bundles: Told<X509Bundles>,
}

impl Source {
    fn of(workload: &Workload) -> Self {
        Self { state: workload.source().state(), bundles: workload.bundles().told() }
    }

    /// Counts up with every change of either.
    fn revision(&self) -> u64 {
        self.state.revision() + self.bundles.revision
    }
}

/// One revision of trust.
pub(in crate::identity) struct View {
    pub(in crate::identity) revision: u64,
    pub(in crate::identity) closed: bool,
    /// Since when it is known.
    pub(in crate::identity) known: Stopwatch,
    /// The source says what is trusted; otherwise it has taken everything back, or has ended.
    pub(in crate::identity) told: bool,
    pub(in crate::identity) own: Result<OwnSvid, Unready>,
    own_bundle: bool,
    accepted: AcceptedDomains,
    /// From when to when these very authorities are valid: before, one more is, and from then on one less.
    valid: Range<Timestamp>,
    /// SHA-256 of each authority that the source names of an accepted trust domain, valid or not.
    pub(in crate::identity) named: Authorities,
    pub(in crate::identity) domains: BTreeMap<TrustDomain, Domain>,
}

/// What verifies the workloads of one trust domain.
pub(in crate::identity) struct Domain {
    clients: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
    pub(in crate::identity) authorities: usize,
}

impl View {
    fn of(workload: &Workload, source: &Source, accepted: &AcceptedDomains, now: Timestamp) -> Self {
        let mut view = Self {
            revision: source.revision() + 1,
            closed: source.state.is_closed(),
            known: Stopwatch::start(),
            told: false,
            own: Err(Unready::Withdrawn),
            own_bundle: false,
            accepted: accepted.clone(),
            valid: Timestamp::EPOCH..Timestamp::MAX,
            named: Authorities::new(),
            domains: BTreeMap::new(),
        };
        let context = match source.state.context() {
            Ok(context) => context,
            Err(X509SourceError::Closed) => {
                view.own = Err(Unready::Closed);
                return view;
            }
            Err(_) => return view,
        };
        let Held::Given(bundles) = &source.bundles.held else { return view };
        view.told = !view.closed;
        view.own = workload
            .own(&context)
            .and_then(|svid| read_leaf(svid.leaf().as_bytes()).ok())
            .map(|UnverifiedLeaf { spiffe_id, not_before, not_after, authority_key }| OwnSvid {
                spiffe_id,
                not_before,
                not_after,
                authority_key,
            })
            .ok_or(Unready::OwnSvidExpired);
        for (name, bundle) in bundles.iter() {
            let authorities = usable(bundle);
            if !authorities.is_empty() && view.accepts(name) {
                let digests = authorities.iter().map(|(der, _)| *Thumbprint::of(der).as_bytes()).collect();
                view.named.insert(name.clone(), Arc::new(digests));
            }
            // The next moment at which another set of them is valid, and the last one.
            let moments = authorities.iter().flat_map(|(_, valid)| [valid.start, valid.end]);
            for moment in moments {
                match moment <= now {
                    true => view.valid.start = view.valid.start.max(moment),
                    false => view.valid.end = view.valid.end.min(moment),
                }
            }
            let valid: Vec<&[u8]> =
                authorities.into_iter().filter(|(_, valid)| valid.contains(&now)).map(|(der, _)| der).collect();
            let Some(domain) = Domain::of(&valid) else {
                tracing::warn!(trust_domain = %name, "the trust bundle holds no usable authority: nobody of it is trusted");
                continue;
            };
            view.own_bundle |= view.own.as_ref().is_ok_and(|own| own.spiffe_id.trust_domain() == *name);
            if view.accepts(name) {
                view.domains.insert(name.clone(), domain);
            }
        }
        view
    }

    /// Whether the same authorities would be trusted at this time.
    fn holds_at(&self, now: Timestamp) -> bool {
        self.valid.contains(&now)
    }

    /// Whether anybody may be trusted at this time: not without an SVID and a trust bundle of our own.
    pub(in crate::identity) fn readiness(&self, now: Timestamp) -> Result<&OwnSvid, Unready> {
        if self.closed {
            return Err(Unready::Closed);
        }
        let own = self.own.as_ref().map_err(|unready| *unready)?;
        if now >= own.not_after {
            return Err(Unready::OwnSvidExpired);
        }
        if !self.own_bundle {
            return Err(Unready::OwnBundleMissing);
        }
        Ok(own)
    }

    /// Verifies a chain as an X.509-SVID: its shape, its trust domain, and the path to that trust domain's bundle.
    pub(in crate::identity) fn verify(
        &self,
        part: Part,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<UnverifiedLeaf, SvidError> {
        self.readiness(now).map_err(SvidError::Unready)?;
        if intermediates.len() >= CHAIN_CERTIFICATES_MAX {
            return Err(SvidError::ChainTooLong);
        }
        let read = read_leaf(leaf)?;
        let name = read.spiffe_id.trust_domain();
        if !self.accepts(&name) {
            return Err(SvidError::TrustDomainNotAccepted(name));
        }
        let domain = self.domains.get(&name).ok_or(SvidError::NoTrustBundle(name))?;
        let issuers: Vec<_> =
            intermediates.iter().filter(|der| may_issue(der)).map(|der| CertificateDer::from(der.as_ref())).collect();
        domain.verify(part, leaf, &issuers, unix(now)).map_err(chain_error)?;
        Ok(read)
    }

    /// What a chain that once held is under this revision.
    pub(in crate::identity) fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Verdict, Unready> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Ok(Verdict::ChainBroken) };
        match self.verify(Part::Client, leaf, intermediates, now) {
            Ok(_) => Ok(Verdict::Holds),
            Err(SvidError::Unready(unready)) => Err(unready),
            Err(SvidError::TrustDomainNotAccepted(_) | SvidError::NoTrustBundle(_)) => Ok(Verdict::TrustWithdrawn),
            Err(_) => Ok(Verdict::ChainBroken),
        }
    }

    pub(in crate::identity) fn accepts(&self, name: &TrustDomain) -> bool {
        match &self.accepted {
            AcceptedDomains::Own => self.own.as_ref().is_ok_and(|own| own.spiffe_id.trust_domain() == *name),
            AcceptedDomains::Listed(listed) => listed.contains(name),
            AcceptedDomains::DangerWhoeverIsFederated => true,
        }
    }
}

impl Domain {
    /// Over authorities that are valid now: webpki looks at no validity of a trust anchor, and one that is over, or is to come,
    /// vouches for nobody.
    fn of(valid: &[&[u8]]) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for der in valid {
            roots.add(CertificateDer::from(der.to_vec())).ok()?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider()).build().ok()?;
        Some(Self { clients, roots, authorities: valid.len() })
    }

    fn verify(
        &self,
        part: Part,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        match part {
            Part::Client => self.clients.verify_client_cert(leaf, issuers, now).map(drop),
            Part::Server => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                &self.roots,
                issuers,
                now,
                provider().signature_verification_algorithms.all,
            ),
        }
    }
}

/// The authorities of a trust bundle that could vouch for somebody, each with when it may.
fn usable(bundle: &[Vec<u8>]) -> Vec<(&[u8], Range<Timestamp>)> {
    let authorities = bundle.iter().map(Vec::as_slice).filter(|der| is_authority(der));
    let anchored = authorities.filter(|der| RootCertStore::empty().add(CertificateDer::from(*der)).is_ok());
    anchored.filter_map(|der| validity(der).map(|(begin, end)| (der, begin..end))).collect()
}

/// When a chain ends: with its leaf, or earlier with an intermediate. One that was over already cannot have been used.
pub(in crate::identity) fn chain_end(
    leaf: &UnverifiedLeaf,
    intermediates: &[CertificateDer<'_>],
    now: Timestamp,
) -> Timestamp {
    let ends = intermediates.iter().filter_map(|der| validity(der)).map(|(_, end)| end).filter(|end| *end > now);
    ends.fold(leaf.not_after, Timestamp::min)
}

/// The cryptography of every TLS connection.
pub(in crate::identity) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // `spiffe-rustls` takes the provider of the process; another one there would be the embedding program's choice.
        let _already_installed = provider.clone().install_default();
        Arc::new(provider)
    }))
}

fn chain_error(error: rustls::Error) -> SvidError {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            SvidError::Expired
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => SvidError::NotYetValid,
        other => SvidError::Chain(other),
    }
}

fn unix(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()))
}
