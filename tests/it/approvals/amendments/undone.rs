//! What becomes of a task whose extension is taken back, and of what was granted to it meanwhile.

use super::*;

#[tokio::test]
async fn what_is_taken_back_before_it_is_used_amends_nothing() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    let rae = world.rae().await;
    approve(&rae, &decision).await;
    let done = rae.withdraw_approval(back(&decision)).await.unwrap();
    assert_eq!((done.grants_revoked, done.approval.unwrap().state()), (0, ApprovalState::Withdrawn));
    assert_ne!(asked(&orchestrator, anew(&more)).await.approval_id, decision.approval_id);
    assert!(in_force(&world).await.is_empty());
    assert!(world.broker.record.of_kind("extension_taken_back").await.is_empty());
}

#[tokio::test]
async fn what_is_taken_back_afterwards_leaves_nothing_that_only_the_extension_allowed() {
    let mut world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["tickets.read"]).await;
    let server = world.broker.resource_server().await;
    let deadline = orchestrator.task(&task.id, "").await.unwrap().deadline;
    let before = agent.granted(task.reading()).await;
    let later = world.broker.at(Duration::from_secs(7200));
    let more = v1::AmendTaskRequest {
        deadline: Some(later),
        ..to_tools(&task, &["tickets.read", "files.write", "tickets.search"])
    };
    let decision = asked(&orchestrator, more.clone()).await;
    approve(&world.rae().await, &decision).await;
    amended(&orchestrator, more.clone()).await;
    let written = agent.granted(task.writing()).await;
    let below = v1::RegisterTaskRequest {
        parent_task_id: task.id.clone(),
        initiator: String::new(),
        ..world.broker.task(INTENT)
    };
    let below = orchestrator.open(below).await;
    let written_below = agent.granted(below.writing()).await;
    // Since then the orchestrator has taken something away by itself.
    amended(&orchestrator, to_tools(&task, &["tickets.read", "files.write"])).await;

    let rae = world.rae().await;
    let done = rae.withdraw_approval(back(&decision)).await.unwrap();
    assert_eq!((done.grants_revoked, done.approval.unwrap().state()), (2, ApprovalState::Withdrawn));
    for (what, granted, expected) in [
        ("by the extension", &written, GrantState::Revoked),
        ("below it", &written_below, GrantState::Revoked),
        ("before it", &before, GrantState::Live),
    ] {
        assert_eq!(server.standing(granted.id()).await.unwrap(), expected, "{what}");
    }
    let now = orchestrator.task(&task.id, "").await.unwrap();
    assert_eq!((tools(&now), now.deadline), (vec!["tickets.read"], deadline));
    for again in [&task, &below] {
        assert_eq!(agent.withheld(again.writing()).await.0, Outcome::Denied);
    }
    let operator = world.broker.operator().await;
    for granted in [&written, &written_below] {
        let record = operator.decision(&granted.decision.decision_id).await.unwrap();
        let told: Vec<_> = record.aftermath.iter().map(|event| event.kind.as_str()).collect();
        assert!(told.contains(&"extension_taken_back"), "{told:?}");
    }
    let kept = operator.decision(&before.decision.decision_id).await.unwrap();
    assert!(!kept.aftermath.iter().any(|event| event.kind == "extension_taken_back"));
    let twice = rae.withdraw_approval(back(&decision)).await.unwrap_err();
    assert_eq!(twice.reason, "APPROVAL_CLOSED");

    world.broker.restart().await;
    let orchestrator = world.broker.orchestrator().await;
    assert_eq!(tools(&orchestrator.task(&task.id, "").await.unwrap()), ["tickets.read"]);
    assert_ne!(asked(&orchestrator, anew(&more)).await.approval_id, decision.approval_id);
}

/// A mail of which Eve gets a copy.
fn copied_to_eve(task: &OpenTask) -> v1::RequestCredentialRequest {
    let mail = json!({ "to": ["eve@evil.test"], "cc": ["eve@evil.test"], "subject": "s", "body": "b" });
    task.step("mail.send", &mail)
}

#[tokio::test]
async fn a_ceiling_that_is_taken_back_grounds_nothing_any_more() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let orchestrator = world.broker.orchestrator().await;
    let mut grounds = ceiling(&["mail.send"]);
    grounds.tools[0].sinks = vec![v1::SinkCeiling {
        sink: "to".to_owned(),
        values: vec!["eve@evil.test".to_owned()],
        ..v1::SinkCeiling::default()
    }];
    pending(&agent, to_eve(&task)).await;
    let more = v1::AmendTaskRequest { ceiling: Some(grounds), ..amendment(&task) };
    let decision = asked(&orchestrator, more.clone()).await;
    let rae = world.rae().await;
    let shown = get(&rae, &decision.approval_id).await.unwrap().record.unwrap().amendment.unwrap();
    assert!(shown.ceiling_before.is_none());
    assert_eq!(shown.adds, ["declares `mail.send`", "names `eve@evil.test` as `to` of `mail.send`"]);
    approve(&rae, &decision).await;
    amended(&orchestrator, more).await;
    let granted = agent.granted(to_eve(&task)).await;
    let server = world.broker.resource_server().await;
    // A call that was reported makes ground of what it carried, also for what the ceiling does not name it for.
    let mail = json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": "It is solved." });
    server.report_tool_call(task.report(granted.id(), "mail.send", &mail, &json!({ "id": "m-1" }))).await.unwrap();
    assert_eq!(pending(&agent, copied_to_eve(&task)).await.outcome(), Outcome::StepUp, "the intent names another");
    rae.withdraw_approval(back(&decision)).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked);
    let now = orchestrator.task(&task.id, "").await.unwrap();
    assert_eq!(tools(&now), ["mail.send"], "it bounds what it bounded");
    assert_eq!(pending(&agent, to_eve(&task)).await.outcome(), Outcome::Review, "nobody has named her");
    assert_eq!(pending(&agent, copied_to_eve(&task)).await.outcome(), Outcome::Review, "for whatever");
    assert_eq!(agent.withheld(task.reading()).await.0, Outcome::StepUp, "beyond it");
}

#[tokio::test]
async fn a_grant_that_the_extension_brought_back_is_suspended_again() {
    let world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["tickets.read", "tickets.search"]).await;
    let server = world.broker.resource_server().await;
    let granted = agent.granted(task.reading()).await;
    amended(&orchestrator, to_tools(&task, &["tickets.search"])).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
    let more = to_tools(&task, &["tickets.read", "tickets.search"]);
    let decision = asked(&orchestrator, more.clone()).await;
    let rae = world.rae().await;
    approve(&rae, &decision).await;
    amended(&orchestrator, more).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    rae.withdraw_approval(back(&decision)).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
}

#[tokio::test]
async fn a_grant_that_was_narrowed_anyway_is_suspended_when_a_ceiling_leaves_a_part_of_it_out() {
    let world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["tickets.read", "tickets.search"]).await;
    let both = vec![
        access("tickets.read", &json!({ "ticket_id": "T-1000" })),
        access("tickets.search", &json!({ "query": "T-1000" })),
    ];
    let request = v1::RequestCredentialRequest {
        ttl: Some(prost_types::Duration { seconds: 900, nanos: 0 }),
        ..task.steps(&audience_of("tickets.read"), both)
    };
    let granted = agent.granted(request).await;
    assert_eq!(granted.decision.outcome(), Outcome::Narrowed, "by its life");
    amended(&orchestrator, to_tools(&task, &["tickets.search"])).await;
    let server = world.broker.resource_server().await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
}

#[tokio::test]
async fn a_later_deadline_that_is_taken_back_leaves_the_ceiling_alone() {
    let world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["tickets.read"]).await;
    let deadline = orchestrator.task(&task.id, "").await.unwrap().deadline;
    let later = v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(7200))), ..amendment(&task) };
    let longer = asked(&orchestrator, later.clone()).await;
    let rae = world.rae().await;
    let shown = get(&rae, &longer.approval_id).await.unwrap().record.unwrap().amendment.unwrap();
    assert!(shown.adds.is_empty() && shown.ceiling == shown.ceiling_before, "{shown:?}");
    approve(&rae, &longer).await;
    amended(&orchestrator, later).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let wider = asked(&orchestrator, more.clone()).await;
    approve(&rae, &wider).await;
    amended(&orchestrator, more).await;

    rae.withdraw_approval(back(&longer)).await.unwrap();
    let now = orchestrator.task(&task.id, "").await.unwrap();
    assert_eq!((tools(&now), now.deadline), (vec!["tickets.read", "files.write"], deadline));
    agent.granted(task.writing()).await;
    rae.withdraw_approval(back(&wider)).await.unwrap();
    let now = orchestrator.task(&task.id, "").await.unwrap();
    assert_eq!((tools(&now), now.deadline), (vec!["tickets.read"], deadline));
}
