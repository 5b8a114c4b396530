//! `examples/spiffe_harness`, driven as a black-box suite drives it: by its ports, over the Workload API of `carnet dev`.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::{DevCa, IssuedSvid};
use carnet::dev::workload_api::{Offer, WorkloadApi};
use carnet::model::time::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, IsCa};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::support::pki::{DOMAIN, FOREIGN, HOUR, Pki, client_config, foreign_id, id, soon};

struct Harness {
    child: Child,
    x509: u16,
    control: u16,
}

impl Harness {
    async fn start(api: &WorkloadApi) -> Self {
        let tests = std::env::current_exe().unwrap();
        let path = tests.parent().unwrap().with_file_name("examples").join("spiffe_harness");
        assert!(
            path.exists(),
            "`cargo test` builds {}; for this file alone, `cargo build --examples` does",
            path.display()
        );
        let mut command = Command::new(path);
        command.env_clear().env("SPIFFE_ENDPOINT_SOCKET", api.endpoint());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        loop {
            let line = soon(lines.next_line()).await.unwrap().expect("it tells its ports");
            if line == "READY" {
                break;
            }
            told.push(line);
        }
        assert_eq!(told[0], "SPIFFE_HARNESS_VERSION=1");
        let port = |at: usize, name: &str| told[at].strip_prefix(name).unwrap().parse().unwrap();
        let (x509, control) = (port(1, "SPIFFE_X509_PORT="), port(2, "SPIFFE_CONTROL_PORT="));
        assert_eq!(told.len(), 3);
        Self { child, x509, control }
    }

    /// What the X.509 port says to a client with that certificate.
    async fn greets(&self, svid: Option<&IssuedSvid>) -> String {
        let mut config = client_config(svid);
        config.alpn_protocols.clear();
        let tcp = TcpStream::connect(("127.0.0.1", self.x509)).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut said = String::new();
        if let Ok(mut tls) = soon(connector.connect(ServerName::try_from("localhost").unwrap(), tcp)).await {
            let _refused = soon(tls.read_to_string(&mut said)).await;
        }
        said
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut tcp = TcpStream::connect(("127.0.0.1", self.control)).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let head = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(tcp.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, &body).await
    }

    async fn validate(&self, token: &str) -> (u16, Value) {
        self.post("/v1/jwt/validate", json!({ "token": token, "audience": "carnet" })).await
    }

    /// What validation comes to once an update has arrived.
    async fn comes_to(&self, token: &str, status: u16) {
        soon(async {
            while self.validate(token).await.0 != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

fn jwt(ca: &DevCa, spiffe_id: &str, audience: &str, pki: &Pki, life: Duration) -> String {
    ca.jwt().issue(spiffe_id, &[audience.to_owned()], pki.now(), life).unwrap()
}

#[tokio::test]
async fn it_tells_who_it_is_and_ends_at_sigterm() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let mut harness = Harness::start(&api).await;
    let (status, info) = harness.ask("GET", "/v1/info", &Value::Null).await;
    assert_eq!((status, &info["sdk"], &info["language"]), (200, &json!("carnet"), &json!("rust")));
    assert!(info["sdk_version"].is_string());
    kill(Pid::from_raw(harness.child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(soon(harness.child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn it_greets_peers_of_known_trust_domains_and_nobody_else() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let own = pki.ca.issue(&id("/peer"), pki.now(), HOUR).unwrap();
    let line = format!("spiffe://{DOMAIN}/peer\n");
    assert_eq!(harness.greets(Some(&own)).await, line, "control");

    let shaped = |change: fn(&mut carnet::dev::ca::Shape)| {
        let mut shape = pki.shape("/peer");
        change(&mut shape);
        pki.ca.issue_shaped(&shape).unwrap()
    };
    let expired = {
        let now = pki.now().as_secs();
        let mut shape = pki.shape("/peer");
        shape.not_before = Timestamp::from_secs(now - 100);
        shape.not_after = Timestamp::from_secs(now - 1);
        pki.ca.issue_shaped(&shape).unwrap()
    };
    let forged = pki.foreign.issue_shaped(&pki.shape("/peer")).unwrap();
    for (name, svid) in [
        ("no certificate", None),
        ("a certificate authority", Some(shaped(|s| s.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)))),
        ("two URI SANs", Some(shaped(|s| s.uris.push("https://example.org/".to_owned())))),
        ("no path", Some(shaped(|s| s.uris = vec![format!("spiffe://{DOMAIN}")]))),
        ("expired", Some(expired)),
        ("of an unknown trust domain", Some(pki.foreign.issue(&foreign_id("/peer"), pki.now(), HOUR).unwrap())),
        ("of the own trust domain, by another's authority", Some(forged.clone())),
    ] {
        assert_eq!(harness.greets(svid.as_ref()).await, "", "{name}");
    }

    // Federated, at once for new handshakes; its authority still vouches for nobody else.
    api.offer(pki.offer("/sut", &[Arc::clone(&pki.foreign)]));
    let foreign = pki.foreign.issue(&foreign_id("/peer"), pki.now(), HOUR).unwrap();
    soon(async {
        while harness.greets(Some(&foreign)).await != format!("spiffe://{FOREIGN}/peer\n") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(harness.greets(Some(&forged)).await, "", "roots are not pooled");
    api.offer(pki.offer("/sut", &[]));
    soon(async {
        while !harness.greets(Some(&foreign)).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(harness.greets(Some(&own)).await, line, "control");
}

#[tokio::test]
async fn it_validates_jwt_svids_by_the_keys_of_their_trust_domain() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let good = jwt(&pki.ca, id("/peer").as_str(), "carnet", &pki, HOUR);
    let (status, body) = harness.validate(&good).await;
    assert_eq!((status, &body["status"], &body["spiffe_id"]), (200, &json!("ok"), &json!(id("/peer").as_str())));
    assert_eq!(body["claims"]["aud"], json!(["carnet"]));

    let foreign = jwt(&pki.foreign, foreign_id("/peer").as_str(), "carnet", &pki, HOUR);
    for (name, token) in [
        ("for another audience", jwt(&pki.ca, id("/peer").as_str(), "else", &pki, HOUR)),
        ("expired", jwt(&pki.ca, id("/peer").as_str(), "carnet", &pki, Duration::ZERO)),
        ("of an unknown trust domain", foreign.clone()),
        ("of the own trust domain, by another's key", jwt(&pki.foreign, id("/peer").as_str(), "carnet", &pki, HOUR)),
        ("no SPIFFE ID", jwt(&pki.ca, "https://example.org/peer", "carnet", &pki, HOUR)),
        ("no token", "x".to_owned()),
    ] {
        let (status, body) = harness.validate(&token).await;
        assert_eq!((status, &body["status"]), (422, &json!("rejected")), "{name}");
    }
    api.offer(pki.offer("/sut", &[Arc::clone(&pki.foreign)]));
    harness.comes_to(&foreign, 200).await;
    api.offer(pki.offer("/sut", &[]));
    harness.comes_to(&foreign, 422).await;
    let (status, body) = harness.post("/v1/jwt/validate", json!({ "token": 7 })).await;
    assert_eq!((status, &body["status"]), (500, &json!("error")));
    // What was taken back is not trusted any more, and is when it is given again.
    api.refuse();
    harness.comes_to(&good, 422).await;
    api.offer(pki.offer("/sut", &[]));
    harness.comes_to(&good, 200).await;
}

#[tokio::test]
async fn one_bad_key_does_not_spoil_a_jwt_bundle_and_keys_for_other_uses_verify_nothing() {
    let pki = Pki::new();
    let offer = |keys: Value| {
        let mut offer = pki.offer("/sut", &[]);
        offer.jwt_bundles.insert(DOMAIN.parse().unwrap(), json!({ "keys": keys }));
        offer
    };
    let key = pki.ca.jwt().bundle()["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    let unmarked = |mut key: Value| {
        key.as_object_mut().unwrap().remove("use");
        key
    };
    let api = pki.serve(offer(json!([{ "kty": "new" }, { "use": "jwt-svid" }, 7, with("kid", json!(7)), key])));
    let harness = Harness::start(&api).await;
    let token = jwt(&pki.ca, id("/peer").as_str(), "carnet", &pki, HOUR);
    assert_eq!(harness.validate(&token).await.0, 200, "control");
    for (name, keys, status) in [
        ("none", json!([]), 422),
        ("one for X.509-SVIDs", json!([with("use", json!("x509-svid"))]), 422),
        ("one for signatures of any kind", json!([with("use", json!("sig"))]), 422),
        (
            "one that says nothing beside one that does",
            json!([unmarked(key.clone()), with("kid", json!("other"))]),
            422,
        ),
        ("a set in which none says anything, as SPIRE's Workload API sends it", json!([unmarked(key.clone())]), 200),
        ("one for another algorithm", json!([with("alg", json!("ES384"))]), 422),
        ("control", json!([key]), 200),
    ] {
        api.offer(offer(keys));
        soon(async {
            while harness.validate(&token).await.0 != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(harness.validate(&token).await.0, status, "{name}");
    }
}

#[tokio::test]
async fn it_fetches_jwt_svids_of_its_own() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let (status, body) = harness.post("/v1/jwt/fetch", json!({ "audience": ["carnet"], "spiffe_id": "" })).await;
    assert_eq!((status, &body["svids"][0]["spiffe_id"]), (200, &json!(id("/sut").as_str())));
    let token = body["svids"][0]["token"].as_str().unwrap();
    assert_eq!(harness.validate(token).await.0, 200);
    for asked in [
        json!({ "audience": [] }),
        json!({ "audience": ["carnet"], "spiffe_id": id("/other").as_str() }),
        json!({ "audience": ["carnet"], "spiffe_id": "https://example.org" }),
    ] {
        assert_eq!(harness.post("/v1/jwt/fetch", asked.clone()).await.0, 422, "{asked}");
    }
    api.stop();
    assert_eq!(harness.post("/v1/jwt/fetch", json!({ "audience": ["carnet"] })).await.0, 500);
}

/// A TLS server that presents a certificate and asks for none.
async fn server(svid: &IssuedSvid) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(svid.chain.clone(), PrivatePkcs8KeyDer::from(svid.key.to_vec()).into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let _end = tls.read(&mut [0]).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn it_dials_only_servers_of_known_trust_domains() {
    let pki = Pki::new();
    let offer: Offer = pki.offer("/sut", &[]);
    let api = pki.serve(offer);
    let harness = Harness::start(&api).await;
    let dial = |address: String| harness.post("/v1/x509/dial", json!({ "address": address }));
    let own = server(&pki.ca.issue(&id("/server"), pki.now(), HOUR).unwrap()).await;
    let (status, body) = dial(own).await;
    assert_eq!((status, &body["spiffe_id"]), (200, &json!(id("/server").as_str())), "control: {body}");

    let mut two = pki.shape("/server");
    two.uris.push(format!("spiffe://{DOMAIN}/other"));
    let mut signs = pki.shape("/server");
    signs.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (name, svid) in [
        ("two SPIFFE IDs", pki.ca.issue_shaped(&two).unwrap()),
        ("a certificate authority", pki.ca.issue_shaped(&signs).unwrap()),
        ("of an unknown trust domain", pki.foreign.issue(&foreign_id("/server"), pki.now(), HOUR).unwrap()),
        ("by another's authority", pki.foreign.issue_shaped(&pki.shape("/server")).unwrap()),
    ] {
        let (status, body) = dial(server(&svid).await).await;
        assert_eq!((status, &body["status"]), (422, &json!("rejected")), "{name}: {body}");
    }
    // Nobody listens there: nothing was judged.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    assert_eq!(dial(nobody).await.0, 500);
    assert_eq!(dial("nowhere".to_owned()).await.0, 500);

    api.offer(pki.offer("/sut", &[Arc::clone(&pki.foreign)]));
    let foreign = server(&pki.foreign.issue(&foreign_id("/server"), pki.now(), HOUR).unwrap()).await;
    soon(async {
        while dial(foreign.clone()).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
