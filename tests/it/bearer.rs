//! Callers who show a JWT-SVID, as agents behind proxies that end TLS do: what they may do, what they get, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet::clock::Clock;
use carnet::identity::workload::GONE_BRIEFLY;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{GetTaskRequest, Outcome};
use carnet::server::start::Drained;
use serde_json::json;
use tonic::Code;

use super::support::ask::{AGENT, INTENT, ORCHESTRATOR, RESOURCE_SERVER};
use super::support::broker::{ISSUER, Setup, TestBroker, policy_with};
use super::support::caller::{Caller, Refused};
use super::support::pki::{HOUR, foreign_id, id, soon};

fn open() -> Setup {
    Setup { bearers: true, ..Setup::default() }
}

/// A bundle that grants reading to whoever shows a token.
fn opted_in() -> Setup {
    let unbound = "@id(\"unbound-read\")\n@unbound(\"30s\")\npermit (principal, action == Carnet::Action::\"read\", \
                   resource)\nwhen { context.caller.authentication == \"jwt_svid\" };\n";
    let policy = policy_with(|path, text| if path == "10-permits.cedar" { text + unbound } else { text });
    Setup { policy, ..open() }
}

async fn refused(caller: &Caller) -> Refused {
    caller.tasks().get_task(GetTaskRequest::default()).await.unwrap_err().into()
}

#[tokio::test]
async fn a_bearer_may_do_everything_but_get_a_token() {
    let broker = TestBroker::with(open()).await;
    let (orchestrator, agent) = (broker.bearer(ORCHESTRATOR).await, broker.bearer(AGENT).await);
    let task = orchestrator.open(broker.task(INTENT)).await;
    assert_eq!(agent.task(&task.id, &task.handle).await.unwrap().task_id, task.id);
    let (outcome, reasons) = agent.withheld(task.reading()).await;
    assert_eq!((outcome, reasons), (Outcome::Denied, vec!["KEY_NOT_PROVEN".to_owned()]));
    // The same agent gets one when it proves its key; its report and its release need none.
    let granted = broker.agent().await.granted(task.reading()).await;
    let mut report = task.report(granted.id(), "tickets.read", &json!({ "ticket_id": "T-1000" }), &json!({}));
    report.task_handle.clone_from(&task.handle);
    agent.report_tool_call(report).await.unwrap();
    agent.release_credential(task.release(granted.id())).await.unwrap();
    orchestrator.complete_task(task.complete()).await.unwrap();

    let events = broker.record.since(0).await;
    let by = |wanted: fn(&Payload) -> bool| {
        let event = events.iter().find(|event| wanted(&event.payload)).unwrap();
        event.actor.clone()
    };
    let actor = by(|payload| matches!(payload, Payload::TaskDecided(_)));
    assert_eq!((actor.authentication.as_str(), actor.certificate_digest.as_str()), ("jwt_svid", ""));
    let actor = by(|payload| matches!(payload, Payload::ToolCallReported(_)));
    assert_eq!(actor.authentication, "jwt_svid");
}

#[tokio::test]
async fn a_bearer_is_held_to_the_class_and_the_objects_of_its_identity() {
    let broker = TestBroker::with(open()).await;
    let task = broker.orchestrator().await.open(broker.task(INTENT)).await;
    let agent = broker.bearer(AGENT).await;
    let denied =
        agent.revoke(super::support::ask::revocation(carnet::pb::v1::target::Target::TaskId(task.id.clone()))).await;
    assert_eq!(denied.unwrap_err().code, Code::PermissionDenied);
    let stranger = broker.bearer("/agent/helper").await;
    assert_eq!(stranger.task(&task.id, &task.handle).await.unwrap_err().code, Code::NotFound);
    let nobody = broker.behind_a_proxy().await.showing(&format!(
        "Bearer {}",
        broker.jwt_svid(&broker.pki.ca, id("/nobody/knows").as_str(), ISSUER, Duration::from_secs(60))
    ));
    assert_eq!(refused(&nobody).await.reason, "IDENTITY_UNKNOWN");
}

#[tokio::test]
async fn an_unbound_token_takes_a_policy_lives_short_and_is_marked() {
    let broker = TestBroker::with(opted_in()).await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.bearer(AGENT).await);
    let task = orchestrator.open(broker.task(INTENT)).await;
    let granted = agent.granted(task.reading()).await;
    let claims = granted.claims();
    assert!(claims.get("cnf").is_none());
    assert_eq!(claims["client_id"], id(AGENT).as_str());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 30);
    let events = broker.record.since(0).await;
    let recorded = events.iter().find_map(|event| match &event.payload {
        Payload::CredentialDecided(decided) => Some((decided.grant.clone().unwrap(), event.actor.clone())),
        _ => None,
    });
    let (grant, actor) = recorded.unwrap();
    assert!(grant.unbound && grant.certificate_thumbprint.is_empty());
    assert_eq!(actor.authentication, "jwt_svid");
    // It permits reading and nothing else; who proves a key gets a bound token that lives as long as ever.
    let (outcome, reasons) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, reasons), (Outcome::Denied, vec!["KEY_NOT_PROVEN".to_owned()]));
    let bound = broker.agent().await.granted(task.reading()).await.claims();
    assert!(bound["cnf"]["x5t#S256"].is_string());
    assert_eq!(bound["exp"].as_u64().unwrap() - bound["iat"].as_u64().unwrap(), 300);
    // The grant stays while policy would give it again.
    broker.sweep().await;
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), carnet::pb::v1::GrantState::Live);
}

#[tokio::test]
async fn a_bound_token_is_not_given_again_to_who_proves_no_key() {
    let broker = TestBroker::with(opted_in()).await;
    let (_, agent, task) = broker.at_work().await;
    let request = task.reading();
    let granted = agent.granted(request.clone()).await;
    let bearer = broker.bearer(AGENT).await.again();
    let refused = bearer.request_credential(request.clone()).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "KEY_NOT_PROVEN"));
    let again = agent.again().request_credential(request).await.unwrap();
    assert_eq!(again.grant.unwrap().jti, granted.grant.jti, "control");
}

#[tokio::test]
async fn what_is_shown_at_the_door_is_refused_by_its_defect() {
    let broker = TestBroker::with(open()).await;
    let good = broker.bearer(AGENT).await;
    assert_eq!(refused(&good).await.code, Code::InvalidArgument, "control: it is let in, and its request is empty");
    let door = broker.behind_a_proxy().await;
    assert_eq!(refused(&door).await.code, Code::Unauthenticated, "nothing is shown");
    let life = Duration::from_secs(300);
    let token = |sub: &str, audience: &str, life| broker.jwt_svid(&broker.pki.ca, sub, audience, life);
    let own = id(AGENT);
    let fine = token(own.as_str(), ISSUER, life);
    let forged = broker.jwt_svid(&broker.pki.foreign, own.as_str(), ISSUER, life);
    let foreign = broker.jwt_svid(&broker.pki.foreign, foreign_id("/agent").as_str(), ISSUER, life);
    for (name, authorization, reason) in [
        ("another scheme", format!("DPoP {fine}"), "UNAUTHENTICATED"),
        ("no scheme", fine.clone(), "UNAUTHENTICATED"),
        ("two tokens", format!("Bearer {fine} {fine}"), "UNAUTHENTICATED"),
        ("two in a list", format!("Bearer {fine},Bearer {fine}"), "UNAUTHENTICATED"),
        ("for another audience", format!("Bearer {}", token(own.as_str(), "https://other.test", life)), "SVID_INVALID"),
        (
            "for a longer audience",
            format!("Bearer {}", token(own.as_str(), &format!("{ISSUER}/x"), life)),
            "SVID_INVALID",
        ),
        ("expired", format!("Bearer {}", token(own.as_str(), ISSUER, Duration::ZERO)), "SVID_EXPIRED"),
        (
            "living for days",
            format!("Bearer {}", token(own.as_str(), ISSUER, Duration::from_secs(90_000))),
            "SVID_INVALID",
        ),
        ("by another's key", format!("Bearer {forged}"), "SVID_INVALID"),
        ("of a trust domain that is not accepted", format!("Bearer {foreign}"), "TRUST_DOMAIN_UNKNOWN"),
        ("no token", "Bearer x".to_owned(), "SVID_INVALID"),
    ] {
        let refused = refused(&door.showing(&authorization)).await;
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, reason), "{name}");
    }
    // The scheme is compared without regard to case (RFC 6750 §2.1, RFC 9110 §11.1).
    assert_eq!(refused(&door.showing(&format!("bearer {fine}"))).await.code, Code::InvalidArgument, "control");
}

#[tokio::test]
async fn a_task_token_of_ours_opens_no_door() {
    let broker = TestBroker::with(open()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    broker.bearer(AGENT).await;
    let door = broker.behind_a_proxy().await.showing(&format!("Bearer {}", granted.token));
    assert_eq!(refused(&door).await.reason, "SVID_INVALID");
}

#[tokio::test]
async fn a_token_shown_over_mutual_tls_changes_nothing() {
    let broker = TestBroker::with(open()).await;
    let token = broker.jwt_svid(&broker.pki.ca, id(ORCHESTRATOR).as_str(), ISSUER, Duration::from_secs(300));
    let agent = broker.agent().await.showing(&format!("Bearer {token}"));
    let target = carnet::pb::v1::target::Target::Agent(id(AGENT).to_string());
    let refused = agent.unchecked().revoke(super::support::ask::revocation(target)).await.unwrap_err();
    assert_eq!(refused.code, Code::PermissionDenied, "it is the agent, and no orchestrator");
}

#[tokio::test]
async fn the_tokens_of_a_withdrawn_trust_domain_are_refused() {
    let identity = "\n[[identity]]\npattern = \"spiffe://elsewhere.test/agent\"\nclass = \"ai_agent\"\nowner = \"group:partners\"\n";
    let policy = policy_with(|path, text| if path == "identities.toml" { text + identity } else { text });
    let broker = TestBroker::with(Setup { policy, accepts_foreign: true, ..open() }).await;
    broker.bearer(AGENT).await;
    let life = Duration::from_secs(300);
    let token = broker.jwt_svid(&broker.pki.foreign, foreign_id("/agent").as_str(), ISSUER, life);
    let foreign = broker.behind_a_proxy().await.showing(&format!("Bearer {token}"));
    assert_eq!(refused(&foreign).await.code, Code::InvalidArgument, "control: it is let in");
    broker.withdraw_foreign();
    soon(async {
        while refused(&foreign).await.code != Code::Unauthenticated {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(refused(&foreign).await.reason, "TRUST_DOMAIN_UNKNOWN");
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let broker = TestBroker::with(open()).await;
    let server = broker.bearer(RESOURCE_SERVER).await;
    let mut stream = server.watch(0, &[]).await.unwrap();
    assert!(soon(stream.message()).await.is_ok(), "control");
    broker.advance(Duration::from_secs(301));
    let ended = soon(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => break Refused::from(status),
            }
        }
    })
    .await;
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unauthenticated, "SVID_EXPIRED"));
}

/// The stream of health, which any client may follow.
async fn health_of(caller: &Caller) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let stream = tonic_health::pb::health_client::HealthClient::new(caller.service()).watch(request).await;
    let mut stream = stream.unwrap().into_inner();
    assert!(soon(stream.message()).await.is_ok(), "control");
    stream
}

#[tokio::test]
async fn no_stream_outlives_the_token_that_opened_it() {
    let broker = TestBroker::with(open()).await;
    let mut stream = health_of(&broker.bearer(AGENT).await).await;
    broker.advance(Duration::from_secs(301));
    let ended = Refused::from(soon(stream.message()).await.unwrap_err());
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unauthenticated, "SVID_EXPIRED"));
}

#[tokio::test]
async fn no_stream_outlives_trust_in_who_opened_it() {
    let identity = "\n[[identity]]\npattern = \"spiffe://elsewhere.test/agent\"\nclass = \"ai_agent\"\nowner = \"group:partners\"\n";
    let policy = policy_with(|path, text| if path == "identities.toml" { text + identity } else { text });
    let broker = TestBroker::with(Setup { policy, accepts_foreign: true, ..open() }).await;
    let mut own = health_of(&broker.bearer(AGENT).await).await;
    let token = broker.jwt_svid(&broker.pki.foreign, foreign_id("/agent").as_str(), ISSUER, Duration::from_secs(300));
    let mut foreign = health_of(&broker.behind_a_proxy().await.showing(&format!("Bearer {token}"))).await;
    broker.withdraw_foreign();
    let ended = Refused::from(soon(foreign.message()).await.unwrap_err());
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unauthenticated, "TRUST_DOMAIN_UNKNOWN"));
    let still = tokio::time::timeout(Duration::from_millis(50), own.message()).await;
    assert!(still.is_err(), "it concerns nobody else: {still:?}");
}

#[tokio::test]
async fn who_says_nothing_does_not_hold_up_the_end() {
    let mut broker = TestBroker::with(open()).await;
    let at = broker.running().addresses().clone();
    let connect = async |address| {
        let tls = tokio_rustls::TlsConnector::from(Arc::new(super::support::pki::client_config(None)));
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        tls.connect(rustls_pki_types::ServerName::try_from("carnet.test").unwrap(), tcp).await.unwrap()
    };
    let _silent = soon(connect(at.bearer.unwrap())).await;
    // One that begins, and then says no more: what it is told is not answered.
    let mut begun = soon(connect(at.bearer.unwrap())).await;
    tokio::io::AsyncWriteExt::write_all(&mut begun, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let _operator = tokio::net::UnixStream::connect(broker.running().operator_socket().unwrap()).await.unwrap();
    let open = health_of(&broker.bearer(AGENT).await).await;
    assert_eq!(broker.stop().await, Some(Drained::Whole));
    drop((begun, open));
}

/// The keys that verify tokens go with the identity, and come back by a stream of their own. Both are asked for again just before
/// patience ends, and a busy machine may be later than that: then it proves nothing, and is asked to try again.
#[tokio::test]
async fn who_shows_a_token_while_the_identity_is_gone_for_a_moment_is_kept_waiting_and_then_answered() {
    for _ in 0..8 {
        let broker = TestBroker::with(open()).await;
        let agent = broker.bearer(AGENT).await;
        let (clock, gone) = (Clock::system(), Clock::system().now());
        broker.refuse_itself();
        super::support::pki::eventually(|| broker.running().broker().settling().is_some()).await;
        // By then the keys would be asked for again later than the identity, were it left to themselves.
        tokio::time::sleep(Duration::from_millis(1600)).await;
        let asks = tokio::spawn(async move { refused(&agent).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!asks.is_finished(), "nobody is trusted while it is gone");
        broker.federate_with(&[]);
        let code = soon(asks).await.unwrap().code;
        if code != Code::Unavailable || clock.now().since(gone) < GONE_BRIEFLY {
            assert_eq!(code, Code::InvalidArgument, "it is let in, and its request is empty");
            return;
        }
    }
    panic!("the identity came back too late each time");
}

/// Who was refused for what, and why, by the record.
async fn on_record(broker: &TestBroker) -> Vec<(String, String, String, Vec<String>)> {
    broker.sweep().await;
    let noted = broker.record.all().await.into_iter().filter_map(|event| match event.payload {
        Payload::Refused(r) => Some((r.subject, r.rpc, r.code, r.shown)),
        _ => None,
    });
    noted.collect()
}

#[tokio::test]
async fn a_refused_token_is_on_record_under_whom_it_was_signed_for() {
    let broker = TestBroker::with(open()).await;
    broker.bearer(AGENT).await;
    let door = broker.behind_a_proxy().await;
    let relayed = broker.jwt_svid(&broker.pki.ca, id(AGENT).as_str(), "https://other.test", Duration::from_secs(300));
    let forged = broker.jwt_svid(&broker.pki.foreign, id(ORCHESTRATOR).as_str(), ISSUER, Duration::from_secs(300));
    for token in [&relayed, &forged] {
        refused(&door.showing(&format!("Bearer {token}"))).await;
    }
    let method = "/carnet.v1.TaskService/GetTask".to_owned();
    let noted = on_record(&broker).await;
    let expected = (id(AGENT).to_string(), method.clone(), "SVID_INVALID".to_owned(), Vec::new());
    assert!(noted.contains(&expected), "{noted:?}");
    let expected = ("unverified".to_owned(), method, "SVID_INVALID".to_owned(), vec![id(ORCHESTRATOR).to_string()]);
    assert!(noted.contains(&expected), "{noted:?}");
}

#[tokio::test]
async fn tokens_that_are_shown_in_vain_shut_out_nobody_who_comes_the_same_way() {
    let broker = TestBroker::with(open()).await;
    let known = broker.bearer(AGENT).await;
    let door = broker.behind_a_proxy().await;
    for n in 0..600 {
        let forged = broker.jwt_svid(&broker.pki.foreign, id(&format!("/a/{n}")).as_str(), ISSUER, HOUR);
        assert_eq!(refused(&door.showing(&format!("Bearer {forged}"))).await.code, Code::Unauthenticated);
    }
    assert_eq!(refused(&known).await.code, Code::InvalidArgument, "who is known");
    let fresh = broker.jwt_svid(&broker.pki.ca, id(ORCHESTRATOR).as_str(), ISSUER, HOUR);
    let fresh = broker.behind_a_proxy().await.showing(&format!("Bearer {fresh}"));
    assert_eq!(refused(&fresh).await.code, Code::InvalidArgument, "who comes behind them");
}

#[tokio::test]
async fn a_token_that_is_known_is_refused_as_soon_as_it_no_longer_holds() {
    let broker = TestBroker::with(open()).await;
    let agent = broker.bearer(AGENT).await;
    for _ in 0..2 {
        assert_eq!(refused(&agent).await.code, Code::InvalidArgument, "control");
    }
    broker.advance(Duration::from_secs(301));
    assert_eq!(refused(&agent).await.reason, "SVID_EXPIRED");
}

/// The address of a proxy says nothing about who is behind it.
#[tokio::test]
async fn a_bearer_is_in_none_of_the_networks_that_are_declared_for_it() {
    let policy = policy_with(|path, text| match path {
        "identities.toml" => text.replace("[[identity]]\n", "[[identity]]\nnetworks = [\"127.0.0.0/8\"]\n"),
        _ => text,
    });
    let broker = TestBroker::with(Setup { policy, ..open() }).await;
    let task = broker.orchestrator().await.open(broker.task(INTENT)).await;
    let signals = async |caller: &Caller| {
        let decision = caller.request_credential(task.reading()).await.unwrap().decision.unwrap();
        let told = broker
            .operator()
            .await
            .audit()
            .get_decision(carnet::pb::v1::GetDecisionRequest { decision_id: decision.decision_id })
            .await
            .unwrap();
        format!("{:?}", told.into_inner())
    };
    assert!(signals(&broker.bearer(AGENT).await).await.contains("network_undeclared"));
    assert!(!signals(&broker.agent().await).await.contains("network_undeclared"), "control");
}

#[tokio::test]
async fn no_token_is_written_down() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_env_filter("carnet=trace").with_writer(log.clone()).finish();
    // With a single subscriber, a thread that has none could put a line to silence for all by being the first to reach it.
    let _beside = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    // All of it runs in this thread.
    let _until_the_end = tracing::subscriber::set_default(subscriber);
    let mut broker = TestBroker::with(open()).await;
    broker.bearer(AGENT).await;
    let door = broker.behind_a_proxy().await;
    let life = Duration::from_secs(300);
    let shown = id("/agent/shown-in-vain");
    let relayed = broker.jwt_svid(&broker.pki.ca, shown.as_str(), "https://other.test", life);
    let forged = broker.jwt_svid(&broker.pki.foreign, shown.as_str(), ISSUER, life);
    let good = broker.jwt_svid(&broker.pki.ca, id(RESOURCE_SERVER).as_str(), ISSUER, life);
    for token in [&relayed, &forged, &good] {
        refused(&door.showing(&format!("Bearer {token}"))).await;
    }
    broker.sweep().await;
    broker.stop().await;
    let mut written = vec![(PathBuf::from("the log"), log.0.lock().unwrap().clone())];
    read_all(broker.folder(), &mut written);
    let contains = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let holds_it = |(path, bytes): &&(PathBuf, Vec<u8>)| path.extension().is_some() && contains(bytes, shown.as_str());
    assert!(written.iter().any(|file| holds_it(&file)), "control: that somebody tried is written");
    assert!(contains(&written[0].1, "a token was refused"), "control: and logged");
    for token in [relayed, forged, good] {
        for (path, bytes) in &written {
            for part in token.split('.') {
                assert!(!contains(bytes, part), "{}", path.display());
            }
        }
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every file of a folder, with what is in it.
fn read_all(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else if path.is_file() {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
}
