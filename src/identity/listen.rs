//! Many connections: a listener that shakes hands with several peers at a time, within limits, and yields those that it
//! accepted. It stops listening when what it returned is dropped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;

use super::accept::{PeerAcceptor, Refusal};
use super::connection::PeerConnection;
use super::error::HandshakeError;

/// How long a handshake may take: two round trips and a signature, with room for a bad network.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Most handshakes at a time; others wait in the kernel's queue. Each costs a peer nothing and us some memory until it ends.
pub const HANDSHAKES_MAX: usize = 512;
/// Most connections at a time. Workloads keep theirs, so this bounds workloads rather than requests.
pub const CONNECTIONS_MAX: usize = 10_000;
/// How long accepting pauses when the system has no resources for another connection.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// Accepted connections that may wait to be taken up.
const ACCEPTED_QUEUE: usize = 64;

/// Limits on what nobody has identified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenLimits {
    /// [`HANDSHAKE_WITHIN`] by default.
    pub handshake_within: Duration,
    /// [`HANDSHAKES_MAX`] by default.
    pub handshakes_max: usize,
    /// [`CONNECTIONS_MAX`] by default.
    pub connections_max: usize,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self { handshake_within: HANDSHAKE_WITHIN, handshakes_max: HANDSHAKES_MAX, connections_max: CONNECTIONS_MAX }
    }
}

/// Accepted connections as they come: what `serve_with_incoming` takes.
#[derive(Debug)]
pub struct Incoming<C> {
    accepted: mpsc::Receiver<C>,
}

impl<C> Stream for Incoming<C> {
    type Item = io::Result<C>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.accepted.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

/// Accepts workloads. Must be called within a Tokio runtime.
pub fn listen(listener: TcpListener, acceptor: PeerAcceptor, limits: ListenLimits) -> Incoming<PeerConnection> {
    let full = acceptor.clone();
    spawn(
        listener,
        limits,
        move |address| {
            full.refuse(Refusal { address: Some(address), shown: None, error: HandshakeError::TooManyConnections });
        },
        move |tcp, address, slot| {
            let acceptor = acceptor.clone();
            async move {
                let handshake = acceptor.accept(tcp, Some(address));
                let Ok(accepted) = tokio::time::timeout(limits.handshake_within, handshake).await else {
                    acceptor.refuse(Refusal { address: Some(address), shown: None, error: HandshakeError::TimedOut });
                    return None;
                };
                let mut connection = accepted?;
                connection.occupy(slot);
                Some(connection)
            }
        },
    )
}

/// Accepts, shakes hands in a task for each peer, and passes on what comes of it. `full` is told of connections above the limit.
pub(in crate::identity) fn spawn<C, H, F>(
    listener: TcpListener,
    limits: ListenLimits,
    full: impl Fn(SocketAddr) + Send + 'static,
    handshake: H,
) -> Incoming<C>
where
    C: Send + 'static,
    H: Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) -> F + Send + 'static,
    F: Future<Output = Option<C>> + Send + 'static,
{
    let (pass, accepted) = mpsc::channel(ACCEPTED_QUEUE);
    let handshakes = Arc::new(Semaphore::new(limits.handshakes_max));
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    tokio::spawn(async move {
        loop {
            let next = async {
                // INVARIANT: neither semaphore is ever closed.
                let turn = Arc::clone(&handshakes).acquire_owned().await.ok();
                (turn, listener.accept().await)
            };
            let (turn, tcp) = tokio::select! {
                () = pass.closed() => return,
                next = next => next,
            };
            let (tcp, address) = match tcp {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&connections).try_acquire_owned() else {
                full(address);
                continue;
            };
            // Without it, small answers would wait for acknowledgements; a socket that refuses it is merely slower.
            let _slower = tcp.set_nodelay(true);
            let (handshake, pass) = (handshake(tcp, address, slot), pass.clone());
            tokio::spawn(async move {
                let connection = handshake.await;
                drop(turn);
                if let Some(connection) = connection {
                    let _nobody_listens = pass.send(connection).await;
                }
            });
        }
    });
    Incoming { accepted }
}
