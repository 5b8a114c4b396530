//! What an open glass is good for, and what it never reaches.

use carnet::pb::v1::target::Target;

use super::*;
use crate::support::ask::{AGENT, Granted, SECOND_AGENT, ceiling, lifting, revocation};
use crate::support::broker::{Setup, policy_with, shipped_policy};
use crate::support::caller::unique;
use crate::support::pki::id;

#[tokio::test]
async fn it_is_good_for_just_the_access_that_it_names() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    opened(&world.gus().await, opening(&task)).await;
    let to = |to: &[&str]| task.step("mail.send", &json!({ "to": to, "subject": "s", "body": "b" }));
    for request in [to(&["mallory@evil.test"]), to(&["eve@evil.test", "mallory@evil.test"])] {
        assert_eq!(agent.withheld(request).await.0, Outcome::Review);
    }
    let copied = task.step("mail.send", &json!({ "to": ["eve@evil.test"], "bcc": ["m@evil.test"], "body": "b" }));
    assert_eq!(agent.withheld(copied).await.0, Outcome::Review, "another sink");
    let beside = vec![access("mail.send", &mail()), access("mail.search", &json!({ "query": "x" }))];
    assert_eq!(agent.withheld(task.steps(&audience_of("mail.send"), beside)).await.0, Outcome::Review, "and more");
    let (_, other) = world.of_ann().await;
    assert_eq!(agent.withheld(to_eve(&other)).await.0, Outcome::Review, "another task");
    // What decides nothing may differ: nobody who opens it knows the words of the message.
    agent.granted(task.step("mail.send", &json!({ "to": ["eve@evil.test"], "subject": "x", "body": "y" }))).await;
}

#[tokio::test]
async fn what_is_opened_for_a_sub_task_reaches_neither_parent_nor_sibling() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let helper = world.broker.caller(SECOND_AGENT).await;
    let mut below = Vec::new();
    for _ in 0..2 {
        let request = v1::RegisterTaskRequest {
            parent_task_id: task.id.clone(),
            parent_task_handle: task.handle.clone(),
            agent: id(SECOND_AGENT).to_string(),
            initiator: String::new(),
            ..world.broker.task("send a mail")
        };
        below.push(agent.open(request).await);
    }
    opened(&world.gus().await, opening(&below[0])).await;
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review, "its parent");
    assert_eq!(helper.withheld(to_eve(&below[1])).await.0, Outcome::Review, "its sibling");
    helper.granted(to_eve(&below[0])).await;
}

#[tokio::test]
async fn two_for_the_same_do_not_add_up_and_uses_are_counted_whoever_asks_at_the_same_time() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let gus = world.gus().await;
    opened(&gus, v1::OpenBreakGlassRequest { uses_max: 3, ..opening(&task) }).await;
    let twice = (Code::FailedPrecondition, "BREAK_GLASS_OPEN".to_owned());
    assert_eq!(code(gus.open_break_glass(opening(&task)).await), twice);
    let (_, _, other) = world.broker.at_work().await;
    opened(&world.ann().await, opening(&other)).await;

    let tries: Vec<_> = (0..12)
        .map(|_| {
            let (agent, request) = (agent.unchecked(), to_eve(&task));
            tokio::spawn(async move { agent.request_credential(request).await })
        })
        .collect();
    let mut granted = 0;
    for tried in tries {
        let answer = tried.await.unwrap().unwrap();
        granted += u32::from(!answer.token.is_empty());
    }
    assert_eq!(granted, 3);
    assert_eq!(code(gus.open_break_glass(opening(&task)).await), twice, "it is used up, and what it granted lives");
}

#[tokio::test]
async fn what_was_granted_through_it_lives_and_is_renewed_no_longer_than_it() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let life = Some(prost_types::Duration { seconds: 100, nanos: 0 });
    let glass = opened(&world.gus().await, v1::OpenBreakGlassRequest { life, ..opening(&task) }).await;
    let until = glass.until.unwrap().seconds;
    let granted = agent.granted(to_eve(&task)).await;
    let expires = |granted: &Granted| granted.claims()["exp"].as_i64().unwrap();
    assert!(expires(&granted) <= until, "{} is after {until}", expires(&granted));
    world.broker.advance(Duration::from_secs(60));
    let renewed = Granted::renewed(agent.renew_credential(task.renewal(granted.id())).await.unwrap());
    assert!(expires(&renewed) <= until);
    assert_eq!(renewed.decision.break_glass_id, glass.break_glass_id);
    let used = get(&world.gus().await, &glass.break_glass_id).await.unwrap();
    assert_eq!(used.uses, 1, "a renewal is no use of its own");
    world.broker.advance(Duration::from_secs(41));
    assert_eq!(code(agent.renew_credential(task.renewal(granted.id())).await).0, Code::FailedPrecondition);
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review);
}

#[tokio::test]
async fn a_denial_yields_to_it_only_where_its_policy_says_so() {
    let denies = |more: &'static str| {
        policy_with(move |path, text| match path {
            "70-break-glass.cedar" => format!(
                "{text}\n@id(\"no-eve\") @reason(\"FORBIDDEN\") @outcome(\"denied\") {more} forbid (principal, action == \
                 Carnet::Action::\"send\", resource) when {{ context.sinks.addresses.contains(\"eve@evil.test\") }};"
            ),
            _ => text,
        })
    };
    for (more, outcome) in [("", Outcome::Denied), ("@break_glass(\"overrides\")", Outcome::Granted)] {
        let world = World::set_up(|_| {}, Setup { policy: denies(more), ..Setup::default() }).await;
        let (agent, task) = world.of_ann().await;
        assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Denied);
        opened(&world.gus().await, opening(&task)).await;
        let answer = agent.request_credential(to_eve(&task)).await.unwrap();
        assert_eq!(answer.decision.unwrap().outcome(), outcome, "{more}");
    }
}

#[tokio::test]
async fn it_goes_beyond_no_ceiling_not_for_a_read_and_not_after_an_amendment() {
    let world = World::new().await;
    let wide = v1::RegisterTaskRequest {
        ceiling: Some(ceiling(&["mail.send", "tickets.read"])),
        ..world.initiated_by(world.corp.token("1001", INITIATING))
    };
    let orchestrator = world.broker.orchestrator().await;
    let task = orchestrator.open(wide).await;
    let (agent, gus) = (world.broker.agent().await, world.gus().await);
    let search = v1::OpenBreakGlassRequest {
        audience: audience_of("tickets.search"),
        access: Some(access("tickets.search", &json!({ "query": "x" }))),
        ..opening(&task)
    };
    let refused = gus.open_break_glass(search).await.unwrap();
    assert!(refused.break_glass.is_none());
    assert_eq!(codes(&refused.decision.unwrap()), ["CEILING_EXCEEDED"]);
    // What is opened within it is good for nothing as soon as it lies beyond.
    let read = v1::OpenBreakGlassRequest {
        audience: audience_of("tickets.read"),
        access: Some(access("tickets.read", &json!({ "ticket_id": "T-1000" }))),
        ..opening(&task)
    };
    opened(&gus, read).await;
    let less = v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(ceiling(&["mail.send"])),
        ..v1::AmendTaskRequest::default()
    };
    orchestrator.amend_task(less).await.unwrap();
    let (outcome, reasons) = agent.withheld(task.reading()).await;
    assert!(reasons.contains(&"CEILING_EXCEEDED".to_owned()), "{outcome:?} {reasons:?}");
}

#[tokio::test]
async fn what_a_person_denied_is_opened_only_where_policy_lets_it_and_that_is_shown() {
    let lenient = || {
        policy_with(|path, text| match path {
            "70-break-glass.cedar" => {
                let (kept, _) = text.split_once("@id(\"break-glass-denied-before\")").unwrap();
                kept.to_owned()
            }
            _ => text,
        })
    };
    for lets in [false, true] {
        let policy = if lets { lenient() } else { shipped_policy() };
        let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
        let (agent, task) = world.of_ann().await;
        let asked = agent.request_credential(to_eve(&task)).await.unwrap().decision.unwrap();
        let denial = v1::AnswerApprovalRequest {
            approval_id: asked.approval_id,
            decision_id: asked.decision_id,
            verdict: v1::Verdict::Deny.into(),
            reason: "not to her".to_owned(),
        };
        world.reviewer().await.answer_approval(denial).await.unwrap();
        // In another task of the same agent, too.
        let (_, other) = world.of_ann().await;
        for task in [&task, &other] {
            let answer = world.gus().await.open_break_glass(opening(task)).await.unwrap();
            if lets {
                assert!(answer.break_glass.unwrap().denied_before);
            } else {
                assert!(answer.break_glass.is_none());
                assert_eq!(codes(&answer.decision.unwrap()), ["APPROVAL_DENIED"]);
            }
        }
    }
}

#[tokio::test]
async fn what_a_person_denied_beside_something_else_counts_as_denied_before() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let scorer = world.broker.scorer().await.unchecked();
    for (name, points) in [("anomaly", 45), ("injection_suspected", 20)] {
        scorer.report_signal(task.signal(name, points)).await.unwrap();
    }
    let read = |ticket: &str| access("tickets.read", &json!({ "ticket_id": ticket }));
    let both = task.steps(&audience_of("tickets.read"), vec![read("T-1000"), access("tickets.search", &json!({}))]);
    let asked = agent.request_credential(both).await.unwrap().decision.unwrap();
    let denial = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id,
        decision_id: asked.decision_id,
        verdict: v1::Verdict::Deny.into(),
        reason: "not now".to_owned(),
    };
    world.ann().await.answer_approval(denial).await.unwrap();
    let open = |ticket: &str| v1::OpenBreakGlassRequest {
        audience: audience_of("tickets.read"),
        access: Some(read(ticket)),
        ..opening(&task)
    };
    let answer = world.gus().await.open_break_glass(open("T-1000")).await.unwrap();
    assert_eq!(codes(&answer.decision.unwrap()), ["APPROVAL_DENIED"], "alone, it is what was denied");
    assert!(answer.break_glass.is_none());
    assert!(world.gus().await.open_break_glass(open("T-2000")).await.unwrap().break_glass.is_some(), "another ticket");
}

#[tokio::test]
async fn what_was_denied_of_a_place_or_of_what_many_share_shuts_nothing_else() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let denied = async |person: &Caller, request: v1::RequestCredentialRequest| {
        let asked = agent.request_credential(request).await.unwrap().decision.unwrap();
        assert!(!asked.approval_id.is_empty(), "{asked:?}");
        let denial = v1::AnswerApprovalRequest {
            approval_id: asked.approval_id,
            decision_id: asked.decision_id,
            verdict: v1::Verdict::Deny.into(),
            reason: "not that".to_owned(),
        };
        person.answer_approval(denial).await.unwrap();
    };
    let gus = world.gus().await;
    let shut = async |tool: &str, arguments: serde_json::Value| {
        let access = Some(access(tool, &arguments));
        let request = v1::OpenBreakGlassRequest { audience: audience_of(tool), access, ..opening(&task) };
        let answer = gus.open_break_glass(request).await.unwrap();
        let codes = codes(&answer.decision.unwrap());
        assert_eq!(answer.break_glass.is_none(), codes == ["APPROVAL_DENIED"], "{tool} {arguments}: {codes:?}");
        answer.break_glass.is_none()
    };
    // The intent names the payee, and not how much that is.
    let pay = |amount: u32| json!({ "payee": "DE89370400440532013000", "amount": amount });
    denied(&world.ann().await, task.step("payments.pay", &pay(100))).await;
    for (amount, refused) in [(100, true), (101, true), (99, false)] {
        assert_eq!(shut("payments.pay", pay(amount)).await, refused, "{amount}");
    }
    let role = |user: &str, role: &str| json!({ "user": user, "role": role });
    denied(&world.reviewer().await, task.step("users.grant_role", &role("eve", "reader"))).await;
    assert!(shut("users.grant_role", role("eve", "viewer")).await);
    assert!(!shut("users.grant_role", role("ann", "reader")).await);
    denied(&world.reviewer().await, to_eve(&task)).await;
    assert!(!shut("mail.send", json!({ "subject": "to nobody" })).await);
    assert!(shut("mail.send", json!({ "to": ["bob@example.org"], "cc": ["eve@evil.test"] })).await);
}

#[tokio::test]
async fn it_reaches_no_blocked_agent_no_ended_task_and_no_other_bundle() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let ann = world.ann().await;
    let glass = opened(&world.gus().await, opening(&task)).await;
    let blocked = Target::Agent(id(AGENT).to_string());
    ann.revoke(revocation(blocked.clone())).await.unwrap();
    let (outcome, reasons) = agent.withheld(to_eve(&task)).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "BLOCKED"));
    let refused = world.gus().await.open_break_glass(opening(&task)).await.unwrap();
    assert_eq!(codes(&refused.decision.unwrap()), ["BLOCKED"]);
    // What was opened before does not come back with the lifting of the block.
    ann.lift_block(lifting(blocked)).await.unwrap();
    assert_eq!(get(&ann, &glass.break_glass_id).await.unwrap().state(), BreakGlassState::Closed);
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review);

    opened(&world.gus().await, opening(&task)).await;
    let other = policy_with(|path, text| if path == "risk.toml" { format!("{text}\n# changed\n") } else { text });
    world.broker.activate(&other).await;
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review, "under another bundle");
    world.broker.orchestrator().await.cancel_task(task.cancel()).await.unwrap();
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Denied);
    let ended = world.gus().await.open_break_glass(opening(&task)).await.unwrap();
    assert_eq!(codes(&ended.decision.unwrap()), ["TASK_ENDED"]);
}
