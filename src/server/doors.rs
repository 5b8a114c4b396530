//! The doors that are served: where they listen, and what comes through them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::broker::Broker;
use crate::broker::caller::{HANDSHAKE, UnprovenRefusal};
use crate::grpc::door::Door;
use crate::grpc::line::Line;
use crate::http::{pages, serve};
use crate::identity::accept::{PeerAcceptor, RefusalHook};
use crate::identity::error::HandshakeError;
use crate::identity::https::{ServerCertificate, Stay, listen_tls};
use crate::identity::jwt_svid::JwtSvidRules;
use crate::identity::listen::{ListenLimits, listen};
use crate::identity::serve::{Alone, Served, WindDown, each as serve_each};
use crate::identity::trust::Trust;
use crate::metrics::{Connection, Metrics};
use crate::server::error::ServerError;

/// The door of workloads.
#[derive(Debug)]
pub struct WorkloadDoor {
    /// Where it listens.
    pub listener: TcpListener,
    /// How many may knock, and for how long.
    pub limits: ListenLimits,
}

/// A door over server TLS, which asks for no certificate.
#[derive(Debug)]
pub struct TlsDoor {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it presents.
    pub certificate: ServerCertificate,
    /// How long a handshake may take.
    pub handshake_within: Duration,
}

/// The door of those who show a token.
#[derive(Debug)]
pub struct BearerDoor {
    /// Where, and what it presents.
    pub door: TlsDoor,
    /// What a JWT-SVID is held against.
    pub rules: JwtSvidRules,
}

/// How long a unary request may take, or a stream to begin: far longer than any commit, shorter than a client's patience.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Streams of one connection at a time; above it a client waits. Each may hold a message that is still being read.
const STREAMS_MAX: u32 = 256;
/// Largest list of request headers, in bytes: a token in them may have half of it.
const HEADERS_BYTES_MAX: u32 = 16 << 10;
/// How often a silent peer is asked whether it is still there, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// Connections to the HTTPS door at a time: a few scrapers, probes and verifiers.
pub(in crate::server) const HTTPS_CONNECTIONS_MAX: usize = 1024;
/// Of these, connections of one host: nobody has proven anything at that door.
const HTTPS_CONNECTIONS_PER_HOST_MAX: usize = 64;

/// Connections to the door for tokens, and to that for people, at a time: their callers come through a few proxies, or are few.
pub(in crate::server) const BEARER_CONNECTIONS_MAX: usize = 1024;
/// Of these, connections of one host: a connection proves nothing there.
const BEARER_CONNECTIONS_PER_HOST_MAX: usize = 256;
/// What is borne of a connection there. A client that connects has something to ask, and shows its token with it; of those that
/// have shown none there may be half as many as connections. A connection that comes of age is wound down, so that no place is
/// held for ever.
const STAY: Stay = Stay {
    proof_within: Duration::from_secs(10),
    unproven_max: BEARER_CONNECTIONS_MAX / 2,
    unproven_per_host_max: BEARER_CONNECTIONS_PER_HOST_MAX / 2,
    refusals_max: 32,
    lingers: Duration::from_secs(60),
    age_max: Duration::from_secs(600),
};

/// How long a connection on which nothing was ever answered is waited for when it is wound down: its client has been told.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// The same where something was answered and no call is open: the last answer may still be on its way to a client that takes it in
/// slowly. One that has taken it all, and answers, ends by itself.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// Serves workloads until `ending`; returns when their requests have finished. Each connection is served by itself: it is wound
/// down in good time before its SVID ends, so that its client opens the next one without losing a request.
pub(in crate::server) async fn workloads(
    at: WorkloadDoor,
    door: Door,
    acceptor: PeerAcceptor,
    metrics: Metrics,
    ending: watch::Receiver<bool>,
) {
    let connections = listen(at.listener, acceptor, at.limits).map(move |connection| {
        metrics.connected(Connection::Accepted);
        connection
    });
    grpc(connections, door, ending).await;
}

/// Serves those who show a token with each request, until `ending`; returns when their requests have finished.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn shown(
    at: TlsDoor,
    door: Door,
    metrics: &Metrics,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    let tls = at.certificate.tls(&[b"h2"])?;
    let limits = limits(&at, BEARER_CONNECTIONS_MAX, BEARER_CONNECTIONS_PER_HOST_MAX);
    let refused = counted(metrics);
    Ok(async move {
        let connections = listen_tls(at.listener, tls, limits, Some(STAY), refused);
        grpc(connections, door, ending).await;
    })
}

fn limits(at: &TlsDoor, connections_max: usize, connections_per_host_max: usize) -> ListenLimits {
    let handshake_within = at.handshake_within;
    ListenLimits { handshake_within, connections_max, connections_per_host_max, ..ListenLimits::default() }
}

/// Counts connections that are above a limit. Failed handshakes are no news where anybody may try one.
fn counted(metrics: &Metrics) -> RefusalHook {
    let metrics = metrics.clone();
    Arc::new(move |refusal| {
        if let HandshakeError::TooManyConnections = refusal.error {
            metrics.refused(refusal.reason());
        }
    })
}

/// Serves gRPC on these connections until `ending`, each by itself; returns when their requests have finished.
pub(in crate::server) async fn grpc<S, C>(connections: S, door: Door, ending: watch::Receiver<bool>)
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Served + Unpin + Send + 'static,
{
    serve_each(connections, ended(ending), move |connection, wind_down| alone(connection, door.clone(), wind_down))
        .await;
}

/// Serves one connection until it is over, or was wound down and has nothing to do.
async fn alone<C>(connection: Alone<C>, door: Door, wind_down: WindDown)
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let line = Line::default();
    let winding = line.clone();
    let sign = async move {
        wind_down.await;
        winding.wind_down();
    };
    let server = Server::builder()
        .timeout(REQUEST_WITHIN)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PONG_WITHIN))
        .serve_with_incoming_shutdown(door.over(line.clone()), connection, sign);
    let idle = async {
        line.wound_down().await;
        line.idle_for(SILENT_FOR, IDLE_FOR).await;
    };
    tokio::select! {
        served = server => {
            if let Err(error) = served {
                tracing::error!(error = &error as &dyn std::error::Error, "a connection could not be served");
            }
        }
        () = idle => tracing::debug!("a connection that was wound down had nothing to do"),
    }
}

/// Serves the pages until `ending`; returns when their requests have finished.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn https(
    at: TlsDoor,
    pages: pages::Pages,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + 'static, ServerError> {
    let tls = at.certificate.tls(&[b"http/1.1"])?;
    let limits = limits(&at, HTTPS_CONNECTIONS_MAX, HTTPS_CONNECTIONS_PER_HOST_MAX);
    let refused = counted(&pages.metrics);
    let router = pages::router(pages);
    Ok(async move {
        let connections = listen_tls(at.listener, tls, limits, None, refused);
        serve::serve(connections, HTTPS_CONNECTIONS_MAX / 2, router, ending).await;
    })
}

/// Shakes hands with workloads. Refused certificates go on record, counted together; all refusals are counted.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn acceptor(
    trust: &Trust,
    broker: &Broker,
    metrics: &Metrics,
) -> Result<PeerAcceptor, ServerError> {
    let (broker, metrics) = (broker.clone(), metrics.clone());
    let refused: RefusalHook = Arc::new(move |refusal| {
        metrics.connected(Connection::Refused);
        metrics.refused(refusal.reason());
        tracing::debug!(address = ?refusal.address, error = %refusal.error, "a connection was refused");
        if let HandshakeError::Svid(_) = refusal.error {
            broker.note_unproven(&UnprovenRefusal {
                shown: refusal.shown.as_ref().map(ToString::to_string),
                rpc: HANDSHAKE,
                code: refusal.reason(),
                peer_address: refusal.address,
            });
        }
    });
    Ok(PeerAcceptor::new(trust, refused)?)
}

/// Resolves when `ending` turns true, or when nobody is left to say so.
pub(in crate::server) async fn ended(mut ending: watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}
