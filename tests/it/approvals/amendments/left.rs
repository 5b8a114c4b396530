//! What is left of a ceiling whose extension is taken back, with what was said of it since: limits stay, and ground does not.

use super::*;

const OPS: &str = "ops@corp.test";
const EVE: &str = "eve@evil.test";
const MALLORY: &str = "mallory@evil.test";

fn mail(task: &OpenTask, to: &str) -> v1::RequestCredentialRequest {
    task.step("mail.send", &json!({ "to": [to], "subject": "s", "body": "b" }))
}

fn to_ceiling(task: &OpenTask, ceiling: v1::Ceiling) -> v1::AmendTaskRequest {
    v1::AmendTaskRequest { ceiling: Some(ceiling), ..amendment(task) }
}

/// Has people approve an amendment, and makes it.
async fn extended(world: &World, orchestrator: &Caller, request: v1::AmendTaskRequest) -> v1::Decision {
    let decision = asked(orchestrator, request.clone()).await;
    approve(&world.rae().await, &decision).await;
    amended(orchestrator, request).await;
    decision
}

/// True when it is not granted, for that reason among others.
async fn withheld_for(agent: &Caller, request: v1::RequestCredentialRequest, code: &str) -> bool {
    agent.withheld(request).await.1.iter().any(|reason| reason == code)
}

async fn taken_back(world: &World, decision: &v1::Decision) {
    world.rae().await.withdraw_approval(back(decision)).await.unwrap();
}

#[tokio::test]
async fn what_was_limited_since_in_a_task_below_stays_limited() {
    let world = World::new().await;
    let (orchestrator, agent, root) = world.under(&["tickets.read", "mail.send"]).await;
    let below = v1::RegisterTaskRequest {
        parent_task_id: root.id.clone(),
        initiator: String::new(),
        ceiling: Some(ceiling(&["mail.send"])),
        ..world.broker.task(INTENT)
    };
    let below = orchestrator.open(below).await;
    pending(&agent, mail(&below, EVE)).await;
    let wider = extended(&world, &orchestrator, to_tools(&below, &["tickets.read", "mail.send"])).await;
    let only = |tools: &[&str]| limiting(ceiling(tools), "mail.send", values("to", &["bob@example.org"]));
    amended(&orchestrator, to_ceiling(&below, only(&["tickets.read", "mail.send"]))).await;
    taken_back(&world, &wider).await;
    let now = orchestrator.task(&below.id, "").await.unwrap();
    assert_eq!(
        (tools(&now), listed_for(&now, "mail.send", "to")),
        (vec!["mail.send"], vec!["bob@example.org".to_owned()])
    );
    assert!(withheld_for(&agent, mail(&below, EVE), "CEILING_EXCEEDED").await);
    agent.granted(below.sending()).await;
}

#[tokio::test]
async fn what_was_limited_since_in_a_root_binds_and_is_ground_only_when_people_say_so_again() {
    let mut world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["mail.send"]).await;
    let first = extended(&world, &orchestrator, to_tools(&task, &["tickets.read", "mail.send"])).await;
    let named = |tools: &[&str]| to_ceiling(&task, limiting(ceiling(tools), "mail.send", values("to", &[OPS])));
    extended(&world, &orchestrator, named(&["tickets.read", "mail.send"])).await;
    agent.granted(mail(&task, OPS)).await;
    taken_back(&world, &first).await;
    world.broker.restart().await;
    let (orchestrator, agent) = (world.broker.orchestrator().await, world.broker.agent().await);
    let now = orchestrator.task(&task.id, "").await.unwrap();
    assert_eq!((tools(&now), listed_for(&now, "mail.send", "to")), (vec!["mail.send"], vec![OPS.to_owned()]));
    assert!(withheld_for(&agent, mail(&task, EVE), "CEILING_EXCEEDED").await, "it binds");
    assert!(withheld_for(&agent, mail(&task, OPS), "SINK_UNSEEN").await, "it is no ground");
    // The very same ceiling, and one with less of it, would make it ground again.
    let again = asked(&orchestrator, named(&["mail.send"])).await;
    let shown = get(&world.rae().await, &again.approval_id).await.unwrap().record.unwrap().amendment.unwrap();
    assert_eq!(shown.adds, [format!("names `{OPS}` as `to` of `mail.send`")]);
    approve(&world.rae().await, &again).await;
    amended(&orchestrator, named(&["mail.send"])).await;
    agent.granted(mail(&task, OPS)).await;
    // And to take that back makes it a mere limit again.
    taken_back(&world, &again).await;
    assert!(withheld_for(&agent.unchecked(), mail(&task, OPS), "SINK_UNSEEN").await);
}

#[tokio::test]
async fn of_two_extensions_the_older_one_takes_with_it_what_was_built_on_it() {
    let world = World::new().await;
    let listed = |names: &[&str]| limiting(ceiling(&["mail.send"]), "mail.send", values("to", names));
    let token = world.corp.token("1001", INITIATING);
    let orchestrator = world.broker.orchestrator().await;
    let registration = v1::RegisterTaskRequest { ceiling: Some(listed(&[OPS])), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let agent = world.broker.agent().await;
    agent.granted(mail(&task, OPS)).await;
    let older = extended(&world, &orchestrator, to_ceiling(&task, listed(&[OPS, EVE]))).await;
    let newer = extended(&world, &orchestrator, to_ceiling(&task, listed(&[OPS, EVE, MALLORY]))).await;
    let server = world.broker.resource_server().await;
    let mut granted = Vec::new();
    for to in [EVE, MALLORY] {
        let one = agent.granted(mail(&task, to)).await;
        let sent = json!({ "to": [to], "subject": "s", "body": "b" });
        server.report_tool_call(task.report(one.id(), "mail.send", &sent, &json!({ "id": "m" }))).await.unwrap();
        granted.push(one);
    }
    taken_back(&world, &older).await;
    for one in &granted {
        assert_eq!(server.standing(one.id()).await.unwrap(), GrantState::Revoked);
    }
    for at in ["the older", "the newer"] {
        let now = orchestrator.task(&task.id, "").await.unwrap();
        assert_eq!(listed_for(&now, "mail.send", "to"), [OPS], "{at}");
        for to in [EVE, MALLORY] {
            let copied = json!({ "to": [OPS], "cc": [to], "subject": "s", "body": "b" });
            let agent = agent.unchecked();
            assert!(withheld_for(&agent, mail(&task, to), "CEILING_EXCEEDED").await, "{at}: {to}");
            assert!(withheld_for(&agent, task.step("mail.send", &copied), "SINK_UNSEEN").await, "{at}: {to}");
        }
        agent.granted(mail(&task, OPS)).await;
        if at == "the older" {
            taken_back(&world, &newer).await;
        }
    }
}

#[tokio::test]
async fn a_mere_deadline_that_is_taken_back_leaves_the_ground_of_a_ceiling_that_came_later() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let orchestrator = world.broker.orchestrator().await;
    let later = v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(7200))), ..amendment(&task) };
    let longer = extended(&world, &orchestrator, later).await;
    let names = limiting(ceiling(&["mail.send"]), "mail.send", values("to", &[EVE]));
    let named = extended(&world, &orchestrator, to_ceiling(&task, names)).await;
    taken_back(&world, &longer).await;
    agent.granted(mail(&task, EVE)).await;
    taken_back(&world, &named).await;
    assert_eq!(pending(&agent, mail(&task, EVE)).await.outcome(), Outcome::Review);
}

/// The first address of a decision's record, as what it stands.
async fn provenance_of(world: &World, agent: &Caller, task: &OpenTask, cc: &str) -> v1::Provenance {
    let mail = json!({ "to": [OPS], "cc": [cc], "subject": "s", "body": "b" });
    let answer = agent.unchecked().request_credential(task.step("mail.send", &mail)).await.unwrap();
    let record = world.broker.operator().await.decision(&answer.decision.unwrap().decision_id).await.unwrap();
    let sinks = &record.access[0].sinks;
    sinks.iter().find(|sink| sink.name == "cc").unwrap().provenance()
}

#[tokio::test]
async fn what_a_pattern_let_in_is_no_ground_when_its_call_is_reported_after_the_pattern_was_taken_back() {
    let world = World::new().await;
    let named = |patterns: Vec<v1::sink_pattern::Pattern>| {
        let patterns = patterns.into_iter().map(|pattern| v1::SinkPattern { pattern: Some(pattern) }).collect();
        let to = v1::SinkCeiling { patterns, ..values("to", &[OPS]) };
        limiting(ceiling(&["calendar.list", "mail.send"]), "mail.send", to)
    };
    let token = world.corp.token("1001", INITIATING);
    let orchestrator = world.broker.orchestrator().await;
    let registration = v1::RegisterTaskRequest { ceiling: Some(named(Vec::new())), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let agent = world.broker.agent().await;
    let wider = named(vec![v1::sink_pattern::Pattern::Domain("evil.test".to_owned())]);
    let wider = extended(&world, &orchestrator, to_ceiling(&task, wider)).await;
    let sent = agent.granted(mail(&task, EVE)).await;
    taken_back(&world, &wider).await;
    let server = world.broker.resource_server().await;
    let said = json!({ "to": [EVE], "subject": "s", "body": "b" });
    server.report_tool_call(task.report(sent.id(), "mail.send", &said, &json!({ "id": "m" }))).await.unwrap();
    let looked = agent.granted(task.step("calendar.list", &json!({}))).await;
    let found = json!({ "entries": [{ "room_mailbox": EVE }, { "room_mailbox": "carol@corp.test" }] });
    server.report_tool_call(task.report(looked.id(), "calendar.list", &json!({}), &found)).await.unwrap();
    assert_eq!(provenance_of(&world, &agent, &task, "carol@corp.test").await, v1::Provenance::Field, "the control");
    assert_eq!(provenance_of(&world, &agent, &task, EVE).await, v1::Provenance::Text, "she may be the echo");
}
