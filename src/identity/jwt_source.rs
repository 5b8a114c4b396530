//! What the Workload API says about JWT-SVIDs: the JWT authorities of each trust domain, followed as they change, and SVIDs of
//! our own on demand. The library's client is not used for this: it drops a whole bundle for one bad key, and reads no `use`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spiffe::transport::Endpoint;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint as HttpEndpoint};
use tonic::{Code, Request, Status};

use super::client::{connect_unix, settings};
use super::error::IdentityError;
use super::jwt_svid::JwtAuthorities;
use super::workload::{IdentityChanges, MATERIAL_MAX, RECONNECT_AFTER, Workload};
use crate::clock::Stopwatch;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::workload as pb;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;

/// The JWT authorities as the Workload API gives them, kept current until the last clone is dropped.
#[derive(Clone)]
pub struct JwtSource {
    told: watch::Receiver<Told>,
    failures: Arc<AtomicU64>,
    patience: Duration,
    _follower: Arc<Follower>,
}

/// What was told last, and since when it is so.
#[derive(Debug, Clone)]
struct Told {
    held: Held,
    since: Stopwatch,
}

/// How the JWT authorities stand.
#[derive(Debug, Clone)]
pub enum Held {
    /// Nothing was heard yet.
    Nothing,
    /// The Workload API gives none, or took back what it had given.
    Withdrawn,
    /// These, and no others.
    Given(JwtAuthorities),
}

struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl JwtSource {
    /// Follows the Workload API that gave a workload its identity. Must be called within a Tokio runtime.
    #[must_use]
    pub fn follow(workload: &Workload) -> Self {
        let (tell, told) = watch::channel(Told { held: Held::Nothing, since: Stopwatch::start() });
        let (endpoint, changes) = (workload.endpoint().clone(), workload.changes());
        let failures = Arc::new(AtomicU64::new(0));
        let failed = Arc::clone(&failures);
        let follower = tokio::spawn(async move { follow(&endpoint, changes, &tell, &failed).await });
        Self { told, failures, patience: workload.patience(), _follower: Arc::new(Follower(follower.abort_handle())) }
    }

    /// How they stand now. Without the Workload API, what it said last stands.
    #[must_use]
    pub fn held(&self) -> Held {
        self.told.borrow().held.clone()
    }

    /// Waits until something was heard, at most so long.
    pub async fn heard(&self, within: Duration) -> Held {
        let mut told = self.told.clone();
        let heard = async { told.wait_for(|told| !matches!(told.held, Held::Nothing)).await.map(drop) };
        let _whatever_stands_then = tokio::time::timeout(within, heard).await;
        self.held()
    }

    /// How often the stream has ended or could not be had.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// True while none are given, and that may change in a moment.
    pub(in crate::identity) fn is_unsettled(&self) -> bool {
        self.awaited().is_some()
    }

    /// Waits while it is so.
    pub(in crate::identity) async fn settled(&self) {
        let mut told = self.told.clone();
        while let Some(left) = self.awaited() {
            let given = told.wait_for(|told| matches!(told.held, Held::Given(_)));
            let _whatever_stands_then = tokio::time::timeout(left, given).await;
        }
    }

    fn awaited(&self) -> Option<Duration> {
        let told = self.told.borrow();
        let left = self.patience.saturating_sub(told.since.elapsed());
        (!matches!(told.held, Held::Given(_)) && !left.is_zero()).then_some(left)
    }

    /// Tells of changes from now on.
    pub(in crate::identity) fn changes(&self) -> JwtChanges {
        let mut told = self.told.clone();
        told.mark_unchanged();
        JwtChanges(told)
    }
}

/// Changes of the JWT authorities, as they come.
pub(in crate::identity) struct JwtChanges(watch::Receiver<Told>);

impl JwtChanges {
    /// Waits for the next change.
    pub(in crate::identity) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for JwtSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSource").field("told", &*self.told.borrow()).finish_non_exhaustive()
    }
}

/// Follows for ever; each message is the whole (Workload API §4.4). Whoever is given another identity asks again at once: with
/// an identity that was gone, its JWT bundles were too.
async fn follow(endpoint: &Endpoint, mut changes: IdentityChanges, tell: &watch::Sender<Told>, failures: &AtomicU64) {
    let (soon, late) = RECONNECT_AFTER;
    let (mut pause, mut more) = (soon, true);
    loop {
        let ended = match stream(endpoint).await {
            Ok(mut bundles) => loop {
                match bundles.message().await {
                    Ok(Some(message)) => {
                        pause = soon;
                        tell.send_replace(Told { held: Held::Given(authorities(&message)), since: Stopwatch::start() });
                    }
                    Ok(None) => break None,
                    Err(status) => break Some(status),
                }
            },
            Err(status) => Some(status),
        };
        failures.fetch_add(1, Ordering::Relaxed);
        let code = ended.map(|status| status.code());
        tracing::debug!(?code, "the stream of JWT bundles ended");
        // These are answers; anything else is a connection that broke, which takes nothing back.
        if let Some(code @ (Code::PermissionDenied | Code::Unimplemented | Code::InvalidArgument)) = code {
            tell.send_if_modified(|told| {
                let news = !matches!(told.held, Held::Withdrawn);
                if news {
                    tracing::warn!(?code, "the Workload API gives no JWT bundles: no JWT-SVID is accepted");
                    *told = Told { held: Held::Withdrawn, since: Stopwatch::start() };
                }
                news
            });
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(late),
            changed = changes.changed(), if more => {
                more = changed;
                pause = soon;
            }
        }
    }
}

async fn stream(endpoint: &Endpoint) -> Result<tonic::Streaming<pb::JwtBundlesResponse>, Status> {
    let mut client = connect(endpoint).await?;
    Ok(client.fetch_jwt_bundles(asked(pb::JwtBundlesRequest {})).await?.into_inner())
}

fn authorities(message: &pb::JwtBundlesResponse) -> JwtAuthorities {
    let (_, bundles_max, bytes_max) = MATERIAL_MAX;
    let named = message.bundles.iter().filter_map(|(id, keys)| {
        let name = id.parse::<SpiffeId>().ok().filter(|id| id.path().is_empty()).map(|id| id.trust_domain());
        let text = std::str::from_utf8(keys).ok().filter(|text| text.len() <= bytes_max);
        if name.is_none() || text.is_none() {
            // Whatever it was, its trust domain has no keys from now on.
            tracing::warn!(trust_domain = ?id, bytes = keys.len(), "a JWT bundle is of no use: it has no name, is no text, or too large");
        }
        Some((name?, text?))
    });
    if message.bundles.len() > bundles_max {
        tracing::warn!(
            bundles = message.bundles.len(),
            bundles_max,
            "there are too many JWT bundles: some are left out"
        );
    }
    JwtAuthorities::of(named.take(bundles_max).collect::<Vec<(TrustDomain, &str)>>())
}

/// A JWT-SVID that the Workload API gave us to show to somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnJwtSvid {
    /// Whom it names.
    pub spiffe_id: String,
    /// The token: a secret for as long as it lives.
    pub token: String,
    /// What the Workload API says it is for.
    pub hint: String,
}

impl fmt::Debug for OwnJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnJwtSvid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}

/// Asks the Workload API for JWT-SVIDs for these audiences: of one identity, or of all that are ours.
///
/// # Errors
/// As the Workload API answers.
pub async fn fetch_jwt_svids(
    workload: &Workload,
    audience: Vec<String>,
    spiffe_id: String,
) -> Result<Vec<OwnJwtSvid>, Status> {
    let mut client = connect(workload.endpoint()).await?;
    let answer = client.fetch_jwtsvid(asked(pb::JwtsvidRequest { audience, spiffe_id })).await?.into_inner();
    let own = |svid: pb::Jwtsvid| OwnJwtSvid { spiffe_id: svid.spiffe_id, token: svid.svid, hint: svid.hint };
    Ok(answer.svids.into_iter().map(own).collect())
}

async fn connect(endpoint: &Endpoint) -> Result<SpiffeWorkloadApiClient<Channel>, Status> {
    let unreachable = |error: IdentityError| Status::unavailable(error.to_string());
    let channel = match endpoint {
        Endpoint::Unix(path) => connect_unix(path).await.map_err(unreachable)?,
        Endpoint::Tcp { host, port } => {
            let target = std::net::SocketAddr::new(*host, *port).to_string();
            let http = HttpEndpoint::from_shared(format!("http://{target}"));
            let http = http.map_err(|_| unreachable(IdentityError::Target(target.clone())))?;
            let connected = settings(http).connect().await;
            connected.map_err(|source| unreachable(IdentityError::Connect { target, source: Box::new(source) }))?
        }
        other => return Err(unreachable(IdentityError::Target(format!("{other:?}")))),
    };
    let (_, bundles_max, bytes_max) = MATERIAL_MAX;
    Ok(SpiffeWorkloadApiClient::new(channel).max_decoding_message_size(bundles_max.saturating_mul(bytes_max)))
}

/// Every call carries this (Workload API §4.1).
fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
    request
}
