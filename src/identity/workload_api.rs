//! The SPIFFE Workload API as its protobuf says it: a client, and streams that are followed as they change. What trust is made
//! from comes by these and not by the library's client, which drops a whole message for one flaw in it: what that message
//! withdrew would stand.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use spiffe::transport::Endpoint;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint as HttpEndpoint};
use tonic::{Code, Request, Status, Streaming};

use super::client::{connect_unix, settings};
use super::error::IdentityError;
use super::workload::{MATERIAL_MAX, RECONNECT_AFTER};
use crate::clock::Stopwatch;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;

/// How something stands that the Workload API tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held<T> {
    /// Nothing was heard yet.
    Nothing,
    /// The Workload API gives none, or took back what it had given.
    Withdrawn,
    /// This, and nothing else.
    Given(T),
}

/// What was told last, and since when it is so.
#[derive(Debug, Clone)]
pub(in crate::identity) struct Told<T> {
    pub(in crate::identity) held: Held<T>,
    pub(in crate::identity) since: Stopwatch,
    /// Counts up with every change.
    pub(in crate::identity) revision: u64,
}

/// A stream of the Workload API: what it says, and how to ask for it.
pub(in crate::identity) trait Feed: Send + Sync + 'static {
    /// What comes of a message.
    type Given: Clone + Send + Sync + 'static;
    /// Its messages, each of which is the whole (Workload API §4.4).
    type Message: Send;
    /// For the log.
    const NAME: &'static str;

    /// Asks for the stream.
    fn open(client: Client) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;
    /// Reads a message.
    fn read(message: &Self::Message) -> Held<Self::Given>;
    /// True when a message says nothing new.
    fn is_same(old: &Self::Given, new: &Self::Given) -> bool;
}

/// What says that it is worth asking again at once.
pub(in crate::identity) trait Wakes: Send + 'static {
    /// Waits for it; `false` when there is nothing more to wait for.
    fn wait(&mut self) -> impl Future<Output = bool> + Send;
}

/// A stream that is followed until the last clone is dropped.
pub(in crate::identity) struct Followed<F: Feed> {
    told: watch::Receiver<Told<F::Given>>,
    link: Arc<Link>,
    _follower: Arc<Follower>,
}

impl<F: Feed> Clone for Followed<F> {
    fn clone(&self) -> Self {
        Self { told: self.told.clone(), link: Arc::clone(&self.link), _follower: Arc::clone(&self._follower) }
    }
}

#[derive(Debug, Default)]
struct Link {
    connected: AtomicBool,
    failures: AtomicU64,
}

struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<F: Feed> Followed<F> {
    /// Follows it from now on. Must be called within a Tokio runtime.
    pub(in crate::identity) fn begin(endpoint: &Endpoint, wakes: impl Wakes) -> Self {
        let (tell, told) = watch::channel(Told { held: Held::Nothing, since: Stopwatch::start(), revision: 0 });
        let (endpoint, link) = (endpoint.clone(), Arc::new(Link::default()));
        let state = Arc::clone(&link);
        let follower = tokio::spawn(async move { follow::<F>(&endpoint, wakes, &tell, &state).await });
        Self { told, link, _follower: Arc::new(Follower(follower.abort_handle())) }
    }

    /// How it stands now. Without the Workload API, what it said last stands.
    pub(in crate::identity) fn told(&self) -> Told<F::Given> {
        self.told.borrow().clone()
    }

    /// The number of changes so far.
    pub(in crate::identity) fn revision(&self) -> u64 {
        self.told.borrow().revision
    }

    /// Waits until something was heard, at most so long.
    pub(in crate::identity) async fn heard(&self, within: Duration) -> Held<F::Given> {
        let mut told = self.told.clone();
        let heard = async { told.wait_for(|told| !matches!(told.held, Held::Nothing)).await.map(drop) };
        let _whatever_stands_then = tokio::time::timeout(within, heard).await;
        self.told().held
    }

    /// How often the stream has ended or could not be had.
    pub(in crate::identity) fn failures(&self) -> u64 {
        self.link.failures.load(Ordering::Relaxed)
    }

    /// Whether there is such a stream at the moment.
    pub(in crate::identity) fn is_connected(&self) -> bool {
        self.link.connected.load(Ordering::Acquire)
    }

    /// Tells of changes from now on.
    pub(in crate::identity) fn changes(&self) -> Changes<F::Given> {
        let mut told = self.told.clone();
        told.mark_unchanged();
        Changes(told)
    }
}

/// Changes, as they come.
#[derive(Debug, Clone)]
pub(in crate::identity) struct Changes<T>(watch::Receiver<Told<T>>);

impl<T> Changes<T> {
    /// Waits for the next change. When there will be none any more, it waits for ever.
    pub(in crate::identity) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it stands so, at most so long.
    pub(in crate::identity) async fn come_to(&mut self, what: impl Fn(&Held<T>) -> bool, within: Duration) {
        let come = async { self.0.wait_for(|told| what(&told.held)).await.map(drop) };
        let _whatever_stands_then = tokio::time::timeout(within, come).await;
    }
}

async fn follow<F: Feed>(
    endpoint: &Endpoint,
    mut wakes: impl Wakes,
    tell: &watch::Sender<Told<F::Given>>,
    link: &Link,
) {
    let (soon, late) = RECONNECT_AFTER;
    let (mut pause, mut more) = (soon, true);
    loop {
        let ended = match stream::<F>(endpoint).await {
            Ok(mut messages) => loop {
                match messages.message().await {
                    Ok(Some(message)) => {
                        pause = soon;
                        link.connected.store(true, Ordering::Release);
                        say::<F>(tell, F::read(&message));
                    }
                    Ok(None) => break None,
                    Err(status) => break Some(status),
                }
            },
            Err(status) => Some(status),
        };
        link.connected.store(false, Ordering::Release);
        link.failures.fetch_add(1, Ordering::Relaxed);
        let code = ended.map(|status| status.code());
        tracing::debug!(?code, stream = F::NAME, "a stream of the Workload API ended");
        // These are answers; anything else is a connection that broke, which takes nothing back.
        if let Some(Code::PermissionDenied | Code::Unimplemented | Code::InvalidArgument) = code {
            say::<F>(tell, Held::Withdrawn);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(late),
            woken = wakes.wait(), if more => {
                more = woken;
                pause = soon;
            }
        }
    }
}

/// Tells it, where it is news.
fn say<F: Feed>(tell: &watch::Sender<Told<F::Given>>, held: Held<F::Given>) {
    tell.send_if_modified(|told| {
        let news = match (&told.held, &held) {
            (Held::Given(old), Held::Given(new)) => !F::is_same(old, new),
            (Held::Withdrawn, Held::Withdrawn) => false,
            _ => true,
        };
        if news {
            if let Held::Withdrawn = held {
                tracing::warn!(stream = F::NAME, "the Workload API gives nothing: nobody is trusted by it");
            }
            *told = Told { held, since: Stopwatch::start(), revision: told.revision + 1 };
        }
        news
    });
}

async fn stream<F: Feed>(endpoint: &Endpoint) -> Result<Streaming<F::Message>, Status> {
    F::open(connect(endpoint).await?).await
}

/// A client of the Workload API.
pub(in crate::identity) type Client = SpiffeWorkloadApiClient<Channel>;

/// Connects to the Workload API.
///
/// # Errors
/// `UNAVAILABLE` when it cannot be reached.
pub(in crate::identity) async fn connect(endpoint: &Endpoint) -> Result<Client, Status> {
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
pub(in crate::identity) fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
    request
}
