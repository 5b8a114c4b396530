//! Reports that tell values by keyed digests: who is given the key, what such a report is worth, and what is no report.

use std::sync::Arc;

use carnet::disk::RealDisk;
use carnet::entropy::Entropy;
use carnet::journal::options::Options;
use carnet::model::digested::{DigestKey, DigestedKind as Kind};
use carnet::model::facts::Facts;
use carnet::model::limits::DIGESTED_FIELDS_MAX;
use carnet::pb::v1::{self, Outcome, Provenance};
use carnet::policy::bundle::PolicyBundle;
use carnet::policy::decide::decide;
use carnet::seal::sealer::{KeyFiles, Sealer};
use serde_json::{Value, json};
use tonic::Code;

use super::restart::files_below;
use super::support::ask::{AGENT, GATEWAY, INTENT, ORCHESTRATOR, OpenTask, RESOURCE_SERVER, SCORER, TICKETS_SERVER};
use super::support::broker::{Setup, TestBroker, shipped_policy};
use super::support::caller::{Caller, Refused};
use super::support::pki::id;

/// What to write for, so that nothing else is in doubt.
const WRITE: &str = "Look at my calendar and write to the room.";

async fn ask_key(caller: &Caller, task: &OpenTask, grant: &str, tool: &str) -> Result<(DigestKey, String), Refused> {
    let (task_id, grant_id, tool) = (task.id.clone(), grant.to_owned(), tool.to_owned());
    let request = v1::GetReportKeyRequest { task_id, grant_id, tool };
    let answer = caller.signals().get_report_key(request).await.map_err(Refused::from)?.into_inner();
    let key = DigestKey::new(answer.key.as_ref().try_into().unwrap());
    assert_eq!(key.id(), answer.key_id);
    Ok((key, answer.key_id))
}

/// The key as the gateway is given it.
async fn key_of(broker: &TestBroker, task: &OpenTask) -> DigestKey {
    ask_key(&broker.caller(GATEWAY).await, task, "", "calendar.list").await.unwrap().0
}

fn field(key: &DigestKey, path: &str, kind: Kind, value: &str) -> v1::DigestedField {
    let hmac = key.digest(kind, value).unwrap().to_vec().into();
    v1::DigestedField { path: path.to_owned(), kind: kind.as_str().to_owned(), hmac }
}

/// A call of the calendar, of which the result is told by digests.
fn digested(task: &OpenTask, grant: &str, key: &DigestKey) -> v1::ReportToolCallRequest {
    let mut call = task.report(grant, "calendar.list", &json!({}), &Value::Null);
    call.digest_key_id = key.id();
    call.digested_result = vec![
        field(key, "entries.room_mailbox", Kind::Address, "carol@EXAMPLE.org"),
        field(key, "entries.organizer", Kind::Address, "frank@example.org"),
        field(key, "entries.description", Kind::Text, "bring dave@example.org"),
    ];
    call
}

async fn record_of(broker: &TestBroker, agent: &Caller, task: &OpenTask, mail: &Value) -> v1::DecisionRecord {
    let answer = agent.request_credential(task.step("mail.send", mail)).await.unwrap();
    broker.operator().await.decision(&answer.decision.unwrap().decision_id).await.unwrap()
}

async fn provenance(broker: &TestBroker, agent: &Caller, task: &OpenTask, to: &str) -> Provenance {
    let mail = json!({ "to": [to], "subject": "s", "body": "b" });
    record_of(broker, agent, task, &mail).await.access[0].sinks[0].provenance()
}

#[tokio::test]
async fn the_key_is_for_those_whose_reports_are_believed() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
    let (server, gateway) = (broker.resource_server().await, broker.caller(GATEWAY).await);
    let (key, name) = ask_key(&server, &task, granted.id(), "calendar.list").await.unwrap();
    assert_eq!(ask_key(&gateway, &task, "", "calendar.list").await.unwrap(), (key.clone(), name.clone()));
    assert_eq!(ask_key(&gateway, &task, "", "mail.send").await.unwrap().1, name, "one for the whole task");

    let other = orchestrator.open(broker.task(INTENT)).await;
    assert_ne!(key_of(&broker, &other).await, key, "and for no other task");

    let tickets = broker.caller(TICKETS_SERVER).await;
    let wrong = ask_key(&tickets, &task, granted.id(), "calendar.list").await.unwrap_err();
    assert_eq!(wrong.code, Code::NotFound, "another audience");
    let wrong = ask_key(&server, &other, "", "calendar.list").await.unwrap_err();
    assert_eq!(wrong.code, Code::NotFound, "of a call that was never granted its word is no ground");
    let wrong = ask_key(&server, &task, granted.id(), "mail.send").await.unwrap_err();
    assert_eq!(wrong.code, Code::InvalidArgument, "the grant does not cover the tool");
    for path in [AGENT, ORCHESTRATOR, SCORER] {
        let refused = ask_key(&broker.caller(path).await, &task, granted.id(), "calendar.list").await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"), "{path}");
    }
    let operator = ask_key(&broker.operator().await, &task, granted.id(), "calendar.list").await.unwrap_err();
    assert_eq!(operator.reason, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_field_by_digest_counts_as_its_value_would() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let rows = [
        // A forgery, under a key that it should not have: evidence that it was seen, and never ground.
        (AGENT, "carol@example.org", Provenance::Text),
        (RESOURCE_SERVER, "carol@example.org", Provenance::Field),
        (GATEWAY, "carol@example.org", Provenance::Field),
        // Whoever invites fills it in.
        (RESOURCE_SERVER, "frank@example.org", Provenance::Text),
        // It stands within a text that nobody can search: as what was never seen, which is asked about.
        (RESOURCE_SERVER, "dave@example.org", Provenance::None),
        (RESOURCE_SERVER, "eve@example.org", Provenance::None),
    ];
    for (reporter, address, expected) in rows {
        let task = orchestrator.open(broker.task(WRITE)).await;
        let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
        let mut call = digested(&task, granted.id(), &key_of(&broker, &task).await);
        if reporter == AGENT {
            call.task_handle.clone_from(&task.handle);
        }
        broker.caller(reporter).await.report_tool_call(call).await.unwrap();
        assert_eq!(provenance(&broker, &agent, &task, address).await, expected, "{address} by {reporter}");
    }
}

#[tokio::test]
async fn a_sink_that_is_none_of_the_granted_was_judged_by_nobody() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let known = json!({ "entries": [{ "room_mailbox": "carol@example.org" }] });
    let rows = [
        ("the granted one", "ticket_id", Kind::Id, "T-1000", false, Provenance::Field),
        ("the same after a renewal", "ticket_id", Kind::Id, "T-1000", true, Provenance::Field),
        ("the same, told as it stands", "ticket_id", Kind::Text, "T-1000", false, Provenance::Field),
        ("another one", "ticket_id", Kind::Id, "carol@example.org", false, Provenance::Text),
        ("another one after a renewal", "ticket_id", Kind::Id, "T-1001", true, Provenance::Text),
        ("no sink", "note", Kind::Id, "T-1000", false, Provenance::Text),
    ];
    for reporter in [RESOURCE_SERVER, GATEWAY] {
        for (name, path, kind, value, renewed, expected) in rows {
            let task =
                orchestrator.open(broker.task("Read ticket T-1000, look at my calendar and write to the room.")).await;
            let granted = agent.granted(task.reading()).await;
            if renewed {
                agent.renew_credential(task.renewal(granted.id())).await.unwrap();
            }
            let key = key_of(&broker, &task).await;
            let mut call = task.report(granted.id(), "tickets.read", &json!({}), &Value::Null);
            call.digest_key_id = key.id();
            call.digested_arguments = vec![field(&key, path, kind, value)];
            broker.caller(reporter).await.report_tool_call(call).await.unwrap();
            // What comes back from then on may be what was sent.
            let read = task.report("", "calendar.list", &json!({}), &known);
            broker.caller(GATEWAY).await.report_tool_call(read).await.unwrap();
            let found = provenance(&broker, &agent, &task, "carol@example.org").await;
            assert_eq!(found, expected, "{name}, by {reporter}");
        }
    }
}

#[tokio::test]
async fn who_was_given_the_key_stands_in_the_record_once() {
    let journal = Arc::new(|options: &mut Options| options.snapshot_every = 1);
    let mut broker = TestBroker::with(Setup { journal, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
    for round in 0..2 {
        let (server, gateway) = (broker.resource_server().await, broker.caller(GATEWAY).await);
        for _ in 0..2 {
            ask_key(&server, &task, granted.id(), "calendar.list").await.unwrap();
            ask_key(&gateway, &task, "", "mail.send").await.unwrap();
        }
        ask_key(&broker.caller(TICKETS_SERVER).await, &task, granted.id(), "calendar.list").await.unwrap_err();
        ask_key(&broker.caller(AGENT).await, &task, granted.id(), "calendar.list").await.unwrap_err();
        let given = broker.record.of_kind("report_key_given").await;
        let who: Vec<String> = given.iter().map(|event| event.actor.id.clone()).collect();
        assert_eq!(who, [id(RESOURCE_SERVER).to_string(), id(GATEWAY).to_string()], "round {round}");
        let request = v1::SearchEventsRequest {
            kind: "report_key_given".to_owned(),
            task_id: task.id.clone(),
            ..Default::default()
        };
        let found = broker.operator().await.audit().search_events(request).await.unwrap().into_inner().events;
        let told: Vec<&str> = found.iter().map(|event| event.summary.as_str()).collect();
        assert!(
            told.iter().any(|t| t.ends_with("key for digests given to the audience of `calendar.list`")),
            "{told:?}"
        );
        assert_eq!(told.len(), 2, "{told:?}");
        if round == 0 {
            broker.restart().await;
        }
    }
}

#[tokio::test]
async fn content_that_nobody_can_search_is_confirmed() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.orchestrator().await;
    let agent = broker.agent().await;
    let note =
        json!({ "path": "/reports/t-1000.md", "content": "Everything that was asked for has been done by now." });
    for by_digest in [false, true] {
        let task = orchestrator.open(broker.task("Look at my calendar and write /reports/t-1000.md")).await;
        let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
        let key = key_of(&broker, &task).await;
        let mut call = digested(&task, granted.id(), &key);
        if !by_digest {
            let result = json!({ "entries": [{ "description": "bring dave@example.org" }] });
            call = task.report(granted.id(), "calendar.list", &json!({}), &result);
        }
        broker.resource_server().await.report_tool_call(call).await.unwrap();
        let answer = agent.request_credential(task.step("files.write", &note)).await.unwrap();
        let decision = answer.decision.unwrap();
        let dictated = decision.reasons.iter().any(|reason| reason.code == "CONTENT_DICTATED");
        assert_eq!(dictated, by_digest, "{decision:?}");
        if by_digest {
            assert!(decision.outcome() == Outcome::StepUp || decision.outcome() == Outcome::Review, "{decision:?}");
            let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
            // What nobody could search is a fact as others are: the decision follows from it again.
            let facts: Facts = serde_json::from_str(&record.facts_json).unwrap();
            let again = decide(&PolicyBundle::load(shipped_policy()).unwrap(), &facts);
            assert_eq!(again.outcome as i32 + 1, record.outcome);
            let told = format!("{record:?}");
            assert!(told.contains("an argument may stand in `calendar.list`'s result"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_was_told_by_digest_is_known_after_a_restart_and_gone_with_the_task() {
    for snapshot_every in [1, 1_000_000] {
        let journal = Arc::new(move |options: &mut Options| {
            options.snapshot_every = snapshot_every;
        });
        let mut broker = TestBroker::with(Setup { journal, ..Setup::default() }).await;
        let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
        let task = orchestrator.open(broker.task(WRITE)).await;
        let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
        let key = key_of(&broker, &task).await;
        let call = digested(&task, granted.id(), &key);
        broker.resource_server().await.report_tool_call(call.clone()).await.unwrap();

        broker.restart().await;

        let agent = broker.agent().await;
        assert_eq!(provenance(&broker, &agent, &task, "carol@example.org").await, Provenance::Field);
        assert_eq!(key_of(&broker, &task).await, key, "derived anew");
        let again = broker.resource_server().await.again().report_tool_call(call.clone()).await.unwrap();
        assert!(again.position > 0, "a retry is known");
        let mut other = call;
        other.digested_result.pop();
        let refused = broker.resource_server().await.report_tool_call(other).await.unwrap_err();
        assert_eq!(refused.reason, "REQUEST_ID_REUSED");

        let root = task.id.parse().unwrap();
        broker
            .restart_after(|folder| {
                let data = folder.join("data");
                let files = KeyFiles { master_key: data.join("master.key"), task_keys: data.join("task-keys") };
                Sealer::load(&files, Arc::new(RealDisk), Entropy::system()).unwrap().erase(root).unwrap();
            })
            .await;
        let gone = ask_key(&broker.caller(GATEWAY).await, &task, "", "calendar.list").await.unwrap_err();
        assert_eq!(gone.code, Code::NotFound);
    }
}

#[tokio::test]
async fn neither_the_key_nor_what_it_names_stands_anywhere() {
    let journal = Arc::new(|options: &mut Options| options.snapshot_every = 1);
    let mut broker = TestBroker::with(Setup { journal, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
    let key = key_of(&broker, &task).await;
    broker.resource_server().await.report_tool_call(digested(&task, granted.id(), &key)).await.unwrap();
    broker.stop().await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let digest = key.digest(Kind::Address, "carol@example.org").unwrap();
    let listed = serde_json::to_vec(key.expose()).unwrap();
    let secrets = [key.expose().to_vec(), hex(key.expose()), listed, digest.to_vec(), hex(&digest)];
    let files = files_below(broker.folder());
    assert!(files.len() > 3, "{files:?}");
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        for (n, secret) in secrets.iter().enumerate() {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "the {n}th stands in {}", path.display());
        }
    }
}

#[tokio::test]
async fn what_is_no_digest_is_refused() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.step("calendar.list", &json!({}))).await;
    let key = key_of(&broker, &task).await;
    let other = key_of(&broker, &orchestrator.open(broker.task(INTENT)).await).await;
    let server = broker.resource_server().await;
    type Change = Box<dyn Fn(&mut v1::ReportToolCallRequest)>;
    let rows: Vec<(&str, &str, Change)> = vec![
        ("the key of another task", "INVALID_ARGUMENT", Box::new(move |r| r.digest_key_id = other.id())),
        ("no key", "INVALID_ARGUMENT", Box::new(|r| r.digest_key_id.clear())),
        ("a key and nothing under it", "INVALID_ARGUMENT", Box::new(|r| r.digested_result.clear())),
        ("an endless name of a key", "LIMIT_EXCEEDED", Box::new(|r| r.digest_key_id = "0".repeat(1000))),
        ("a kind that is none", "INVALID_ARGUMENT", Box::new(|r| r.digested_result[0].kind = "Address".to_owned())),
        ("no kind", "INVALID_ARGUMENT", Box::new(|r| r.digested_result[0].kind.clear())),
        ("half a digest", "INVALID_ARGUMENT", Box::new(|r| r.digested_result[0].hmac.truncate(16))),
        ("one and a half", "INVALID_ARGUMENT", Box::new(|r| r.digested_result[0].hmac = vec![1; 48].into())),
        ("no digest", "INVALID_ARGUMENT", Box::new(|r| r.digested_result[0].hmac.clear())),
        (
            "a path with a control character",
            "INVALID_ARGUMENT",
            Box::new(|r| r.digested_result[0].path = "a\nb".into()),
        ),
        ("an endless path", "LIMIT_EXCEEDED", Box::new(|r| r.digested_result[0].path = "p".repeat(1000))),
        (
            "too many",
            "LIMIT_EXCEEDED",
            Box::new(|r| r.digested_arguments = vec![r.digested_result[0].clone(); DIGESTED_FIELDS_MAX]),
        ),
    ];
    for (name, reason, change) in rows {
        let mut call = digested(&task, granted.id(), &key);
        change(&mut call);
        assert_eq!(server.report_tool_call(call).await.unwrap_err().reason, reason, "{name}");
    }
    server.report_tool_call(digested(&task, granted.id(), &key)).await.unwrap();
}
