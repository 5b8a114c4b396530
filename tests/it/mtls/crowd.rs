//! Many at the door: what nobody has proven anything for is limited by host, and what an SVID was shown for by identity.

use std::sync::Arc;

use carnet::identity::accept::PeerAcceptor;
use carnet::identity::client::Dialer;
use carnet::identity::error::HandshakeError;
use carnet::identity::https::{ServerCertificate, listen_tls};
use carnet::identity::listen::{ListenLimits, listen};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

use super::{Server, broker, request};
use crate::support::pki::{DOMAIN, HOUR, Pki, client_config, id, refusals, soon};

#[tokio::test]
async fn who_proves_nothing_takes_no_place_from_those_who_do() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_agent_api, agent) = pki.workload("/agent").await;
    let limits = ListenLimits { handshakes_max: 4, handshakes_per_host_max: 100, connections_max: 6, ..SLOW };
    let mut server = Server::start(&trust, limits).await;
    let open = server.channel(&agent).await;
    request(&open).await.unwrap();
    // Strangers who say nothing: of them the oldest gives way.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&server.address).await.unwrap());
    }
    assert_eq!(soon(silent[0].read(&mut [0])).await.unwrap(), 0, "the oldest was given up");
    let refusal = soon(server.refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TooManyConnections), "{:?}", refusal.error);
    request(&open).await.unwrap();
    let (_late_api, late) = pki.workload("/late").await;
    request(&server.channel(&late).await).await.unwrap();
}

#[tokio::test]
async fn one_host_has_a_part_of_the_handshakes() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_agent_api, agent) = pki.workload("/agent").await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hook, mut refused) = refusals();
    let limits = ListenLimits { handshakes_per_host_max: 3, ..SLOW };
    let mut incoming = listen(listener, PeerAcceptor::new(&trust, hook).unwrap(), limits);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let refusal = soon(refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TooManyConnections), "{:?}", refusal.error);
    assert!(refusal.address.is_some_and(|address| address.ip().to_string() == "127.0.0.1"));
    // From another host nothing is in the way.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let tcp = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let config = Arc::new(client_config(Some(&pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap())));
    let connector = tokio_rustls::TlsConnector::from(config);
    let name = rustls_pki_types::ServerName::try_from("carnet.test").unwrap();
    let (near, far) = soon(async { tokio::join!(connector.connect(name, tcp), incoming.next()) }).await;
    assert_eq!(far.unwrap().unwrap().peer().spiffe_id(), agent.spiffe_id().as_ref().unwrap());
    near.unwrap();
    // From the same one whoever means to shake hands gets in all the same.
    assert_eq!(soon(silent[0].read(&mut [0])).await.unwrap(), 0, "the oldest was given up");
    let dialer = Dialer::new(&format!("127.0.0.1:{port}"), &agent, broker()).unwrap();
    let (dialed, _) = soon(async { tokio::join!(dialer.dial(), incoming.next()) }).await;
    dialed.unwrap();
}

/// Peers that say nothing are borne for longer than the test takes.
const SLOW: ListenLimits = ListenLimits {
    handshake_within: HOUR,
    handshakes_max: 512,
    handshakes_per_host_max: 64,
    connections_max: 1000,
    connections_per_host_max: usize::MAX,
};

#[tokio::test]
async fn one_identity_has_a_part_of_the_connections() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_agent_api, agent) = pki.workload("/agent").await;
    let (_other_api, other) = pki.workload("/other").await;
    let mut server = Server::start(&trust, ListenLimits { connections_max: 8, ..SLOW }).await;
    let held = [server.channel(&agent).await, server.channel(&agent).await];
    for channel in &held {
        request(channel).await.unwrap();
    }
    let dialer = Dialer::new(&server.address, &agent, broker()).unwrap();
    let third = soon(dialer.dial()).await;
    let refusal = soon(server.refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TooManyConnections), "{:?}", refusal.error);
    drop(third);
    request(&server.channel(&other).await).await.unwrap();
}

#[tokio::test]
async fn a_door_that_asks_for_no_certificate_is_not_taken_by_one_host() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let tls = ServerCertificate::Svid(trust).tls(&[b"http/1.1"]).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut incoming =
        listen_tls(listener, tls, ListenLimits { connections_per_host_max: 2, ..SLOW }, None, refusals().0);
    let mut connect = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let tcp = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
        let mut config = client_config(None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let near = soon(connector.connect(name, tcp)).await.ok()?;
        Some((near, soon(incoming.next()).await.unwrap().unwrap()))
    };
    let held = [connect("127.0.0.1").await.unwrap(), connect("127.0.0.1").await.unwrap()];
    assert!(connect("127.0.0.1").await.is_none(), "it has its part");
    assert!(connect("127.0.0.2").await.is_some());
    drop(held);
    assert!(connect("127.0.0.1").await.is_some());
}
