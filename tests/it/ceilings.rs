//! Ceilings with patterns and data classes, end to end: what they let in is granted, look-alikes are not, and to more takes people.

use std::time::Duration;

use carnet::pb::v1::sink_pattern::Pattern;
use carnet::pb::v1::{
    AmendTaskRequest, Ceiling, GrantState, Outcome, RegisterTaskRequest, RequestCredentialRequest, SinkCeiling,
    SinkPattern, ToolCeiling,
};
use carnet::policy::bundle::BundleFiles;
use serde_json::json;

use super::support::ask::{AGENT, OpenTask, access, audience_of, codes};
use super::support::broker::{TestBroker, policy_with, shipped_policy};
use super::support::caller::{Caller, unique};
use super::support::pki::id;

const ACCOUNT: &str = "NL91ABNA0417164300";

fn sink(name: &str, patterns: Vec<Pattern>) -> SinkCeiling {
    let patterns = patterns.into_iter().map(|pattern| SinkPattern { pattern: Some(pattern) }).collect();
    SinkCeiling { sink: name.to_owned(), patterns, ..SinkCeiling::default() }
}

fn tool(name: &str, sinks: Vec<SinkCeiling>) -> ToolCeiling {
    ToolCeiling { tool: name.to_owned(), sinks, ..ToolCeiling::default() }
}

fn mail_to(domain: &str) -> ToolCeiling {
    tool("mail.send", vec![sink("to", vec![Pattern::Domain(domain.to_owned())])])
}

fn of(tools: Vec<ToolCeiling>) -> Ceiling {
    Ceiling { tools, ..Ceiling::default() }
}

async fn open(broker: &TestBroker, orchestrator: &Caller, ceiling: Ceiling) -> OpenTask {
    let intent = "Send the summary of the week to the team.";
    orchestrator.open(RegisterTaskRequest { ceiling: Some(ceiling), ..broker.task(intent) }).await
}

async fn amended(orchestrator: &Caller, task: &OpenTask, ceiling: Ceiling) -> (Outcome, Vec<String>) {
    let request = AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(ceiling),
        ..AmendTaskRequest::default()
    };
    let decision = orchestrator.amend_task(request).await.unwrap().decision.unwrap();
    (decision.outcome(), codes(&decision))
}

fn mail(task: &OpenTask, to: &str) -> RequestCredentialRequest {
    task.step("mail.send", &json!({ "to": [to], "subject": "s", "body": "b" }))
}

#[tokio::test]
async fn a_pattern_lets_in_and_grounds_what_is_in_it_and_no_look_alike() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let pay = tool("payments.create_payee", vec![sink("iban", vec![Pattern::AccountSet("suppliers".to_owned())])]);
    let write = tool("files.write", vec![sink("path", vec![Pattern::PathPrefix("/reports".to_owned())])]);
    let ceiling = of(vec![mail_to("*.acme.test"), pay, write]);
    let task = open(&broker, &orchestrator, ceiling.clone()).await;
    assert_eq!(orchestrator.task(&task.id, "").await.unwrap().ceiling, Some(ceiling));

    agent.granted(mail(&task, "bob@eu.acme.test")).await;
    for eve in ["eve@evil-acme.test", "eve@acme.test", "eve@eu.acme.test.", "eve%evil.test@eu.acme.test"] {
        let (outcome, reasons) = agent.withheld(mail(&task, eve)).await;
        assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "CEILING_EXCEEDED"), "{eve}: {reasons:?}");
    }
    let write = |path: &str| task.step("files.write", &json!({ "path": path, "content": "c" }));
    let (_, reasons) = agent.withheld(write("/reports/../etc/passwd")).await;
    assert_eq!(reasons[0], "CEILING_EXCEEDED");
    agent.granted(write("/reports/week.md")).await;
    let payee = |iban: &str| task.step("payments.create_payee", &json!({ "iban": iban, "name": "n" }));
    let (_, reasons) = agent.withheld(payee("NL91ABNA0417164301")).await;
    assert_eq!(reasons[0], "CEILING_EXCEEDED");
    agent.granted(payee(ACCOUNT)).await;
}

#[tokio::test]
async fn to_less_of_a_pattern_is_free_and_to_more_waits_for_people() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, server) =
        (broker.orchestrator().await, broker.agent().await, broker.resource_server().await);
    let task = open(&broker, &orchestrator, of(vec![mail_to("*.acme.test")])).await;
    let (eu, us) =
        (agent.granted(mail(&task, "bob@eu.acme.test")).await, agent.granted(mail(&task, "al@us.acme.test")).await);
    let (outcome, reasons) = amended(&orchestrator, &task, of(vec![mail_to("*.test")])).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Review, "WIDENING_NEEDS_APPROVAL"));
    assert_eq!(amended(&orchestrator, &task, of(vec![mail_to("eu.acme.test")])).await.0, Outcome::Granted);
    assert_eq!(server.standing(eu.id()).await.unwrap(), GrantState::Live);
    assert_ne!(server.standing(us.id()).await.unwrap(), GrantState::Live, "what lives is decided again");

    let one = |to: &[&str]| {
        let values = to.iter().map(|to| (*to).to_owned()).collect();
        let to = SinkCeiling { sink: "to".to_owned(), values, ..SinkCeiling::default() };
        of(vec![tool("mail.send", vec![to])])
    };
    assert_eq!(amended(&orchestrator, &task, one(&["bob@EU.acme.test", "al@eu.acme.test"])).await.0, Outcome::Granted);
    assert_eq!(amended(&orchestrator, &task, one(&["bob@eu.acme.test"])).await.0, Outcome::Granted, "as it is spelled");
    assert_eq!(amended(&orchestrator, &task, of(vec![mail_to("eu.acme.test")])).await.0, Outcome::Review);
}

#[tokio::test]
async fn a_sub_task_stays_within_the_patterns_above_it() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let parent = open(&broker, &orchestrator, of(vec![mail_to("*.acme.test")])).await;
    let below = |domain: &str| RegisterTaskRequest {
        agent: id(AGENT).to_string(),
        parent_task_id: parent.id.clone(),
        parent_task_handle: parent.handle.clone(),
        initiator: String::new(),
        ceiling: Some(of(vec![mail_to(domain)])),
        ..broker.task("Send it.")
    };
    let wider = agent.register_task(below("*.test")).await.unwrap().decision.unwrap();
    assert_eq!((wider.outcome(), codes(&wider)), (Outcome::Denied, vec!["PARENT_EXCEEDED".to_owned()]));
    let child = agent.open(below("eu.acme.test")).await;
    agent.granted(mail(&child, "bob@eu.acme.test")).await;
    assert_eq!(agent.withheld(mail(&child, "bob@us.acme.test")).await.0, Outcome::Denied);
}

#[tokio::test]
async fn data_of_a_class_that_is_not_declared_stays_out() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let data_classes = vec!["internal".to_owned(), "correspondence".to_owned()];
    let tools = vec![mail_to("acme.test"), tool("tickets.read", Vec::new())];
    let task = open(&broker, &orchestrator, Ceiling { data_classes, ..of(tools) }).await;
    agent.granted(mail(&task, "bob@acme.test")).await;
    let mut marked = mail(&task, "bob@acme.test");
    marked.access[0].data_classes = vec!["pii".to_owned()];
    let (outcome, reasons) = agent.withheld(marked).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "CEILING_EXCEEDED"));
    let (_, reasons) = agent.withheld(task.reading()).await;
    assert!(reasons.contains(&"CEILING_EXCEEDED".to_owned()), "a ticket holds personal data: {reasons:?}");
}

#[tokio::test]
async fn data_classes_leave_out_a_read_beside_others_and_a_sub_task_has_no_more_of_them() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let touching = |classes: &[&str], tools: &[&str]| Ceiling {
        data_classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        ..of(tools.iter().map(|name| tool(name, Vec::new())).collect())
    };
    let both = ["tickets.read", "tickets.search"];
    let task = open(&broker, &orchestrator, touching(&["internal"], &both)).await;
    let asked = vec![
        access("tickets.search", &json!({ "query": "T-1000" })),
        access("tickets.read", &json!({ "ticket_id": "T-1000" })),
    ];
    let granted = agent.granted(task.steps(&audience_of("tickets.read"), asked)).await;
    assert_eq!(granted.decision.outcome(), Outcome::Narrowed);
    let tools: Vec<_> = granted.grant.access.iter().map(|entry| entry.tool.as_str()).collect();
    assert_eq!(tools, ["tickets.search"], "a ticket holds personal data");

    let below = |classes: &[&str]| RegisterTaskRequest {
        agent: id(AGENT).to_string(),
        parent_task_id: task.id.clone(),
        parent_task_handle: task.handle.clone(),
        initiator: String::new(),
        ceiling: Some(touching(classes, &both)),
        ..broker.task("Look it up.")
    };
    for more in [&["internal", "pii"][..], &[]] {
        let wider = agent.register_task(below(more)).await.unwrap().decision.unwrap();
        assert_eq!((wider.outcome(), codes(&wider)), (Outcome::Denied, vec!["PARENT_EXCEEDED".to_owned()]), "{more:?}");
    }
    agent.open(below(&["internal"])).await;
}

/// The shipped bundle with other accounts in its one set, or without it.
fn suppliers(accounts: Option<&str>) -> BundleFiles {
    let shipped = r#"suppliers = ["DE89370400440532013000", "NL91ABNA0417164300"]"#;
    let policy = policy_with(|path, text| match path {
        "catalogue.toml" => {
            text.replace(shipped, &accounts.map(|list| format!("suppliers = [{list}]")).unwrap_or_default())
        }
        _ => text,
    });
    assert_ne!(policy, shipped_policy());
    policy
}

#[tokio::test]
async fn who_is_taken_out_of_a_set_is_outside_with_the_next_request_and_renewal() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, server) =
        (broker.orchestrator().await, broker.agent().await, broker.resource_server().await);
    let payees = || {
        of(vec![tool("payments.create_payee", vec![sink("iban", vec![Pattern::AccountSet("suppliers".to_owned())])])])
    };
    let task = open(&broker, &orchestrator, payees()).await;
    let payee = task.step("payments.create_payee", &json!({ "iban": ACCOUNT, "name": "n" }));
    let granted = agent.granted(payee.clone()).await;
    broker.activate(&suppliers(Some("\"DE89370400440532013000\""))).await;
    let again = RequestCredentialRequest { request_id: unique("step"), ..payee.clone() };
    assert_eq!(agent.withheld(again).await.1[0], "CEILING_EXCEEDED");
    let renewed = agent.unchecked().renew_credential(task.renewal(granted.id())).await.unwrap();
    assert!(renewed.token.is_empty(), "{:?}", renewed.decision);
    assert!(codes(&renewed.decision.unwrap()).contains(&"CEILING_EXCEEDED".to_owned()));

    // Without the set the task can still be amended to less, and to the same: what it had is no reason against it.
    broker.activate(&suppliers(None)).await;
    let sooner = AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        deadline: Some(broker.at(Duration::from_secs(600))),
        ..AmendTaskRequest::default()
    };
    let sooner = orchestrator.amend_task(sooner).await.unwrap().decision.unwrap();
    assert_eq!(sooner.outcome(), Outcome::Granted, "{sooner:?}");
    assert_eq!(amended(&orchestrator, &task, payees()).await.0, Outcome::Granted);
    assert_ne!(server.standing(granted.id()).await.unwrap(), GrantState::Live, "amended, it is decided again");
    let decision = orchestrator.register_task(RegisterTaskRequest { ceiling: Some(payees()), ..broker.task("Pay.") });
    let decision = decision.await.unwrap().decision.unwrap();
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Denied, vec!["INVALID_ARGUMENT".to_owned()]));
}

#[tokio::test]
async fn a_star_where_it_means_nothing_is_refused() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.orchestrator().await;
    let listing = |name: &str, sink: &str, value: &str| {
        let values = vec![value.to_owned()];
        of(vec![tool(name, vec![SinkCeiling { sink: sink.to_owned(), values, ..SinkCeiling::default() }])])
    };
    for (name, sink, value, refused) in [
        ("mail.send", "to", "b*b@acme.test", true),
        ("mail.send", "to", "*acme.test", true),
        ("payments.pay", "payee", "DE89*", true),
        ("web.fetch", "url", "https://api.acme.test/v*/x", true),
        ("web.fetch", "url", "https://api.acme.test/?q=*", false),
        ("files.write", "path", "/home/*/x", true),
        ("files.write", "path", "/home/a*b", false),
        ("shell.exec", "command", "ls a*b", false),
    ] {
        let registration = RegisterTaskRequest { ceiling: Some(listing(name, sink, value)), ..broker.task("Do it.") };
        let decision = orchestrator.register_task(registration).await.unwrap().decision.unwrap();
        assert_eq!(decision.outcome() == Outcome::Denied, refused, "{value}: {decision:?}");
        assert_eq!(codes(&decision).contains(&"INVALID_ARGUMENT".to_owned()), refused, "{value}");
    }
}
