//! What an answer is good for, and for how long.

use super::*;

#[tokio::test]
async fn a_denial_stands_for_the_same_access_of_the_same_agent_in_every_task_for_a_while() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let request = to_eve(&task);
    let decision = pending(&agent, request.clone()).await;
    let approval = answer(&world.rae().await, &decision, Verdict::Deny).await.unwrap();
    assert_eq!(approval.state(), ApprovalState::Denied);
    let denied = (Outcome::Denied, "APPROVAL_DENIED".to_owned());
    let first = |(outcome, codes): (Outcome, Vec<String>)| (outcome, codes[0].clone());
    assert_eq!(first(agent.withheld(request).await), denied);
    let (_, other) = world.anns().await;
    assert_eq!(first(agent.withheld(to_eve(&other)).await), denied, "in another task");
    let otherwise = json!({ "to": ["eve@evil.test"], "subject": "Hello", "body": "in other words" });
    assert_eq!(first(agent.withheld(other.step("mail.send", &otherwise)).await), denied, "in other words");
    let mail = json!({ "to": ["mallory@evil.test"], "subject": "s", "body": "b" });
    pending(&agent, other.step("mail.send", &mail)).await;

    world.broker.advance(ApprovalSettings::default().denial_stands + Duration::from_secs(1));
    let asked_again = pending(&agent, to_eve(&task)).await;
    assert_ne!(asked_again.approval_id, decision.approval_id);
    pending(&agent, to_eve(&other)).await;
}

#[tokio::test]
async fn what_nobody_answers_is_denied_in_time() {
    let settings = ApprovalSettings { answer_within: Duration::from_secs(60), ..ApprovalSettings::default() };
    let world = World::asking(settings).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    world.broker.advance(Duration::from_secs(61));
    let (outcome, reasons) = agent.withheld(to_eve(&task)).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "APPROVAL_UNANSWERED"), "before it is recorded");
    let rae = world.rae().await;
    assert_eq!(refused(&rae, &decision).await.1, "APPROVAL_CLOSED");
    world.broker.sweep().await;
    assert_eq!(world.broker.record.of_kind("approval_answered").await.len(), 1);
    let (outcome, reasons) = agent.withheld(to_eve(&task)).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "APPROVAL_UNANSWERED"), "and after");
    assert_eq!(state(&rae, &decision.approval_id).await, ApprovalState::Unanswered);
    world.broker.advance(settings.denial_stands);
    pending(&agent, to_eve(&task)).await;
}

#[tokio::test]
async fn an_approval_lapses_when_it_is_not_used() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let rae = world.rae().await;
    approve(&rae, &decision).await;
    world.broker.advance(ApprovalSettings::default().use_within);
    assert_eq!(state(&world.rae().await, &decision.approval_id).await, ApprovalState::Lapsed);
    assert_ne!(pending(&agent, to_eve(&task)).await.approval_id, decision.approval_id);
}

#[tokio::test]
async fn an_approval_is_bound_to_what_was_shown() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    approve(&world.rae().await, &decision).await;
    // Other values, another agent's make-up: another question.
    let mail = json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": "And here is the rest." });
    assert_ne!(pending(&agent, task.step("mail.send", &mail)).await.approval_id, decision.approval_id);
    let profile = v1::AgentProfile { model: "another".to_owned(), ..v1::AgentProfile::default() };
    // In a task of its own: what an agent shows of itself first counts as registered.
    let (_, elsewhere) = world.anns().await;
    let unchanged = pending(&agent, to_eve(&elsewhere)).await;
    let changed = v1::RequestCredentialRequest { agent_profile: Some(profile), ..to_eve(&elsewhere) };
    assert_ne!(pending(&agent, changed).await.approval_id, unchanged.approval_id);
    // A new doubt was not shown.
    agent.granted(task.reading()).await;
    let more = pending(&agent, to_eve(&task)).await;
    assert_ne!(more.approval_id, decision.approval_id);
    assert!(codes(&more).contains(&"SINK_UNSEEN".to_owned()), "who is asked next sees all of it: {more:?}");
    assert_eq!(state(&world.rae().await, &decision.approval_id).await, ApprovalState::Closed);
    // Under another bundle it counts no more.
    approve(&world.rae().await, &more).await;
    let other = policy_with(|path, text| if path == "risk.toml" { format!("{text}\n# changed\n") } else { text });
    world.broker.activate(&other).await;
    assert_ne!(pending(&agent, to_eve(&task)).await.approval_id, more.approval_id);
}

#[tokio::test]
async fn an_approval_that_is_taken_back_revokes_what_came_of_it() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let rae = world.rae().await;
    approve(&rae, &decision).await;
    let granted = agent.granted(to_eve(&task)).await;
    let withdraw =
        |id: &str| v1::WithdrawApprovalRequest { approval_id: id.to_owned(), reason: "by mistake".to_owned() };
    let done = rae.withdraw_approval(withdraw(&decision.approval_id)).await.unwrap();
    assert_eq!((done.grants_revoked, done.approval.unwrap().state()), (1, ApprovalState::Withdrawn));
    let server = world.broker.resource_server().await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked);
    let record = world.broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    assert!(record.aftermath.iter().any(|event| event.kind == "approval_withdrawn"), "{:?}", record.aftermath);
    // Though the agent has asked again since.
    let next = pending(&agent, to_eve(&task)).await;
    approve(&rae, &next).await;
    let granted = agent.granted(to_eve(&task)).await;
    pending(&agent, to_eve(&task)).await;
    assert_eq!(rae.withdraw_approval(withdraw(&next.approval_id)).await.unwrap().grants_revoked, 1);
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked);
    // Before it was used, too.
    let next = pending(&agent, to_eve(&task)).await;
    approve(&rae, &next).await;
    rae.withdraw_approval(withdraw(&next.approval_id)).await.unwrap();
    assert_ne!(pending(&agent, to_eve(&task)).await.approval_id, next.approval_id);
    let twice = rae.withdraw_approval(withdraw(&next.approval_id)).await.unwrap_err();
    assert_eq!(twice.reason, "APPROVAL_CLOSED");
}

#[tokio::test]
async fn nobody_is_asked_more_than_may_wait_at_a_time() {
    let settings = ApprovalSettings { pending_per_agent_max: 2, ..ApprovalSettings::default() };
    let world = World::asking(settings).await;
    let (agent, task) = world.anns().await;
    let ask =
        |n: u32| task.step("mail.send", &json!({ "to": [format!("eve{n}@evil.test")], "subject": "s", "body": "b" }));
    let first = pending(&agent, ask(0)).await;
    pending(&agent, ask(1)).await;
    let refused = agent.request_credential(ask(2)).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "TOO_MANY_PENDING"));
    assert_eq!(pending(&agent, ask(0)).await.approval_id, first.approval_id, "what waits is still told");
    let (_, other) = world.anns().await;
    let in_another = other.step("mail.send", &json!({ "to": ["eve9@evil.test"], "subject": "s", "body": "b" }));
    assert_eq!(agent.request_credential(in_another).await.unwrap_err().reason, "TOO_MANY_PENDING");
    answer(&world.rae().await, &first, Verdict::Deny).await.unwrap();
    pending(&agent, ask(2)).await;
}

#[tokio::test]
async fn an_approval_is_used_once_whoever_asks_at_the_same_time() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    approve(&world.rae().await, &decision).await;
    let tries = (0..16).map(|_| {
        let (agent, request) = (agent.unchecked(), to_eve(&task));
        tokio::spawn(async move { agent.request_credential(request).await.unwrap() })
    });
    let mut granted = 0;
    let mut waits = std::collections::BTreeSet::new();
    for tried in tries.collect::<Vec<_>>() {
        let answer = tried.await.unwrap();
        if answer.grant.is_some() {
            granted += 1;
        } else {
            waits.insert(answer.decision.unwrap().approval_id);
        }
    }
    assert_eq!((granted, waits.len()), (1, 1), "the others are one new question");
}
