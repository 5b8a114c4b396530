//! Callers who show a JWT-SVID, as agents behind proxies that end TLS do: what they may do, what they get, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{GetTaskRequest, Outcome};
use serde_json::json;
use tonic::Code;

use super::support::ask::{AGENT, INTENT, ORCHESTRATOR, RESOURCE_SERVER};
use super::support::broker::{ISSUER, Setup, TestBroker, policy_with};
use super::support::caller::{Caller, Refused};
use super::support::pki::{foreign_id, id, soon};

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

#[tokio::test]
async fn no_token_is_written_down() {
    let broker = TestBroker::with(open()).await;
    let caller = broker.bearer(AGENT).await;
    let token = broker.jwt_svid(&broker.pki.ca, id(AGENT).as_str(), "https://other.test", Duration::from_secs(300));
    refused(&caller.showing(&format!("Bearer {token}"))).await;
    broker.sweep().await;
    let signature = Arc::<str>::from(token.rsplit('.').next().unwrap());
    for entry in std::fs::read_dir(broker.journal_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(signature.len()).any(|w| w == signature.as_bytes()), "{}", path.display());
        }
    }
}
