//! Agents that ask much at a time, answers that come too late, and what one agent does to a scorer that others need.

use std::time::Duration;

use carnet::broker::scorers::ScorerOptions;
use carnet::pb::v1::ScoreResponse;

use super::super::support::ask::{Granted, OpenTask};
use super::super::support::caller::Caller;
use super::super::support::pki::{eventually, soon};
use super::super::support::scorer::{Does, Fake, inline};
use super::{added, broker_with};

fn asking(agent: &Caller, task: &OpenTask) -> tokio::task::JoinHandle<Granted> {
    let (agent, request) = (agent.unchecked(), task.sending());
    tokio::spawn(async move { Granted::of(agent.request_credential(request).await.unwrap()) })
}

#[tokio::test]
async fn who_asks_much_at_a_time_gains_nothing_and_what_is_said_too_late_is_remembered() {
    let fake = Fake::new(Does::Nothing);
    // One agent has one place. What counts alone asks no person, whose record would hold it too.
    let options = ScorerOptions { at_once: 2, absent: 0, points: 30, deadline: Duration::from_secs(3), ..inline() };
    let broker = broker_with(&fake, options).await;
    let (_, agent, first) = broker.at_work().await;
    let (second, third) = (broker.at_work().await.2, broker.at_work().await.2);
    let before = asking(&agent, &first);
    eventually(|| fake.asked().len() == 1).await;
    let behind = [asking(&agent, &second), asking(&agent, &third)];

    let alone = soon(before).await.unwrap();
    let counted = added(&broker, &alone.decision).await;
    assert_eq!(counted[0].2, 0, "its silence is the scorer's own: {counted:?}");
    for granted in behind {
        let counted = added(&broker, &soon(granted).await.unwrap().decision).await;
        assert_eq!(counted[0].2, 30, "{counted:?}");
        assert!(counted[0].3.contains("of the same agent"), "{counted:?}");
    }

    // The place that became free went to one of them, whose answer comes when nobody waits for it any more.
    eventually(|| fake.asked().len() >= 2).await;
    let late = fake.asked()[1].task_id.clone();
    fake.now_does(Does::score(1.0));
    let counter = r#"carnet_scorer_questions_total{result="answered",scorer="judge"} "#;
    let answered = |text: String| text.lines().any(|line| line.starts_with(counter) && !line.ends_with(" 0"));
    eventually(|| answered(broker.metrics().render().unwrap())).await;
    fake.now_does(Does::score(0.0));
    let task = [&second, &third].into_iter().find(|task| task.id == late).unwrap();
    // It is remembered when it is counted, but for a moment.
    soon(async {
        while added(&broker, &agent.granted(task.sending()).await.decision).await[0].2 != 30 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_agent_writes_does_not_have_a_scorer_left_alone() {
    let fake = Fake::new(Does::Answer(ScoreResponse::default()));
    let broker = broker_with(&fake, ScorerOptions { failures_max: 1, ..inline() }).await;
    let (_, agent, task) = broker.at_work().await;
    for asked in 1..=2 {
        let granted = agent.granted(task.sending()).await;
        assert_eq!((added(&broker, &granted.decision).await[0].2, fake.asked().len()), (40, asked));
    }
    // It is left alone when it fails, and nothing that is out of form after the pause goes on with that.
    fake.now_does(Does::Fail);
    agent.granted(task.sending()).await;
    agent.granted(task.sending()).await;
    assert_eq!(fake.asked().len(), 3);
    broker.advance(Duration::from_secs(61));
    fake.now_does(Does::Answer(ScoreResponse::default()));
    agent.granted(task.sending()).await;
    agent.granted(task.sending()).await;
    assert_eq!(fake.asked().len(), 5);
}

#[tokio::test]
async fn a_question_that_does_not_fit_takes_no_other_ones_turn_after_a_pause() {
    let fake = Fake::new(Does::Fail);
    let broker = broker_with(&fake, ScorerOptions { failures_max: 1, ..inline() }).await;
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.sending()).await;
    agent.granted(task.sending()).await;
    assert_eq!(fake.asked().len(), 1, "it is left alone");
    broker.advance(Duration::from_secs(61));
    fake.now_does(Does::TooLarge);
    let large = agent.request_credential(task.writing()).await.unwrap().decision.unwrap();
    assert_eq!(added(&broker, &large).await[0].2, 60);
    fake.now_does(Does::score(0.0));
    let granted = agent.granted(task.sending()).await;
    assert_eq!((added(&broker, &granted.decision).await[0].2, fake.asked().len()), (0, 3));
}
