//! An issuer of OpenID Connect that does as a test says: discovery and keys over HTTPS on loopback, and tokens with any defect.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::broker::routing::Directory;
use carnet::clock::Clock;
use carnet::identity::certificate_files::CertificateFiles;
use carnet::identity::https::ServerCertificate;
use carnet::identity::listen::HANDSHAKE_WITHIN;
use carnet::identity::people::IssuerOptions;
use carnet::identity::people::token::TokenRules;
use carnet::identity::trust::Trust;
use carnet::identity::web::WebRoots;
use carnet::jose::algorithm::Algorithm;
use carnet::model::person::PersonTokenKind;
use carnet::server::doors::TlsDoor;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as CertificateIssuer, KeyPair};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::broker::Setup;

/// The audience of what people show themselves.
pub const ACTING: &str = "https://carnet.example.org/people";
/// The audience of what orchestrators hand over.
pub const INITIATING: &str = "https://carnet.example.org/initiators";
/// The client that asks for tokens.
pub const CLIENT: &str = "carnet-cli";

/// A web server's certificate for 127.0.0.1, by an authority of its own.
pub struct WebIdentity {
    folder: TempDir,
    config: Arc<ServerConfig>,
}

impl WebIdentity {
    pub fn new() -> Self {
        Self::of("127.0.0.1", &[&rustls::version::TLS13])
    }

    /// That of another host, or one that speaks other versions of TLS.
    pub fn of(host: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let folder = TempDir::new().unwrap();
        let (authority_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = CertificateIssuer::new(params, authority_key);
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.path().join("chain.pem"), leaf.pem()).unwrap();
        carnet::entropy::secret_file::create(&folder.path().join("key.pem"), leaf_key.serialize_pem().as_bytes())
            .unwrap();
        let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { folder, config: Arc::new(config) }
    }

    /// Who vouches for it.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The same as a broker's door presents it.
    pub fn files(&self) -> Arc<CertificateFiles> {
        let (chain, key) = (self.folder.path().join("chain.pem"), self.folder.path().join("key.pem"));
        CertificateFiles::load(&chain, &key, &Clock::system()).unwrap()
    }

    /// What a server of it shows.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    pub fn roots(&self) -> WebRoots {
        WebRoots::load(Some(&self.ca_file())).unwrap()
    }
}

/// What the issuer's server answers, and how often it was asked.
#[derive(Default)]
struct Pages {
    by_path: Mutex<BTreeMap<String, Page>>,
    asked: Mutex<BTreeMap<String, usize>>,
    /// Those that are not answered yet.
    held: watch::Sender<BTreeSet<String>>,
}

#[derive(Clone, Default)]
struct Page {
    status: u16,
    location: Option<String>,
    body: String,
}

/// The issuer. Its server ends with it.
pub struct Issuer {
    pub name: &'static str,
    pub url: String,
    pub web: WebIdentity,
    clock: Clock,
    key: Mutex<(String, Arc<EcdsaKeyPair>)>,
    published: Mutex<Vec<Value>>,
    pages: Arc<Pages>,
    server: AbortHandle,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Issuer {
    pub async fn start(name: &'static str, clock: &Clock) -> Self {
        Self::behind(WebIdentity::new(), name, clock).await
    }

    /// One whose server shows that certificate.
    pub async fn behind(web: WebIdentity, name: &'static str, clock: &Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let pages = Arc::new(Pages::default());
        let server = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::clone(&web.config)), Arc::clone(&pages)));
        let key = Mutex::new(("k1".to_owned(), Arc::new(new_key())));
        let server = server.abort_handle();
        let this = Self { name, url, web, clock: clock.clone(), key, published: Mutex::default(), pages, server };
        this.discover_as(&this.url);
        this.publish();
        this
    }

    /// The discovery document, as that of this issuer.
    pub fn discover_as(&self, issuer: &str) {
        let document = json!({ "issuer": issuer, "jwks_uri": format!("{}/keys", self.url) });
        self.answer("/.well-known/openid-configuration", 200, &document.to_string());
    }

    pub fn answer(&self, path: &str, status: u16, body: &str) {
        let page = Page { status, location: None, body: body.to_owned() };
        self.pages.by_path.lock().unwrap().insert(path.to_owned(), page);
    }

    /// Says at that path that what is asked for lies elsewhere.
    pub fn redirect(&self, path: &str, to: &str) {
        let page = Page { status: 302, location: Some(to.to_owned()), body: String::new() };
        self.pages.by_path.lock().unwrap().insert(path.to_owned(), page);
    }

    /// Moves a page, as it is now, to another path.
    pub fn move_page(&self, from: &str, to: &str) {
        let mut pages = self.pages.by_path.lock().unwrap();
        let page = pages.remove(from).unwrap();
        pages.insert(to.to_owned(), page);
    }

    /// Lets whoever asks for that page wait.
    pub fn hold(&self, path: &str) {
        self.pages.held.send_if_modified(|held| held.insert(path.to_owned()));
    }

    /// Answers those who wait.
    pub fn release(&self, path: &str) {
        self.pages.held.send_if_modified(|held| held.remove(path));
    }

    /// Returns once somebody has asked for that page.
    pub async fn is_asked(&self, path: &str) {
        while self.asked(path) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Takes all keys back, the one that signs included.
    pub fn withdraw_all(&self) {
        self.published.lock().unwrap().clear();
        self.answer("/keys", 200, r#"{"keys":[]}"#);
    }

    /// How often that page was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.pages.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// Publishes the key that signs, beside those that were published before.
    pub fn publish(&self) {
        let (key_id, pair) = self.key.lock().unwrap().clone();
        let mut published = self.published.lock().unwrap();
        published.push(jwk(&key_id, &pair));
        self.answer("/keys", 200, &json!({ "keys": *published }).to_string());
    }

    /// Signs with another key from now on, published or not.
    pub fn rotate(&self, key_id: &str) {
        *self.key.lock().unwrap() = (key_id.to_owned(), Arc::new(new_key()));
    }

    /// Takes all keys back but the one that signs.
    pub fn withdraw_others(&self) {
        self.published.lock().unwrap().clear();
        self.publish();
    }

    /// The claims of an access token for a person who has just authenticated.
    pub fn claims(&self, subject: &str, audience: &str) -> Value {
        let now = self.clock.now().as_secs();
        json!({
            "iss": self.url, "sub": subject, "aud": audience, "client_id": CLIENT, "jti": "j-1",
            "iat": now, "exp": now + 600, "auth_time": now, "acr": "urn:mfa", "amr": ["pwd", "otp"],
        })
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", b64(header), b64(claims));
        let signature = self.key.lock().unwrap().1.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// An access token with these claims.
    pub fn token_of(&self, claims: &Value) -> String {
        let key_id = self.key.lock().unwrap().0.clone();
        self.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": key_id }), claims)
    }

    /// An access token for a person who has just authenticated.
    pub fn token(&self, subject: &str, audience: &str) -> String {
        self.token_of(&self.claims(subject, audience))
    }

    /// An ID token for that client, of a person who has just authenticated.
    pub fn id_token(&self, subject: &str, client: &str) -> String {
        let mut claims = self.claims(subject, client);
        let members = claims.as_object_mut().unwrap();
        for of_access_tokens in ["client_id", "jti"] {
            members.remove(of_access_tokens);
        }
        let key_id = self.key.lock().unwrap().0.clone();
        self.sign(&json!({ "alg": "ES256", "kid": key_id }), &claims)
    }

    /// The same for one who did so a while ago.
    pub fn stale_token(&self, subject: &str, audience: &str, age: Duration) -> String {
        let mut claims = self.claims(subject, audience);
        claims["auth_time"] = json!(self.clock.now().as_secs() - age.as_secs());
        self.token_of(&claims)
    }

    pub fn options(&self) -> IssuerOptions {
        IssuerOptions {
            name: self.name.to_owned(),
            rules: TokenRules {
                issuer: self.url.clone(),
                kind: PersonTokenKind::AccessToken,
                algorithms: vec![Algorithm::Es256],
                clients: vec![CLIENT.to_owned()],
                life_max: Duration::from_secs(3600),
            },
            audience: Some(ACTING.to_owned()),
            initiator_audience: Some(INITIATING.to_owned()),
            initiator_clients: None,
            roots: self.web.roots(),
        }
    }

    /// The same for an issuer that gives us ID tokens, for one client each.
    pub fn options_for_id_tokens(&self, acting: &str, initiating: &str) -> IssuerOptions {
        let mut options = self.options();
        options.rules.kind = PersonTokenKind::IdToken;
        options.audience = Some(acting.to_owned());
        options.initiator_audience = Some(initiating.to_owned());
        options
    }
}

/// A door that presents the broker's SVID: tests trust every server.
pub async fn people_door(trust: &Trust, files: Option<Arc<CertificateFiles>>) -> TlsDoor {
    let mut door = tls_door(trust).await;
    if let Some(files) = files {
        door.certificate = ServerCertificate::Files(files);
    }
    door
}

pub async fn tls_door(trust: &Trust) -> TlsDoor {
    TlsDoor {
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        certificate: ServerCertificate::Svid(trust.clone()),
        handshake_within: HANDSHAKE_WITHIN,
    }
}

fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn jwk(key_id: &str, pair: &EcdsaKeyPair) -> Value {
    let point = pair.public_key().as_ref();
    let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": key_id, "x": coordinate(1..33), "y": coordinate(33..65) })
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, pages: Arc<Pages>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let (tls, pages) = (tls.clone(), Arc::clone(&pages));
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(tcp).await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    return;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            *pages.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
            drop(pages.held.subscribe().wait_for(|held| !held.contains(&path)).await);
            let found = pages.by_path.lock().unwrap().get(&path).cloned();
            let Page { status, location, body } = found.unwrap_or(Page { status: 404, ..Page::default() });
            let (length, location) = (body.len(), location.map(|to| format!("location: {to}\r\n")).unwrap_or_default());
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{location}content-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            );
            let _nobody_waits = stream.write_all(answer.as_bytes()).await;
            let _nobody_waits = stream.shutdown().await;
        });
    }
}

/// Who reviews, and who answers for whom.
pub fn directory(setup: &Setup) -> Directory {
    let group = |(name, members): &(&str, Vec<&str>)| {
        (name.parse().unwrap(), members.iter().map(|member| member.parse().unwrap()).collect())
    };
    let told = setup.escalate_to.iter().map(|name| name.parse().unwrap());
    Directory::new(&setup.persons, setup.groups.iter().map(group).collect(), told.collect())
}
