//! Many connections: a listener that shakes hands with several peers at a time, within limits, and yields those that it
//! accepted. It stops listening when what it returned is dropped.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::Stream;

use super::accept::{PeerAcceptor, Refusal};
use super::connection::PeerConnection;
use super::crowd::{Places, Seat, UnderWay, host};
use super::error::HandshakeError;
use crate::model::limits::{CONNECTIONS_DEFAULT, HANDSHAKE_SECONDS_DEFAULT};
use crate::model::spiffe_id::SpiffeId;

/// How long a handshake may take.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(HANDSHAKE_SECONDS_DEFAULT);
/// Most handshakes at a time. Each costs a peer nothing and us some memory until it ends; above it the oldest is given up.
pub const HANDSHAKES_MAX: usize = 512;
/// Most handshakes at a time with one host: a fraction of all, and enough for a node whose workloads all come back at once.
/// Above it that host's oldest is given up: others may be behind the same address.
pub const HANDSHAKES_PER_HOST_MAX: usize = 64;
/// The part of all connections that one SPIFFE ID may have: its replicas share it.
pub const IDENTITY_PART: usize = 4;
/// How long accepting pauses when the system has no resources for another connection.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// How long a connection that was given up may take to leave its seat, and how often is looked for that.
const FREED_WITHIN: Duration = Duration::from_millis(500);
const FREED_LOOKS: u32 = 50;
/// Accepted connections that may wait to be taken up.
const ACCEPTED_QUEUE: usize = 64;

/// Limits on connections, and on what nobody has identified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenLimits {
    /// [`HANDSHAKE_WITHIN`] by default.
    pub handshake_within: Duration,
    /// [`HANDSHAKES_MAX`] by default.
    pub handshakes_max: usize,
    /// [`HANDSHAKES_PER_HOST_MAX`] by default.
    pub handshakes_per_host_max: usize,
    /// [`CONNECTIONS_DEFAULT`] by default.
    pub connections_max: usize,
    /// No limit by default: where an SVID is asked for, connections are limited by identity.
    pub connections_per_host_max: usize,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            handshake_within: HANDSHAKE_WITHIN,
            handshakes_max: HANDSHAKES_MAX,
            handshakes_per_host_max: HANDSHAKES_PER_HOST_MAX,
            connections_max: CONNECTIONS_DEFAULT as usize,
            connections_per_host_max: usize::MAX,
        }
    }
}

/// A connection that came of a handshake.
pub(in crate::identity) trait Accepted: Send + 'static {
    /// Who proved itself by it, where somebody did.
    fn identity(&self) -> Option<&SpiffeId>;

    /// Keeps a seat for as long as the connection lives.
    fn occupy(&mut self, seat: Seat);
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
        // Every connection is somebody's.
        |_| None,
        move |tcp, address| {
            let acceptor = acceptor.clone();
            async move {
                let handshake = acceptor.accept(tcp, Some(address));
                let Ok(accepted) = tokio::time::timeout(limits.handshake_within, handshake).await else {
                    acceptor.refuse(Refusal { address: Some(address), shown: None, error: HandshakeError::TimedOut });
                    return None;
                };
                accepted
            }
        },
    )
}

/// Accepts, shakes hands in a task for each peer, and passes on what comes of it. `full` is told of connections above a limit;
/// `give_up` gives up a connection that nobody would miss, of that host or of any, and tells where it came from.
pub(in crate::identity) fn spawn<C, H, F>(
    listener: TcpListener,
    limits: ListenLimits,
    full: impl Fn(SocketAddr) + Send + Sync + 'static,
    give_up: impl Fn(Option<IpAddr>) -> Option<SocketAddr> + Send + 'static,
    handshake: H,
) -> Incoming<C>
where
    C: Accepted,
    H: Fn(TcpStream, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Option<C>> + Send + 'static,
{
    let (pass, accepted) = mpsc::channel(ACCEPTED_QUEUE);
    let seats = Arc::new(Seats::new(limits));
    let under_way = UnderWay::default();
    let full = Arc::new(full);
    tokio::spawn(async move {
        for n in 0.. {
            let tcp = tokio::select! {
                () = pass.closed() => return,
                next = listener.accept() => next,
            };
            let (tcp, address) = match tcp {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
            };
            let host = host(address);
            let crowded = match seats.left(host) {
                Left::Some => None,
                Left::NoneOfHost => Some(give_up(Some(host))),
                Left::None => Some(give_up(None)),
            };
            if let Some(instead) = crowded {
                full(instead.unwrap_or(address));
                if instead.is_none() {
                    continue;
                }
            }
            let given_up = under_way.make_room(Some(host), limits.handshakes_per_host_max);
            if let Some(given_up) = given_up.or_else(|| under_way.make_room(None, limits.handshakes_max)) {
                full(given_up);
            }
            // Without it, small answers would wait for acknowledgements; a socket that refuses it is merely slower.
            let _slower = tcp.set_nodelay(true);
            let (handshake, pass) = (handshake(tcp, address), pass.clone());
            let (seats, full, shaken) = (Arc::clone(&seats), Arc::clone(&full), under_way.clone());
            let shake = async move {
                let ending = shaken.ending(n);
                let connection = handshake.await;
                drop(ending);
                let Some(connection) = connection else { return };
                if crowded.is_some() {
                    seats.freed(host).await;
                }
                match seats.seat(connection, host) {
                    Ok(connection) => {
                        let _nobody_listens = pass.send(connection).await;
                    }
                    Err(NoSeatError) => full(address),
                }
            };
            under_way.begin(n, address, || tokio::spawn(shake).abort_handle());
        }
    });
    Incoming { accepted }
}

/// What open connections take up.
struct Seats {
    connections: Arc<Semaphore>,
    hosts: Places<IpAddr>,
    identities: Places<SpiffeId>,
}

/// Whether another connection would have a seat.
enum Left {
    Some,
    NoneOfHost,
    None,
}

/// There are as many connections as are allowed: in all, from this host, or of this identity.
struct NoSeatError;

impl Seats {
    fn new(limits: ListenLimits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            hosts: Places::new(limits.connections_per_host_max),
            identities: Places::new((limits.connections_max / IDENTITY_PART).max(1)),
        }
    }

    /// Without one a handshake would be for nothing.
    fn left(&self, host: IpAddr) -> Left {
        match self.hosts.take(host) {
            None => Left::NoneOfHost,
            Some(_) if self.connections.available_permits() == 0 => Left::None,
            Some(_) => Left::Some,
        }
    }

    /// Waits for the seat of a connection that was given up, which takes a moment to end.
    async fn freed(&self, host: IpAddr) {
        for _ in 0..FREED_LOOKS {
            if let Left::Some = self.left(host) {
                return;
            }
            tokio::time::sleep(FREED_WITHIN / FREED_LOOKS).await;
        }
    }

    fn seat<C: Accepted>(&self, mut connection: C, host: IpAddr) -> Result<C, NoSeatError> {
        let identity = match connection.identity() {
            Some(id) => Some(self.identities.take(id.clone()).ok_or(NoSeatError)?),
            None => None,
        };
        let host = self.hosts.take(host).ok_or(NoSeatError)?;
        let permit = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| NoSeatError)?;
        connection.occupy(Seat { _connection: permit, _host: host, _identity: identity });
        Ok(connection)
    }
}
