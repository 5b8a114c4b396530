//! Commands as those run them who have to do with a broker: people with the files of their tokens, the operator, workloads with their
//! SVIDs. Each does what it says, and says so; who may not is told so by the broker, and by the exit code.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use carnet::dev::workload_api::WorkloadApi;
use carnet::entropy::secret_file;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{carnet, told};
use crate::people::World;
use crate::support::ask::{AGENT, ORCHESTRATOR, OpenTask, RESOURCE_SERVER};
use crate::support::broker::Setup;
use crate::support::caller::Caller;
use crate::support::issuer::{ACTING, WebIdentity};
use crate::support::pki::id;

/// Who runs it, what is typed, how it ends, and what is said.
type Row<'a> = (&'a str, &'a [&'a str], i32, &'a [&'a str]);

/// The people, by the subjects of their accounts.
const PEOPLE: [(&str, &str); 7] = [
    ("ann", "1001"),
    ("bob", "1002"),
    ("rita", "1003"),
    ("paul", "1004"),
    ("rae", "1005"),
    ("gus", "1007"),
    ("lea", "1008"),
];
const WORKLOADS: [(&str, &str); 3] = [("orchestrator", ORCHESTRATOR), ("agent", AGENT), ("server", RESOURCE_SERVER)];

/// A broker whose doors are open, and what everybody needs to come through them.
struct Desk {
    world: World,
    web: WebIdentity,
    folder: TempDir,
    apis: BTreeMap<&'static str, WorkloadApi>,
    /// What stands for ids that are known only here: `{task}`.
    known: BTreeMap<&'static str, String>,
}

impl Desk {
    async fn new() -> Self {
        let web = WebIdentity::new();
        let setup = Setup { people_certificate: Some(web.files()), ..Setup::default() };
        let world = World::set_up(|_| {}, setup).await;
        let folder = tempfile::tempdir().unwrap();
        for (name, subject) in PEOPLE {
            let token = world.corp.token(subject, ACTING);
            secret_file::create(&folder.path().join(name), token.as_bytes()).unwrap();
        }
        let mut apis = BTreeMap::new();
        for (name, path) in WORKLOADS {
            apis.insert(name, world.broker.pki.workload(path).await.0);
        }
        Self { world, web, folder, apis, known: BTreeMap::new() }
    }

    /// A task at work, under the name that rows know it by.
    async fn at_work(&mut self) -> (Caller, OpenTask) {
        let (_, agent, task) = self.world.broker.at_work().await;
        self.known.insert("{task}", task.id.clone());
        self.known.insert("{handle}", task.handle.clone());
        (agent, task)
    }

    /// How somebody comes in.
    fn door(&self, who: &str) -> Vec<String> {
        let running = self.world.broker.running();
        let shown = |path: PathBuf| path.display().to_string();
        if let Some(api) = self.apis.get(who) {
            let socket = shown(api.socket().to_owned());
            return vec!["--socket".to_owned(), socket, "--broker".to_owned(), self.world.broker.address().to_owned()];
        }
        if who == "operator" {
            return vec!["--operator-socket".to_owned(), shown(running.operator_socket().unwrap().to_owned())];
        }
        let people = format!("https://{}", running.addresses().people.unwrap());
        let (token, ca) = (shown(self.folder.path().join(who)), shown(self.web.ca_file()));
        ["--people", &people, "--token-file", &token, "--ca-file", &ca].map(str::to_owned).to_vec()
    }

    fn filled(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    async fn run(&self, who: &str, typed: &[&str]) -> Output {
        let typed: Vec<String> = typed.iter().map(|word| self.filled(word)).collect();
        let mut command = carnet(&typed.iter().map(String::as_str).collect::<Vec<_>>());
        command.args(self.door(who));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What is answered, as JSON.
    async fn json(&self, who: &str, typed: &[&str]) -> Value {
        let output = self.run(who, &[typed, &["--output", "json"]].concat()).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{typed:?}: {}", told(&output)))
    }

    async fn all(&self, rows: &[Row<'_>]) {
        let mut problems = Vec::new();
        for (who, typed, code, expected) in rows {
            let output = self.run(who, typed).await;
            let said = told(&output);
            if output.status.code() != Some(*code) {
                problems.push(format!("{who}: {typed:?}: ended with {:?}: {said}", output.status.code()));
            }
            for part in expected.iter().map(|part| self.filled(part)).filter(|part| !said.contains(part)) {
                problems.push(format!("{who}: {typed:?}: no `{part}` in: {said}"));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

#[tokio::test]
async fn people_label_decisions_and_look_at_what_is_learned_from_them() {
    let mut desk = Desk::new().await;
    let (agent, task) = desk.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    desk.known.insert("{decision}", decision);
    desk.all(&[
        (
            "lea",
            &["audit", "label", "{decision}", "harmful", "--note", "it was somebody else"],
            0,
            &["{decision}", "harmful", "lea@example.org", "it was somebody else"],
        ),
        ("ann", &["audit", "label", "{decision}", "benign"], 0, &["benign", "ann@example.org"]),
        ("bob", &["audit", "label", "{decision}", "benign"], 2, &["the broker refused: RIGHT_MISSING"]),
        ("operator", &["audit", "label", "{decision}", "benign"], 1, &["unexpected argument '--operator-socket'"]),
        ("lea", &["audit", "label", "{decision}", "good"], 1, &["`good` is none of benign, harmful, unsure"]),
        ("bob", &["audit", "labels"], 0, &["harmful", "lea@example.org", "benign", "ann@example.org"]),
        ("operator", &["audit", "labels", "{decision}", "--from", "1h"], 0, &["harmful", "benign"]),
        ("operator", &["audit", "labels", "--limit", "1"], 0, &["there are more: --page-token "]),
        ("operator", &["audit", "search", "--kind", "decision_labelled"], 0, &["labelled harmful", "labelled benign"]),
        ("bob", &["risk", "drift"], 0, &["ai_agent", "too few yet", "200 task families", "drift from an index of"]),
        ("bob", &["risk", "calibrate", "--class", "agent"], 0, &["1 decisions in", "too few labels"]),
        ("rita", &["risk", "calibrate", "--class", "agent"], 2, &["RIGHT_MISSING"]),
        ("bob", &["risk", "reference", "clear", "--class", "agent"], 2, &["RIGHT_MISSING"]),
        ("paul", &["risk", "reference", "clear", "--class", "agent"], 0, &["ai_agent", "position"]),
        ("paul", &["risk", "reference", "set", "--class", "agent"], 2, &["a reference takes"]),
        ("paul", &["risk", "reference", "set", "--class", "human"], 1, &["`human` is none of"]),
    ])
    .await;
    // One label a page, as the listing says how to go on.
    let page = told(&desk.run("bob", &["audit", "labels", "--limit", "1"]).await);
    let token = page.split("--page-token ").nth(1).unwrap().trim().to_owned();
    let rest = told(&desk.run("bob", &["audit", "labels", "--limit", "1", &format!("--page-token={token}")]).await);
    assert!(page.contains("lea@example.org") != rest.contains("lea@example.org"), "{page}{rest}");
    let drift = desk.json("operator", &["risk", "drift"]).await;
    assert_eq!(drift["classes"][0]["class"], "ai_agent", "{drift}");
}

#[tokio::test]
async fn people_answer_what_waits_for_them_and_take_it_back() {
    let mut desk = Desk::new().await;
    let (agent, task) = desk.at_work().await;
    let to =
        |whom: &str| task.step("mail.send", &json!({ "to": [whom], "subject": "T-1000", "body": "It is solved." }));
    for (name, whom) in [("{first}", "eve@evil.test"), ("{second}", "mallory@evil.test")] {
        let asked = agent.request_credential(to(whom)).await.unwrap().decision.unwrap();
        desk.known.insert(name, asked.approval_id);
    }
    desk.all(&[
        ("rae", &["approval", "list"], 0, &["{first}", "{second}", "mail.send"]),
        ("rae", &["approval", "list", "--limit", "1"], 0, &["there are more: --page-token "]),
        // What begins with a dash is a token all the same, and the broker's to refuse.
        ("rae", &["approval", "list", "--page-token", "-x"], 2, &["page_token"]),
        ("bob", &["task", "list", "--page-token", "-x"], 2, &["page_token"]),
        ("bob", &["audit", "search", "--page-token", "-1-x"], 2, &["page_token"]),
        ("rae", &["approval", "get", "{first}"], 0, &["eve@evil.test", "review"]),
        ("bob", &["approval", "approve", "{first}"], 2, &["RIGHT_MISSING"]),
        ("rae", &["approval", "approve", "{first}", "--reason", "she is on call"], 0, &["approved", "rae@example.org"]),
        ("rae", &["approval", "deny", "{second}", "--reason", "nobody knows him"], 0, &["denied"]),
        ("rae", &["approval", "list", "--state", "denied"], 0, &["{second}"]),
    ])
    .await;
    agent.granted(to("eve@evil.test")).await;
    desk.all(&[
        ("rae", &["approval", "list", "--state", "used"], 0, &["{first}"]),
        (
            "rae",
            &["approval", "withdraw", "{first}", "--reason", "she was not"],
            0,
            &["withdrawn", "grants revoked: 1"],
        ),
        ("rae", &["approval", "get", "approval_1"], 2, &["approval"]),
    ])
    .await;
}

#[tokio::test]
async fn people_open_and_close_break_glass_and_somebody_else_reviews_it() {
    let mut desk = Desk::new().await;
    desk.at_work().await;
    let open = [
        "break-glass",
        "open",
        "{task}",
        "--audience",
        "https://mail.dev.carnet.test",
        "--tool",
        "mail.send",
        "--arguments",
        r#"{"to":["eve@evil.test"]}"#,
        "--justification",
    ];
    let said = [open.as_slice(), &["the pager is down, and Eve is on call"]].concat();
    desk.all(&[
        ("gus", &[open.as_slice(), &["short"]].concat(), 2, &["justification"]),
        ("bob", &said, 2, &["RIGHT_MISSING"]),
    ])
    .await;
    let opened = desk.json("gus", &said).await;
    let glass = opened["break_glass_id"].as_str().unwrap_or_else(|| panic!("{opened}"));
    desk.known.insert("{glass}", glass.to_owned());
    desk.all(&[
        ("gus", &said, 2, &["BREAK_GLASS_OPEN"]),
        ("rae", &["break-glass", "list", "--review-open"], 0, &["{glass}", "open", "gus@example.org"]),
        ("rae", &["break-glass", "list", "--task", "{task}", "--limit", "5"], 0, &["{glass}"]),
        ("rae", &["break-glass", "get", "{glass}"], 0, &["the pager is down, and Eve is on call", "eve@evil.test"]),
        ("rae", &["break-glass", "review", "{glass}", "--verdict", "justified", "--note", "so it was"], 2, &["OPEN"]),
        ("gus", &["break-glass", "close", "{glass}", "--reason", "it is over"], 0, &["closed", "grants revoked: 0"]),
        (
            "rae",
            &["break-glass", "review", "{glass}", "--verdict", "unjustified", "--note", "nobody called"],
            0,
            &["unjustified", "rae@example.org", "nobody called"],
        ),
    ])
    .await;
    let left = desk.run("rae", &["break-glass", "list", "--review-open"]).await;
    assert!(!told(&left).contains(&desk.known["{glass}"]), "{}", told(&left));
}

#[tokio::test]
async fn who_may_revoke_blocks_and_lifts_and_the_operator_looks_after_the_rest() {
    let mut desk = Desk::new().await;
    let (agent, task) = desk.at_work().await;
    let grant = agent.granted(task.reading()).await.id().to_owned();
    desk.known.insert("{grant}", grant);
    desk.known.insert("{agent}", id(AGENT).to_string());
    let key = desk.folder.path().join("log.key").display().to_string();
    let (agent_, audience, initiator) = ("{agent}", "https://tickets.dev.carnet.test", "user:ann@example.org");
    desk.all(&[
        ("operator", &["policy", "active"], 0, &["digest", "revision", "tools"]),
        ("bob", &["catalogue", "list"], 0, &["tickets.read", "mail.send"]),
        ("operator", &["audit", "checkpoint", "--save-key", &key], 0, &["signed by "]),
        ("operator", &["notify", "log"], 0, &[]),
        ("operator", &["notify", "test", "pager"], 2, &["webhook"]),
        ("bob", &["credential", "get", "{grant}"], 0, &["live", "{agent}"]),
        ("bob", &["task", "list", "--state", "active"], 0, &["{task}"]),
        ("bob", &["task", "get", "{task}"], 0, &["active", "{agent}", "unattended"]),
        ("bob", &["revoke", "grant", "{grant}", "--reason", "no"], 2, &["RIGHT_MISSING"]),
        ("rita", &["revoke", "grant", "{grant}", "--reason", "it leaked"], 0, &["grants revoked"]),
        ("bob", &["credential", "get", "{grant}"], 0, &["revoked"]),
        ("rita", &["revoke", "agent", agent_, "--reason", "it leaks"], 0, &["a block stands from now on"]),
        ("rita", &["revoke", "audience", audience, "--reason", "it leaks"], 0, &["a block stands"]),
        ("rita", &["revoke", "initiator", initiator, "--reason", "gone"], 0, &["a block stands"]),
        ("rita", &["revoke", "everything", "--reason", "all of it"], 0, &["a block stands"]),
        ("bob", &["block", "list"], 0, &["agent", "{agent}", audience, initiator, "everything", "it leaks"]),
        ("bob", &["block", "lift", "everything", "--reason", "no"], 2, &["RIGHT_MISSING"]),
        ("rita", &["block", "lift", "everything", "--reason", "mended"], 0, &["position"]),
        ("rita", &["block", "lift", "agent", agent_, "--reason", "mended"], 0, &["position"]),
        ("rita", &["block", "lift", "audience", audience, "--reason", "mended"], 0, &["position"]),
        ("rita", &["block", "lift", "initiator", initiator, "--reason", "back"], 0, &["position"]),
        ("rita", &["revoke", "task", "{task}", "--reason", "it is over"], 0, &["grants revoked"]),
        ("bob", &["task", "get", "{task}"], 0, &["cancelled"]),
    ])
    .await;
    let blocks = desk.json("bob", &["block", "list"]).await;
    assert_eq!(blocks, json!([]));
    assert!(std::fs::read_to_string(&key).unwrap().contains('+'), "a verifier's key");
}

#[tokio::test]
async fn workloads_amend_pause_and_end_tasks_and_renew_and_give_back_what_they_were_granted() {
    let mut desk = Desk::new().await;
    desk.at_work().await;
    let task = ["{task}", "--task-handle={handle}"];
    let (audience, arguments) = ("https://tickets.dev.carnet.test", r#"{"ticket_id":"T-1000"}"#);
    let what = ["--audience", audience, "--tool", "tickets.read", "--arguments", arguments];
    let request = [&["credential", "request"], task.as_slice(), &what].concat();
    let granted = desk.json("agent", &request).await;
    let grant = granted["grant"]["grant_id"].as_str().unwrap_or_else(|| panic!("{granted}"));
    desk.known.insert("{grant}", grant.to_owned());
    let with_grant = |verb: &'static str| [&["credential", verb], task.as_slice(), &["--grant", "{grant}"]].concat();
    let report = ["tool-call", "report", "{task}", "--tool", "tickets.read", "--grant", "{grant}"];
    let report = [report.as_slice(), &["--arguments", arguments, "--result", r#"{"subject":"hello"}"#]].concat();
    let calls = desk.folder.path().join("calls.jsonl");
    let line = format!(r#"{{"tool":"tickets.read","grant":"{grant}","arguments":{arguments},"result":{{"n":1}}"#);
    std::fs::write(&calls, format!("{line},\"request_id\":\"one\"}}\n\n{line},\"request_id\":\"two\"}}\n")).unwrap();
    let calls = calls.to_str().unwrap();
    let many = ["tool-call", "report", "{task}", "--from", calls];
    let odd = desk.folder.path().join("odd.jsonl");
    std::fs::write(&odd, format!("{line}}}\n{line},\"tols\":1}}\n")).unwrap();
    let odd = ["tool-call", "report", "{task}", "--from", odd.to_str().unwrap()];
    // What was recorded of a file that did not get through is counted once when it is reported again.
    let broken = desk.folder.path().join("broken.jsonl");
    let wrong = line.replace("tickets.read", "mail.send");
    std::fs::write(&broken, format!("{line}}}\n\n{line}}}\n{wrong}}}\n{line}}}\n")).unwrap();
    let broken = ["tool-call", "report", "{task}", "--from", broken.to_str().unwrap()];
    let stopped =
        &["INVALID_ARGUMENT", "line 4 was not recorded", "the 2 calls before it were", "go on with --from-line 4"];
    let from = |line: &'static str| [broken.as_slice(), &["--from-line", line]].concat();
    desk.all(&[
        ("agent", &with_grant("renew"), 0, &["{grant}", "granted"]),
        ("server", &broken, 2, stopped),
        ("server", &broken, 2, stopped),
        ("server", &from("4"), 2, &["line 4 was not recorded", "the 0 calls before it were"]),
        ("server", &from("5"), 0, &["cli-"]),
        ("server", &from("6"), 1, &["no call from line 6 on"]),
        ("server", &[&report, ["--from-line", "2"].as_slice()].concat(), 1, &["cannot be used with"]),
        ("server", &report, 0, &["grants suspended", "position"]),
        ("server", &many, 0, &["one", "two"]),
        ("server", &odd, 1, &["line 2 is no call"]),
        ("agent", &[&["credential", "get", "{grant}"], &task[1..]].concat(), 0, &["live"]),
        ("orchestrator", &["task", "list", "--state", "active"], 0, &["{task}"]),
        ("orchestrator", &["task", "amend", "{task}", "--allow", "tickets.read=9"], 0, &["granted", "tickets.read"]),
        ("orchestrator", &["task", "pause", "{task}", "--reason", "lunch"], 0, &["paused"]),
        ("agent", &with_grant("renew"), 3, &["TASK_PAUSED"]),
        ("orchestrator", &["task", "resume", "{task}"], 0, &["active"]),
        ("agent", &with_grant("release"), 0, &["released"]),
        ("agent", &["task", "pause", "{task}"], 2, &["the broker refused"]),
        ("orchestrator", &["task", "complete", "{task}"], 0, &["completed"]),
        ("orchestrator", &["task", "list", "--state", "completed"], 0, &["{task}"]),
    ])
    .await;
    assert_eq!(desk.world.broker.record.of_kind("tool_call_reported").await.len(), 6);
    desk.at_work().await;
    desk.all(&[("orchestrator", &["task", "cancel", "{task}", "--reason", "no more"], 0, &["cancelled"])]).await;
}
