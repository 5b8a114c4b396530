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
use crate::broker::caller::UnprovenRefusal;
use crate::grpc::door::Door;
use crate::http::{pages, serve};
use crate::identity::accept::{PeerAcceptor, RefusalHook};
use crate::identity::error::HandshakeError;
use crate::identity::https::{ServerCertificate, listen_tls};
use crate::identity::jwt_svid::DoorRules;
use crate::identity::listen::{ListenLimits, listen};
use crate::identity::serve::each as serve_each;
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

/// The door of those who only read keys, health and metrics.
#[derive(Debug)]
pub struct HttpsDoor {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it presents.
    pub certificate: ServerCertificate,
    /// How long a handshake may take.
    pub handshake_within: Duration,
}

/// The door of those who show a token: server TLS, gRPC.
#[derive(Debug)]
pub struct BearerDoor {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it presents.
    pub certificate: ServerCertificate,
    /// What a JWT-SVID is held against.
    pub rules: DoorRules,
    /// How long a handshake may take.
    pub handshake_within: Duration,
}

/// The door of people: server TLS, gRPC.
#[derive(Debug)]
pub struct PeopleDoor {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it presents.
    pub certificate: ServerCertificate,
    /// How long a handshake may take.
    pub handshake_within: Duration,
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
/// How long a connection to that door may stay, so that no place is held for ever.
const BEARER_CONNECTION_AGE: Duration = Duration::from_secs(600);

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
    serve_each(connections, ended(ending), move |connection, wind_down| grpc(connection, door.clone(), wind_down))
        .await;
}

/// Serves those who show a token until `ending`; returns when their requests have finished.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn bearers(
    at: BearerDoor,
    door: Door,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    shown(at.listener, &at.certificate, at.handshake_within, door, ending)
}

/// Serves people until `ending`; returns when their requests have finished.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn people(
    at: PeopleDoor,
    door: Door,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    shown(at.listener, &at.certificate, at.handshake_within, door, ending)
}

/// Serves gRPC over server TLS, where each request shows its token.
fn shown(
    listener: TcpListener,
    certificate: &ServerCertificate,
    handshake_within: Duration,
    door: Door,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    let tls = certificate.tls(&[b"h2"])?;
    let limits = ListenLimits {
        handshake_within,
        connections_max: BEARER_CONNECTIONS_MAX,
        connections_per_host_max: BEARER_CONNECTIONS_PER_HOST_MAX,
        ..ListenLimits::default()
    };
    Ok(async move {
        let connections = listen_tls(listener, tls, limits);
        serve_grpc(builder().max_connection_age(BEARER_CONNECTION_AGE), connections, door, ended(ending)).await;
    })
}

/// Serves gRPC on these connections until `end`; returns when their requests have finished.
pub(in crate::server) async fn grpc<S, C>(connections: S, door: Door, end: impl Future<Output = ()>)
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    serve_grpc(builder(), connections, door, end).await;
}

fn builder() -> Server {
    Server::builder()
        .timeout(REQUEST_WITHIN)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PONG_WITHIN))
}

async fn serve_grpc<S, C>(server: Server, connections: S, door: Door, end: impl Future<Output = ()>)
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let served = server.serve_with_incoming_shutdown(door, connections, end).await;
    if let Err(error) = served {
        tracing::error!(error = &error as &dyn std::error::Error, "a door closed by itself");
    }
}

/// Serves the pages until `ending`; returns when their requests have finished.
///
/// # Errors
/// When TLS cannot be set up.
pub(in crate::server) fn https(
    door: HttpsDoor,
    pages: pages::Pages,
    ending: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + 'static, ServerError> {
    let tls = door.certificate.tls(&[b"http/1.1"])?;
    let limits = ListenLimits {
        handshake_within: door.handshake_within,
        connections_max: HTTPS_CONNECTIONS_MAX,
        connections_per_host_max: HTTPS_CONNECTIONS_PER_HOST_MAX,
        ..ListenLimits::default()
    };
    let router = pages::router(pages);
    Ok(async move {
        let connections = listen_tls(door.listener, tls, limits);
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
