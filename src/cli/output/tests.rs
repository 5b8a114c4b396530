//! The three forms of one value, and text that must not reach a terminal.

use super::paint::{Paint, harmless};
use super::value::Value;
use super::{table, yaml};

fn sample() -> Value {
    Value::Fields(vec![
        ("task_id", "task_1".into()),
        ("intent", "Pay \"Ada\": 3 € \u{1b}[31m".into()),
        ("empty", Value::Nothing),
        ("depth", 2_u32.into()),
        ("verified", false.into()),
        ("tools", ["read_mail", "no"].into_iter().collect()),
        ("ceiling", Value::Fields(vec![("ttl_max", 60_u32.into()), ("values", Value::List(Vec::new()))])),
        (
            "reasons",
            Value::List(vec![
                Value::Fields(vec![("code", "SINK_IN_TEXT".into()), ("access", Value::Nothing)]),
                Value::Fields(vec![("code", "X".into()), ("more", ["a"].into_iter().collect())]),
            ]),
        ),
        ("arguments", Value::json("{\"to\":\"a@b.c\"}")),
    ])
}

#[test]
fn json_keeps_the_order_of_fields() {
    let text = serde_json::to_string(&sample()).unwrap();
    assert!(text.starts_with(r#"{"task_id":"task_1","intent":"Pay \"Ada\""#), "{text}");
    assert!(text.contains(r#""empty":null,"depth":2,"verified":false"#), "{text}");
    assert!(text.ends_with(r#""arguments":{"to":"a@b.c"}}"#), "{text}");
}

#[test]
fn yaml_quotes_what_could_be_read_as_something_else() {
    let expected = "\
task_id: task_1
intent: \"Pay \\\"Ada\\\": 3 € \\u001b[31m\"
empty: null
depth: 2
verified: false
tools:
  - read_mail
  - \"no\"
ceiling:
  ttl_max: 60
  values: []
reasons:
  - code: SINK_IN_TEXT
    access: null
  - code: X
    more:
      - a
arguments: {\"to\":\"a@b.c\"}
";
    assert_eq!(yaml::document(&sample()), expected);
}

#[test]
fn a_record_is_aligned_and_leaves_out_what_is_empty() {
    let text = table::record(&sample(), Paint::NONE);
    assert!(text.starts_with("task id    task_1\nintent     Pay"), "{text}");
    assert!(!text.contains("empty"), "{text}");
    assert!(text.contains("reasons\n  code  SINK_IN_TEXT\n"), "{text}");
}

#[test]
fn rows_are_aligned_under_their_heads() {
    let row = |name: &str, state: &str| Value::Fields(vec![("name", name.into()), ("state", state.into())]);
    let text = table::rows(&["name", "state"], &[row("a", "live"), row("long name", "")], Paint::NONE);
    assert_eq!(text, "NAME       STATE\na          live\nlong name\n");
}

#[test]
fn what_others_wrote_cannot_command_the_terminal() {
    assert_eq!(harmless("plain text, ümlaut", false), "plain text, ümlaut");
    assert_eq!(harmless("a\u{1b}[2Jb", false), "a\\u{1b}[2Jb");
    assert_eq!(harmless("a\nb", true), "a\nb");
    assert_eq!(harmless("a\nb", false), "a\\nb");
    assert_eq!(harmless("user\u{202e}nimda", false), "user\\u{202e}nimda");
    assert!(!table::record(&sample(), Paint::NONE).contains('\u{1b}'));
}
