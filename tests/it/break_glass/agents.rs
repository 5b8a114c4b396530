//! Agents that ask for break-glass: refused, and a signal against their task.

use carnet::pb::journal::event::Payload;

use super::*;
use crate::support::ask::SECOND_AGENT;
use crate::support::record::Entry;

async fn signals(world: &World) -> Vec<Entry> {
    world.broker.record.of_kind("signal_reported").await
}

#[tokio::test]
async fn an_agent_that_calls_it_is_refused_and_that_is_a_signal_once() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let wrong = v1::OpenBreakGlassRequest { task_handle: "x".repeat(43), ..opening(&task) };
    let nothing = v1::OpenBreakGlassRequest::default();
    let unread = v1::OpenBreakGlassRequest { task_id: "x".to_owned(), ..opening(&task) };
    for request in [opening(&task), wrong, nothing, unread] {
        let refused = code(agent.open_break_glass(request).await);
        assert_eq!(refused, not_permitted("BREAK_GLASS_NOT_FOR_AGENTS"));
    }
    // Others have its SPIFFE ID: who does not show the handle says nothing against the task.
    assert!(signals(&world).await.is_empty());
    let (task_id, task_handle) = (task.id.clone(), task.handle.clone());
    let bare = v1::OpenBreakGlassRequest { task_id, task_handle: task_handle.clone(), ..Default::default() };
    let shown = v1::OpenBreakGlassRequest { task_handle, ..opening(&task) };
    for request in [bare, shown.clone(), shown] {
        let refused = code(agent.open_break_glass(request).await);
        assert_eq!(refused, not_permitted("BREAK_GLASS_NOT_FOR_AGENTS"));
    }
    let said = signals(&world).await;
    assert_eq!(said.len(), 1, "whoever asks again and again says nothing new");
    let Payload::SignalReported(signal) = &said[0].payload else { panic!("no signal") };
    assert_eq!((signal.name.as_str(), signal.source.as_str()), ("break_glass_asked", "carnet"));
    assert_eq!(signal.task_id, task.id);
    // It counts against the task from then on.
    let granted = agent.granted(task.writing()).await;
    let record = world.broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    let counted = record.contributions.iter().find(|c| c.signal == "break_glass_asked").unwrap();
    assert!(counted.counted > 0);
    // And the refusals are counted in the record, with the task.
    world.broker.sweep().await;
    let refusals = world.broker.record.refusals().await;
    assert!(refusals.iter().any(|r| r.code == "BREAK_GLASS_NOT_FOR_AGENTS" && r.task_id == task.id), "{refusals:?}");
}

#[tokio::test]
async fn an_agent_that_asks_for_it_as_for_a_tool_is_denied_and_that_is_a_signal_once() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let tool = task.step("break_glass", &json!({ "why": "it is urgent" }));
    let (outcome, reasons) = agent.withheld(tool.clone()).await;
    assert_eq!((outcome, reasons), (Outcome::Denied, vec!["BREAK_GLASS_NOT_FOR_AGENTS".to_owned()]));
    assert_eq!(agent.again().withheld(tool).await.0, Outcome::Denied, "the same answer again");
    let action = v1::Access { actions: vec!["tools/break-glass".to_owned()], ..access("tickets.search", &json!({})) };
    let (outcome, reasons) = agent.withheld(task.steps(&audience_of("tickets.search"), vec![action])).await;
    assert_eq!((outcome, reasons), (Outcome::Denied, vec!["BREAK_GLASS_NOT_FOR_AGENTS".to_owned()]));
    assert_eq!(signals(&world).await.len(), 1);
}

#[tokio::test]
async fn who_names_the_task_of_another_says_nothing_against_it_and_learns_nothing() {
    let world = World::new().await;
    let (_, task) = world.of_ann().await;
    let helper = world.broker.caller(SECOND_AGENT).await;
    let unknown = v1::OpenBreakGlassRequest { task_id: format!("task_{}", "0".repeat(32)), ..opening(&task) };
    let (theirs, nobodys) = (helper.open_break_glass(opening(&task)).await, helper.open_break_glass(unknown).await);
    assert_eq!(theirs.unwrap_err(), nobodys.unwrap_err());
    assert!(signals(&world).await.is_empty());
}

#[tokio::test]
async fn agents_see_none_of_it_and_a_live_grant_is_suspended_by_what_the_agent_asks() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let glass = opened(&world.gus().await, opening(&task)).await;
    let request = v1::GetBreakGlassRequest { break_glass_id: glass.break_glass_id.clone() };
    let refused = agent.break_glass().get_break_glass(request).await.map_err(Refused::from);
    assert_eq!(code(refused), not_permitted("METHOD_NOT_ALLOWED"));
    let listed =
        agent.break_glass().list_break_glass(v1::ListBreakGlassRequest::default()).await.map_err(Refused::from);
    assert_eq!(code(listed), not_permitted("METHOD_NOT_ALLOWED"));
    assert_eq!(code(agent.close_break_glass(closing(&glass)).await), not_permitted("METHOD_NOT_ALLOWED"));
    // Two signals together reach a band that a person is asked about: what lives is held up.
    let granted = agent.granted(task.writing()).await;
    world.broker.scorer().await.report_signal(task.signal("injection_suspected", 20)).await.unwrap();
    let server = world.broker.resource_server().await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    agent.withheld(task.step("break_glass", &json!({}))).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
}
