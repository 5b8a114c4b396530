//! A bundle that only observes, the one exception to invariants 3 and 8, for policy's own answer: everything is decided and
//! recorded as always, nothing that policy alone would withhold is, everybody is told so, and it ends.

mod ends;
mod holds;
mod live;
mod refused;

use std::time::Duration;

use carnet::clock::Clock;
use carnet::model::time::Timestamp;
use carnet::pb::journal::CredentialDecided;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::pb::v1::Outcome;
use carnet::policy::bundle::BundleFiles;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::support::ask::{Granted, INTENT, OpenTask, access, audience_of, codes};
use super::support::broker::{Setup, TestBroker, policy_with};
use super::support::caller::Caller;
use super::support::pki::{id, soon};

/// For how long the bundles of these tests observe.
const LASTS: Duration = Duration::from_secs(600);
/// A program without a model.
const SERVICE: &str = "/service/nightly";

/// One rule for each outcome, each about a tool of its own.
const RULES: &str = "
@id(\"o-narrowed\") @reason(\"EFFECT_NOT_ALLOWED\") @outcome(\"narrowed\")
forbid (principal, action, resource == Carnet::Tool::\"tickets.search\");
@id(\"o-step-up\") @reason(\"HIGH_PRIVILEGE\") @outcome(\"step_up\")
forbid (principal, action, resource == Carnet::Tool::\"calendar.list\");
@id(\"o-review\") @reason(\"HIGH_PRIVILEGE\") @outcome(\"review\")
forbid (principal, action, resource == Carnet::Tool::\"mail.search\");
@id(\"o-denied\") @reason(\"FORBIDDEN\") @outcome(\"denied\")
forbid (principal, action, resource == Carnet::Tool::\"files.write\");
";

/// A time as bundles have it.
pub fn written(at: Timestamp) -> String {
    let nanos = i128::from(at.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap().format(&Rfc3339).unwrap()
}

/// The shipped bundle with those rules; all that it says is enforced.
fn enforcing() -> BundleFiles {
    policy_with(|path, text| if path == "50-risk.cedar" { text + RULES } else { text })
}

/// The same, which only observes until then; `classes` is the rest of `observe.toml`.
fn observing(until: Timestamp, classes: &str) -> BundleFiles {
    let text = format!("until = {}\n{classes}\n", written(until));
    with_file(&enforcing(), "observe.toml", &text)
}

fn with_file(files: &BundleFiles, path: &str, text: &str) -> BundleFiles {
    let files = files.iter().map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(files.chain([(path.to_owned(), text.as_bytes().to_vec())])).unwrap()
}

/// A broker whose bundle observes those classes.
async fn broker_observing(classes: &str) -> TestBroker {
    let clock = Clock::manual(Clock::system().now());
    let policy = observing(clock.now().after(LASTS), classes);
    TestBroker::with(Setup { policy, clock: Some(clock), ..Setup::default() }).await
}

/// The requests that the rules are about, with what policy answers where nobody has verified the initiator.
fn rows(task: &OpenTask) -> Vec<(v1::RequestCredentialRequest, Outcome, &'static str)> {
    let both = vec![access("tickets.read", &json!({ "ticket_id": "T-1000" })), access("tickets.search", &json!({}))];
    vec![
        (task.steps(&audience_of("tickets.read"), both), Outcome::Narrowed, "EFFECT_NOT_ALLOWED"),
        (task.step("calendar.list", &json!({})), Outcome::Review, "HIGH_PRIVILEGE"),
        (task.step("mail.search", &json!({})), Outcome::Review, "HIGH_PRIVILEGE"),
        (task.writing(), Outcome::Denied, "FORBIDDEN"),
    ]
}

async fn task_for(broker: &TestBroker, agent: &str) -> (Caller, OpenTask) {
    let registration = v1::RegisterTaskRequest { agent: id(agent).to_string(), ..broker.task(INTENT) };
    (broker.caller(agent).await, broker.orchestrator().await.open(registration).await)
}

/// Asks for what is granted all the same, and says what policy answered.
async fn observed(agent: &Caller, request: v1::RequestCredentialRequest) -> (Granted, Outcome) {
    let granted = agent.granted(request).await;
    assert!(granted.decision.observed_only, "{:?}", granted.decision);
    assert_eq!(granted.claims()["https://carnet.dev/claims/task"]["observed_only"], json!(true));
    let would_be = granted.decision.would_be();
    (granted, would_be)
}

fn counted(broker: &TestBroker, class: &str, outcome: &str) -> u64 {
    let text = broker.metrics().render().unwrap();
    let name = format!("carnet_observed_only_total{{class=\"{class}\",outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

async fn decided(broker: &TestBroker, decision_id: &str) -> CredentialDecided {
    let events = broker.record.of_kind("credential_decided").await.into_iter();
    let mut own = events.filter_map(|event| match event.payload {
        Payload::CredentialDecided(e) => Some(e),
        _ => None,
    });
    own.find(|e| e.decision.as_ref().is_some_and(|d| d.decision_id == decision_id)).unwrap()
}

/// What the command says; it ends with 0.
async fn carnet(arguments: &[&str]) -> (String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn each_answer_is_observed_for_one_class_and_enforced_for_another() {
    let broker = broker_observing("classes = [\"ai_agent\"]").await;
    let (agent, task) = task_for(&broker, super::support::ask::AGENT).await;
    for (request, outcome, reason) in rows(&task) {
        let (granted, would_be) = observed(&agent, request.clone()).await;
        assert_eq!((granted.decision.outcome(), would_be), (Outcome::Granted, outcome), "{reason}");
        assert_eq!(codes(&granted.decision)[0], reason, "why it would have been withheld is told");
        assert!(granted.decision.differences.is_empty() && granted.decision.approval_id.is_empty());
        assert_eq!((granted.decision.approvals_needed, granted.grant.access.len()), (0, request.access.len()));
        // The record has both.
        let event = decided(&broker, &granted.decision.decision_id).await;
        let decision = event.decision.unwrap();
        assert_eq!((decision.outcome, decision.instead), (outcome.into(), Outcome::Granted.into()));
        assert_eq!(decision.observed_class, "ai_agent");
        assert!(event.asked_people.is_none() && event.grant.is_some());
    }
    assert_eq!(counted(&broker, "ai_agent", "narrowed"), 1);
    assert_eq!(counted(&broker, "ai_agent", "review"), 2);
    assert_eq!(counted(&broker, "ai_agent", "denied"), 1);
    // What policy grants is granted as always.
    let usual = agent.granted(task.reading()).await;
    assert!(!usual.decision.observed_only && usual.decision.would_be() == Outcome::Unspecified);
    assert_eq!(usual.claims()["https://carnet.dev/claims/task"].get("observed_only"), None);

    let (service, task) = task_for(&broker, SERVICE).await;
    for (request, outcome, reason) in rows(&task) {
        if outcome == Outcome::Narrowed {
            let granted = service.granted(request).await;
            assert_eq!((granted.decision.outcome(), granted.grant.access.len()), (Outcome::Narrowed, 1));
            assert!(!granted.decision.observed_only);
            continue;
        }
        let (withheld, codes) = service.withheld(request).await;
        assert_eq!((withheld, codes[0].as_str()), (outcome, reason));
    }
    assert_eq!(counted(&broker, "service_account", "denied"), 0);
}

#[tokio::test]
async fn a_verifier_a_search_and_an_explanation_say_that_it_was_only_observed() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, super::support::ask::AGENT).await;
    let (granted, _) = observed(&agent, task.writing()).await;
    let socket = broker.running().operator_socket().unwrap().to_str().unwrap().to_owned();
    let id = granted.decision.decision_id.as_str();

    let told = |arguments: &[&str]| {
        let arguments: Vec<String> =
            arguments.iter().map(|a| (*a).to_owned()).chain(["--operator-socket".to_owned(), socket.clone()]).collect();
        async move { carnet(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let (found, _) = told(&["audit", "search", "--outcome", "denied", "--output", "json"]).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!((found.len(), &found[0]["decision_id"], &found[0]["observed_only"]), (1, &json!(id), &json!(true)));
    let summary = found[0]["summary"].as_str().unwrap();
    assert!(summary.ends_with("would have been denied: observed only"), "{summary}");
    let (page, _) = told(&["audit", "explain", id]).await;
    assert!(page.contains("granted: would have been withheld; observed only"), "{page}");
    let (whole, _) = told(&["audit", "explain", id, "--output", "json"]).await;
    let whole: Value = serde_json::from_str(&whole).unwrap();
    let shown = (&whole["outcome"], &whole["observed_only"], &whole["instead"]);
    assert_eq!(shown, (&json!("denied"), &json!(true), &json!("granted")));
    assert!(whole["facts"]["observing"].is_number(), "until when, for whoever decides again: {whole}");
    let (_, loud) = told(&["policy", "active"]).await;
    assert!(loud.contains("OBSERVES ONLY") && loud.contains("from service_account, ai_agent is granted"), "{loud}");

    let folder = tempfile::tempdir().unwrap();
    let (token, jwks) = (folder.path().join("token"), folder.path().join("jwks.json"));
    write_secret(&token, &granted.token);
    std::fs::write(&jwks, broker.running().broker().jwks()).unwrap();
    let audience = audience_of("files.write");
    let arguments = ["verify", token.to_str().unwrap(), "--issuer", super::support::broker::ISSUER, "--audience"];
    let rest = [audience.as_str(), "--danger-any-presenter", "--offline", "--jwks", jwks.to_str().unwrap()];
    let (said, loud) = carnet(&[&arguments[..], &rest[..], &["--output", "json"]].concat()).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["verdict"], &said["observed_only"]), (&json!("accepted"), &json!(true)));
    assert!(loud.contains("policy only observed"), "{loud}");
}

fn write_secret(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_retry_of_what_was_only_observed_gets_the_same_grant_again() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, super::support::ask::AGENT).await;
    // Neither `review` nor `denied` would be the answer to its request id for good, were it enforced.
    for (request, ..) in rows(&task) {
        let (first, would_be) = observed(&agent, request.clone()).await;
        let again = agent.again().granted(request).await;
        assert_eq!((again.claims(), again.decision.would_be()), (first.claims(), would_be));
        // And a renewal is decided as a request is.
        let renewed = Granted::renewed(agent.renew_credential(task.renewal(first.id())).await.unwrap());
        assert!(renewed.decision.observed_only && renewed.grant.jti != first.grant.jti);
    }
}

#[tokio::test]
async fn registrations_and_amendments_are_observed_with_the_class_of_who_asks() {
    let wide = |broker: &TestBroker| v1::RegisterTaskRequest {
        ceiling: Some(super::support::ask::ceiling(&["users.grant_role", "tickets.read"])),
        ..broker.task(INTENT)
    };
    let broker = broker_observing("classes = [\"ai_agent\"]").await;
    let answer = broker.orchestrator().await.register_task(wide(&broker)).await.unwrap();
    assert_eq!(answer.decision.unwrap().outcome(), Outcome::Review, "agents are observed, not orchestrators");

    let broker = broker_observing("classes = [\"orchestrator\"]").await;
    let orchestrator = broker.orchestrator().await;
    let answer = orchestrator.register_task(wide(&broker)).await.unwrap();
    let decision = answer.decision.unwrap();
    assert_eq!((decision.outcome(), decision.would_be()), (Outcome::Granted, Outcome::Review));
    assert!(decision.observed_only && !answer.task_handle.is_empty());
    assert_eq!(counted(&broker, "orchestrator", "review"), 1);
    let task = OpenTask { id: answer.task.unwrap().task_id, handle: answer.task_handle };
    let amendment = v1::AmendTaskRequest {
        request_id: super::support::caller::unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(super::support::ask::ceiling(&["users.grant_role", "tickets.read", "files.write"])),
        ..v1::AmendTaskRequest::default()
    };
    let decision = orchestrator.amend_task(amendment).await.unwrap().decision.unwrap();
    assert_eq!((decision.outcome(), decision.would_be()), (Outcome::Granted, Outcome::Review));
    // What its agent asks for is decided as always: it is of another class.
    let agent = broker.agent().await;
    assert_eq!(agent.withheld(task.writing()).await, (Outcome::Denied, vec!["FORBIDDEN".to_owned()]));
}

#[tokio::test]
async fn what_would_flip_is_told_of_what_policy_answers() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, super::support::ask::AGENT).await;
    for (request, ..) in rows(&task) {
        observed(&agent, request).await;
    }
    let tally = |files: BundleFiles| {
        let files = files
            .iter()
            .map(|(path, content)| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
        let bundle = Some(v1::PolicyBundle { files: files.collect() });
        let broker = &broker;
        async move {
            let request = v1::WhatIfRequest { bundle, from: None, until: None };
            // One runs at a time, and the one before may not be over yet.
            let operator = broker.operator().await;
            let mut parts = soon(async {
                loop {
                    if let Ok(parts) = operator.policy().what_if(request.clone()).await {
                        break parts.into_inner();
                    }
                }
            })
            .await;
            let mut tally = None;
            while let Some(message) = parts.message().await.unwrap() {
                if let Some(v1::what_if_response::Part::Tally(last)) = message.part {
                    tally = Some(last);
                }
            }
            tally.unwrap()
        }
    };
    let same = tally(enforcing()).await;
    assert_eq!((same.looser, same.stricter), (0, 0), "the same rules answer the same: {same:?}");
    assert!(same.decisions >= 5, "{same:?}");
    let without = tally(super::support::broker::shipped_policy()).await;
    // One of the four is reviewed for another doubt as well.
    assert_eq!((without.looser, without.stricter), (3, 0), "{without:?}");
}
