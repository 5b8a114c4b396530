//! Scorers that are asked after the decision: the token lives for a short time, and its grant is decided again.

use std::sync::Arc;
use std::time::Duration;

use carnet::broker::scorers::{ScorerMode, ScorerOptions};
use carnet::model::time::Ttl;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{GrantState, Outcome};

use super::super::support::ask::{Granted, INTENT, SECOND_AGENT, codes};
use super::super::support::broker::TestBroker;
use super::super::support::caller::Caller;
use super::super::support::pki::{id, soon};
use super::super::support::scorer::{Does, Fake, inline, trailing};
use super::{added, answered, broker_asking, broker_with};

/// Returns once so many scores stand in the record: source, what made it, points.
async fn recorded(broker: &TestBroker, count: usize) -> Vec<(String, String, u32)> {
    soon(async {
        loop {
            let events = broker.record.of_kind("signal_reported").await;
            let scores = events.iter().filter_map(|event| match &event.payload {
                Payload::SignalReported(signal) if signal.name == "external_score" => {
                    Some((signal.source.clone(), signal.scorer.clone(), signal.points))
                }
                _ => None,
            });
            let scores: Vec<_> = scores.collect();
            if scores.len() >= count {
                return scores;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

async fn suspended(server: &Caller, granted: &Granted) {
    soon(async {
        while server.standing(granted.id()).await.unwrap() != GrantState::Suspended {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_score_that_comes_later_suspends_what_was_granted_meanwhile_for_a_short_time() {
    let fake = Fake::new(Does::Nothing);
    let broker = broker_with(&fake, trailing()).await;
    let (_, agent, task) = broker.at_work().await;
    let request = task.sending();
    let (decision, life) = answered(&broker, &agent, request).await;
    assert_eq!((decision.outcome(), life), (Outcome::Granted, 30));
    let granted = agent.granted(task.writing()).await;
    let server = broker.resource_server().await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    fake.now_does(Does::score(1.0));
    suspended(&server, &granted).await;
    let scores = recorded(&broker, 2).await;
    assert_eq!(scores[0], ("scorer:judge".to_owned(), "judge 7".to_owned(), 60));
    let (outcome, why) = agent.withheld(task.sending()).await;
    assert_eq!((outcome, why), (Outcome::Review, vec!["RISK_HIGH".to_owned()]), "it counts for what is asked next");
}

#[tokio::test]
async fn silence_counts_when_it_is_one_and_is_recorded_once() {
    let fake = Fake::new(Does::Fail);
    let broker = broker_with(&fake, ScorerOptions { absent: 60, ..trailing() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    suspended(&broker.resource_server().await, &granted).await;
    let scores = recorded(&broker, 1).await;
    assert_eq!(scores, [("scorer:judge".to_owned(), String::new(), 60)]);

    // Who asks next waits for a person, and the scorer is asked again; what it says then takes its silence back, as no grant stands
    // that was decided with it.
    agent.release_credential(task.release(granted.id())).await.unwrap();
    fake.now_does(Does::score(0.1));
    let (outcome, why) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, why), (Outcome::Review, vec!["RISK_HIGH".to_owned()]));
    let scores = recorded(&broker, 2).await;
    assert_eq!(scores[1], ("scorer:judge".to_owned(), "judge 7".to_owned(), 6));
    let mail = serde_json::json!({ "to": ["bob@example.org"], "subject": "T-1000", "body": "Other words." });
    agent.granted(task.step("mail.send", &mail)).await;
    // What people were asked about keeps what counted then.
    let asked = agent.request_credential(task.writing()).await.unwrap().decision.unwrap();
    assert_eq!(asked.outcome(), Outcome::Review, "{asked:?}");
}

#[tokio::test]
async fn what_did_not_fit_into_a_question_is_not_taken_back_when_something_smaller_is_mild() {
    let fake = Fake::new(Does::TooLarge);
    let broker = broker_with(&fake, ScorerOptions { points: 30, absent: 30, ..trailing() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    assert_eq!(recorded(&broker, 1).await, [("scorer:judge".to_owned(), "carnet".to_owned(), 30)]);
    agent.release_credential(task.release(granted.id())).await.unwrap();
    // What it says then comes when no grant stands, which is when a silence would go away.
    fake.now_does(Does::Nothing);
    let smaller = agent.granted(task.writing()).await;
    agent.release_credential(task.release(smaller.id())).await.unwrap();
    fake.now_does(Does::score(0.0));
    let scores = recorded(&broker, 2).await;
    assert_eq!(scores[1], ("scorer:judge".to_owned(), "judge 7".to_owned(), 0));
    let next = agent.granted(task.sending()).await;
    assert_eq!(added(&broker, &next.decision).await[0].1, 30, "{next:?}");
}

#[tokio::test]
async fn a_milder_score_later_takes_nothing_back() {
    let fake = Fake::new(Does::score(0.6));
    let broker = broker_with(&fake, trailing()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    recorded(&broker, 1).await;
    suspended(&broker.resource_server().await, &granted).await;
    agent.release_credential(task.release(granted.id())).await.unwrap();
    fake.now_does(Does::score(0.0));
    let next = agent.granted(task.writing()).await;
    assert_eq!((next.decision.outcome(), codes(&next.decision)), (Outcome::Narrowed, vec!["TTL_SHORTENED".to_owned()]));
    recorded(&broker, 2).await;
    let third = agent.granted(task.sending()).await;
    assert_eq!(third.decision.outcome(), Outcome::Narrowed);
}

#[tokio::test]
async fn one_that_is_left_alone_bounds_lives_all_the_same_and_counts_as_silent() {
    let fake = Fake::new(Does::Fail);
    let broker = broker_with(&fake, ScorerOptions { absent: 0, failures_max: 1, ..trailing() }).await;
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.sending()).await;
    recorded(&broker, 1).await;
    assert!(broker.running().broker().remarks().iter().any(|remark| remark.contains("`judge`")));
    let (decision, life) = answered(&broker, &agent, task.writing()).await;
    assert_eq!((decision.outcome(), life), (Outcome::Granted, 30));
    assert_eq!(fake.asked().len(), 1);
    let (_, life) = answered(&broker, &agent, task.reading()).await;
    assert_eq!(life, 300, "it is not asked about reading");
}

#[tokio::test]
async fn questions_wait_for_a_place_and_one_agent_has_not_all_of_them() {
    let fake = Fake::new(Does::Nothing);
    let broker =
        broker_with(&fake, ScorerOptions { at_once: 2, deadline: Duration::from_secs(60), ..trailing() }).await;
    let (_, agent, task) = broker.at_work().await;
    for _ in 0..3 {
        agent.granted(task.sending()).await;
    }
    soon(async {
        while fake.asked().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    // Another agent's question has the other place.
    let helper = broker.caller(SECOND_AGENT).await;
    let mut registration = broker.task(INTENT);
    registration.agent = id(SECOND_AGENT).to_string();
    let other = broker.orchestrator().await.open(registration).await;
    helper.granted(other.sending()).await;
    soon(async {
        while fake.asked().len() < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    let agents: Vec<String> = fake.asked().into_iter().map(|asked| asked.task_id).collect();
    assert_eq!(agents, [task.id.clone(), other.id.clone()]);
    fake.now_does(Does::score(0.0));
    // None was dropped.
    assert_eq!(recorded(&broker, 4).await.len(), 4);
}

#[tokio::test]
async fn the_shortest_life_of_those_that_are_asked_later_holds_beside_what_others_say_at_once() {
    let (now, later, last) = (Fake::new(Does::score(0.1)), Fake::new(Does::Nothing), Fake::new(Does::Nothing));
    let named = |name: &str, options: ScorerOptions| ScorerOptions { name: name.to_owned(), ..options };
    let ten = ScorerOptions { mode: ScorerMode::Trailing { life_max: Ttl::from_secs(10).unwrap() }, ..trailing() };
    let parts =
        vec![now.part(named("now", inline())), later.part(named("later", trailing())), last.part(named("last", ten))];
    let broker = broker_asking(Arc::new(move |_| parts.clone())).await;
    let (_, agent, task) = broker.at_work().await;
    let (decision, life) = answered(&broker, &agent, task.sending()).await;
    assert_eq!((decision.outcome(), life), (Outcome::Granted, 10));
    later.now_does(Does::score(0.5));
    last.now_does(Does::score(0.5));
    let mut scores = recorded(&broker, 2).await;
    scores.sort();
    let sources: Vec<&str> = scores.iter().map(|(source, ..)| source.as_str()).collect();
    assert_eq!(sources, ["scorer:last", "scorer:later"]);
    // 6 of the first, 30 of each other.
    let (outcome, _) = agent.withheld(task.sending()).await;
    assert_eq!(outcome, Outcome::Review);
}
