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
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::process::{Child, Command};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::support::pki::{DOMAIN, FOREIGN, HOUR, Pki, client_config, foreign_id, id, soon};

struct Harness {
    child: Child,
    x509: u16,
    control: u16,
}

/// The harness, about to be started over this Workload API.
fn command(endpoint: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().with_file_name("examples").join("spiffe_harness");
    assert!(
        path.exists(),
        "`cargo test` builds {}; for this file alone, `cargo build --examples` does",
        path.display()
    );
    // With few file descriptors, as a test uses them up; it needs about twenty.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\""]).arg(path);
    command.env_clear().env("SPIFFE_ENDPOINT_SOCKET", endpoint).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

impl Harness {
    async fn start(api: &WorkloadApi) -> Self {
        let mut child = command(&api.endpoint()).spawn().unwrap();
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
    // Not even for those who are in the middle of something.
    let mut shaking = TcpStream::connect(("127.0.0.1", harness.x509)).await.unwrap();
    let mut asking = TcpStream::connect(("127.0.0.1", harness.control)).await.unwrap();
    asking.write_all(b"POST /v1/jwt/validate HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    terminate(&harness.child);
    assert!(soon(harness.child.wait()).await.unwrap().success());
    for connection in [&mut shaking, &mut asking] {
        let _ended_or_reset = soon(connection.read(&mut [0])).await;
    }
}

#[tokio::test]
async fn it_ends_at_sigterm_before_it_has_an_identity() {
    let pki = Pki::new();
    let socket = pki.path("silent.sock");
    let silent = UnixListener::bind(&socket).unwrap();
    let mut child = command(&format!("unix://{}", socket.display())).spawn().unwrap();
    // Whoever asks for an identity listens to signals already.
    let _held = soon(silent.accept()).await.unwrap();
    terminate(&child);
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn what_goes_wrong_is_told_on_stderr_and_stdout_has_nothing_but_the_contract() {
    let mut command = command("");
    command.env_remove("SPIFFE_ENDPOINT_SOCKET").stderr(Stdio::piped());
    let output = soon(command.output()).await.unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn every_answer_says_how_it_stands() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let too_large = Value::String("x".repeat(2 << 20));
    for (method, path, body, wanted, status) in [
        ("POST", "/v1/jwt/validate", json!({ "token": "x", "audience": "carnet" }), 422, "rejected"),
        ("POST", "/v1/jwt/other", json!({}), 501, "unsupported"),
        ("GET", "/", Value::Null, 501, "unsupported"),
        ("GET", "/v1/jwt/validate", Value::Null, 501, "unsupported"),
        ("DELETE", "/v1/info", Value::Null, 501, "unsupported"),
        ("POST", "/v1/jwt/validate", Value::Null, 500, "error"),
        ("POST", "/v1/jwt/validate", too_large.clone(), 500, "error"),
        ("POST", "/v1/jwt/fetch", too_large.clone(), 500, "error"),
        ("POST", "/v1/x509/dial", too_large, 500, "error"),
    ] {
        let (code, body) = harness.ask(method, path, &body).await;
        assert_eq!((code, &body["status"]), (wanted, &json!(status)), "{method} {path}: {body}");
        assert!(body["message"].is_string(), "{method} {path}: {body}");
    }
}

#[tokio::test]
async fn it_survives_more_connections_than_it_can_hold() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let mut harness = Harness::start(&api).await;
    let mut held = Vec::new();
    for _ in 0..80 {
        held.push(TcpStream::connect(("127.0.0.1", harness.x509)).await.unwrap());
    }
    // Those for whom there is no descriptor wait; a harness that took that to heart would be gone by now.
    let over = tokio::time::timeout(Duration::from_millis(300), harness.child.wait()).await;
    assert!(over.is_err(), "it ended: {over:?}");
    drop(held);
    let own = pki.ca.issue(&id("/peer"), pki.now(), HOUR).unwrap();
    assert_eq!(harness.greets(Some(&own)).await, format!("spiffe://{DOMAIN}/peer\n"));
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

#[tokio::test]
async fn it_hands_out_no_jwt_svid_but_what_was_asked_for() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let sut = id("/sut").to_string();
    let token = |audience: &str| jwt(&pki.ca, &sut, audience, &pki, HOUR);
    let given = |svids: Vec<(&String, String)>| {
        let jwt_svids = Some(svids.into_iter().map(|(name, token)| (name.clone(), token)).collect());
        api.offer(Offer { jwt_svids, ..pki.offer("/sut", &[]) });
    };
    let (anybody, other) = (String::new(), id("/other").to_string());
    for (name, svids, asked, status) in [
        ("control", vec![(&sut, token("carnet"))], &sut, 200),
        ("control: of anybody", vec![(&sut, token("carnet"))], &anybody, 200),
        ("none", vec![], &anybody, 500),
        ("for another audience", vec![(&sut, token("else"))], &anybody, 422),
        ("of another", vec![(&sut, token("carnet"))], &other, 422),
        ("of another than it is said to be of", vec![(&other, token("carnet"))], &other, 422),
        ("one of two is for another audience", vec![(&sut, token("carnet")), (&sut, token("else"))], &anybody, 422),
        ("no token", vec![(&sut, "x".to_owned())], &anybody, 422),
    ] {
        given(svids);
        let (code, body) = harness.post("/v1/jwt/fetch", json!({ "audience": ["carnet"], "spiffe_id": asked })).await;
        assert_eq!(code, status, "{name}: {body}");
    }
    given(vec![(&sut, token("carnet"))]);
    for audience in [json!([]), json!([""]), json!(["carnet", "else"])] {
        let (code, body) = harness.post("/v1/jwt/fetch", json!({ "audience": audience })).await;
        assert_eq!((code, &body["status"]), (422, &json!("rejected")), "{audience}");
    }
}

/// What a TLS server listens with, and where.
async fn listening(config: rustls::ServerConfig) -> (TcpListener, String, TlsAcceptor) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address, TlsAcceptor::from(Arc::new(config)))
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
    let (listener, address, acceptor) = listening(config).await;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let _end = tls.read(&mut [0]).await;
            }
        }
    });
    address
}

/// A TLS server that wants a certificate of the foreign trust domain.
async fn server_that_refuses(pki: &Pki) -> String {
    let svid = pki.ca.issue(&id("/server"), pki.now(), HOUR).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pki.foreign.root().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(svid.chain.clone(), PrivatePkcs8KeyDer::from(svid.key.to_vec()).into())
        .unwrap();
    let (listener, address, acceptor) = listening(config).await;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            assert!(acceptor.accept(tcp).await.is_err(), "it is refused");
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_refuses_us_is_an_error_and_no_success() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/sut", &[]));
    let harness = Harness::start(&api).await;
    let dial = |address: String| harness.post("/v1/x509/dial", json!({ "address": address }));
    let own = server(&pki.ca.issue(&id("/server"), pki.now(), HOUR).unwrap()).await;
    assert_eq!(dial(own).await.0, 200, "control");
    let (status, body) = dial(server_that_refuses(&pki).await).await;
    assert_eq!((status, &body["status"]), (500, &json!("error")), "{body}");
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
