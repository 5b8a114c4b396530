//! What the Workload API says about JWT-SVIDs: the JWT authorities of each trust domain, followed as they change, and SVIDs of
//! our own on demand. The library's client is not used for this: it drops a whole bundle for one bad key, and reads no `use`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use spiffe::transport::Endpoint;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint as HttpEndpoint};
use tonic::{Code, Request, Status};

use super::client::{CONNECT_WITHIN, connect_unix};
use super::error::IdentityError;
use super::jwt_svid::JwtAuthorities;
use super::workload::{MATERIAL_MAX, RECONNECT_AFTER, Workload};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::workload as pb;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;

/// The JWT authorities as the Workload API gives them, kept current until the last clone is dropped.
#[derive(Clone)]
pub struct JwtSource {
    held: watch::Receiver<Held>,
    _follower: Arc<Follower>,
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
        let (tell, held) = watch::channel(Held::Nothing);
        let endpoint = workload.endpoint().clone();
        let follower = tokio::spawn(async move { follow(&endpoint, &tell).await });
        Self { held, _follower: Arc::new(Follower(follower.abort_handle())) }
    }

    /// How they stand now. Without the Workload API, what it said last stands.
    #[must_use]
    pub fn held(&self) -> Held {
        self.held.borrow().clone()
    }

    /// Waits until something was heard, at most so long.
    pub async fn heard(&self, within: Duration) -> Held {
        let mut held = self.held.clone();
        let heard = async { held.wait_for(|held| !matches!(held, Held::Nothing)).await.map(drop) };
        let _whatever_stands_then = tokio::time::timeout(within, heard).await;
        self.held()
    }
}

impl fmt::Debug for JwtSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSource").field("held", &*self.held.borrow()).finish_non_exhaustive()
    }
}

/// Follows for ever; each message is the whole (Workload API §4.4).
async fn follow(endpoint: &Endpoint, tell: &watch::Sender<Held>) {
    let (soon, late) = RECONNECT_AFTER;
    let mut pause = soon;
    loop {
        let ended = match stream(endpoint).await {
            Ok(mut bundles) => loop {
                match bundles.message().await {
                    Ok(Some(message)) => {
                        pause = soon;
                        tell.send_replace(Held::Given(authorities(&message)));
                    }
                    Ok(None) => break None,
                    Err(status) => break Some(status),
                }
            },
            Err(status) => Some(status),
        };
        if let Some(status) = ended {
            tracing::debug!(code = ?status.code(), "the stream of JWT bundles ended");
            // These are answers; anything else is a connection that broke, which takes nothing back.
            if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented | Code::InvalidArgument) {
                tell.send_replace(Held::Withdrawn);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(late);
    }
}

async fn stream(endpoint: &Endpoint) -> Result<tonic::Streaming<pb::JwtBundlesResponse>, Status> {
    let mut client = connect(endpoint).await?;
    Ok(client.fetch_jwt_bundles(asked(pb::JwtBundlesRequest {})).await?.into_inner())
}

fn authorities(message: &pb::JwtBundlesResponse) -> JwtAuthorities {
    let (_, bundles_max, bytes_max) = MATERIAL_MAX;
    let named = message.bundles.iter().filter_map(|(id, keys)| {
        let name = id.parse::<SpiffeId>().ok().filter(|id| id.path().is_empty())?.trust_domain();
        (keys.len() <= bytes_max).then_some(())?;
        Some((name, std::str::from_utf8(keys).ok()?))
    });
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
            let connected = http.connect_timeout(CONNECT_WITHIN).connect().await;
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
