//! `Calibrate` and `carnet risk calibrate`, against decisions that were counted by hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use carnet::pb::v1;
use carnet::pb::v1::Label;
use carnet::risk::calibrate::{Bands, LABELS_MIN};
use carnet::risk::table::RiskTable;
use serde_json::json;

use super::{corp, in_force, say};
use crate::people::World;
use crate::support::ask::{Granted, OpenTask};
use crate::support::broker::TestBroker;
use crate::support::caller::Caller;
use crate::support::issuer::ACTING;

pub async fn calibrated(caller: &Caller, class: &str) -> v1::CalibrateResponse {
    let request = v1::CalibrateRequest { class: class.to_owned(), ..v1::CalibrateRequest::default() };
    caller.risk().calibrate(request).await.unwrap().into_inner()
}

/// A decision about a ticket of that number, and its score.
async fn decided(world: &World, agent: &Caller, task: &OpenTask, n: u64) -> (String, u32) {
    let request = task.step("tickets.read", &json!({ "ticket_id": format!("T-{n}") }));
    let answer = agent.request_credential(request).await.unwrap().decision.unwrap();
    let record = world.broker.operator().await.decision(&answer.decision_id).await.unwrap();
    (answer.decision_id, record.risk)
}

/// So many decisions at a score near nothing, and as many after a model found the task suspicious.
async fn two_kinds(world: &World, of_each: u64) -> (Vec<(String, u32)>, Vec<(String, u32)>) {
    let (_, agent, calm) = world.broker.at_work().await;
    let (_, _, suspicious) = world.broker.at_work().await;
    let agent = agent.unchecked();
    world.broker.scorer().await.report_signal(suspicious.signal("model_score", 40)).await.unwrap();
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for n in 0..of_each {
        low.push(decided(world, &agent, &calm, n).await);
        high.push(decided(world, &agent, &suspicious, n).await);
    }
    (low, high)
}

fn counts(share: Option<v1::Share>) -> (u64, u64) {
    share.map(|share| (share.count, share.of)).unwrap()
}

#[tokio::test]
async fn alerts_count_every_decision_and_misses_those_that_were_labelled_harmful() {
    let world = World::new().await;
    let (low, high) = two_kinds(&world, 3).await;
    let (rae, sam) = (corp(&world, "1005").await, corp(&world, "1006").await);
    // One of each kind is labelled as it seems, one harmful decision scored low, and one is disputed; one is left alone.
    say(&rae, &low[0].0, Label::Harmful).await;
    say(&rae, &low[0].0, Label::Benign).await;
    say(&rae, &low[1].0, Label::Harmful).await;
    say(&rae, &high[0].0, Label::Harmful).await;
    say(&rae, &high[1].0, Label::Harmful).await;
    say(&sam, &high[1].0, Label::Benign).await;
    let bob = corp(&world, "1002").await;
    let found = calibrated(&bob, "ai_agent").await;
    let labels = found.labels.unwrap();
    assert_eq!((labels.harmful, labels.benign, labels.unsure, labels.contradicted), (2, 1, 1, 1));
    assert_eq!((found.decisions, found.bundles), (6, 1));
    assert!(
        found.days < 1.0 && found.rows.iter().all(|row| row.alerts_per_day.is_none()),
        "an hour says nothing of a day"
    );
    let row = |threshold: u32| {
        let row = &found.rows[threshold as usize - 1];
        assert_eq!(row.threshold, threshold);
        (row.alerts, counts(row.misses), counts(row.false_alarms))
    };
    let least = high.iter().map(|(_, score)| *score).min().unwrap();
    let most = low.iter().map(|(_, score)| *score).max().unwrap();
    assert!(most < least, "{low:?} {high:?}");
    assert_eq!(row(least), (3, (1, 2), (0, 1)));
    assert_eq!(row(101), (0, (2, 2), (0, 1)));
    assert!(found.rows[(least - 1) as usize].misses.unwrap().high > 0.9, "one of two says little");
    let force = found.in_force.unwrap();
    assert_eq!((force.elevated, force.high, force.critical), (30, 55, 80));
    assert_eq!((found.proposed, found.labels_min), (None, LABELS_MIN), "too few");
    // Of another class there was nothing.
    let others = calibrated(&bob, "service_account").await;
    assert_eq!((others.decisions, others.labels), (0, Some(v1::LabelCounts::default())));
    let none = bob.risk().calibrate(v1::CalibrateRequest { class: "human".to_owned(), ..Default::default() }).await;
    assert_eq!(none.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_question_is_one_however_often_it_is_decided() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let mail = json!({ "to": ["eve@evil.test"], "subject": "s", "body": "b" });
    let asked = agent.request_credential(task.step("mail.send", &mail)).await.unwrap().decision.unwrap();
    let rae = corp(&world, "1005").await;
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id,
        decision_id: asked.decision_id.clone(),
        verdict: v1::Verdict::Approve.into(),
        reason: String::new(),
    };
    rae.answer_approval(answer).await.unwrap();
    let granted = agent.granted(task.step("mail.send", &mail)).await;
    let renewed = Granted::renewed(agent.renew_credential(task.renewal(granted.id())).await.unwrap());
    let decisions = [asked.decision_id, granted.decision.decision_id, renewed.decision.decision_id];
    assert_eq!(decisions.iter().collect::<BTreeSet<_>>().len(), 3, "each was decided");
    for decision in &decisions {
        say(&rae, decision, Label::Harmful).await;
    }
    let read = agent.granted(task.reading()).await;
    let renewed = Granted::renewed(agent.renew_credential(task.renewal(read.id())).await.unwrap());
    for decision in [&read.decision.decision_id, &renewed.decision.decision_id] {
        say(&rae, decision, Label::Benign).await;
    }
    let found = calibrated(&world.broker.operator().await, "ai_agent").await;
    let labels = found.labels.unwrap();
    assert_eq!((found.decisions, labels.harmful, labels.benign), (2, 1, 1));
    assert_eq!((labels.escalated, labels.let_through, labels.answered_by_labeller), (1, 1, 1));
}

#[tokio::test]
async fn who_may_read_may_calibrate_and_nobody_else() {
    let world = World::new().await;
    let request = v1::CalibrateRequest { class: "ai_agent".to_owned(), ..v1::CalibrateRequest::default() };
    for lacks in ["1003", "1004", "1005", "1008"] {
        let person = world.broker.person(&world.corp.token(lacks, ACTING)).await;
        let refused = person.risk().calibrate(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{lacks}");
    }
}

async fn calibrate(broker: &TestBroker, more: &[&str]) -> (serde_json::Value, String) {
    let socket = broker.running().operator_socket().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(["risk", "calibrate", "--class", "agent"]).args(more).arg("--operator-socket").arg(socket);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

#[tokio::test]
async fn a_proposal_is_a_part_of_a_risk_table_and_changes_nothing() {
    let world = World::new().await;
    let before = in_force(&world.broker).await;
    let (low, high) = two_kinds(&world, LABELS_MIN).await;
    let rae = corp(&world, "1005").await.unchecked();
    for (decision, _) in &low {
        say(&rae, decision, Label::Benign).await;
    }
    for (decision, _) in &high[1..] {
        say(&rae, decision, Label::Harmful).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("bands.toml");
    let json = ["--output", "json", "--out", part.to_str().unwrap()];
    let (found, said) = calibrate(&world.broker, &json).await;
    assert_eq!((&found["harmful"], &found["benign"]), (&29.into(), &30.into()), "{found}");
    assert_eq!(found["proposed"], serde_json::Value::Null);
    assert!(said.contains("too few labels: it takes 30 harmful and 30 benign"), "{said}");
    assert!(!part.exists());

    say(&rae, &high[0].0, Label::Harmful).await;
    let (found, said) = calibrate(&world.broker, &json).await;
    let most = low.iter().map(|(_, score)| *score).max().unwrap();
    // Scores tell them apart wholly, so all bands begin above the highest that was benign.
    let at = most + 1;
    assert_eq!(found["proposed"], json!({ "elevated": at, "high": at, "critical": at }), "{found}");
    assert!(said.contains("not counted as benign") && said.contains("come mostly from what was escalated"), "{said}");
    let text = std::fs::read_to_string(&part).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy/risk.toml");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let (head, tail) = shipped.split_once("[bands.ai_agent]").unwrap();
    let tail = &tail[tail.find("\n[").unwrap()..];
    let table = RiskTable::parse(&format!("{head}{text}{tail}")).unwrap();
    let at = u8::try_from(at).unwrap();
    let bands = table.bands(carnet::model::identity::IdentityClass::AiAgent);
    assert_eq!(bands, Some(Bands { elevated: at, high: at, critical: at }));
    // The table for eyes says the same, and a file that is there stays as it is.
    let (_, said) = calibrate(&world.broker, &[]).await;
    assert!(said.contains("elevated (proposed), high (proposed), critical (proposed)"), "{said}");
    assert!(said.contains("[bands.ai_agent]") && said.contains("0 of 30 (0-11 %)"), "{said}");

    assert_eq!(in_force(&world.broker).await, before, "nothing changes policy by itself");
}
