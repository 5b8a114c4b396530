//! Asking again: an agent does not ask until a scorer is mild.

use carnet::broker::scorers::ScorerOptions;
use carnet::pb::v1::{self, Outcome, Verdict};
use serde_json::json;

use super::super::people::World;
use super::super::support::ask::{Granted, INTENT, OpenTask, access, audience_of, codes};
use super::super::support::broker::{Setup, TestBroker};
use super::super::support::caller::{Caller, unique};
use super::super::support::issuer::{ACTING, INITIATING};
use super::super::support::scorer::{Does, Fake, inline};
use super::{added, broker_with};

async fn world(fake: &Fake, options: ScorerOptions) -> World {
    World::set_up(|_| {}, Setup { scorers: fake.alone(options), ..Setup::default() }).await
}

/// Asks in other words each time: what is asked is the same, and is decided anew.
async fn decided(agent: &Caller, mut request: v1::RequestCredentialRequest) -> v1::Decision {
    request.purpose = unique("the next step");
    agent.request_credential(request).await.unwrap().decision.unwrap()
}

async fn answered(world: &World, decision: &v1::Decision, verdict: Verdict) {
    let rae = world.broker.person(&world.corp.token("1005", ACTING)).await;
    let request = v1::AnswerApprovalRequest {
        approval_id: decision.approval_id.clone(),
        decision_id: decision.decision_id.clone(),
        verdict: verdict.into(),
        reason: "because".to_owned(),
    };
    rae.answer_approval(request).await.unwrap();
}

/// A task of the usual agent that nobody was verified for: a reviewer is asked, and none of them initiated it.
async fn anonymous(world: &World) -> (Caller, OpenTask) {
    let (_, agent, task) = world.broker.at_work().await;
    (agent, task)
}

#[tokio::test]
async fn a_score_stands_while_people_are_asked_also_after_a_restart() {
    let fake = Fake::new(Does::score(1.0));
    let mut world = world(&fake, inline()).await;
    let (agent, task) = anonymous(&world).await;
    let first = decided(&agent, task.sending()).await;
    assert_eq!((first.outcome(), codes(&first)), (Outcome::Review, vec!["RISK_HIGH".to_owned()]));
    fake.now_does(Does::score(0.0));
    let again = decided(&agent, task.sending()).await;
    assert_eq!((again.outcome(), &again.approval_id), (Outcome::Review, &first.approval_id));

    world.broker.restart().await;
    let (agent, asked) = (world.broker.agent().await, fake.asked().len());
    let later = decided(&agent, task.sending()).await;
    assert_eq!((later.outcome(), &later.approval_id), (Outcome::Review, &first.approval_id));
    assert!(fake.asked().len() > asked, "it was asked, and was mild");
    assert_eq!(added(&world.broker, &later).await[0].1, 60, "the higher of both counts");

    // What was shown is what was asked first.
    answered(&world, &first, Verdict::Approve).await;
    Granted::of(agent.request_credential(task.sending()).await.unwrap());
}

/// The next question about the same, put to a broker that remembers nothing but what is in its record.
async fn asked_anew(world: &mut World, task: &OpenTask) -> v1::Decision {
    world.broker.restart().await;
    decided(&world.broker.agent().await, task.sending()).await
}

#[tokio::test]
async fn a_score_stands_when_the_approval_was_used_or_taken_back() {
    let fake = Fake::new(Does::score(1.0));
    let mut world = world(&fake, inline()).await;
    let (agent, task) = anonymous(&world).await;
    let first = decided(&agent, task.sending()).await;
    assert_eq!(first.outcome(), Outcome::Review);
    answered(&world, &first, Verdict::Approve).await;
    Granted::of(agent.request_credential(task.sending()).await.unwrap());
    fake.now_does(Does::score(0.0));
    let used = asked_anew(&mut world, &task).await;
    assert_eq!((used.outcome(), codes(&used)), (Outcome::Review, vec!["RISK_HIGH".to_owned()]), "it was used up");
    assert_ne!(used.approval_id, first.approval_id);

    answered(&world, &used, Verdict::Approve).await;
    let rae = world.broker.person(&world.corp.token("1005", ACTING)).await;
    let back = v1::WithdrawApprovalRequest { approval_id: used.approval_id.clone(), reason: "by mistake".to_owned() };
    rae.withdraw_approval(back).await.unwrap();
    let withdrawn = asked_anew(&mut world, &task).await;
    assert_eq!((withdrawn.outcome(), codes(&withdrawn)), (Outcome::Review, vec!["RISK_HIGH".to_owned()]));
    assert_eq!(added(&world.broker, &withdrawn).await[0].1, 60);
}

#[tokio::test]
async fn a_score_stands_as_long_as_the_denial_does_in_other_tasks_too() {
    let fake = Fake::new(Does::score(1.0));
    let world = world(&fake, inline()).await;
    let (agent, task) = anonymous(&world).await;
    let first = decided(&agent, task.sending()).await;
    answered(&world, &first, Verdict::Deny).await;
    fake.now_does(Does::score(0.0));
    let again = decided(&agent, task.sending()).await;
    assert_eq!((again.outcome(), codes(&again)[0].as_str()), (Outcome::Denied, "APPROVAL_DENIED"));
    let (_, other) = anonymous(&world).await;
    let elsewhere = decided(&agent, other.sending()).await;
    assert_eq!((elsewhere.outcome(), codes(&elsewhere)[0].as_str()), (Outcome::Denied, "APPROVAL_DENIED"));
    world.broker.advance(std::time::Duration::from_secs(901));
    let (_, third) = anonymous(&world).await;
    assert_eq!(decided(&agent, third.sending()).await.outcome(), Outcome::Granted, "it stands no longer");
}

#[tokio::test]
async fn silence_is_no_way_around_a_question_either() {
    let fake = Fake::new(Does::score(1.0));
    let options = ScorerOptions { absent: 0, ..inline() };
    let world = world(&fake, options).await;
    let (agent, task) = anonymous(&world).await;
    let first = decided(&agent, task.sending()).await;
    assert_eq!(first.outcome(), Outcome::Review);
    fake.now_does(Does::Fail);
    assert_eq!(decided(&agent, task.sending()).await.outcome(), Outcome::Review);
}

#[tokio::test]
async fn what_shortened_a_life_shortens_it_when_the_same_step_is_asked_again() {
    let fake = Fake::new(Does::score(0.6));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let first = agent.granted(task.sending()).await;
    fake.now_does(Does::score(0.0));
    let again = agent.granted(task.sending()).await;
    assert_eq!((again.decision.outcome(), codes(&again.decision)), (first.decision.outcome(), codes(&first.decision)));
    assert_eq!(again.decision.outcome(), Outcome::Narrowed);
    let other = agent.granted(task.writing()).await;
    assert_eq!(added(&broker, &other.decision).await[0].1, 0, "another step is another question");
}

/// The points that the scorer asked for.
async fn points(broker: &TestBroker, decision: &v1::Decision) -> u32 {
    added(broker, decision).await[0].1
}

#[tokio::test]
async fn the_same_step_in_another_order_or_in_a_task_below_is_the_same_step() {
    let fake = Fake::new(Does::score(0.5));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let path = json!({ "path": "/reports/t-1000.md" });
    let both = vec![
        access("files.write", &json!({ "path": "/reports/t-1000.md", "content": "It is solved." })),
        access("files.read", &path),
    ];
    let turned = both.iter().rev().cloned().collect();
    let audience = audience_of("files.write");
    let first = decided(&agent, task.steps(&audience, both)).await;
    assert_eq!(points(&broker, &first).await, 30);
    fake.now_does(Does::score(0.0));
    let again = decided(&agent, task.steps(&audience, turned)).await;
    assert_eq!(points(&broker, &again).await, 30);

    fake.now_does(Does::score(0.5));
    assert_eq!(points(&broker, &decided(&agent, task.sending()).await).await, 30);
    fake.now_does(Does::score(0.0));
    let below = v1::RegisterTaskRequest {
        parent_task_id: task.id.clone(),
        parent_task_handle: task.handle.clone(),
        ..broker.task(INTENT)
    };
    let below = agent.open(below).await;
    assert_eq!(points(&broker, &decided(&agent, below.sending()).await).await, 30);
}

#[tokio::test]
async fn a_renewal_counts_what_was_said_when_it_was_granted() {
    let fake = Fake::new(Does::score(0.6));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let first = agent.granted(task.sending()).await;
    fake.now_does(Does::score(0.1));
    let renewed = Granted::renewed(agent.renew_credential(task.renewal(first.id())).await.unwrap());
    assert_eq!(added(&broker, &renewed.decision).await[0].1, 36);
    let asked = fake.asked();
    assert!(!asked[0].renewal && asked[1].renewal);
    fake.now_does(Does::score(1.0));
    let answer = agent.renew_credential(task.renewal(first.id())).await.unwrap();
    assert_eq!((answer.token.as_str(), answer.decision.unwrap().outcome()), ("", Outcome::Review));
}

#[tokio::test]
async fn what_was_said_when_it_was_granted_counts_when_a_signal_arrives() {
    let fake = Fake::new(Does::score(0.5));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    // Neither alone asks a person: 30 and 30 do.
    let reported = broker.scorer().await.report_signal(task.signal("anomaly", 30)).await.unwrap();
    assert_eq!(reported.grants_suspended, 1, "{granted:?}");
}

#[tokio::test]
async fn what_people_approved_is_granted_at_the_score_that_they_were_shown_and_at_no_higher() {
    let fake = Fake::new(Does::score(0.95));
    let world = world(&fake, ScorerOptions { points: 100, ..inline() }).await;
    let token = world.corp.token("1001", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let critical = decided(&agent, task.sending()).await;
    assert_eq!((critical.outcome(), codes(&critical)), (Outcome::Review, vec!["RISK_CRITICAL".to_owned()]));
    answered(&world, &critical, Verdict::Approve).await;
    let granted = Granted::of(agent.request_credential(task.sending()).await.unwrap());
    assert_eq!(granted.decision.approval_id, critical.approval_id);
}
