//! A world of identities: two trust domains, a Workload API for whoever needs one, and clients that present any certificate.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carnet::clock::Clock;
use carnet::dev::ca::{DevCa, IssuedSvid, Shape};
use carnet::dev::workload_api::{Offer, WorkloadApi};
use carnet::identity::accept::{PeerAcceptor, Refusal, RefusalHook};
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::identity::workload::Workload;
use carnet::model::spiffe_id::{SpiffeId, TrustDomain};
use carnet::model::time::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// The trust domain of the broker under test.
pub const DOMAIN: &str = "example.org";
/// Another one.
pub const FOREIGN: &str = "elsewhere.test";
/// Longer than any test.
pub const HOUR: Duration = Duration::from_secs(3600);
/// Nothing that a test waits for takes this long.
pub const SOON: Duration = Duration::from_secs(20);

/// Two trust domains and a folder for sockets, gone with the test.
pub struct Pki {
    pub clock: Clock,
    pub ca: Arc<DevCa>,
    pub foreign: Arc<DevCa>,
    folder: TempDir,
    sockets: AtomicU32,
    /// Of the SVIDs that it issues, when nothing else is said.
    life: Duration,
}

impl Pki {
    pub fn new() -> Self {
        Self::at(Clock::system())
    }

    /// With a clock that a test winds; it starts at the present, because the SPIFFE libraries read the system's.
    pub fn wound_by_hand() -> Self {
        Self::at(Clock::manual(Clock::system().now()))
    }

    pub fn at(clock: Clock) -> Self {
        Self::lasting(clock, HOUR)
    }

    /// With SVIDs of that life.
    pub fn lasting(clock: Clock, life: Duration) -> Self {
        // Clocks are set back in some tests, and an authority vouches for nobody before it begins.
        let begun = Timestamp::from_millis(clock.now().as_millis() - HOUR.as_millis() as u64);
        let ca = |name: &str| Arc::new(DevCa::new(domain(name), begun, life + 24 * HOUR).unwrap());
        Self {
            ca: ca(DOMAIN),
            foreign: ca(FOREIGN),
            folder: TempDir::new().unwrap(),
            sockets: AtomicU32::new(0),
            life,
            clock,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A path for a socket that nobody else has.
    pub fn socket(&self) -> PathBuf {
        let n = self.sockets.fetch_add(1, Ordering::SeqCst);
        self.folder.path().join(format!("workload-{n}")).join("api.sock")
    }

    /// A path in the folder of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An SVID of the own trust domain, and the trust bundles of it and of those that are federated.
    pub fn offer(&self, path: &str, federated: &[Arc<DevCa>]) -> Offer {
        self.offer_for(path, federated, self.life)
    }

    /// The same with an SVID of another life.
    pub fn offer_for(&self, path: &str, federated: &[Arc<DevCa>], life: Duration) -> Offer {
        Offer::fresh(&self.ca, &id(path), federated, &self.clock, life).unwrap()
    }

    pub fn serve(&self, offer: Offer) -> WorkloadApi {
        WorkloadApi::serve(&self.socket(), offer, self.clock.clone()).unwrap()
    }

    /// A workload of the own trust domain.
    pub async fn workload(&self, path: &str) -> (WorkloadApi, Workload) {
        self.workload_offered(self.offer(path, &[])).await
    }

    pub async fn workload_offered(&self, offer: Offer) -> (WorkloadApi, Workload) {
        let api = self.serve(offer);
        let workload = Workload::from_socket(api.socket()).await.unwrap();
        (api, workload)
    }

    /// The broker's trust, with whoever is federated, and accepting whoever is listed.
    pub async fn trust(&self, federated: &[Arc<DevCa>], listed: &[&str]) -> (WorkloadApi, Trust) {
        let (api, workload) = self.workload_offered(self.offer("/carnet", federated)).await;
        let accepted = AcceptedDomains::Listed(listed.iter().map(|name| domain(name)).collect());
        (api, Trust::over(workload, accepted, self.clock.clone()).unwrap())
    }

    pub fn shape(&self, path: &str) -> Shape {
        Shape::svid(&id(path), self.now(), HOUR)
    }
}

pub fn domain(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

/// A SPIFFE ID of the own trust domain.
pub fn id(path: &str) -> SpiffeId {
    format!("spiffe://{DOMAIN}{path}").parse().unwrap()
}

/// A SPIFFE ID of the other trust domain.
pub fn foreign_id(path: &str) -> SpiffeId {
    format!("spiffe://{FOREIGN}{path}").parse().unwrap()
}

/// Collects what was refused.
pub fn refusals() -> (RefusalHook, mpsc::UnboundedReceiver<Refusal>) {
    let (tell, told) = mpsc::unbounded_channel();
    let hook = move |refusal| {
        let _test_is_over = tell.send(refusal);
    };
    (Arc::new(hook), told)
}

/// Fails instead of hanging.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it takes too long")
}

/// An error with what caused it.
pub fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Waits for something that happens by itself.
pub async fn eventually(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// What came of presenting a certificate to an acceptor.
pub enum Outcome {
    Accepted(Arc<carnet::identity::peer::VerifiedPeer>),
    Refused(Refusal),
}

/// Presents a certificate over a connection in memory.
pub async fn present(trust: &Trust, svid: &IssuedSvid) -> Outcome {
    present_with(trust, client_config(Some(svid))).await
}

/// Shakes hands over a connection in memory.
pub async fn present_with(trust: &Trust, config: ClientConfig) -> Outcome {
    let (hook, mut refused) = refusals();
    let acceptor = PeerAcceptor::new(trust, hook).unwrap();
    let (near, far) = tokio::io::duplex(64 << 10);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let client = async move {
        use tokio::io::AsyncReadExt as _;
        let Ok(mut tls) = connector.connect(ServerName::try_from("carnet.test").unwrap(), near).await else { return };
        // Until the server has refused us, or has gone.
        let _end = tls.read(&mut [0]).await;
    };
    let server = async move { acceptor.accept(far, None).await.map(|connection| Arc::clone(connection.peer())) };
    let (peer, ()) = soon(async { tokio::join!(server, client) }).await;
    match peer {
        Some(peer) => Outcome::Accepted(peer),
        None => Outcome::Refused(refused.try_recv().expect("a refusal is told")),
    }
}

/// A client that trusts every server, and presents what it is given.
pub fn client_config(svid: Option<&IssuedSvid>) -> ClientConfig {
    client_config_speaking(&rustls::version::TLS13, svid)
}

/// The same, which speaks that version of TLS alone.
pub fn client_config_speaking(version: &'static SupportedProtocolVersion, svid: Option<&IssuedSvid>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsEverybody(provider)));
    let mut config = match svid {
        Some(svid) => builder
            .with_client_auth_cert(svid.chain.clone(), PrivatePkcs8KeyDer::from(svid.key.to_vec()).into())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Debug)]
struct TrustsEverybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsEverybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What the broker logs, for whoever looks into a failure: `RUST_LOG=carnet=debug`.
pub fn log_if_asked() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
        let _another_test_did = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    }
}
