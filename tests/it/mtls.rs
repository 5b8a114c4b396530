//! Workloads prove themselves by mutual TLS with X.509-SVIDs: over real sockets, against a live Workload API.

mod crowd;
mod defects;
mod live;
mod rotation;
mod server_tls;
mod unproven;

use std::sync::Arc;

use carnet::clock::Clock;
use carnet::identity::accept::PeerAcceptor;
use carnet::identity::client::{Dialer, ServerIdentity, connect};
use carnet::identity::listen::{ListenLimits, listen};
use carnet::identity::peer::VerifiedPeer;
use carnet::identity::serve;
use carnet::identity::trust::{AcceptedDomains, Trust, TrustOptions};
use carnet::identity::workload::Workload;
use carnet::model::identity::{Authentication, Thumbprint};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::support::broker::{Setup, TestBroker};
use super::support::issuer::Issuer;
use super::support::pki::{DOMAIN, Pki, SOON, client_config_speaking, domain, id, refusals, soon};

/// A gRPC server behind an acceptor. Each request is rechecked, and the answer of a refused one is its reason code.
pub struct Server {
    pub address: String,
    pub refused: mpsc::UnboundedReceiver<carnet::identity::accept::Refusal>,
    pub seen: mpsc::UnboundedReceiver<Arc<VerifiedPeer>>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub async fn start(trust: &Trust, limits: ListenLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (hook, refused) = refusals();
        let incoming = listen(listener, PeerAcceptor::new(trust, hook).unwrap(), limits);
        let (tell, seen) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let trust = trust.clone();
        let recheck = move |request: tonic::Request<()>| {
            let peer = request.extensions().get::<Arc<VerifiedPeer>>().expect("a connection has a peer").clone();
            let _test_is_over = tell.send(Arc::clone(&peer));
            match trust.recheck(&peer, trust.clock().now()) {
                Ok(caller) => {
                    assert_eq!(caller.spiffe_id(), peer.spiffe_id());
                    assert_eq!(caller.authentication(), Authentication::X509Svid);
                    Ok(request)
                }
                Err(error) => Err(tonic::Status::unauthenticated(error.reason().as_str())),
            }
        };
        let service = tonic::service::interceptor::InterceptedService::new(health, recheck);
        tokio::spawn(async move {
            let stop = async {
                let _dropped_is_stopped = stopped.await;
            };
            let server = tonic::transport::Server::builder().add_service(service);
            let serve = |connection, wind_down| {
                let server = server.clone();
                async move { server.serve_with_incoming_shutdown(connection, wind_down).await.unwrap() }
            };
            serve::each(incoming, stop, serve).await;
        });
        Self { address, refused, seen, _stop: stop }
    }

    pub async fn channel(&self, workload: &Workload) -> Channel {
        soon(connect(&self.address, workload, broker())).await.unwrap()
    }
}

/// Who the server must be.
pub fn broker() -> ServerIdentity {
    ServerIdentity::Exact(id("/carnet"))
}

/// The connection ended, or could not be made.
pub const BROKEN: &str = "the connection is broken";

/// One request; `Err` is the reason code, or [`BROKEN`].
pub async fn request(channel: &Channel) -> Result<(), String> {
    let request = HealthCheckRequest { service: String::new() };
    match soon(HealthClient::new(channel.clone()).check(request)).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == tonic::Code::Unauthenticated => Err(status.message().to_owned()),
        // Which code it is depends on what the client was doing when the connection ended.
        Err(_) => Err(BROKEN.to_owned()),
    }
}

#[tokio::test]
async fn a_workload_is_known_by_the_certificate_that_it_presents() {
    let pki = Pki::new();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let offer = pki.offer("/agent/triage", &[]);
    let leaf = offer.svids[0].chain[0].clone();
    let (_api, agent) = pki.workload_offered(offer).await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let channel = server.channel(&agent).await;

    request(&channel).await.unwrap();

    let peer = server.seen.recv().await.unwrap();
    assert_eq!(peer.spiffe_id(), &id("/agent/triage"));
    assert_eq!(peer.trust_domain(), &domain(DOMAIN));
    assert_eq!(peer.certificate_thumbprint(), Some(&Thumbprint::of(&leaf)));
    assert!(peer.address().unwrap().ip().is_loopback());
    assert_eq!(peer.trust_revision(), trust.revision());
    assert!(peer.not_before() <= pki.now() && pki.now() < peer.not_after());
    assert!(peer.expires_at() <= peer.not_after());
}

#[tokio::test]
async fn the_peer_of_a_connection_is_computed_once() {
    let pki = Pki::new();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_api, agent) = pki.workload("/agent").await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let channel = server.channel(&agent).await;

    request(&channel).await.unwrap();
    request(&channel).await.unwrap();

    let (first, second) = (server.seen.recv().await.unwrap(), server.seen.recv().await.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_client_refuses_a_server_that_is_somebody_else() {
    let pki = Pki::new();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_api, agent) = pki.workload("/agent").await;
    let server = Server::start(&trust, ListenLimits::default()).await;

    for expected in [
        ServerIdentity::Exact(id("/carnet-evil")),
        ServerIdentity::Exact(id("/carne")),
        ServerIdentity::MemberOf(domain("elsewhere.test")),
    ] {
        let dialed = soon(Dialer::new(&server.address, &agent, expected.clone()).unwrap().dial()).await;
        assert!(dialed.is_err(), "{expected:?}");
    }
    for expected in [broker(), ServerIdentity::MemberOf(domain(DOMAIN))] {
        let dialed = soon(Dialer::new(&server.address, &agent, expected.clone()).unwrap().dial()).await;
        assert!(dialed.is_ok(), "{expected:?}");
    }
}

#[tokio::test]
async fn a_target_that_is_no_address_is_refused() {
    let pki = Pki::new();
    let (_api, agent) = pki.workload("/agent").await;
    for target in ["", "localhost", "http://", "a b:1", ":1"] {
        assert!(Dialer::new(target, &agent, broker()).is_err(), "`{target}`");
    }
    for target in ["localhost:1", "https://localhost:1", "https://[::1]:1/"] {
        assert!(Dialer::new(target, &agent, broker()).is_ok(), "`{target}`");
    }
}

#[tokio::test]
async fn without_a_workload_api_there_is_no_identity() {
    let pki = Pki::new();
    let endpoint = format!("unix://{}", pki.socket().display());
    let within = std::time::Duration::from_millis(50);
    let error = soon(Workload::from_endpoint(&endpoint, within)).await.unwrap_err();
    assert!(error.to_string().contains("could not be reached"), "{error}");
    assert!(Workload::from_endpoint("http://localhost", within).await.is_err());

    let options = |endpoint: String| TrustOptions {
        endpoint,
        accepted: AcceptedDomains::Own,
        first_svid_within: within,
        clock: pki.clock.clone(),
    };
    assert!(soon(Trust::connect(options(endpoint))).await.is_err());
    let api = pki.serve(pki.offer("/carnet", &[]));
    let trust =
        soon(Trust::connect(TrustOptions { first_svid_within: SOON, ..options(api.endpoint()) })).await.unwrap();
    assert_eq!(trust.status().own.unwrap().spiffe_id, id("/carnet"));
    assert_eq!(trust.workload().spiffe_id(), Some(id("/carnet")));
    assert!(trust.trusts(&domain(DOMAIN)), "the own trust domain is accepted");
}

/// Issuers of people's tokens may be asked over TLS 1.2; nobody comes in over it.
#[tokio::test]
async fn no_door_speaks_less_than_tls_1_3() {
    let clock = Clock::manual(Clock::system().now());
    let people = vec![Issuer::start("corp", &clock).await.options()];
    let broker = TestBroker::with(Setup { bearers: true, people, clock: Some(clock), ..Setup::default() }).await;
    let doors = broker.running().addresses();
    for (name, door) in
        [("workloads", Some(doors.workloads)), ("tokens of workloads", doors.bearer), ("people", doors.people)]
    {
        let greeted = async |version| {
            let tls = TlsConnector::from(Arc::new(client_config_speaking(version, None)));
            let tcp = TcpStream::connect(door.unwrap()).await.unwrap();
            soon(tls.connect(ServerName::try_from("carnet.test").unwrap(), tcp)).await.map(drop)
        };
        assert!(greeted(&rustls::version::TLS13).await.is_ok(), "{name}");
        let refused = greeted(&rustls::version::TLS12).await.unwrap_err();
        assert!(refused.to_string().contains("ProtocolVersion"), "{name}: {refused}");
    }
}
