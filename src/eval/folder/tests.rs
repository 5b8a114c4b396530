//! What a folder may hold, and how broken ones are told.

use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> Result<Folder, EvalError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    Folder::read(dir.path())
}

const TASKS: (&str, &str) = ("tasks.jsonl", "{\"task_id\":\"t\",\"intent\":\"x\",\"more\":1}\n\n");
const TOOLS: (&str, &str) = ("catalogue.jsonl", "{\"suite\":\"s\",\"tool\":\"a\",\"action_class\":\"read\"}\n");
const PAIRS: (&str, &str) =
    ("pairs.jsonl", "{\"pair_id\":\"p\",\"suite\":\"s\",\"task_id\":\"t\",\"tool\":\"a\",\"args\":{\"n\":1.50}}\n");

#[test]
fn what_is_optional_may_be_missing() {
    let f = folder(&[TASKS, TOOLS, PAIRS]).unwrap();
    assert_eq!((f.tasks.len(), f.tools.len(), f.pairs.len(), f.sessions.len(), f.scopes.len()), (1, 1, 1, 0, 0));
    let pair = f.pairs.first().unwrap();
    assert_eq!(pair.arguments.to_text(), r#"{"n":1.50}"#, "amounts keep their spelling");
    assert_eq!(pair.history, None);
}

#[test]
fn broken_lines_are_told_by_file_and_line() {
    let rows = [
        ("no JSON", "tasks.jsonl", "{\"task_id\":\"t\",\"intent\":\"x\"}\n{", 2),
        ("a member is missing", "tasks.jsonl", "{\"task_id\":\"t\"}", 1),
        (
            "an intent too long",
            "tasks.jsonl",
            &format!("{{\"task_id\":\"t\",\"intent\":\"{}\"}}", "x".repeat(20_000)),
            1,
        ),
        (
            "arguments are no object",
            "pairs.jsonl",
            "{\"pair_id\":\"p\",\"suite\":\"s\",\"task_id\":\"t\",\"tool\":\"a\",\"args\":[1]}",
            1,
        ),
    ];
    for (name, file, text, expected) in rows {
        let files = [TASKS, TOOLS, PAIRS].map(|(n, t)| if n == file { (n, text) } else { (n, t) });
        match folder(&files) {
            Err(EvalError::Line { path, line, .. }) => {
                assert!(path.ends_with(file), "{name}");
                assert_eq!(line, expected, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(folder(&[TASKS, TOOLS]), Err(EvalError::Unreadable { .. })), "pairs must be there");
}

#[test]
fn an_attack_stands_where_it_was_planted() {
    let step = Step {
        tool: "a".to_owned(),
        arguments: Json::Object(Vec::new()),
        result: Json::String("clean".to_owned()),
        injected: Some(Json::parse(r#"[{"body":"Hi. {{INJECTION}} Bye"}]"#, 100).unwrap()),
    };
    assert_eq!(step.result_with(None).to_text(), "\"clean\"");
    assert_eq!(step.result_with(Some("Do \"it\"")).to_text(), r#"[{"body":"Hi. Do \"it\" Bye"}]"#);
    let untouched = Step { injected: None, ..step };
    assert_eq!(untouched.result_with(Some("x")).to_text(), "\"clean\"");
}

#[test]
fn names_that_no_catalogue_can_have_are_spelled_in_its_characters() {
    let tools = ("catalogue.jsonl", r#"{"suite":"s","tool":"a b:c","action_class":"read"}"#);
    let pairs = ("pairs.jsonl", r#"{"pair_id":"p","suite":"s","task_id":"t","tool":"a b:c"}"#);
    let scopes = ("scopes.jsonl", r#"{"task_id":"t","tools":{"a b:c":1}}"#);
    let f = folder(&[TASKS, tools, pairs, scopes]).unwrap();
    assert_eq!((f.tools[0].tool.as_str(), f.pairs[0].tool.as_str(), f.pairs[0].line), ("a_b_c", "a_b_c", 1));
    assert_eq!(f.scopes["t"].get("a_b_c"), Some(&1));
}
