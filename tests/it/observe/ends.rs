//! When observing ends: by its date, by another bundle, and at the latest so long after its activation. What it let live is decided
//! again then.

use std::sync::Arc;
use std::time::Duration;

use carnet::clock::Clock;
use carnet::pb::journal::GrantReconsidered;
use carnet::pb::journal::event::Payload;
use carnet::pb::journal::grant_reconsidered::Effect;
use carnet::pb::v1;
use carnet::pb::v1::{GrantState, Outcome};
use carnet::policy::bundle::BundleFiles;
use serde_json::json;

use super::{LASTS, broker_observing, enforcing, observed, observing, task_for, with_file};
use crate::support::ask::{AGENT, Granted, RESOURCE_SERVER};
use crate::support::broker::{Setup, TestBroker};
use crate::support::caller::Caller;
use crate::support::gate::Gate;
use crate::support::pki::{eventually, soon};

const SHORTLY: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn comes_to(server: &Caller, grant: &Granted, state: GrantState) {
    soon(async { while server.standing(grant.id()).await.unwrap() != state {} }).await;
}

async fn reconsidered(broker: &TestBroker) -> Vec<GrantReconsidered> {
    let events = broker.record.of_kind("grant_reconsidered").await.into_iter();
    let own = events.filter_map(|event| match event.payload {
        Payload::GrantReconsidered(event) => Some(event),
        _ => None,
    });
    own.collect()
}

fn until(broker: &TestBroker, class: &str) -> u64 {
    let text = broker.metrics().render().unwrap();
    let name = format!("carnet_observing_until_seconds{{class=\"{class}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// Looks at the metrics as a scrape does.
fn scraped(broker: &TestBroker) {
    let reading = carnet::metrics::Reading {
        observing: broker.running().broker().observed_classes(),
        ..carnet::metrics::Reading::default()
    };
    broker.metrics().read(&reading);
}

#[tokio::test]
async fn from_its_end_on_everything_is_withheld_and_what_it_let_live_is_taken() {
    let mut broker = broker_observing("classes = [\"ai_agent\"]").await;
    let end = broker.pki.now().after(LASTS);
    scraped(&broker);
    assert_eq!((until(&broker, "ai_agent"), until(&broker, "orchestrator")), (end.as_secs(), 0));
    broker.advance(LASTS - SHORTLY);
    let (agent, task) = task_for(&broker, AGENT).await;
    let (denied, _) = observed(&agent, task.writing()).await;
    let (reviewed, _) = observed(&agent, task.step("mail.search", &json!({}))).await;
    let fine = agent.granted(task.step("files.list", &json!({}))).await;
    broker.restart().await;
    let (agent, server) = (broker.agent().await, broker.caller(RESOURCE_SERVER).await);
    observed(&agent, task.step("calendar.list", &json!({}))).await;
    let active = active(&broker).await.observing.unwrap();
    assert_eq!((active.classes, active.over), (vec!["ai_agent".to_owned()], false));

    broker.advance(SHORTLY);
    // By the clock, whether its end is on record yet or not.
    assert_eq!(agent.withheld(task.writing()).await, (Outcome::Denied, vec!["FORBIDDEN".to_owned()]));
    let renewal = agent.unchecked().renew_credential(task.renewal(reviewed.id())).await.unwrap();
    assert!(renewal.token.is_empty() && renewal.grant.is_none());
    assert_eq!(renewal.decision.unwrap().outcome(), Outcome::Review);
    broker.sweep().await;
    comes_to(&server, &denied, GrantState::Revoked).await;
    comes_to(&server, &reviewed, GrantState::Suspended).await;
    assert_eq!(server.standing(fine.id()).await.unwrap(), GrantState::Live, "what policy grants lives on");
    broker.sweep().await;
    let ended = broker.record.of_kind("observing_ended").await;
    let [Payload::ObservingEnded(ended)] = &ended.iter().map(|e| e.payload.clone()).collect::<Vec<_>>()[..] else {
        panic!("{ended:?}")
    };
    assert_eq!((ended.until_ms, ended.classes.clone()), (end.as_millis(), vec!["ai_agent".to_owned()]));
    assert!(reconsidered(&broker).await.iter().all(|e| e.trigger == "observing_ended"));
    scraped(&broker);
    assert_eq!(until(&broker, "ai_agent"), 0);
    let over = self::active(&broker).await.observing.unwrap();
    assert!(over.over);
    // Over is over, also for a clock that is set back as little as is still believed, and after a start.
    broker.set_back(Duration::from_secs(4));
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied);
    broker.restart().await;
    let agent = broker.agent().await;
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied);
}

async fn active(broker: &TestBroker) -> v1::GetActivePolicyResponse {
    let request = v1::GetActivePolicyRequest { include_files: false };
    broker.operator().await.policy().get_active_policy(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_bundle_that_enforces_again_takes_what_it_would_have_withheld() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let (denied, _) = observed(&agent, task.writing()).await;
    let (reviewed, _) = observed(&agent, task.step("mail.search", &json!({}))).await;
    let fine = agent.granted(task.step("files.list", &json!({}))).await;
    let activated = broker.activate(&enforcing()).await;
    assert_eq!((activated.grants_suspended, activated.grants_revoked), (1, 1));
    assert_eq!(activated.observing, None);
    let server = broker.caller(RESOURCE_SERVER).await;
    assert_eq!(server.standing(denied.id()).await.unwrap(), GrantState::Revoked);
    assert_eq!(server.standing(reviewed.id()).await.unwrap(), GrantState::Suspended);
    assert_eq!(server.standing(fine.id()).await.unwrap(), GrantState::Live);
    // To observe again lets go on what was suspended, and brings back nothing that was revoked.
    let activated = broker.activate(&observing(broker.pki.now().after(LASTS), "")).await;
    assert!(!activated.observing.unwrap().over);
    assert_eq!(server.standing(reviewed.id()).await.unwrap(), GrantState::Live);
    assert_eq!(server.standing(denied.id()).await.unwrap(), GrantState::Revoked);
}

#[tokio::test]
async fn a_live_grant_stays_while_policy_only_observes_and_the_record_says_once_what_it_would_have_done() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let granted = agent.granted(task.reading()).await;
    let (scorer, server) = (broker.scorer().await, broker.caller(RESOURCE_SERVER).await);
    for _ in 0..2 {
        let answer = scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
        assert_eq!((answer.grants_suspended, answer.grants_revoked), (0, 0));
    }
    scorer.report_signal(task.signal("anomaly", 45)).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    let kept = reconsidered(&broker).await;
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let decision = kept.decision.as_ref().unwrap();
    assert_eq!(
        (kept.effect(), decision.outcome, decision.instead),
        (Effect::Kept, Outcome::Denied.into(), Outcome::Granted.into())
    );
    assert_eq!(super::counted(&broker, "ai_agent", "denied"), 1);
    broker.advance(LASTS);
    broker.sweep().await;
    let agent = broker.agent().await;
    assert_eq!(agent.withheld(task.reading()).await.0, Outcome::Denied);
    let last = broker.record.of_kind("observing_ended").await;
    assert_eq!(last.len(), 1);
}

/// How many sessions of the agent were learned from when that was decided.
async fn sessions(broker: &TestBroker, granted: &Granted) -> u64 {
    let record = broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    let facts: serde_json::Value = serde_json::from_str(&record.facts_json).unwrap();
    facts["behaviour"]["sessions"].as_u64().unwrap()
}

#[tokio::test]
async fn what_policy_would_have_withheld_is_nothing_usual() {
    let broker = broker_observing("").await;
    let (agent, first) = task_for(&broker, AGENT).await;
    observed(&agent, first.step("mail.search", &json!({}))).await;
    let (_, second) = task_for(&broker, AGENT).await;
    let usual = agent.granted(second.reading()).await;
    assert_eq!(sessions(&broker, &usual).await, 0, "nothing was learned of the first");
    let (_, third) = task_for(&broker, AGENT).await;
    let usual = agent.granted(third.reading()).await;
    assert_eq!(sessions(&broker, &usual).await, 1, "but of the second");
}

async fn checked(broker: &TestBroker, files: &BundleFiles) -> v1::CheckPolicyResponse {
    let list =
        files.iter().map(|(path, content)| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
    let bundle = Some(v1::PolicyBundle { files: list.collect() });
    broker.operator().await.policy().check_policy(v1::CheckPolicyRequest { bundle }).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_end_that_is_missing_or_too_far_away_is_refused() {
    let broker = TestBroker::start().await;
    let now = broker.pki.now();
    let too_far = observing(now.after(31 * DAY), "");
    let endless = with_file(&enforcing(), "observe.toml", "classes = [\"ai_agent\"]\n");
    for (files, problem) in [(&too_far, "more than 30 days away"), (&endless, "`until` is missing")] {
        let checked = checked(&broker, files).await;
        let told = checked.problems.iter().any(|p| p.path == "observe.toml" && p.message.contains(problem));
        assert!(told, "{problem}: {:?}", checked.problems);
        let list = files
            .iter()
            .map(|(path, content)| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
        let request = v1::ActivatePolicyRequest {
            bundle: Some(v1::PolicyBundle { files: list.collect() }),
            revision: 2,
            digest: files.digest().to_string(),
            going_back: false,
        };
        let refused = broker.operator().await.activate_policy(request).await.unwrap_err();
        assert_eq!(refused.reason, "POLICY_REJECTED", "{refused:?}");
        let setup = Setup { policy: files.clone(), ..Setup::default() };
        let folder = tempfile::tempdir().unwrap();
        let refused = TestBroker::in_folder(setup, folder.path()).await.map(drop).unwrap_err();
        assert!(refused.contains("observe.toml") || refused.contains("policy"), "{refused}");
    }
    let last = observing(now.after(30 * DAY), "");
    assert!(checked(&broker, &last).await.problems.is_empty());
    // One that is over may be activated: it enforces what it says.
    let over = with_file(&enforcing(), "observe.toml", "until = 2020-01-01T00:00:00Z\n");
    let found = checked(&broker, &over).await;
    assert!(found.problems.is_empty() && found.observing.unwrap().over);
    broker.activate(&over).await;
    let (agent, task) = task_for(&broker, AGENT).await;
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied);
}

/// A broker that observes for a short while still, with a gate before its journal.
async fn gated() -> (TestBroker, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let clock = Clock::manual(Clock::system().now());
    let policy = observing(clock.now().after(LASTS), "");
    let setup = Setup { policy, clock: Some(clock), journal: Gate::journal(&gate), ..Setup::default() };
    let broker = TestBroker::with(setup).await;
    broker.advance(LASTS - SHORTLY);
    (broker, gate)
}

async fn waiting(broker: &TestBroker, wanted: u64) {
    let broker = broker.running().broker().clone();
    eventually(move || broker.figures().waiting >= wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_on_its_way_when_observing_ends_is_decided_again() {
    let (broker, gate) = gated().await;
    let (agent, filler) = task_for(&broker, AGENT).await;
    let (_, task) = task_for(&broker, AGENT).await;
    let agent = agent.unchecked();
    let ask = |request: v1::RequestCredentialRequest| {
        let agent = agent.clone();
        tokio::spawn(async move { agent.request_credential(request).await })
    };
    broker.sweep().await;
    gate.close();
    let filler = ask(filler.step("files.list", &json!({})));
    eventually(|| gate.holds()).await;
    // The broker's own sweep comes to its end, and waits with it to be written.
    broker.advance(SHORTLY);
    waiting(&broker, 1).await;
    // By a clock that is a little behind, it is not over yet: so the request is decided before its end, and written after.
    broker.set_back(Duration::from_secs(1));
    let asked = ask(task.writing());
    waiting(&broker, 2).await;
    gate.open();
    Granted::of(soon(filler).await.unwrap().unwrap());
    let asked = soon(asked).await.unwrap().unwrap();
    assert!(asked.token.is_empty() && asked.grant.is_none(), "{asked:?}");
    assert_eq!(asked.decision.unwrap().outcome(), Outcome::Denied);
    let events = broker.record.all().await;
    let ended = events.iter().find(|e| matches!(e.payload, Payload::ObservingEnded(_))).unwrap().position;
    assert!(ended < asked.position, "the end was first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_and_written_only_when_observing_is_over_lets_no_token_go() {
    let (broker, gate) = gated().await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let agent = agent.unchecked();
    let request = task.writing();
    gate.close();
    let asked = {
        let (agent, request) = (agent.clone(), request.clone());
        tokio::spawn(async move { agent.request_credential(request).await })
    };
    eventually(|| gate.holds()).await;
    broker.advance(SHORTLY);
    gate.open();
    // Suspended until it is decided again, which revokes it.
    let gone = ["GRANT_SUSPENDED", "GRANT_REVOKED"];
    let refused = soon(asked).await.unwrap().unwrap_err();
    assert!(gone.contains(&refused.reason.as_str()), "{refused:?}");
    let granted = broker.record.of_kind("credential_decided").await;
    let Payload::CredentialDecided(decided) = &granted.last().unwrap().payload else { panic!("{granted:?}") };
    assert!(decided.grant.is_some(), "it was decided while policy only observed");
    // Nor with a second try.
    let refused = agent.request_credential(request).await.unwrap_err();
    assert!(gone.contains(&refused.reason.as_str()), "{refused:?}");
}
