//! Values that are odd and legal: whatever a caller may say, what was recorded of it is read again, by the broker itself at its
//! next start, from a snapshot and without one, and by a reviewer who wants each decision explained.

use std::fs;

use carnet::pb::journal::event::Payload;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{self, Outcome};
use serde_json::{Value, json};
use tonic::Code;

use super::restart::files_below;
use super::support::ask::{Granted, OpenTask, access, audience_of, revocation};
use super::support::broker::TestBroker;
use super::support::caller::{Caller, Refused, unique};

/// Texts that somebody has to read back: what quotes, what looks like something else, what is written from right to left.
const TEXTS: [&str; 10] = [
    "\"quoted\\\"",
    "\\u0000 \\ud800",
    "{\"a\":[1,{\"b\":null}]}",
    "a\u{202e}gpj.exe",
    "zero\u{200b}width\u{200d}\u{feff}",
    "漢字 \u{1f980}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "<script>alert(1)</script>",
    "a\u{2028}b\u{2029}c",
    "1e-30",
    "task/",
];

/// Numbers as JSON has them, that are amounts or almost.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "-0.0",
    "0.10",
    "1E+2",
    "1e-30",
    "0.000000000000000000000000000001",
    "999999999999999999999999999999",
    "-999999999999999999999999999999",
    "9.99999999999999999999999999999",
    "[20, 0.000000000000000000000000000001]",
    "[60, 0.000000000000000000000000000001]",
    "[999999999999999999999999999999, 1]",
    "[999999999999999999999999999999, 0.1]",
    "[1e-30, 1e-30, -1e-30]",
    "\"12.50\"",
];

/// Whatever the answer is, the broker gave it: neither a defect nor a broker that is gone.
fn answered<T>(what: &str, answer: Result<T, Refused>) -> Option<T> {
    if let Err(refused) = &answer {
        let told = [Code::InvalidArgument, Code::NotFound, Code::FailedPrecondition, Code::PermissionDenied];
        assert!(told.contains(&refused.code), "{what}: {refused:?}");
    }
    answer.ok()
}

/// A ceiling under which all that the test pays for is paid, with amounts of many digits.
fn purse(per_call_max: &str, total_max: &str) -> v1::Ceiling {
    let sink = |sink: &str| v1::SinkCeiling { sink: sink.to_owned(), ..v1::SinkCeiling::default() };
    let amount =
        v1::SinkCeiling { per_call_max: per_call_max.to_owned(), total_max: total_max.to_owned(), ..sink("amount") };
    let payee = v1::SinkCeiling { values: vec![PAYEE.to_owned()], ..sink("payee") };
    let pay = v1::ToolCeiling {
        tool: "payments.pay".to_owned(),
        sinks: vec![amount, payee],
        calls_max: Some(1000),
        ..v1::ToolCeiling::default()
    };
    let odd = v1::ToolCeiling {
        tool: "db.query".to_owned(),
        // What nobody sees is refused in them.
        resources: TEXTS.iter().filter(|text| text.is_ascii()).map(|text| (*text).to_owned()).collect(),
        sinks: vec![v1::SinkCeiling { values: TEXTS.map(str::to_owned).to_vec(), ..sink("a.b.\"c\"") }],
        ..v1::ToolCeiling::default()
    };
    v1::Ceiling { tools: vec![pay, odd], ..v1::Ceiling::default() }
}

const PAYEE: &str = "DE89370400440532013000";

fn registration(broker: &TestBroker, per_call_max: &str, total_max: &str) -> v1::RegisterTaskRequest {
    v1::RegisterTaskRequest {
        ceiling: Some(purse(per_call_max, total_max)),
        ..broker.task(&format!("Pay 20 EUR to {PAYEE} for the office plants."))
    }
}

fn payment(task: &OpenTask, amount: &str) -> v1::RequestCredentialRequest {
    let mut request = task.step("payments.pay", &Value::Null);
    request.access[0].arguments_json = format!(r#"{{"payee":"{PAYEE}","amount":{amount}}}"#);
    request
}

/// Says each of the texts and numbers wherever a text or a number can be said.
async fn say_everything(broker: &TestBroker) {
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let (scorer, server) = (broker.scorer().await.unchecked(), broker.resource_server().await.unchecked());
    let talk = orchestrator.open(broker.task("Say odd things, look at the database, and pay.")).await;
    for text in TEXTS {
        said_by_orchestrator(broker, &orchestrator, &talk, text).await;
        said_by_agent(&agent, &talk, text).await;
        let mut signal = v1::ReportSignalRequest {
            explanation: text.to_owned(),
            scorer: text.to_owned(),
            request_id: text.to_owned(),
            ..talk.signal("anomaly", 0)
        };
        answered(text, scorer.report_signal(signal.clone()).await);
        (signal.name, signal.request_id) = (text.to_owned(), unique("named"));
        signal.observed = Some(prost_types::Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 });
        answered(text, scorer.report_signal(signal).await);
        let odd = json!({ text: [text, { text: text }], "": "", "a.b": { "a": { "b": text } } });
        let mut call = talk.report("", "db.query", &odd, &odd);
        call.request_id = text.to_owned();
        answered(text, server.report_tool_call(call).await);
    }
    for result in ["null", "[]", "\"\"", "-0", "1E400", "[[[[[[[[[[]]]]]]]]]]"] {
        let mut call = talk.report("", "db.query", &json!({}), &json!({}));
        call.result_json = result.to_owned();
        answered(result, server.report_tool_call(call).await);
    }
    for (per_call_max, total_max) in [("50", "100"), ("1e29", "999999999999999999999999999999"), ("1e-30", "1e-29")] {
        let task = orchestrator.open(registration(broker, per_call_max, total_max)).await;
        for amount in NUMBERS {
            let paid = answered(amount, agent.request_credential(payment(&task, amount)).await);
            let Some(grant) = paid.and_then(|paid| paid.grant) else { continue };
            answered(amount, agent.renew_credential(task.renewal(&grant.grant_id)).await);
        }
        let amended = v1::AmendTaskRequest {
            request_id: unique("amend"),
            task_id: task.id.clone(),
            ceiling: Some(purse("1e-30", "1e-29")),
            ..v1::AmendTaskRequest::default()
        };
        answered(total_max, orchestrator.amend_task(amended).await);
    }
}

async fn said_by_orchestrator(broker: &TestBroker, orchestrator: &Caller, talk: &OpenTask, text: &str) {
    let profile = v1::AgentProfile {
        model: text.to_owned(),
        prompt_digest: text.to_owned(),
        corpus_digest: text.to_owned(),
        tools_digest: text.to_owned(),
    };
    let odd = v1::RegisterTaskRequest {
        request_id: text.to_owned(),
        initiator: text.to_owned(),
        ..broker.task(&format!("{text} \n\t{text}"))
    };
    if let Some(task) = answered(text, orchestrator.register_task(odd).await).and_then(|answer| answer.task) {
        let reason = text.to_owned();
        let pause = v1::PauseTaskRequest { task_id: task.task_id.clone(), reason: reason.clone() };
        answered(text, orchestrator.pause_task(pause).await);
        let cancel = v1::CancelTaskRequest { task_id: task.task_id, reason, task_handle: String::new() };
        answered(text, orchestrator.cancel_task(cancel).await);
    }
    let audiences = vec![text.to_owned()];
    let odd = v1::RegisterTaskRequest {
        agent_profile: Some(profile),
        audiences,
        parent_task_id: talk.id.clone(),
        ..broker.task("x")
    };
    answered(text, orchestrator.register_task(odd).await);
    let operator = broker.operator().await.unchecked();
    for named in [Named::Initiator(text.to_owned()), Named::Audience(text.to_owned())] {
        let ask = v1::RevokeRequest { reason: text.to_owned(), ..revocation(named.clone()) };
        answered(text, operator.revoke(ask).await);
        answered(text, operator.lift_block(super::support::ask::lifting(named)).await);
    }
}

async fn said_by_agent(agent: &Caller, talk: &OpenTask, text: &str) {
    let mut odd = talk.step("db.query", &json!({ "database": text, text: [text, 1, null], "query": text }));
    odd.access[0].actions = vec![text.to_owned()];
    odd.access[0].resources = vec![text.to_owned(); 3];
    (odd.purpose, odd.request_id) = (text.to_owned(), text.to_owned());
    odd.context = Some(v1::RequestContext {
        prompt_id: text.to_owned(),
        tool_call_id: text.to_owned(),
        traceparent: String::new(),
    });
    answered(text, agent.request_credential(odd.clone()).await);
    odd.access[0].data_classes = vec![text.to_owned()];
    odd.request_id.push_str("-2");
    answered(text, agent.request_credential(odd).await);
    for tool in ["tickets.read", "web.fetch", text] {
        let argument = json!({ "ticket_id": text, "url": [text], "content": text });
        let audience = audience_of(if tool == text { "db.query" } else { tool });
        let entries = vec![access(tool, &argument), access(tool, &json!({})), access(tool, &argument)];
        answered(text, agent.request_credential(talk.steps(&audience, entries)).await);
    }
    let elsewhere = v1::RequestCredentialRequest { audience: text.to_owned(), ..talk.reading() };
    answered(text, agent.request_credential(elsewhere).await);
}

/// The decisions that stand in the record.
async fn decisions(broker: &TestBroker) -> Vec<String> {
    let events = broker.record.all().await.into_iter();
    let decision = |payload| match payload {
        Payload::TaskDecided(e) => e.decision,
        Payload::TaskAmended(e) => e.decision,
        Payload::CredentialDecided(e) => e.decision,
        Payload::GrantReconsidered(e) => e.decision,
        _ => None,
    };
    events.filter_map(|event| Some(decision(event.payload)?.decision_id)).collect()
}

/// How many events the last start had to read again.
async fn replayed(broker: &TestBroker) -> u64 {
    let started = broker.record.of_kind("broker_started").await.pop().unwrap();
    let Payload::BrokerStarted(started) = started.payload else { unreachable!() };
    started.replayed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_may_be_said_is_read_again_and_explained() {
    let mut broker = TestBroker::start().await;
    say_everything(&broker).await;
    let before = decisions(&broker).await;
    assert!(before.len() > 100, "{} decisions", before.len());
    let size = broker.record.size().await;
    let snapshots = broker.journal_folder().join("snapshots");
    broker.restart_after(|_| files_below(&snapshots).iter().for_each(|file| fs::remove_file(file).unwrap())).await;
    assert_eq!(replayed(&broker).await, size, "without a snapshot");
    broker.restart().await;
    assert_eq!(replayed(&broker).await, 0, "the snapshot is taken up");
    let operator = broker.operator().await;
    for id in &before {
        operator.decision(id).await.unwrap_or_else(|refused| panic!("{id}: {refused:?}"));
    }
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn an_amount_of_too_many_places_is_refused_and_no_other_ends_the_spending_of_a_family() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let task = orchestrator.open(registration(&broker, "50", "100")).await;
    let least = "0.000000000000000001";
    let mut live = Vec::new();
    for amount in ["20", least, "20"] {
        let size = broker.record.size().await;
        let refused = agent.unchecked().request_credential(payment(&task, "1e-30")).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
        assert_eq!(broker.record.size().await, size, "nothing was decided");
        live.push(agent.granted(payment(&task, amount)).await);
    }
    let less = v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(purse("50", "60")),
        ..v1::AmendTaskRequest::default()
    };
    orchestrator.amend_task(less).await.unwrap();
    let server = broker.resource_server().await;
    for granted in &live {
        assert_eq!(server.standing(granted.id()).await.unwrap(), v1::GrantState::Live);
        Granted::renewed(agent.renew_credential(task.renewal(granted.id())).await.unwrap());
    }
    let (_, reasons) = agent.withheld(payment(&task, "20")).await;
    assert_eq!(reasons[0], "CEILING_EXCEEDED", "to the last place");
    agent.granted(payment(&task, "19.999999999999999999")).await;
}

#[tokio::test]
async fn amounts_that_add_up_to_more_digits_than_are_kept_are_refused_and_end_nothing() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let task = orchestrator.open(registration(&broker, "50", "100")).await;
    for amount in ["[20, 0.000000000000000000000000000001]", "[60, 0.000000000000000000000000000001]"] {
        let refused = agent.request_credential(payment(&task, amount)).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"), "{amount}");
    }
    agent.granted(payment(&task, "20")).await;
    let (outcome, reasons) = agent.withheld(payment(&task, "60")).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "CEILING_EXCEEDED"));
}
