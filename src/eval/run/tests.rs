//! Errors of a run. What runs answer is told in `tests/it/eval.rs`, with the shipped policies.

use super::super::folder::{Task, ToolLine};
use super::*;

fn shipped() -> BundleFiles {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    BundleFiles::read_dir(&dir).unwrap()
}

fn pair(task: &str, suite: &str, session: Option<&str>) -> Pair {
    Pair {
        pair_id: "p".to_owned(),
        suite: suite.to_owned(),
        task_id: task.to_owned(),
        tool: "look".to_owned(),
        arguments: crate::model::json::Json::Object(Vec::new()),
        history: session.map(|s| History { session: s.to_owned(), steps: 1, injected: None }),
    }
}

fn folder(pairs: Vec<Pair>) -> Folder {
    let tool = ToolLine {
        suite: "s".to_owned(),
        tool: "look".to_owned(),
        description: String::new(),
        parameters: serde_json::Value::Null,
        required: Vec::new(),
        action_class: "read".to_owned(),
    };
    let task = Task { task_id: "t".to_owned(), intent: "Look around".into() };
    Folder { tasks: [("t".to_owned(), task)].into(), tools: vec![tool], pairs, ..Folder::default() }
}

#[test]
fn what_is_named_and_not_there_is_told() {
    let rows = [
        ("a task", pair("u", "s", None), "the task"),
        ("a suite", pair("t", "r", None), "the suite"),
        ("a session", pair("t", "s", Some("x")), "the session"),
    ];
    for (name, pair, expected) in rows {
        match run(&shipped(), &folder(vec![pair]), CeilingMode::None, |_| ()) {
            Err(EvalError::Missing { what, .. }) => assert_eq!(what, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_bundle_that_does_not_load_is_told_with_the_suite() {
    let files = BundleFiles::new([("risk.toml".to_owned(), b"[".to_vec())]).unwrap();
    let told = run(&files, &folder(vec![pair("t", "s", None)]), CeilingMode::None, |_| ()).unwrap_err();
    assert!(
        matches!(&told, EvalError::Bundle { suite, problems } if suite == "s" && problems.contains("risk.toml")),
        "{told}"
    );
}

#[test]
fn a_tool_that_the_catalogue_does_not_know_is_denied() {
    let unknown = Pair { tool: "shout".to_owned(), ..pair("t", "s", None) };
    let mut outcomes = Vec::new();
    run(&shipped(), &folder(vec![unknown]), CeilingMode::None, |j| outcomes.push(j.prediction())).unwrap();
    assert_eq!(outcomes[0].outcome, "deny");
    assert_eq!(outcomes[0].reasons.first(), Some(&"TOOL_UNKNOWN"));
}
