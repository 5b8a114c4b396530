//! Connections over server TLS through which something has to be shown: how long those that show nothing are borne, and how many.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carnet::identity::accept::Refusal;
use carnet::identity::error::HandshakeError;
use carnet::identity::https::{Remote, ServerCertificate, Stay, TlsConnection, listen_tls};
use carnet::identity::listen::{Incoming, ListenLimits};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected as _;

use crate::support::pki::{DOMAIN, HOUR, Pki, client_config, refusals, soon};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than any test.
const PATIENT: Stay = Stay {
    proof_within: HOUR,
    unproven_max: 100,
    unproven_per_host_max: 100,
    refusals_max: 3,
    lingers: HOUR,
    age_max: HOUR,
};

struct DoorOf {
    _pki: Pki,
    _api: carnet::dev::workload_api::WorkloadApi,
    at: SocketAddr,
    incoming: Incoming<TlsConnection>,
    refused: mpsc::UnboundedReceiver<Refusal>,
}

impl DoorOf {
    async fn open(stay: Stay) -> Self {
        Self::open_within(stay, ListenLimits::default()).await
    }

    async fn open_within(stay: Stay, limits: ListenLimits) -> Self {
        let pki = Pki::new();
        let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
        let tls = ServerCertificate::Svid(trust).tls(&[b"h2"]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (hook, refused) = refusals();
        let incoming = listen_tls(listener, tls, limits, Some(stay), hook);
        Self { _pki: pki, _api: api, at, incoming, refused }
    }

    /// A peer that says nothing, and what the door knows of it. Somebody reads what it would say.
    async fn silent(&mut self) -> (TlsStream<TcpStream>, Remote) {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(None)));
        let tcp = TcpStream::connect(self.at).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let (near, far) = soon(async { tokio::join!(connector.connect(name, tcp), self.incoming.next()) }).await;
        let mut far = far.unwrap().unwrap();
        let remote = far.connect_info();
        tokio::spawn(async move { far.read(&mut [0]).await });
        (near.unwrap(), remote)
    }
}

async fn is_closed(peer: &mut TlsStream<TcpStream>) {
    // However it was closed.
    let _end = soon(peer.read(&mut [0])).await;
}

async fn is_open(peer: &mut TlsStream<TcpStream>) -> bool {
    tokio::time::timeout(Duration::from_millis(50), peer.read(&mut [0])).await.is_err()
}

#[tokio::test]
async fn who_shows_nothing_for_a_while_is_sent_away() {
    let mut door = DoorOf::open(Stay { proof_within: Duration::from_millis(100), ..PATIENT }).await;
    let (mut shows, remote) = door.silent().await;
    remote.proved();
    let (mut silent, _) = door.silent().await;
    is_closed(&mut silent).await;
    assert!(is_open(&mut shows).await, "control");
}

#[tokio::test]
async fn of_those_who_have_shown_nothing_the_oldest_gives_way() {
    let mut door = DoorOf::open(Stay { unproven_max: 2, ..PATIENT }).await;
    let (mut shows, remote) = door.silent().await;
    remote.proved();
    // What it proved is known once whoever watches over it was told.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (mut first, _) = door.silent().await;
    let (mut second, _) = door.silent().await;
    let (_third, _) = door.silent().await;
    is_closed(&mut first).await;
    let refusal = soon(door.refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TooManyConnections), "{:?}", refusal.error);
    assert!(is_open(&mut second).await && is_open(&mut shows).await);
}

#[tokio::test]
async fn who_says_nothing_does_not_take_the_places_of_others_behind_the_same_address() {
    let mut door = DoorOf::open(Stay { unproven_per_host_max: 2, ..PATIENT }).await;
    let (mut first, _) = door.silent().await;
    let (mut second, _) = door.silent().await;
    assert!(is_open(&mut first).await && is_open(&mut second).await, "control");
    let (mut third, remote) = door.silent().await;
    remote.proved();
    is_closed(&mut first).await;
    assert!(is_open(&mut second).await && is_open(&mut third).await);
}

#[tokio::test]
async fn the_last_place_of_an_address_is_for_whoever_shows_something() {
    for limits in [
        ListenLimits { connections_per_host_max: 3, ..ListenLimits::default() },
        ListenLimits { connections_max: 3, ..ListenLimits::default() },
    ] {
        let mut door = DoorOf::open_within(PATIENT, limits).await;
        let (mut one, remote) = door.silent().await;
        remote.proved();
        let (mut other, remote) = door.silent().await;
        remote.proved();
        // What they proved is known once whoever watches over them was told.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (mut silent, _) = door.silent().await;
        let (mut late, remote) = door.silent().await;
        remote.proved();
        is_closed(&mut silent).await;
        assert!(is_open(&mut one).await && is_open(&mut other).await && is_open(&mut late).await);
    }
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_keeps_its_connection() {
    let mut door = DoorOf::open(Stay { age_max: SHORT, lingers: SHORT, ..PATIENT }).await;
    let (mut exports, remote) = door.silent().await;
    remote.proved();
    let lasting = remote.lasting();
    tokio::time::sleep(SHORT * 10).await;
    assert!(is_open(&mut exports).await);
    drop(lasting);
    is_closed(&mut exports).await;
}

#[tokio::test]
async fn a_proof_that_comes_while_the_connection_is_wound_down_counts() {
    let mut door = DoorOf::open(Stay { proof_within: Duration::from_millis(100), ..PATIENT }).await;
    let (mut late, remote) = door.silent().await;
    let (mut silent, _) = door.silent().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    remote.proved();
    is_closed(&mut silent).await;
    assert!(is_open(&mut late).await, "a request is on its way");
}

#[tokio::test]
async fn who_is_refused_again_and_again_is_sent_away() {
    let mut door = DoorOf::open(PATIENT).await;
    let (mut tries, refused) = door.silent().await;
    let (mut lucky, shown) = door.silent().await;
    for _ in 0..2 {
        refused.refused();
        shown.refused();
    }
    shown.proved();
    refused.refused();
    shown.refused();
    is_closed(&mut tries).await;
    assert!(is_open(&mut lucky).await, "not in a row");
}
