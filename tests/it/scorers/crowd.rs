//! Agents that ask much at a time, and answers that come too late.

use std::time::Duration;

use carnet::broker::scorers::ScorerOptions;

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
    fake.from_now_on(Does::score(1.0));
    let counter = r#"carnet_scorer_questions_total{result="answered",scorer="judge"} "#;
    let answered = |text: String| text.lines().any(|line| line.starts_with(counter) && !line.ends_with(" 0"));
    eventually(|| answered(broker.metrics().render().unwrap())).await;
    fake.from_now_on(Does::score(0.0));
    let task = [&second, &third].into_iter().find(|task| task.id == late).unwrap();
    // It is remembered when it is counted, but for a moment.
    soon(async {
        while added(&broker, &agent.granted(task.sending()).await.decision).await[0].2 != 30 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
