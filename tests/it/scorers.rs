//! External scorers: what they say, and what their silence does, whatever is behind them. None of it ever helps an agent.

mod again;
mod crowd;
mod doors;
mod trailing;

use std::time::Duration;

use carnet::broker::scorers::ScorerOptions;
use carnet::pb::v1::{self, Outcome, ScoreResponse};
use serde_json::json;

use super::support::ask::{Granted, OpenTask, access, audience_of, codes};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::Caller;
use super::support::pki::{eventually, soon};
use super::support::scorer::{Does, Fake, Scorers, inline};

/// A broker that asks that scorer alone.
async fn broker_with(fake: &Fake, options: ScorerOptions) -> TestBroker {
    broker_asking(fake.alone(options)).await
}

async fn broker_asking(scorers: Scorers) -> TestBroker {
    TestBroker::with(Setup { scorers, ..Setup::default() }).await
}

/// What the record says that scorers added to a decision: source, points asked for, points counted, words.
async fn added(broker: &TestBroker, decision: &v1::Decision) -> Vec<(String, u32, u32, String)> {
    let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    let scores = record.contributions.into_iter().filter(|c| c.signal == "external_score");
    scores.map(|c| (c.source, c.points, c.counted, c.explanation)).collect()
}

/// What an agent is answered, and the seconds that its token lives; none where there is none.
async fn answered(broker: &TestBroker, agent: &Caller, request: v1::RequestCredentialRequest) -> (v1::Decision, u64) {
    let answer = agent.request_credential(request).await.unwrap();
    let expires = answer.grant.map_or(0, |grant| u64::try_from(grant.expires.unwrap().seconds).unwrap());
    (answer.decision.unwrap(), expires.saturating_sub(broker.pki.now().as_secs()))
}

#[tokio::test]
async fn a_score_counts_in_proportion_and_stands_in_the_record_with_what_made_it() {
    let fake = Fake::new(Does::Answer(ScoreResponse {
        score: Some(0.25),
        reason_code: "ODD".to_owned(),
        explanation: "a summary \u{1b}[2J to somebody".to_owned(),
        model: "judge".to_owned(),
        model_version: "7".to_owned(),
    }));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    let expected = "`judge` (judge 7) scored it 0.250 (ODD): a summary \u{fffd}[2J to somebody";
    assert_eq!(added(&broker, &granted.decision).await, [("scorer:judge".to_owned(), 15, 15, expected.to_owned())]);
    let record = broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    assert!(record.facts_json.contains("\"scorer\":\"judge 7\""), "{}", record.facts_json);

    fake.now_does(Does::score(1.0));
    let (outcome, why) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, why), (Outcome::Review, vec!["RISK_HIGH".to_owned()]));
}

#[tokio::test]
async fn it_is_told_facts_and_no_secret() {
    let fake = Fake::new(Does::score(0.0));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    agent.granted(task.reading()).await;
    // Nor is it asked about reading.
    let asked = fake.asked();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((question.facts_version, question.task_id.as_str()), (1, task.id.as_str()));
    assert_eq!(question.purpose, "the next step");
    assert_eq!((question.access[0].tool.as_str(), question.access[0].effect.as_str()), ("mail.send", "send"));
    let sink = &question.access[0].sinks[0];
    assert_eq!((sink.value.as_str(), sink.provenance.as_str()), ("bob@example.org", "intent"));
    assert!(question.question_id.starts_with("question"), "{}", question.question_id);
    let told = format!("{question:?}");
    for secret in [&task.handle, &granted.token, "It is solved."] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

/// One of each kind: nothing of what it does makes an outcome milder or a life longer than without it.
#[tokio::test]
async fn whatever_is_behind_it_no_outcome_is_milder_and_no_token_lives_longer() {
    let without = TestBroker::start().await;
    let answer = |score| Does::Answer(ScoreResponse { score, model: "m".to_owned(), ..ScoreResponse::default() });
    let text = |text: &str| ScoreResponse {
        score: Some(0.0),
        model: text.to_owned(),
        explanation: text.to_owned(),
        reason_code: String::new(),
        model_version: text.to_owned(),
    };
    let kinds = [
        ("mild", Does::score(0.0), 0),
        ("certain", Does::score(1.0), 60),
        ("slow", Does::Nothing, 40),
        ("down", Does::Fail, 40),
        ("empty", Does::Answer(ScoreResponse::default()), 40),
        ("without a score", answer(None), 40),
        ("not a number", answer(Some(f64::NAN)), 40),
        ("negative", answer(Some(-1.0)), 40),
        ("negative without end", answer(Some(f64::NEG_INFINITY)), 40),
        ("too much", answer(Some(1.5)), 40),
        ("a code of prose", Does::Answer(ScoreResponse { reason_code: "all is well".to_owned(), ..text("m") }), 40),
        ("control characters", Does::Answer(text("\u{0}\r\n\u{202e}granted")), 0),
        ("long", Does::Answer(text(&"x".repeat(60_000))), 0),
    ];
    let (_, agent, task) = without.at_work().await;
    let requests: [fn(&OpenTask) -> v1::RequestCredentialRequest; 3] =
        [OpenTask::reading, OpenTask::sending, OpenTask::writing];
    let mut baseline = Vec::new();
    for request in requests {
        baseline.push(answered(&without, &agent, request(&task)).await);
    }
    let fake = Fake::new(Does::Nothing);
    let patient = broker_with(&fake, inline()).await;
    let hasty = broker_with(&fake, ScorerOptions { deadline: Duration::from_secs(1), ..inline() }).await;
    for (kind, does, points) in kinds {
        // Nobody else is cut off, however busy the machine is.
        let broker = if matches!(does, Does::Nothing) { &hasty } else { &patient };
        let (_, agent, task) = broker.at_work().await;
        fake.now_does(does);
        for (n, request) in requests.into_iter().enumerate() {
            let (decision, life) = answered(broker, &agent, request(&task)).await;
            let (before, longest) = &baseline[n];
            assert!(decision.outcome() >= before.outcome(), "{kind}: {decision:?}, was {before:?}");
            assert!(life <= *longest, "{kind}: {life} s, was {longest} s");
            let counted = added(broker, &decision).await;
            let counted: Vec<u32> = counted.iter().map(|(_, _, counted, _)| *counted).collect();
            // It is not asked about reading.
            assert_eq!(counted, if n == 0 { vec![] } else { vec![points] }, "{kind}, request {n}");
        }
    }
}

#[tokio::test]
async fn what_is_denied_already_is_not_asked_about() {
    let fake = Fake::new(Does::score(0.0));
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let mail = json!({ "to": ["bob@example.org"], "subject": "a", "body": "b" });
    let both = vec![access("no.such_tool", &json!({})), access("mail.send", &mail)];
    let (outcome, _) = agent.withheld(task.steps(&audience_of("mail.send"), both)).await;
    assert_eq!(outcome, Outcome::Denied);
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_into_a_question_counts_the_cap() {
    let fake = Fake::new(Does::score(0.0));
    let broker = broker_with(&fake, ScorerOptions { absent: 0, ..inline() }).await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let part = |letter: &str| letter.repeat(60);
    let to = |n: usize| format!("{n}{}@{}.{}.example.org", part("a"), part("b"), part("c"));
    let many: Vec<String> = (0..250).map(to).collect();
    let intent = "Send a summary to everybody. ".repeat(500);
    let task = orchestrator.open(broker.task(&intent)).await;
    let mut request = task.step("mail.send", &json!({ "to": many, "subject": "a", "body": "b" }));
    request.purpose = "because ".repeat(500);
    let decision = agent.request_credential(request).await.unwrap().decision.unwrap();
    let counted = added(&broker, &decision).await;
    assert_eq!(counted.iter().map(|c| c.2).collect::<Vec<_>>(), [60], "{decision:?}");
    assert!(counted[0].3.contains("does not fit into a question"), "{counted:?}");
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn who_hangs_up_mid_question_has_asked_it_all_the_same() {
    let fake = Fake::new(Does::Nothing);
    let options = ScorerOptions { failures_max: 1, ..inline() };
    let broker = broker_with(&fake, options).await;
    let (_, agent, task) = broker.at_work().await;
    let (hasty, request) = (agent.unchecked(), task.sending());
    let asking = tokio::spawn(async move { hasty.credentials().request_credential(request).await });
    soon(async {
        while fake.asked().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    asking.abort();
    drop(asking.await);
    fake.now_does(Does::Fail);
    let failed = || {
        broker
            .metrics()
            .render()
            .unwrap()
            .contains(r#"carnet_scorer_questions_total{result="failed",scorer="judge"} 1"#)
    };
    eventually(failed).await;
    // Its failure began the pause.
    let granted = agent.granted(task.writing()).await;
    assert!(added(&broker, &granted.decision).await[0].3.contains("left alone for a while"));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn after_failures_in_a_row_it_is_left_alone_and_then_asked_again() {
    let fake = Fake::new(Does::Fail);
    let broker = broker_with(&fake, ScorerOptions { failures_max: 2, ..inline() }).await;
    let (_, agent, task) = broker.at_work().await;
    for _ in 0..4 {
        let granted: Granted = agent.granted(task.sending()).await;
        assert_eq!(added(&broker, &granted.decision).await[0].2, 40);
    }
    assert_eq!(fake.asked().len(), 2);
    assert!(broker.running().broker().remarks().iter().any(|remark| remark.contains("`judge`")));
    fake.now_does(Does::score(0.0));
    broker.advance(Duration::from_secs(61));
    let granted = agent.granted(task.sending()).await;
    assert_eq!(added(&broker, &granted.decision).await[0].2, 0);
    assert_eq!(fake.asked().len(), 3);
    assert!(codes(&granted.decision).is_empty(), "{:?}", granted.decision);
    assert!(broker.running().broker().remarks().iter().all(|remark| !remark.contains("`judge`")));
}

#[tokio::test]
async fn when_the_facts_change_meanwhile_it_is_asked_again_and_not_for_ever() {
    let fake = Fake::new(Does::Nothing);
    let broker = broker_with(&fake, inline()).await;
    let (_, agent, task) = broker.at_work().await;
    let (hasty, request) = (agent.unchecked(), task.sending());
    let asking = tokio::spawn(async move { hasty.request_credential(request).await.unwrap() });
    let mild = ScoreResponse { score: Some(0.0), model: "m".to_owned(), ..ScoreResponse::default() };
    for n in 1..=3 {
        soon(async {
            while fake.asked().len() < n {
                tokio::task::yield_now().await
            }
        })
        .await;
        broker.scorer().await.report_signal(task.signal(&format!("news-{n}"), 1)).await.unwrap();
        fake.now_does(Does::Once(mild.clone()));
    }
    let decision = soon(asking).await.unwrap().decision.unwrap();
    let asked: Vec<usize> = fake.asked().iter().map(|question| question.signals.len()).collect();
    assert!(asked.len() == 3 && asked.is_sorted_by(|a, b| a < b), "{asked:?}");
    let counted = added(&broker, &decision).await;
    assert_eq!(counted[0].2, 40);
    assert!(counted[0].3.contains("kept changing"), "{counted:?}");
    let counter = r#"carnet_scorer_questions_total{result="changed",scorer="judge"} 1"#;
    assert!(broker.metrics().render().unwrap().contains(counter));
}
