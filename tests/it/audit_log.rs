//! The record: it only grows, it can be checked offline, decisions can be replayed from it, and it holds no secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use carnet::audit::export::ExportWriter;
use carnet::audit::note::VerifierKey;
use carnet::audit::tree::Frontier;
use carnet::audit::verify::verify;
use carnet::model::facts::Facts;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{
    GetCheckpointRequest, ListBlocksRequest, Outcome, RegisterTaskRequest, RevokeRequest, SearchEventsRequest,
};
use carnet::policy::bundle::PolicyBundle;
use carnet::policy::decide::decide;
use serde_json::json;

use super::support::ask::{AGENT, INITIATOR, OpenTask, revocation};
use super::support::broker::{TestBroker, shipped_policy};
use super::support::caller::unique;
use super::support::pki::id;
use super::support::record::Export;

/// An export as the CLI writes it.
fn file(export: &Export) -> Vec<u8> {
    let mut writer = ExportWriter::new(Vec::new(), &Frontier::default()).unwrap();
    for event in &export.events {
        writer.event(&event.stored).unwrap();
    }
    writer.finish(&export.checkpoint).unwrap()
}

/// The public key of the checkpoints.
async fn key(broker: &TestBroker) -> VerifierKey {
    let operator = broker.operator().await;
    let answer = operator.audit().get_checkpoint(GetCheckpointRequest {}).await.unwrap().into_inner();
    answer.verifier_key.parse().unwrap()
}

/// Some of everything.
async fn some_life(broker: &TestBroker) -> OpenTask {
    let (orchestrator, agent, task) = broker.at_work().await;
    agent.granted(task.sending()).await;
    let read = agent.granted(task.reading()).await;
    agent.withheld(task.step("no.such", &json!({}))).await;
    let result = json!({ "title": "late", "body": "the customer says so", "comments": [] });
    let call = task.report(read.id(), "tickets.read", &json!({ "ticket_id": "T-1000" }), &result);
    broker.resource_server().await.report_tool_call(call).await.unwrap();
    broker.scorer().await.report_signal(task.signal("never_heard_of", 7)).await.unwrap();
    orchestrator.revoke(revocation(Named::GrantId(read.id().to_owned()))).await.unwrap();
    task
}

#[tokio::test]
async fn invariant_7_the_log_only_grows() {
    let broker = TestBroker::start().await;
    some_life(&broker).await;
    let key = key(&broker).await;
    let kept = broker.record.export(0).await;
    verify(file(&kept).as_slice(), &key, 0, None).unwrap();
    some_life(&broker).await;
    let export = broker.record.export(0).await;
    assert!(export.events.len() > kept.events.len());

    let report = verify(file(&export).as_slice(), &key, 0, Some(&kept.checkpoint)).unwrap();
    assert_eq!(report.head.size, export.events.len() as u64);
    assert_eq!(report.kept, Some(kept.events.len() as u64));

    let refused = |what: &str, export: &Export, against: Option<&str>| {
        assert!(verify(file(export).as_slice(), &key, 0, against).is_err(), "{what}");
    };
    for n in [0, 3, export.events.len() - 1] {
        let mut changed = export.clone();
        let mut bytes = changed.events[n].stored.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        changed.events[n].stored = bytes.into();
        refused("a byte was changed", &changed, None);
        let mut dropped = export.clone();
        dropped.events.remove(n);
        refused("an event was dropped", &dropped, None);
    }
    let mut swapped = export.clone();
    swapped.events.swap(2, 3);
    refused("two events changed places", &swapped, None);
    refused("the log was cut short of what was kept", &kept, Some(&export.checkpoint));
    let other = TestBroker::start().await;
    some_life(&other).await;
    refused("another log", &other.record.export(0).await, Some(&kept.checkpoint));
}

#[tokio::test]
async fn invariant_2_a_decision_follows_from_its_recorded_facts() {
    let broker = TestBroker::start().await;
    some_life(&broker).await;
    let bundle = PolicyBundle::load(shipped_policy()).unwrap();
    let operator = broker.operator().await;
    let mut replayed = 0;
    let (mut page_token, mut outcomes) = (String::new(), Vec::new());
    loop {
        let request = SearchEventsRequest { page_size: 3, page_token, ..SearchEventsRequest::default() };
        let page = operator.audit().search_events(request).await.unwrap().into_inner();
        for event in page.events.iter().filter(|event| !event.decision_id.is_empty()) {
            let record = operator.decision(&event.decision_id).await.unwrap();
            assert_eq!(record.policy_digest, bundle.digest().to_string());
            let facts: Facts = serde_json::from_str(&record.facts_json).unwrap();
            let decision = decide(&bundle, &facts);
            assert_eq!(decision.outcome as i32 + 1, record.outcome, "{record:?}");
            let codes: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
            let recorded: Vec<&str> = record.reasons.iter().map(|reason| reason.code.as_str()).collect();
            assert_eq!(codes, recorded);
            assert_eq!(u32::from(decision.risk.score.points()), record.risk);
            replayed += 1;
            outcomes.push(record.outcome());
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(replayed >= 4, "{replayed}");
    assert!(outcomes.contains(&Outcome::Denied) && outcomes.contains(&Outcome::Granted), "{outcomes:?}");
}

#[tokio::test]
async fn invariant_9_no_secret_is_written_down() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task("Read ticket T-1000 about the zanzibar merger.");
    registration.request_id = "task-of-secrets".to_owned();
    let task = orchestrator.open(registration).await;
    let mut request = task.reading();
    request.purpose = "to see what zebedee wrote".to_owned();
    let granted = agent.granted(request).await;
    let result = json!({ "title": "xylophone", "body": "quixotic" });
    let call = task.report(granted.id(), "tickets.read", &json!({ "ticket_id": "T-1000" }), &result);
    broker.resource_server().await.report_tool_call(call).await.unwrap();
    let operator = broker.operator().await;
    for (named, word) in [
        (Named::GrantId(granted.id().to_owned()), "vermilion"),
        (Named::TaskId(task.id.clone()), "wolverine"),
        (Named::Initiator("user:mallory@example.org".to_owned()), "yggdrasil"),
    ] {
        let reason = word.to_owned();
        operator.revoke(RevokeRequest { reason, ..revocation(named) }).await.unwrap();
    }
    let second = orchestrator.open(broker.task("Read ticket T-1000.")).await;
    orchestrator
        .cancel_task(carnet::pb::v1::CancelTaskRequest {
            task_id: second.id,
            reason: "jabberwocky".to_owned(),
            task_handle: String::new(),
        })
        .await
        .unwrap();
    let signature = granted.token.rsplit('.').next().unwrap().to_owned();
    let claims = granted.token.split('.').nth(1).unwrap().to_owned();
    let secrets = [task.handle.as_str(), &granted.token, &signature, &claims];
    let words = [
        "zanzibar",
        "zebedee",
        "xylophone",
        "quixotic",
        "jabberwocky",
        "vermilion",
        "wolverine",
        "yggdrasil",
        "T-1000",
    ];
    for event in broker.record.all().await {
        let text = String::from_utf8_lossy(&event.stored).into_owned();
        for secret in secrets.iter().chain(&words) {
            assert!(!text.contains(secret), "`{secret}` stands in the event at {}", event.position);
        }
    }
    let mut broker = broker;
    broker.stop().await;
    for path in files_below(broker.folder()) {
        let bytes = fs::read(&path).unwrap();
        for secret in secrets.iter().chain(&words) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {}", path.display());
        }
    }
    broker.try_start().await.unwrap();
    let decision = broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    assert!(decision.intent.contains("zanzibar"), "the operator's record opens what was sealed");
    assert!(decision.purpose.contains("zebedee"));
    let operator = broker.operator().await;
    let blocks = operator.revocations().list_blocks(ListBlocksRequest {}).await.unwrap().into_inner().blocks;
    assert_eq!(blocks[0].reason, "yggdrasil");
    let found = operator.audit().search_events(SearchEventsRequest::default()).await.unwrap().into_inner().events;
    for word in ["vermilion", "wolverine", "yggdrasil", "jabberwocky"] {
        assert!(found.iter().any(|event| event.summary.ends_with(word)), "{word} is told to a reviewer: {found:?}");
    }
}

#[tokio::test]
async fn the_same_words_leave_no_digest_that_confirms_a_guess() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let words = broker.task("Read ticket T-1000.");
    for _ in 0..2 {
        let again = RegisterTaskRequest { request_id: unique("task"), ..words.clone() };
        let task = orchestrator.open(again).await;
        agent.granted(task.reading()).await;
    }
    let mut digests = BTreeSet::new();
    for event in broker.record.all().await {
        let digest = match event.payload {
            Payload::TaskDecided(event) => event.asked_digest,
            Payload::CredentialDecided(event) => event.asked_digest,
            _ => continue,
        };
        assert_eq!(digest.len(), 32);
        assert!(digests.insert(digest), "who guesses the words of one task reads those of another");
    }
    assert_eq!(digests.len(), 4);
}

#[tokio::test]
async fn a_refused_registration_makes_no_key_and_is_told_all_the_same() {
    let broker = TestBroker::start().await;
    let keys = || files_below(&broker.folder().join("data/task-keys")).iter().map(|f| size(f)).sum::<u64>();
    let before = keys();
    // Agents register below a parent only.
    let denied = RegisterTaskRequest { agent: id(AGENT).to_string(), ..broker.task("Read ticket T-1000.") };
    let agent = broker.agent().await;
    let answer = agent.register_task(denied.clone()).await.unwrap().decision.unwrap();
    assert_eq!(answer.outcome(), Outcome::Denied);
    let again = agent.again().register_task(denied.clone()).await.unwrap().decision.unwrap();
    assert_eq!(again.decision_id, answer.decision_id);
    assert_eq!(keys(), before, "no key for what does not come to be");
    let record = broker.operator().await.decision(&answer.decision_id).await.unwrap();
    assert!(!record.erased && record.agent_class == "ai_agent", "{record:?}");

    let (orchestrator, granted) = (broker.orchestrator().await, broker.task("Read ticket T-1000."));
    orchestrator.open(granted.clone()).await;
    let with_a_task = keys();
    assert!(with_a_task > before);
    orchestrator.again().open(granted.clone()).await;
    let other = RegisterTaskRequest { intent: "Read ticket T-2000.".to_owned(), ..granted };
    let refused = orchestrator.register_task(other).await.unwrap_err();
    assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    assert_eq!(keys(), with_a_task, "a retry makes none");
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn a_part_of_the_record_can_be_taken_away_and_checked() {
    let broker = TestBroker::start().await;
    some_life(&broker).await;
    let key = key(&broker).await;
    let end = broker.record.size().await;
    for (from, size) in [(0, 5), (0, end), (5, end), (3, 8), (7, 7), (0, 0), (4, 0)] {
        let part = broker.record.part(from, size).await;
        let signed = if size == 0 { end } else { size };
        let report = verify(part.as_slice(), &key, from, None).unwrap();
        assert_eq!((report.from, report.head.size), (from, signed), "{from}..{size}");
        if from > 0 {
            assert!(verify(part.as_slice(), &key, 0, None).is_err(), "what lacks its beginning is not whole");
        }
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if entry.file_type().unwrap().is_file() {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn events_are_found_by_what_a_reviewer_knows() {
    let broker = TestBroker::start().await;
    let task = some_life(&broker).await;
    let operator = broker.operator().await;
    let found = async |request: SearchEventsRequest| {
        let request = SearchEventsRequest { page_size: 100, ..request };
        operator.audit().search_events(request).await.unwrap().into_inner().events
    };
    let any = SearchEventsRequest::default;
    let of_task = found(SearchEventsRequest { task_id: task.id.clone(), ..any() }).await;
    assert!(of_task.len() >= 5 && of_task.iter().all(|event| event.task_id == task.id), "{of_task:?}");
    let denied = found(SearchEventsRequest { outcome: Outcome::Denied.into(), ..any() }).await;
    assert!(!denied.is_empty() && denied.iter().all(|event| event.outcome() == Outcome::Denied));
    let by_reason = found(SearchEventsRequest { reason: "TOOL_UNKNOWN".to_owned(), ..any() }).await;
    assert_eq!(by_reason.len(), 1);
    let by_tool = found(SearchEventsRequest { tool: "mail.send".to_owned(), ..any() }).await;
    assert!(!by_tool.is_empty() && by_tool.iter().all(|event| event.tools.contains(&"mail.send".to_owned())));
    let by_agent = found(SearchEventsRequest { agent: id(AGENT).to_string(), ..any() }).await;
    assert!(by_agent.len() >= 3);
    let by_initiator = found(SearchEventsRequest { initiator: INITIATOR.to_owned(), ..any() }).await;
    assert!(by_initiator.len() >= 3);
    let by_kind = found(SearchEventsRequest { kind: "signal_reported".to_owned(), ..any() }).await;
    assert_eq!(by_kind.len(), 1);
    let nothing = found(SearchEventsRequest { tool: "never.used".to_owned(), ..any() }).await;
    assert!(nothing.is_empty());
    let both =
        found(SearchEventsRequest { tool: "mail.send".to_owned(), outcome: Outcome::Denied.into(), ..any() }).await;
    assert!(
        both.iter().all(|event| event.tools.contains(&"mail.send".to_owned()) && event.outcome() == Outcome::Denied)
    );
}
