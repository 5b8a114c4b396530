//! What counts as one question, however often it is tried: in alerts a day, and in drift.

use carnet::broker::approvals::ApprovalSettings;
use carnet::pb::v1;
use carnet::pb::v1::{Label, Outcome, Verdict};
use carnet::risk::drift::FAMILY_DAY_MAX;
use serde_json::json;

use super::calibration::calibrated;
use super::{corp, say};
use crate::people::World;
use crate::support::ask::{Granted, INTENT, OpenTask, access};
use crate::support::broker::Setup;
use crate::support::caller::Caller;

const TRIES: usize = 8;

fn to_eve(task: &OpenTask) -> v1::RequestCredentialRequest {
    task.step("mail.send", &json!({ "to": ["eve@evil.test"], "subject": "s", "body": "b" }))
}

async fn tried(agent: &Caller, request: v1::RequestCredentialRequest) -> v1::Decision {
    agent.request_credential(request).await.unwrap().decision.unwrap()
}

/// Questions as they are counted for calibration, and for drift.
async fn questions(world: &World) -> (u64, u64) {
    let operator = world.broker.operator().await;
    let drift = operator.risk().get_drift(v1::GetDriftRequest {}).await.unwrap().into_inner();
    let samples = drift.classes.first().and_then(|class| class.reference.clone()).map_or(0, |window| window.samples);
    (calibrated(&operator, "ai_agent").await.decisions, samples)
}

#[tokio::test]
async fn what_a_person_denied_is_one_question_however_often_it_is_tried() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let asked = tried(&agent, to_eve(&task)).await;
    let rae = corp(&world, "1005").await;
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id.clone(),
        decision_id: asked.decision_id.clone(),
        verdict: Verdict::Deny.into(),
        reason: String::new(),
    };
    rae.answer_approval(answer).await.unwrap();
    let mut last = asked;
    for _ in 0..TRIES {
        last = tried(&agent, to_eve(&task)).await;
        assert_eq!(last.outcome(), Outcome::Denied);
    }
    assert_eq!(questions(&world).await, (1, 1));
    // The label of any try is of the question.
    say(&rae, &last.decision_id, Label::Harmful).await;
    let found = calibrated(&world.broker.operator().await, "ai_agent").await.labels.unwrap();
    assert_eq!((found.harmful, found.escalated, found.answered_by_labeller), (1, 1, 1));
}

#[tokio::test]
async fn what_nobody_answered_is_one_question_too() {
    let hour = ApprovalSettings::DEFAULT.answer_within;
    let world = World::set_up(|_| {}, Setup { svid_life: 4 * hour, ..Setup::default() }).await;
    let (orchestrator, agent) = (world.broker.orchestrator().await, world.broker.agent().await);
    let deadline = Some(world.broker.at(3 * hour));
    let task = orchestrator.open(v1::RegisterTaskRequest { deadline, ..world.broker.task(INTENT) }).await;
    tried(&agent, to_eve(&task)).await;
    world.broker.advance(hour);
    world.broker.sweep().await;
    for _ in 0..TRIES {
        assert_eq!(tried(&agent, to_eve(&task)).await.outcome(), Outcome::Denied);
    }
    assert_eq!(questions(&world).await, (1, 1));
}

#[tokio::test]
async fn what_a_rule_denies_is_one_question_for_each_task_word_for_word() {
    let world = World::new().await;
    let (orchestrator, agent, task) = world.broker.at_work().await;
    let denied = |task: &OpenTask, n: u32| {
        task.steps("https://tickets.dev.carnet.test", vec![access("no.such", &json!({ "n": n }))])
    };
    for _ in 0..TRIES {
        assert_eq!(tried(&agent, denied(&task, 1)).await.outcome(), Outcome::Denied);
    }
    assert_eq!(questions(&world).await, (1, 1));
    tried(&agent, denied(&task, 2)).await;
    let other = orchestrator.open(world.broker.task(INTENT)).await;
    tried(&agent, denied(&other, 1)).await;
    assert_eq!(questions(&world).await, (3, 3));
    // And whatever one task asks for, it makes no window of a class by itself.
    for n in 3..20 {
        tried(&agent, denied(&task, n)).await;
    }
    assert_eq!(questions(&world).await, (20, u64::from(FAMILY_DAY_MAX) + 1));
}

#[tokio::test]
async fn what_is_granted_is_a_question_each_time_and_a_renewal_is_none_whatever_becomes_of_it() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let first = agent.granted(task.reading()).await;
    let second = agent.granted(task.reading()).await;
    Granted::renewed(agent.renew_credential(task.renewal(first.id())).await.unwrap());
    assert_eq!(questions(&world).await, (2, 2));
    for (signal, points) in [("model_score", 40), ("injection_suspected", 45)] {
        world.broker.scorer().await.report_signal(task.signal(signal, points)).await.unwrap();
    }
    let refused = agent.renew_credential(task.renewal(second.id())).await.unwrap().decision.unwrap();
    assert!(!matches!(refused.outcome(), Outcome::Granted | Outcome::Narrowed), "{refused:?}");
    assert_eq!(questions(&world).await, (2, 2));
    // It is of the question that it renews, with the score of that: nobody asked a person then.
    say(&corp(&world, "1005").await, &refused.decision_id, Label::Harmful).await;
    let operator = world.broker.operator().await;
    let (asked, score) = (second.decision.decision_id, |id: String| {
        let operator = operator.clone();
        async move { operator.decision(&id).await.unwrap().risk }
    });
    let (then, now) = (score(asked).await, score(refused.decision_id).await);
    assert!(then < now, "{then} {now}");
    let found = calibrated(&operator, "ai_agent").await;
    let labels = found.labels.unwrap();
    assert_eq!((labels.harmful, labels.let_through, labels.escalated), (1, 1, 0));
    let misses = |threshold: u32| found.rows[threshold as usize - 1].misses.unwrap().count;
    assert_eq!(
        (misses(then.max(1)), misses(then + 1)),
        (u64::from(then == 0), 1),
        "it was scored {then} when it was asked"
    );
}
