//! What a connection costs: a full handshake of mutual TLS, and the recheck that each request pays.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use carnet::clock::{Clock, Stopwatch};
use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::{Offer, WorkloadApi};
use carnet::identity::accept::PeerAcceptor;
use carnet::identity::peer::VerifiedPeer;
use carnet::identity::svid::read_leaf;
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::identity::workload::Workload;
use carnet::model::spiffe_id::SpiffeId;
use criterion::{Criterion, criterion_group, criterion_main};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::runtime::Runtime;

const HOUR: Duration = Duration::from_secs(3600);

/// A broker's acceptor and a client that holds an SVID.
struct World {
    clock: Clock,
    ca: Arc<DevCa>,
    api: WorkloadApi,
    trust: Trust,
    acceptor: PeerAcceptor,
    connector: tokio_rustls::TlsConnector,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::system();
        let folder = tempfile::tempdir().unwrap();
        let ca = Arc::new(DevCa::new("example.org".parse().unwrap(), clock.now(), HOUR).unwrap());
        let offer = Offer::fresh(&ca, &id("carnet"), &[], &clock, HOUR).unwrap();
        let api = WorkloadApi::serve(&folder.path().join("api.sock"), offer, clock.clone()).unwrap();
        let workload = Workload::from_socket(api.socket()).await.unwrap();
        let trust = Trust::over(workload, AcceptedDomains::Own, clock.clone()).unwrap();
        let acceptor = PeerAcceptor::new(&trust, Arc::new(|refusal| panic!("{refusal:?}"))).unwrap();
        let svid = ca.issue(&id("agent"), clock.now(), HOUR).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.root().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().unwrap();
        let mut config = rustls::ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
            .with_client_auth_cert(svid.chain.clone(), PrivatePkcs8KeyDer::from(svid.key.to_vec()).into())
            .unwrap();
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Self { clock, ca, api, trust, acceptor, connector, _folder: folder }
    }

    async fn handshake(&self) -> Arc<VerifiedPeer> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let name = ServerName::try_from("carnet.test").unwrap();
        let (connection, tls) = tokio::join!(self.acceptor.accept(far, None), self.connector.connect(name, near));
        tls.unwrap();
        Arc::clone(connection.unwrap().peer())
    }
}

fn id(path: &str) -> SpiffeId {
    format!("spiffe://example.org/{path}").parse().unwrap()
}

fn handshake(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    c.bench_function("full handshake, both sides", |b| b.to_async(&runtime).iter(|| world.handshake()));
    let svid = world.ca.issue(&id("agent"), world.clock.now(), HOUR).unwrap();
    c.bench_function("reading a leaf", |b| b.iter(|| read_leaf(black_box(&svid.chain[0])).unwrap()));
}

fn recheck(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let peer = runtime.block_on(world.handshake());
    let now = world.clock.now();
    c.bench_function("recheck, nothing changed", |b| b.iter(|| world.trust.recheck(black_box(&peer), now).unwrap()));
    // A new revision before each: its trust bundles are made ready, and the chain is verified again.
    c.bench_function("recheck, trust changed", |b| {
        b.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                runtime.block_on(async {
                    let mut changes = world.trust.changes();
                    world.api.offer(Offer::fresh(&world.ca, &id("carnet"), &[], &world.clock, HOUR).unwrap());
                    assert!(changes.changed().await);
                });
                let watch = Stopwatch::start();
                let _caller = black_box(world.trust.recheck(&peer, now).unwrap());
                total += watch.elapsed();
            }
            total
        });
    });
}

/// Costs what a verifier of names does, and takes any: SPIFFE has none.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

criterion_group!(benches, handshake, recheck);
criterion_main!(benches);
