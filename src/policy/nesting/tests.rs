//! What is too deep is refused before anything recurses over it, and what people write is not.

use super::*;
use crate::policy::bundle::PolicyBundle;
use crate::policy::bundle::tests::shipped_with;

fn rule(condition: &str) -> String {
    format!("@id(\"deep\") permit (principal, action, resource) when {{ {condition} }};\n")
}

#[test]
fn what_nests_too_deeply_is_refused_with_its_line() {
    let many = 100_000;
    for (name, condition) in [
        ("parentheses", format!("{}1{} == 1", "(".repeat(many), ")".repeat(many))),
        ("lists", format!("{}{} == []", "[".repeat(many), "]".repeat(many))),
        ("brackets that are never closed", "(".repeat(many)),
        ("a chain", "true && ".repeat(many) + "true"),
        ("signs", "!".repeat(many) + "true"),
        ("conditions", "if true then true else ".repeat(many) + "true"),
    ] {
        let text = format!("// a comment (((\n{}", rule(&condition));
        assert!(problem(&text).is_some_and(|said| said.starts_with("line 2")), "{name}");
        assert!(PolicyBundle::load(shipped_with(&[("90-deep.cedar", &text)])).is_err(), "{name}");
    }
}

#[test]
fn what_stands_in_strings_and_comments_nests_nothing() {
    let brackets = "(".repeat(1000);
    assert_eq!(problem(&rule(&format!("resource.owner == \"{brackets} \\\" {brackets}\""))), None);
    assert_eq!(problem(&format!("// {brackets}\n{}", rule("true"))), None);
    // Each policy is counted for itself.
    assert_eq!(problem(&rule(&("true && ".repeat(400) + "true")).repeat(10)), None);
    for file in ["10-permits", "20-provenance", "30-taint", "40-people", "50-risk", "60-tasks", "70-break-glass"] {
        let path = format!("{}/deploy/policy/{file}.cedar", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(problem(&std::fs::read_to_string(&path).unwrap_or_default()), None, "{file}");
    }
}
