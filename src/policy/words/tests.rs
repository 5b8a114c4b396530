//! Misspelt words are found, others let be.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use cedar_policy::Policy;

use super::*;
use crate::policy::bundle::tests::load;

fn found(condition: &str) -> Vec<String> {
    let text = format!("forbid(principal, action, resource) when {{ {condition} }};");
    let json = Policy::parse(None, text).unwrap().to_json().unwrap();
    let shipped = load(&[]);
    let declared = Declared { catalogue: shipped.catalogue(), risk: shipped.risk() };
    unknown(&json, declared).into_iter().map(|(_, word)| word).collect()
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
        ("{Value: context.call.ceiling == \"whithin\"}.Value", "whithin"),
        ("context.risk.signals.contains(\"compromise_report\")", "compromise_report"),
        ("context.session.carries.contains(\"credential\")", "credential"),
        ("resource.sensitive.contains(\"finance\")", "finance"),
        ("resource.data_classes.containsAny([\"pii\", \"piii\"])", "piii"),
        ("context.call.data_classes.contains(\"secret\")", "secret"),
        ("context.call.conflicts.contains(\"payments.create\")", "payments.create"),
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
        "context.session.carries.contains(\"credentials\")",
        "context.risk.signals.contains(\"compromise_reported\")",
        "context.risk.signals.contains(\"tainted_exit\")",
        "context.call.conflicts.contains(\"payments.pay\")",
        "context.call.intent_fit == context.call.ceiling",
        "[\"read\", \"write\"].contains(resource.effect)",
    ];
    for condition in rows {
        assert!(found(condition).is_empty(), "{condition}");
    }
}
