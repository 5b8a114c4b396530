//! The commands around labels and drift, as the operator runs them.

use std::process::Command;

use carnet::pb::v1::Label;
use serde_json::Value;

use super::{corp, say};
use crate::people::World;
use crate::support::broker::TestBroker;

/// Runs a command at the operator's socket: its exit code, what it prints as JSON, and what it says.
async fn ran(broker: &TestBroker, arguments: &[&str]) -> (i32, Value, String) {
    let socket = broker.running().operator_socket().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(arguments).args(["--output", "json"]).arg("--operator-socket").arg(socket);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

#[tokio::test]
async fn the_operator_reads_labels_and_drift_and_clears_a_reference() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    let rae = corp(&world, "1005").await;
    say(&rae, &decision, Label::Benign).await;
    say(&rae, &decision, Label::Harmful).await;

    let (code, labels, said) = ran(&world.broker, &["audit", "labels", &decision]).await;
    assert_eq!(code, 0, "{said}");
    let told = |label: &Value| format!("{} {} {}", label["label"], label["replaced"], label["person"]);
    let labels: Vec<String> = labels.as_array().unwrap().iter().map(told).collect();
    assert_eq!(labels, [r#""benign" true "rae@example.org""#, r#""harmful" false "rae@example.org""#]);

    let (code, drift, said) = ran(&world.broker, &["risk", "drift"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!((&drift["samples_min"], &drift["families_min"]), (&500.into(), &200.into()));
    let reference = &drift["classes"][0]["reference"];
    assert_eq!((&reference["samples"], &reference["families"]), (&1.into(), &1.into()), "{drift}");

    let (code, _, said) = ran(&world.broker, &["risk", "reference", "set", "--class", "agent"]).await;
    assert_ne!(code, 0);
    assert!(said.contains("0 decisions of 0 task families") && said.contains("500 of 200"), "{said}");
    let (code, cleared, said) = ran(&world.broker, &["risk", "reference", "clear", "--class", "agent"]).await;
    assert_eq!((code, &cleared["samples"]), (0, &0.into()), "{said}");
    let (_, drift, _) = ran(&world.broker, &["risk", "drift"]).await;
    assert_eq!(drift["classes"][0]["reference"]["samples"], 0, "{drift}");
}

#[test]
fn a_label_is_a_persons_and_the_command_says_where_people_come_in() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command
        .args(["audit", "label", "decision_00000000000000000000000000000000", "harmful"])
        .env_remove("CARNET_PEOPLE");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0));
    assert!(said.contains("--people"), "{said}");
}
