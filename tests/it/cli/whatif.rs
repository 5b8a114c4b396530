//! `carnet policy whatif`: recorded decisions, decided again under a bundle in a folder, against a running broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carnet::disk::RealDisk;
use carnet::entropy::Entropy;
use carnet::pb::v1;
use carnet::seal::sealer::{KeyFiles, Sealer};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{carnet, copy, told};
use crate::people::World;
use crate::support::ask::{OpenTask, codes};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::Refused;
use crate::support::issuer::ACTING;

/// The shipped bundle without two policies and with another.
fn candidate() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy"), &path);
    std::fs::remove_dir_all(path.join("tests")).unwrap();
    let file = path.join("20-provenance.cedar");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for id in ["sink-unseen", "sink-beside-intent"] {
        let from = text.find(&format!("@id(\"{id}\")")).unwrap();
        let to = from + text[from..].find(";\n").unwrap() + 2;
        text.replace_range(from..to, "");
    }
    std::fs::write(&file, text).unwrap();
    let rule = "@id(\"no-files\")\n@reason(\"FORBIDDEN\")\n@outcome(\"review\")\n\
        forbid (principal, action, resource == Carnet::Tool::\"files.write\");\n";
    std::fs::write(path.join("70-more.cedar"), rule).unwrap();
    (folder, path)
}

/// A registration and a file that are granted, and a message to somebody whom nobody named.
async fn history(broker: &TestBroker) -> OpenTask {
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.writing()).await;
    let mail = json!({ "to": ["mallory@elsewhere.test"], "subject": "T-1000", "body": "It is solved." });
    let answer = agent.request_credential(task.step("mail.send", &mail)).await.unwrap().decision.unwrap();
    assert_eq!(answer.outcome(), v1::Outcome::Review, "{:?}", codes(&answer));
    task
}

async fn whatif(broker: &TestBroker, policy: &Path, more: &[&str], code: i32) -> std::process::Output {
    let socket = broker.running().operator_socket().unwrap().to_owned();
    let mut command = carnet(&["policy", "whatif", "--policy", policy.to_str().unwrap()]);
    command.args(more).arg("--operator-socket").arg(socket);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", told(&output));
    output
}

async fn found(broker: &TestBroker, policy: &Path, more: &[&str]) -> Value {
    let output = whatif(broker, policy, &[more, &["--output", "json"]].concat(), 0).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_would_flip_is_listed_both_ways_and_what_hurts_comes_first() {
    let broker = TestBroker::start().await;
    history(&broker).await;
    let (_folder, path) = candidate();
    let found = found(&broker, &path, &["--since", "1h"]).await;
    assert_eq!(
        (&found["decisions"], &found["looser"], &found["stricter"]),
        (&3.into(), &1.into(), &1.into()),
        "{found}"
    );
    let flips = found["flips"].as_array().unwrap();
    let (first, second) = (&flips[0], &flips[1]);
    assert_eq!((&first["turns"], &first["tools"]), (&"looser".into(), &json!(["mail.send"])));
    assert_eq!((&first["was"], &first["would_be"]), (&"review".into(), &"granted".into()));
    let lost = json!(["sink-beside-intent", "sink-unseen"]);
    assert_eq!((&first["policies_lost"], &first["policies_gained"]), (&lost, &json!([])));
    assert!(first["reasons_were"].as_array().unwrap().contains(&"SINK_UNSEEN".into()), "{first}");
    assert_eq!((&second["turns"], &second["tools"]), (&"stricter".into(), &json!(["files.write"])));
    assert_eq!((&second["was"], &second["would_be"]), (&"granted".into(), &"review".into()));
    assert_eq!((&second["because"], &second["approvals_would_be"]), (&json!(["+no-files"]), &1.into()));
    assert!(second["position"].as_u64() < first["position"].as_u64(), "not the order of the record");
    let pair = |was: &str, would_be: &str| json!({ "was": was, "would_be": would_be, "decisions": 1 });
    let pairs = json!([pair("granted", "granted"), pair("granted", "review"), pair("review", "granted")]);
    assert_eq!(found["pairs"], pairs);
    let policy = |id: &str, gained: u32, lost: u32| json!({ "policy": id, "gained": gained, "lost": lost });
    assert_eq!(
        found["policies"],
        json!([policy("no-files", 1, 0), policy("sink-beside-intent", 0, 1), policy("sink-unseen", 0, 1)])
    );
    // Each flip can be read whole.
    let record = broker.operator().await.decision(first["decision_id"].as_str().unwrap()).await.unwrap();
    assert_eq!((record.position, record.outcome()), (first["position"].as_u64().unwrap(), v1::Outcome::Review));
    let table = told(&whatif(&broker, &path, &["--since", "1h"], 0).await);
    for part in [
        "looser",
        "-sink-beside-intent, -sink-unseen",
        "+no-files",
        "1 would be more permissive, 1 stricter",
        "are conclusions",
    ] {
        assert!(table.contains(part), "no `{part}`:\n{table}");
    }
}

#[tokio::test]
async fn the_bundle_that_decided_would_decide_the_same() {
    let broker = TestBroker::start().await;
    history(&broker).await;
    let before = broker.record.all().await.len();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let all = found(&broker, &shipped, &["--since", "1h"]).await;
    assert_eq!((&all["decisions"], &all["flips"], &all["lives_longer"]), (&3.into(), &json!([]), &0.into()), "{all}");
    let none = found(&broker, &shipped, &["--since", "2h", "--until", "1h"]).await;
    assert_eq!((&none["decisions"], &none["stopped_at"]), (&0.into(), &Value::Null));
    assert_eq!(broker.record.all().await.len(), before, "nothing is recorded of it");
}

#[tokio::test]
async fn what_was_erased_is_counted_and_cannot_be_decided_again() {
    let mut broker = TestBroker::start().await;
    let task = history(&broker).await;
    let root = task.id.parse().unwrap();
    broker
        .restart_after(|folder| {
            let data = folder.join("data");
            let files = KeyFiles { master_key: data.join("master.key"), task_keys: data.join("task-keys") };
            Sealer::load(&files, Arc::new(RealDisk), Entropy::system()).unwrap().erase(root).unwrap();
        })
        .await;
    let (_folder, path) = candidate();
    let found = found(&broker, &path, &["--since", "1h"]).await;
    assert_eq!(
        (&found["decisions"], &found["erased"], &found["unreadable"]),
        (&0.into(), &3.into(), &0.into()),
        "{found}"
    );
    assert!(told(&whatif(&broker, &path, &["--since", "1h"], 0).await).contains("3 more were erased"));
}

#[tokio::test]
async fn a_candidate_that_does_not_load_is_refused_here_and_there() {
    let broker = TestBroker::start().await;
    let (_folder, path) = candidate();
    std::fs::write(path.join("80-broken.cedar"), "permit (principal, action").unwrap();
    let output = whatif(&broker, &path, &["--since", "1h"], 1).await;
    assert!(told(&output).contains("80-broken.cedar"), "{}", told(&output));
    whatif(&broker, &path, &["--since", "yesterday"], 1).await;
    let bundle =
        v1::PolicyBundle { files: vec![v1::PolicyFile { path: "x.cedar".to_owned(), content: "permit".into() }] };
    let request = v1::WhatIfRequest { bundle: Some(bundle), ..v1::WhatIfRequest::default() };
    let refused = Refused::from(broker.operator().await.policy().what_if(request).await.unwrap_err());
    assert_eq!(refused.reason, "POLICY_REJECTED", "{refused:?}");
}

/// It reads the record, and has a bundle loaded.
#[tokio::test]
async fn who_may_read_the_record_and_activate_policy_may_ask() {
    let world = World::with(|_| {}).await;
    history(&world.broker).await;
    let files = crate::support::broker::shipped_policy();
    let file =
        |(path, content): (&str, &[u8])| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() };
    let bundle = v1::PolicyBundle { files: files.iter().map(file).collect() };
    let request = v1::WhatIfRequest { bundle: Some(bundle), ..v1::WhatIfRequest::default() };
    for lacks_one in ["1002", "1004"] {
        let person = world.broker.person(&world.corp.token(lacks_one, ACTING)).await;
        let refused = Refused::from(person.policy().what_if(request.clone()).await.unwrap_err());
        assert_eq!(refused.reason, "RIGHT_MISSING", "{refused:?}");
    }
    let mut parts = world.ann().await.policy().what_if(request).await.unwrap().into_inner();
    let part = parts.message().await.unwrap().unwrap().part.unwrap();
    let v1::what_if_response::Part::Tally(tally) = part else { panic!("{part:?}") };
    assert_eq!((tally.decisions, tally.looser, tally.stricter), (3, 0, 0));
    assert!(parts.message().await.unwrap().is_none(), "the tally is the last");
}

/// Who must answer is a difference, though policy asks for as many people as before.
#[tokio::test]
async fn a_review_that_would_be_for_others_is_counted_beside_the_flips() {
    let broker = TestBroker::start().await;
    history(&broker).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy"), &path);
    std::fs::remove_dir_all(path.join("tests")).unwrap();
    let file = path.join("20-provenance.cedar");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@route(\"owner\")")).unwrap();
    let first = found(&broker, &path, &["--since", "1h"]).await;
    assert_eq!((&first["rerouted"], &first["reroutes_listed"], &first["flips"]), (&1.into(), &1.into(), &json!([])));
    let reroute = &first["reroutes"][0];
    assert_eq!((&reroute["owners_were"], &reroute["owners_would_be"]), (&json!([]), &json!(["group:workplace"])));
    assert_eq!((&reroute["question"], &reroute["tools"]), (&"request".into(), &json!(["mail.send"])));
    let table = told(&whatif(&broker, &path, &["--since", "1h"], 0).await);
    for part in ["0 would be more permissive, 0 stricter", "1 reviews would stay reviews", "group:workplace"] {
        assert!(table.contains(part), "no `{part}`:\n{table}");
    }
    // Asked again it is the same question, for the same people; and those whom it was for then are compared.
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@route(\"owner\")"),
        _ => text,
    });
    let broker = TestBroker::with(Setup { policy, ..Setup::default() }).await;
    let task = history(&broker).await;
    let mail = json!({ "to": ["mallory@elsewhere.test"], "subject": "T-1000", "body": "It is solved." });
    let agent = broker.agent().await;
    agent.granted(task.writing()).await;
    agent.request_credential(task.step("mail.send", &mail)).await.unwrap();
    assert_eq!(found(&broker, &path, &["--since", "1h"]).await["rerouted"], 0, "the bundle that decided");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let back = found(&broker, &shipped, &["--since", "1h"]).await;
    assert_eq!((&back["rerouted"], &back["reroutes"][1]["owners_were"]), (&2.into(), &json!(["group:workplace"])));
}
