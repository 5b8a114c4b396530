//! Real scorers, behind real doors: one that implements the service over mutual TLS, and a chat endpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use carnet::broker::scorers::{ScorerOptions, ScorerPart};
use carnet::entropy::Entropy;
use carnet::identity::trust::Trust;
use carnet::pb::v1::{self, Outcome, ScoreResponse};
use carnet::scorer::chat::ChatScorer;
use carnet::scorer::grpc::GrpcScorer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::Code;

use super::super::support::broker::TestBroker;
use super::super::support::pki::id;
use super::super::support::scorer::{Chat, Does, Fake, Says, Scorers, Served, inline};
use super::{added, broker_asking};

const JUDGE: &str = "/scorer/judge";

/// A broker that asks the scorer at that address, and expects that one.
async fn asking(listener: &TcpListener, expected: &str, options: ScorerOptions) -> TestBroker {
    let (target, expected) = (listener.local_addr().unwrap().to_string(), id(expected));
    let scorers: Scorers = Arc::new(move |trust: &Trust| {
        let client = GrpcScorer::new(&target, trust.workload(), expected.clone()).unwrap();
        vec![ScorerPart { options: options.clone(), client: Arc::new(client) }]
    });
    broker_asking(scorers).await
}

async fn bound() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// What is counted for a mail, in points and words, and what came of it.
async fn counted(broker: &TestBroker) -> (u32, String, v1::Decision) {
    let (_, agent, task) = broker.at_work().await;
    let decision = agent.request_credential(task.sending()).await.unwrap().decision.unwrap();
    let added = added(broker, &decision).await;
    assert_eq!(added.len(), 1, "{decision:?}");
    (added[0].2, added[0].3.clone(), decision)
}

#[tokio::test]
async fn a_grpc_scorer_sees_who_asks_and_its_score_counts() {
    let (listener, fake) = (bound().await, Fake::new(Does::score(0.5)));
    let broker = asking(&listener, JUDGE, inline()).await;
    let served = Served::start(listener, &fake, &broker.pki, JUDGE).await;
    let (points, words, decision) = counted(&broker).await;
    assert_eq!(
        (points, words.as_str(), decision.outcome()),
        (30, "`judge` (judge 7) scored it 0.500", Outcome::Narrowed)
    );
    assert_eq!(*served.peers.lock().unwrap(), [id("/carnet").to_string()]);
    fake.now_does(Does::Answer(ScoreResponse { score: None, model: "m".to_owned(), ..ScoreResponse::default() }));
    let (points, words, _) = counted(&broker).await;
    assert_eq!((points, words.as_str()), (40, "`judge` gave no score: what it answered is no score: it has no score"));
}

#[tokio::test]
async fn a_grpc_scorer_that_is_somebody_else_slow_huge_or_down_counts_as_silent() {
    let (listener, fake) = (bound().await, Fake::new(Does::score(0.0)));
    let broker = asking(&listener, JUDGE, inline()).await;
    let served = Served::start(listener, &fake, &broker.pki, "/scorer/other").await;
    assert_eq!(counted(&broker).await.0, 40, "it is not who it should be");
    assert!(fake.asked().is_empty(), "and was told nothing");
    drop(served);

    let (listener, fake) = (bound().await, Fake::new(Does::Nothing));
    let broker = asking(&listener, JUDGE, ScorerOptions { deadline: Duration::from_millis(300), ..inline() }).await;
    let served = Served::start(listener, &fake, &broker.pki, JUDGE).await;
    let (points, words, _) = counted(&broker).await;
    assert_eq!((points, words.contains("took longer")), (40, true), "{words}");
    drop(served);

    let (listener, fake) = (bound().await, Fake::new(Does::Nothing));
    let broker = asking(&listener, JUDGE, inline()).await;
    let served = Served::start(listener, &fake, &broker.pki, JUDGE).await;

    let huge = ScoreResponse {
        score: Some(0.0),
        model: "m".to_owned(),
        explanation: "x".repeat(1 << 20),
        ..ScoreResponse::default()
    };
    fake.now_does(Does::Answer(huge));
    assert_eq!(counted(&broker).await.0, 40);

    // What it says of itself when it fails stands nowhere.
    fake.now_does(Does::Fail);
    let (points, words, decision) = counted(&broker).await;
    assert_eq!((points, words.as_str()), (40, "`judge` gave no score: it could not be asked"));
    let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert!(!format!("{record:?}").contains("SECRET-OF-THE-SCORER"));
    drop(served);

    let nobody = bound().await;
    let broker = asking(&nobody, JUDGE, inline()).await;
    drop(nobody);
    assert_eq!(counted(&broker).await.0, 40, "it is down");
}

/// Each status: it is silence, and one is enough for a pause unless the question alone may be to blame, which an agent wrote.
#[tokio::test]
async fn a_status_of_a_grpc_scorer_is_silence_and_a_failure_unless_it_is_about_the_question() {
    const PAUSE: Duration = Duration::from_secs(61);
    let (listener, fake) = (bound().await, Fake::new(Does::score(0.0)));
    let broker = asking(&listener, JUDGE, ScorerOptions { failures_max: 1, ..inline() }).await;
    let _served = Served::start(listener, &fake, &broker.pki, JUDGE).await;
    let of_the_question = [Code::InvalidArgument, Code::FailedPrecondition, Code::OutOfRange];
    for number in 1..=16 {
        let code = Code::from_i32(number);
        let is_failure = !of_the_question.contains(&code);
        let asked = fake.asked().len();
        fake.now_does(Does::Status(code));
        let (points, words, _) = counted(&broker).await;
        assert_eq!((points, fake.asked().len()), (40, asked + 1), "{code:?}: {words}");
        let said = if is_failure { "it could not be asked" } else { "the question was not taken" };
        assert!(words.contains(said) && !words.contains("SECRET"), "{code:?}: {words}");
        fake.now_does(Does::score(0.0));
        let (points, words, _) = counted(&broker).await;
        let expected = if is_failure { (40, asked + 1) } else { (0, asked + 2) };
        assert_eq!((points, fake.asked().len()), expected, "{code:?}: {words}");
        assert_eq!(words.contains("left alone for a while"), is_failure, "{code:?}: {words}");
        // After the pause it is asked again, and its answer ends the matter.
        broker.advance(PAUSE);
        assert_eq!(counted(&broker).await.0, 0, "{code:?}");
    }
}

/// A broker that asks that chat endpoint, with a key from a file.
async fn chatting(chat: &Chat, key: &Path, options: ScorerOptions) -> TestBroker {
    let (url, roots, key) = (chat.url.parse().unwrap(), chat.web.roots(), key.to_owned());
    let client = ChatScorer::new(url, "judge-2".to_owned(), Some(key), roots, Entropy::system()).unwrap();
    let part = ScorerPart { options, client: Arc::new(client) };
    broker_asking(Arc::new(move |_| vec![part.clone()])).await
}

fn key_file(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("key");
    carnet::entropy::secret_file::create(&path, b"sk-secret\n").unwrap();
    path
}

#[tokio::test]
async fn a_chat_endpoint_is_asked_with_fences_and_its_answer_counts() {
    let (chat, folder) = (Chat::start().await, TempDir::new().unwrap());
    let broker = chatting(&chat, &key_file(&folder), inline()).await;
    chat.scores(r#"{"score": 0.5, "reason_code": "ODD", "explanation": "why so"}"#);
    let (points, words, decision) = counted(&broker).await;
    assert_eq!((points, words.as_str()), (30, "`judge` (judge-2 fp_7) scored it 0.500 (ODD): why so"));
    let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert!(record.facts_json.contains("\"scorer\":\"judge-2 fp_7\""), "{}", record.facts_json);

    let asked = chat.asked();
    let [(head, body)] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.lines().any(|line| line == "authorization: Bearer sk-secret"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["model"], "judge-2");
    assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    let text = body["messages"][1]["content"].as_str().unwrap();
    let opening = text.lines().find(|line| line.starts_with("<<")).unwrap();
    assert_eq!(opening.len(), 2 + 32, "{opening}");
    assert!(body["messages"][0]["content"].as_str().unwrap().contains(opening));
    for secret in ["sk-secret", "It is solved."] {
        assert!(!body.to_string().contains(secret), "{secret}");
    }
    counted(&broker).await;
    assert!(!chat.asked()[1].1.contains(opening), "each question has a fence of its own");
    let told = format!("{record:?}");
    assert!(!told.contains("sk-secret"));
}

#[tokio::test]
async fn a_chat_endpoint_that_is_slow_down_out_of_form_or_hostile_counts_as_silent() {
    let (chat, folder) = (Chat::start().await, TempDir::new().unwrap());
    let key = key_file(&folder);
    let broker = chatting(&chat, &key, inline()).await;
    let hasty = chatting(&chat, &key, ScorerOptions { deadline: Duration::from_millis(300), ..inline() }).await;
    let mut rows = Vec::new();
    for content in [
        "all is well",
        r#"{"score": -1, "reason_code": "", "explanation": ""}"#,
        r#"{"score": 2, "reason_code": "", "explanation": ""}"#,
    ] {
        chat.scores(content);
        rows.push((content, counted(&broker).await.0));
    }
    let good = r#"{"choices": [{"finish_reason": "stop", "message": {"content": "{\"score\": 0, \"reason_code\": \"\", \"explanation\": \"\"}"}}]}"#;
    for (kind, says) in [
        ("failing", Says::Body(500, good.to_owned())),
        ("elsewhere", Says::Body(302, good.to_owned())),
        ("no JSON", Says::Body(200, "<html>".to_owned())),
        ("huge", Says::Body(200, format!("{good}{}", " ".repeat(1 << 20)))),
        ("a flood", Says::Flood),
    ] {
        chat.now_does(says);
        rows.push((kind, counted(&broker).await.0));
    }
    chat.now_does(Says::Trickle);
    rows.push(("a trickle", counted(&hasty).await.0));
    assert!(rows.iter().all(|(_, points)| *points == 40), "{rows:?}");
    chat.now_does(Says::Body(200, good.to_owned()));
    assert_eq!(counted(&broker).await.0, 0, "that one is in form");
    std::fs::remove_file(&key).unwrap();
    assert_eq!(counted(&broker).await.0, 40, "without its key it cannot be asked");
}

#[tokio::test]
async fn a_question_that_a_chat_endpoint_does_not_take_does_not_have_it_left_alone() {
    let (chat, folder) = (Chat::start().await, TempDir::new().unwrap());
    let broker = chatting(&chat, &key_file(&folder), ScorerOptions { failures_max: 1, ..inline() }).await;
    for (status, asked) in [(400, 1), (413, 2), (422, 3), (500, 4), (500, 4)] {
        chat.now_does(Says::Body(status, String::new()));
        assert_eq!((counted(&broker).await.0, chat.asked().len()), (40, asked), "{status}");
    }
}
