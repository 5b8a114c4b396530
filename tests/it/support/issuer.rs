//! An issuer of OpenID Connect that does as a test says: discovery and keys over HTTPS on loopback, and tokens with any defect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet::clock::Clock;
use carnet::identity::https::ServerCertificate;
use carnet::identity::listen::HANDSHAKE_WITHIN;
use carnet::identity::people::IssuerOptions;
use carnet::identity::people::token::TokenRules;
use carnet::identity::trust::Trust;
use carnet::identity::web::WebRoots;
use carnet::jose::algorithm::Algorithm;
use carnet::model::person::PersonTokenKind;
use carnet::server::doors::PeopleDoor;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as CertificateIssuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

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
    pub fn new(protocol: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let (authority_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = CertificateIssuer::new(params, authority_key);
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { folder, config: Arc::new(config) }
    }

    pub fn roots(&self) -> WebRoots {
        WebRoots::load(Some(&self.folder.path().join("ca.pem"))).unwrap()
    }
}

/// What the issuer's server answers, and how often it was asked.
#[derive(Default)]
struct Pages {
    by_path: Mutex<BTreeMap<String, (u16, String)>>,
    asked: Mutex<BTreeMap<String, usize>>,
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
        let web = WebIdentity::new(b"http/1.1");
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
        self.pages.by_path.lock().unwrap().insert(path.to_owned(), (status, body.to_owned()));
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
}

/// A door for people, with the broker's SVID: tests trust every server.
pub async fn people_door(trust: &Trust) -> PeopleDoor {
    PeopleDoor {
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
            let found = pages.by_path.lock().unwrap().get(&path).cloned();
            let (status, body) = found.unwrap_or((404, String::new()));
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _nobody_waits = stream.write_all(answer.as_bytes()).await;
            let _nobody_waits = stream.shutdown().await;
        });
    }
}
