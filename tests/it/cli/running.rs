//! Commands that follow what happens, and those that need somebody else: a stream until it is ended, keys in a broker's folder, and a
//! receiver of webhooks.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Dev, carnet, ends, told};
use crate::people::World;
use crate::support::broker::{Setup, TestBroker};
use crate::support::issuer::{ACTING, WebIdentity};
use crate::support::pki::soon;
use crate::webhooks::receiver::{Answer, Receiver};

/// A command that goes on until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The next of what it prints.
async fn next(documents: &mut UnboundedReceiver<Value>) -> Value {
    soon(documents.recv()).await.expect("it ended")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_and_what_becomes_of_it_is_followed() {
    let web = WebIdentity::new();
    let setup = Setup { people_certificate: Some(web.files()), ..Setup::default() };
    let world = World::set_up(|_| {}, setup).await;
    let (_, agent, task) = world.broker.at_work().await;
    let to =
        |whom: &str| task.step("mail.send", &json!({ "to": [whom], "subject": "T-1000", "body": "It is solved." }));
    let asked = agent.request_credential(to("eve@evil.test")).await.unwrap().decision.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("rae");
    carnet::entropy::secret_file::create(&token, world.corp.token("1005", ACTING).as_bytes()).unwrap();
    let people = format!("https://{}", world.broker.running().addresses().people.unwrap());
    let mut command = carnet(&["approval", "watch", "--output", "json", "--people", &people]);
    command.arg("--token-file").arg(&token).arg("--ca-file").arg(web.ca_file());
    let mut watching = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let (send, mut lines) = unbounded_channel();
    let out = BufReader::new(watching.0.stdout.take().unwrap());
    // Each record is a document of its own, on as many lines as it takes.
    std::thread::spawn(move || {
        let mut document = String::new();
        for line in out.lines().map_while(Result::ok) {
            document.push_str(&line);
            if let Ok(whole) = serde_json::from_str::<Value>(&document) {
                document.clear();
                drop(send.send(whole));
            }
        }
    });
    let first = next(&mut lines).await;
    assert_eq!((&first["approval_id"], &first["state"]), (&asked.approval_id.as_str().into(), &"pending".into()));
    let rae = world.broker.person(&world.corp.token("1005", ACTING)).await;
    let answer = v1_answer(&asked.approval_id, &asked.decision_id);
    rae.answer_approval(answer).await.unwrap();
    let second = next(&mut lines).await;
    assert_eq!((&second["approval_id"], &second["state"]), (&first["approval_id"], &"denied".into()));
    let other = agent.request_credential(to("mallory@evil.test")).await.unwrap().decision.unwrap();
    assert_eq!(next(&mut lines).await["approval_id"], other.approval_id.as_str());
}

fn v1_answer(approval: &str, decision: &str) -> carnet::pb::v1::AnswerApprovalRequest {
    carnet::pb::v1::AnswerApprovalRequest {
        approval_id: approval.to_owned(),
        decision_id: decision.to_owned(),
        verdict: carnet::pb::v1::Verdict::Deny.into(),
        reason: String::new(),
    }
}

#[test]
fn keys_are_rotated_and_distrusted_in_the_folder_of_a_broker_that_runs() {
    let dev = Dev::start(&[]);
    let folder = dev.value("data");
    let run = |typed: &[&str], code: i32| {
        let output = ends(&[typed, &["--data-dir", &folder, "--output", "json"]].concat(), code);
        (serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(), told(&output))
    };
    let before = run(&["key", "list"], 0).0;
    let signs = before[0]["key"].as_str().unwrap().to_owned();
    let rotated = run(&["key", "rotate"], 0).0;
    assert_eq!((&rotated["algorithm"], &rotated["previous"]), (&"ES256".into(), &signs.as_str().into()), "{rotated}");
    assert_ne!(rotated["key"], signs.as_str());
    assert!(run(&["key", "rotate", "--algorithm", "HS256"], 1).1.contains("none of ES256"));
    let gone = run(&["key", "distrust", &signs], 0).0;
    assert_eq!((&gone["distrusted"], gone["key"].is_string()), (&signs.as_str().into(), true), "another signs: {gone}");
    let after = run(&["key", "list"], 0).0;
    let rows = after.as_array().unwrap();
    let is_distrusted = |row: &Value| row["key"] == signs.as_str() && row["distrusted"].is_string();
    assert!(rows.len() > before.as_array().unwrap().len() && rows.iter().any(is_distrusted), "{after}");
    assert!(run(&["key", "distrust", "nobody-s"], 1).1.contains("nobody-s"));
    let elsewhere = tempfile::tempdir().unwrap();
    let output = ends(&["key", "rotate", "--data-dir", elsewhere.path().to_str().unwrap()], 1);
    assert!(told(&output).contains("holds no keys"), "{}", told(&output));
    assert!(dev.end());
}

#[tokio::test]
async fn a_receiver_is_tried_out_and_the_command_ends_as_that_went() {
    let receiver = Receiver::start().await;
    let webhooks = vec![receiver.options("pager", &[&[7; 32]])];
    let broker = TestBroker::with(Setup { webhooks, ..Setup::default() }).await;
    let socket = broker.running().operator_socket().unwrap().to_owned();
    let run = async |code: i32, parts: &[&str]| {
        let mut command = carnet(&["notify", "test", "pager"]);
        command.arg("--operator-socket").arg(&socket);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        parts.iter().for_each(|part| assert!(told(&output).contains(part), "no `{part}` in {}", told(&output)));
    };
    run(0, &["pager", "delivered", "test"]).await;
    assert_eq!(receiver.got(1).await[0].kind(), "test");
    receiver.always(Some(Answer::status(500)));
    run(5, &["status", "500"]).await;
}
