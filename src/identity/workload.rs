//! An identity of our own, live from a Workload API: the SVID that we present, which the `spiffe` crate keeps, the trust bundles
//! beside it, and whether they are in touch.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use spiffe::transport::Endpoint;
use spiffe::x509_source::{MetricsErrorKind, MetricsRecorder, SvidPicker};
use spiffe::{
    WorkloadApiClient, X509Context, X509ResourceLimits, X509Source, X509SourceError, X509SourceUpdates, X509Svid,
};

use super::error::IdentityError;
use super::workload_api::{Changes, Followed, Held};
use super::x509_bundles::{X509Bundles, X509Feed};
use crate::clock::Stopwatch;
use crate::model::identity::Thumbprint;
use crate::model::spiffe_id::SpiffeId;

/// How long a command waits for its first SVID: the Workload API is local, and answers at once or not at all.
pub const FIRST_SVID_WITHIN: Duration = Duration::from_secs(10);
/// Shortest and longest pause between attempts to reach the Workload API: a restart of its agent is noticed within seconds.
pub const RECONNECT_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long an identity may be gone before that is told: SPIRE's agent gives none for a moment between the SVIDs of a tainted
/// authority and their successors, and the client that is refused in that moment asks again after two seconds. Nobody is trusted
/// meanwhile; who asks is kept waiting.
pub const GONE_BRIEFLY: Duration = Duration::from_secs(3);
/// Most SVIDs, federated trust bundles and bytes of one trust bundle that are taken from the Workload API.
pub const MATERIAL_MAX: (usize, usize, usize) = (64, 256, 1 << 20);

/// A client of the SPIFFE Workload API that keeps its SVID and trust bundles current. Clones share them.
#[derive(Clone)]
pub struct Workload {
    source: X509Source,
    bundles: Followed<X509Feed>,
    endpoint: Endpoint,
    link: Arc<Link>,
    /// Which of several identities it is; the first when nothing is said.
    chosen: Option<Arc<str>>,
    patience: Duration,
}

impl Workload {
    /// The identity that the Workload API behind a Unix socket gives to this process.
    ///
    /// # Errors
    /// When no SVID comes within [`FIRST_SVID_WITHIN`].
    pub async fn from_socket(path: &Path) -> Result<Self, IdentityError> {
        let text = path.to_str().ok_or_else(|| IdentityError::SocketPath(path.to_owned()))?;
        Self::from_endpoint(&format!("unix://{text}"), FIRST_SVID_WITHIN).await
    }

    /// The identity that the Workload API at an endpoint (`unix:///path` or `tcp://ip:port`) gives to this process: the first,
    /// where it gives several.
    ///
    /// # Errors
    /// When the endpoint is malformed, or no SVID comes within the time.
    pub async fn from_endpoint(endpoint: &str, within: Duration) -> Result<Self, IdentityError> {
        Self::open(endpoint, within, None).await
    }

    /// One of the identities that the Workload API at an endpoint gives to this process: while it gives no such one, there is
    /// none.
    ///
    /// # Errors
    /// As [`Workload::from_endpoint`].
    pub async fn from_endpoint_as(endpoint: &str, within: Duration, id: &SpiffeId) -> Result<Self, IdentityError> {
        Self::open(endpoint, within, Some(id)).await
    }

    async fn open(endpoint: &str, within: Duration, chosen: Option<&SpiffeId>) -> Result<Self, IdentityError> {
        let parsed = Endpoint::parse(endpoint)
            .map_err(|source| IdentityError::Endpoint { endpoint: endpoint.to_owned(), source: Box::new(source) })?;
        let at = parsed.clone();
        let link = Arc::new(Link::default());
        let seen = Arc::clone(&link);
        let (svids, bundles, bytes) = MATERIAL_MAX;
        let mut builder = X509Source::builder();
        let chosen: Option<Arc<str>> = chosen.map(|id| id.as_str().into());
        if let Some(id) = &chosen {
            builder = builder.picker(Chosen(Arc::clone(id)));
        }
        let began = Stopwatch::start();
        let source = builder
            .client_factory(Arc::new(move || {
                let (endpoint, seen) = (parsed.clone(), Arc::clone(&seen));
                Box::pin(async move {
                    let client = WorkloadApiClient::connect(endpoint).await?;
                    seen.connected.store(true, Ordering::Release);
                    Ok(client)
                })
            }))
            .reconnect_backoff(RECONNECT_AFTER.0, RECONNECT_AFTER.1)
            .resource_limits(X509ResourceLimits::new(Some(svids), Some(bundles), Some(bytes)))
            .metrics(Arc::clone(&link) as Arc<dyn MetricsRecorder>)
            .initial_sync_timeout(within)
            .build()
            .await;
        match source {
            Ok(source) => {
                let bundles = Followed::begin(&at, source.updated());
                if let Held::Nothing = bundles.heard(within.saturating_sub(began.elapsed())).await {
                    let problem = "it sent no trust bundles";
                    return Err(IdentityError::NoSvid { endpoint: endpoint.to_owned(), within, problem });
                }
                Ok(Self { source, bundles, endpoint: at, link, chosen, patience: GONE_BRIEFLY })
            }
            Err(X509SourceError::InitialSyncTimeout) => {
                Err(IdentityError::NoSvid { endpoint: endpoint.to_owned(), within, problem: link.problem() })
            }
            Err(source) => Err(IdentityError::Source { endpoint: endpoint.to_owned(), source: Box::new(source) }),
        }
    }

    /// The same, which tells at once when its identity is gone, and not after [`GONE_BRIEFLY`].
    #[must_use]
    pub fn without_patience(self) -> Self {
        Self { patience: Duration::ZERO, ..self }
    }

    /// How long the identity may be gone before that is told.
    pub(in crate::identity) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The present SPIFFE ID; `None` while it is withdrawn or expired.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<SpiffeId> {
        self.source.svid().ok().and_then(|svid| svid.spiffe_id().to_string().parse().ok())
    }

    /// Every identity that the Workload API gives to this process at present, the default first.
    #[must_use]
    pub fn spiffe_ids(&self) -> Vec<SpiffeId> {
        let state = self.source.state();
        let Ok(context) = state.context() else { return Vec::new() };
        context.svids().iter().filter_map(|svid| svid.spiffe_id().to_string().parse().ok()).collect()
    }

    /// The thumbprint of the certificate that is presented at present; `None` while there is none.
    #[must_use]
    pub fn certificate_thumbprint(&self) -> Option<Thumbprint> {
        self.source.svid().ok().map(|svid| Thumbprint::of(svid.leaf().as_bytes()))
    }

    /// Whether the Workload API can be reached at the moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.connected.load(Ordering::Acquire) && self.bundles.is_connected()
    }

    /// How often reaching the Workload API, or using what came from it, has failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.link.failures.load(Ordering::Relaxed) + self.bundles.failures()
    }

    /// Tells of changes from now on.
    #[must_use]
    pub fn changes(&self) -> IdentityChanges {
        IdentityChanges { updates: self.source.updated(), bundles: self.bundles.changes() }
    }

    /// Ends the updates. What was given stays usable nowhere: everything that relies on this source fails closed.
    pub async fn close(&self) {
        self.source.shutdown().await;
    }

    pub(in crate::identity) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The X.509 trust bundles, as the Workload API tells them.
    pub(in crate::identity) const fn bundles(&self) -> &Followed<X509Feed> {
        &self.bundles
    }

    pub(in crate::identity) const fn source(&self) -> &X509Source {
        &self.source
    }

    /// Which SVID of a context is ours, also when it has expired.
    pub(in crate::identity) fn own<'a>(&self, context: &'a X509Context) -> Option<&'a Arc<X509Svid>> {
        match &self.chosen {
            None => context.default_svid(),
            Some(id) => context.svids().iter().find(|svid| svid.spiffe_id().to_string() == **id),
        }
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload").field("spiffe_id", &self.spiffe_id()).finish_non_exhaustive()
    }
}

/// Changes of SVIDs and trust bundles, as they come. What happened in between is not told apart: look at how things stand
/// after each.
#[derive(Debug, Clone)]
pub struct IdentityChanges {
    updates: X509SourceUpdates,
    bundles: Changes<X509Bundles>,
}

impl IdentityChanges {
    /// Waits for the next change; `false` when there will be none any more.
    pub async fn changed(&mut self) -> bool {
        tokio::select! {
            updated = self.updates.changed() => updated.is_ok(),
            () = self.bundles.changed() => true,
        }
    }
}

/// Picks an SVID by its SPIFFE ID.
#[derive(Debug)]
struct Chosen(Arc<str>);

impl SvidPicker for Chosen {
    fn pick_svid(&self, svids: &[Arc<X509Svid>]) -> Option<usize> {
        svids.iter().position(|svid| svid.spiffe_id().to_string() == *self.0)
    }
}

/// What is known of the connection to the Workload API, from what its client counts.
#[derive(Default)]
struct Link {
    connected: AtomicBool,
    failures: AtomicU64,
    problem: AtomicU8,
}

impl Link {
    fn problem(&self) -> &'static str {
        match self.problem.load(Ordering::Relaxed) {
            1 => "the endpoint could not be reached",
            2 => "the Workload API refused or ended the stream",
            3 => "what it sent was not usable",
            _ => "it did not answer",
        }
    }
}

impl MetricsRecorder for Link {
    fn record_update(&self) {
        self.connected.store(true, Ordering::Release);
    }

    fn record_reconnect(&self) {
        self.connected.store(false, Ordering::Release);
    }

    fn record_error(&self, kind: MetricsErrorKind) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let (lost, problem) = match kind {
            MetricsErrorKind::ClientCreation => (true, 1),
            MetricsErrorKind::StreamConnect | MetricsErrorKind::StreamError | MetricsErrorKind::StreamEnded => {
                (true, 2)
            }
            MetricsErrorKind::InitialSyncFailed => return,
            _ => (false, 3),
        };
        self.problem.store(problem, Ordering::Relaxed);
        if lost {
            self.connected.store(false, Ordering::Release);
        }
    }
}
