//! Misspelt words are found, others let be.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use cedar_policy::Policy;

use super::*;

fn found(condition: &str) -> Vec<String> {
    let text = format!("forbid(principal, action, resource) when {{ {condition} }};");
    let json = Policy::parse(None, text).unwrap().to_json().unwrap();
    unknown(&json).into_iter().map(|(_, word)| word).collect()
}

#[test]
fn a_misspelt_word_is_found() {
    let rows = [
        ("context.call.ceiling == \"whithin\"", "whithin"),
        ("\"unseen\" == context.sinks.worst", "unseen"),
        ("context.sinks.text.contains(\"adress\")", "adress"),
        ("context.sinks.unseen.containsAny([\"url\", \"uri\"])", "uri"),
        ("[\"reads\", \"write\"].contains(resource.effect)", "reads"),
        ("!(context.risk.reached.contains(\"extreme\"))", "extreme"),
        ("if context.call.intent_fit != \"implid\" then true else false", "implid"),
    ];
    for (condition, word) in rows {
        assert_eq!(found(condition), [word], "{condition}");
    }
}

#[test]
fn other_words_are_let_be() {
    let rows = [
        "context.call.ceiling == \"within\"",
        "context.sinks.urls.contains(\"https://x.test\")",
        "resource.sensitive.contains(\"pii\")",
        "context.call.intent_fit == context.call.ceiling",
        "[\"read\", \"write\"].contains(resource.effect)",
    ];
    for condition in rows {
        assert!(found(condition).is_empty(), "{condition}");
    }
}
