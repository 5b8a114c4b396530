//! The people of development: who takes part, and an issuer of OpenID Connect that takes everybody at his word. Whom a client is
//! named for has logged in by it, afresh, without being asked anything: with it, what people do can be tried on one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as CertificateIssuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::broker::routing::Directory;
use crate::clock::Clock;
use crate::dev::ca::CaError;
use crate::dev::error::DevError;
use crate::entropy::{Entropy, secret_file};
use crate::http::serve::serve;
use crate::identity::certificate_files::CertificateFiles;
use crate::identity::https::{ServerCertificate, listen_tls};
use crate::identity::listen::ListenLimits;
use crate::identity::people::token::TokenRules;
use crate::identity::people::{IssuerOptions, People, PersonOptions};
use crate::identity::web::WebRoots;
use crate::jose::algorithm::Algorithm;
use crate::model::id::{InitiatorName, Owner};
use crate::model::person::{PersonTokenKind, Right};

/// Somebody who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevPerson {
    /// The client by which that person logs in.
    pub client: &'static str,
    /// The name in records and tokens.
    pub name: &'static str,
    /// What that person may do.
    pub may: &'static [Right],
    /// Groups for which that person answers, as owners are named in the catalogue.
    pub groups: &'static [&'static str],
    /// What that person is there for.
    pub what: &'static str,
}

/// On whose behalf tasks run.
pub const ADA: DevPerson = DevPerson {
    client: "ada",
    name: "ada@example.com",
    may: &[],
    groups: &[],
    what: "initiates tasks, and confirms their steps",
};
/// Who reviews.
pub const REX: DevPerson = DevPerson {
    client: "rex",
    name: "rex@example.com",
    may: &[Right::Approve, Right::Read, Right::Revoke, Right::BreakGlass],
    groups: &[],
    what: "reviews what is doubtful, and reads the record",
};
/// Who reviews as well: for the owner where one is asked, and beside the other where it takes two.
pub const FAY: DevPerson = DevPerson {
    client: "fay",
    name: "fay@example.com",
    may: &[Right::Approve],
    groups: &["group:finance"],
    what: "reviews too, and answers for what group:finance owns",
};
/// Everybody.
pub const PERSONS: [DevPerson; 3] = [ADA, REX, FAY];

/// The audience of what people show themselves.
pub const ACTING: &str = "https://people.dev.carnet.test";
/// The audience of what orchestrators hand over.
pub const INITIATING: &str = "https://initiators.dev.carnet.test";
/// Life of a token.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// How long ago is fresh. What confirms a step is newer than the request anyway.
const FRESH_WITHIN: Duration = Duration::from_secs(900);
/// Logins that are begun and not finished; more are turned away.
const LOGINS_MAX: usize = 64;
/// How an authority's certificate, a server's, and its key are called.
const FILES: [&str; 3] = ["people-ca.pem", "people-server.pem", "people-server.key"];
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The issuer, and the certificate that it and the people's door show. It ends when it is dropped.
#[derive(Debug)]
pub struct DevIssuer {
    url: String,
    ca_file: PathBuf,
    certificate: ServerCertificate,
    desk: Arc<Desk>,
    server: AbortHandle,
    _ending: watch::Sender<bool>,
}

#[derive(Debug)]
struct Desk {
    url: String,
    key: EcdsaKeyPair,
    clock: Clock,
    entropy: Entropy,
    /// Who logs in, by device code.
    begun: Mutex<BTreeMap<String, DevPerson>>,
}

impl Drop for DevIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl DevIssuer {
    /// Starts it, with a new key, and new certificates in that folder. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a key or a certificate cannot be made or kept, or no port is free.
    pub async fn start(folder: &Path, clock: &Clock, entropy: &Entropy) -> Result<Self, DevError> {
        let files = FILES.map(|name| folder.join(name));
        let [ca_file, chain, key] = &files;
        certify(&files)?;
        let certificate = ServerCertificate::Files(CertificateFiles::load(chain, key, clock)?);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let failed = |cause| DevError::Listen { address: address.to_string(), cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let url = format!("https://{}", listener.local_addr().map_err(failed)?);
        let desk = Arc::new(Desk {
            url: url.clone(),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(CaError::Key)?,
            clock: clock.clone(),
            entropy: entropy.clone(),
            begun: Mutex::default(),
        });
        let (ending, end) = watch::channel(false);
        let limits = ListenLimits::default();
        let connections = listen_tls(listener, certificate.tls(&[b"http/1.1"])?, limits, None, Arc::new(|_refused| {}));
        let router = router(Arc::clone(&desk));
        let server = tokio::spawn(serve(connections, limits.connections_max, router, end)).abort_handle();
        Ok(Self { url, ca_file: ca_file.clone(), certificate, desk, server, _ending: ending })
    }

    /// `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who vouches for its certificate, and for that of the people's door.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// What the people's door shows.
    #[must_use]
    pub fn certificate(&self) -> ServerCertificate {
        self.certificate.clone()
    }

    /// Who verifies its people.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read, or a name is none.
    pub fn people(&self) -> Result<People, DevError> {
        let issuer = IssuerOptions {
            name: "dev".to_owned(),
            rules: TokenRules {
                issuer: self.url.clone(),
                kind: PersonTokenKind::AccessToken,
                algorithms: vec![Algorithm::Es256],
                clients: PERSONS.iter().map(|person| person.client.to_owned()).collect(),
                life_max: TOKEN_LIFE,
            },
            audience: Some(ACTING.to_owned()),
            initiator_audience: Some(INITIATING.to_owned()),
            initiator_clients: None,
            roots: WebRoots::load(Some(&self.ca_file))?,
        };
        Ok(People::new(vec![issuer], self.persons()?, FRESH_WITHIN, &self.desk.clock))
    }

    /// Who reviews, and who answers for a group.
    ///
    /// # Errors
    /// When a name is none.
    pub fn directory(&self) -> Result<Directory, DevError> {
        let mut groups: BTreeMap<Owner, BTreeSet<InitiatorName>> = BTreeMap::new();
        for person in &PERSONS {
            for group in person.groups {
                let members = groups.entry(group.parse().map_err(DevError::Name)?).or_default();
                members.insert(person.name.parse().map_err(DevError::Name)?);
            }
        }
        Ok(Directory::new(&self.persons()?, groups, Vec::new()))
    }

    fn persons(&self) -> Result<Vec<PersonOptions>, DevError> {
        let person = |person: &DevPerson| {
            Ok(PersonOptions {
                name: person.name.parse().map_err(DevError::Name)?,
                accounts: vec![(self.url.clone(), person.name.to_owned())],
                may: person.may.iter().copied().collect(),
            })
        };
        PERSONS.iter().map(person).collect()
    }

    /// A token of that person, who has authenticated just now.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, person: &DevPerson, audience: &str) -> Result<String, DevError> {
        self.desk.token(person, audience)
    }
}

impl Desk {
    fn token(&self, person: &DevPerson, audience: &str) -> Result<String, DevError> {
        let now = self.clock.now().as_secs();
        let random: [u8; 16] = self.entropy.bytes()?;
        let claims = json!({
            "iss": self.url, "sub": person.name, "aud": audience, "client_id": person.client,
            "jti": URL_SAFE_NO_PAD.encode(random), "iat": now, "exp": now + TOKEN_LIFE.as_secs(),
            "auth_time": now, "acr": "urn:carnet:dev", "amr": ["none"],
        });
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": KEY_ID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).map_err(CaError::Key)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn keys(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        let (x, y) = (coordinate(1..33), coordinate(33..65));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "kid": KEY_ID, "x": x, "y": y }] })
    }

    fn begin(&self, client: &str) -> Result<Value, (StatusCode, Value)> {
        let person = PERSONS.iter().find(|person| person.client == client);
        let person = person.ok_or_else(|| refusal("invalid_client"))?;
        let random: [u8; 16] = self.entropy.bytes().map_err(|_| refusal("server_error"))?;
        let code = URL_SAFE_NO_PAD.encode(random);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() >= LOGINS_MAX {
            begun.pop_first();
        }
        begun.insert(code.clone(), *person);
        Ok(json!({
            "device_code": code, "user_code": client, "verification_uri": self.url, "expires_in": 600, "interval": 1,
        }))
    }

    fn finish(&self, form: &BTreeMap<String, String>) -> Result<Value, (StatusCode, Value)> {
        let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if member("grant_type") != DEVICE_GRANT {
            return Err(refusal("unsupported_grant_type"));
        }
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(member("device_code"));
        let person = begun.filter(|person| person.client == member("client_id"));
        let person = person.ok_or_else(|| refusal("invalid_grant"))?;
        let audience = match member("resource") {
            "" => ACTING,
            known if [ACTING, INITIATING].contains(&known) => known,
            _ => return Err(refusal("invalid_target")),
        };
        let token = self.token(&person, audience).map_err(|_| refusal("server_error"))?;
        Ok(json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE.as_secs() }))
    }
}

const KEY_ID: &str = "dev";

/// An error as OAuth tells it (RFC 6749 §5.2).
fn refusal(error: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({ "error": error }))
}

fn router(desk: Arc<Desk>) -> axum::Router {
    axum::Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/device", post(begin))
        .route("/token", post(finish))
        .with_state(desk)
}

async fn discovery(State(desk): State<Arc<Desk>>) -> Response {
    let at = |path: &str| format!("{}{path}", desk.url);
    let document = json!({
        "issuer": desk.url, "jwks_uri": at("/keys"), "device_authorization_endpoint": at("/device"),
        "token_endpoint": at("/token"),
    });
    told(Ok(document))
}

async fn keys(State(desk): State<Arc<Desk>>) -> Response {
    told(Ok(desk.keys()))
}

async fn begin(State(desk): State<Arc<Desk>>, body: String) -> Response {
    let form = form(&body);
    told(desk.begin(form.get("client_id").map(String::as_str).unwrap_or_default()))
}

async fn finish(State(desk): State<Arc<Desk>>, body: String) -> Response {
    told(desk.finish(&form(&body)))
}

fn told(answer: Result<Value, (StatusCode, Value)>) -> Response {
    let (status, body) = answer.map_or_else(|refused| refused, |body| (StatusCode::OK, body));
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The members of a form.
fn form(body: &str) -> BTreeMap<String, String> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// `application/x-www-form-urlencoded`; what is malformed stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An authority for web servers of this machine, and a certificate by it.
fn certify([ca, chain, key]: &[PathBuf; 3]) -> Result<(), DevError> {
    let failed = CaError::Certificate;
    let (authority_key, leaf_key) = (KeyPair::generate().map_err(failed)?, KeyPair::generate().map_err(failed)?);
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).map_err(failed)?;
    let issuer = CertificateIssuer::new(params, authority_key);
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names).and_then(|params| params.signed_by(&leaf_key, &issuer)).map_err(failed)?;
    secret_file::replace(ca, authority.pem().as_bytes())?;
    secret_file::replace(chain, leaf.pem().as_bytes())?;
    secret_file::replace(key, leaf_key.serialize_pem().as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[tokio::test]
    async fn two_review_and_one_of_them_answers_for_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::start(folder.path(), &Clock::system(), &Entropy::danger_seeded(1)).await.unwrap();
        let directory = issuer.directory().unwrap();
        let owners = ["group:finance", "group:support", REX.name, FAY.name, ADA.name];
        let owners: Vec<Owner> = owners.map(|name| name.parse().unwrap()).into();
        let nobody: Vec<&str> = directory.nobody_for(&owners).into_iter().map(Owner::as_str).collect();
        assert_eq!(nobody, ["group:support", ADA.name], "who initiates does not review");
    }
}
