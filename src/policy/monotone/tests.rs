//! Which policies read risk, and which do so the wrong way round.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use cedar_policy::Policy;
use proptest::prelude::*;

use super::*;

fn json(condition: &str) -> Value {
    let text = format!("forbid(principal, action, resource) {condition};");
    Policy::parse(None, text).unwrap().to_json().unwrap()
}

#[test]
fn reading_risk_is_found_however_it_is_written() {
    let reads = [
        "when { context.risk.score > 3 }",
        "when { context[\"risk\"].score > 3 }",
        "when { context has risk }",
        "when { context has risk.score }",
        "when { context has \"risk\" && true }",
        "unless { context.risk.reached.contains(\"high\") }",
        "when { principal == principal && (if context.task.depth > 1 then context.risk.signals.isEmpty() else true) }",
        "when { context == {a: 1} }",
        "when { [context].contains({a: 1}) }",
        "when { {a: context}.a.risk.score > 3 }",
        "when { {Value: context}.Value.risk.score > 3 }",
        "when { {Var: context.risk}.Var.score > 3 }",
        "when { {Value: {Value: [context.risk.score]}}.Value.Value.contains(3) }",
        "when { (if true then context else context).risk.score > 3 }",
        "when { [1, 2].contains(context.risk.score) }",
        "when { context.task.depth > 1 } unless { context.risk.score < 4 }",
        "when { context.sinks.amount_max.lessThan(decimal(\"1.0\")) || context.risk.score == 1 }",
    ];
    for condition in reads {
        assert!(reads_risk(&json(condition)), "{condition}");
    }
    let does_not = [
        "",
        "when { context.task.depth > 1 }",
        "when { context has call }",
        "when { context.call.resources.contains(\"risk\") }",
        "when { resource has risk }",
        "when { context.sinks.amount_max.lessThan(decimal(\"1.0\")) }",
    ];
    for condition in does_not {
        assert!(!reads_risk(&json(condition)), "{condition}");
    }
}

#[test]
fn a_condition_that_more_risk_could_undo_is_found() {
    let good = [
        "",
        "when { context.risk.score >= 50 }",
        "when { context.risk.score > 50 && context.task.depth > 1 }",
        "when { 50 < context.risk.score || principal == principal }",
        "when { !(context.risk.score < 50) }",
        "unless { context.risk.score < 50 }",
        "unless { context.risk.score <= 50 && context.task.depth > 1 }",
        "when { context.risk.reached.contains(\"high\") }",
        "when { context.risk.signals.containsAny([\"a\", \"b\"]) }",
        "when { !context.risk.signals.isEmpty() }",
        "when { if context.task.depth > 1 then context.risk.score > 1 else context.risk.score > 9 }",
    ];
    for condition in good {
        assert!(rises_with_risk(&json(condition)), "{condition}");
    }
    let bad = [
        "when { context.risk.score < 50 }",
        "when { context.risk.score == 50 }",
        "when { context.risk.score != 50 }",
        "when { !(context.risk.score > 50) }",
        "unless { context.risk.score > 50 }",
        "unless { context.risk.reached.contains(\"critical\") }",
        "when { context.risk.signals.isEmpty() }",
        "when { context.risk.reached == [\"low\"] }",
        "when { context.risk.score + 1 > 50 }",
        "when { context.risk.score > context.risk.score }",
        "when { if context.risk.score > 3 then context.task.depth > 1 else true }",
        "when { [\"low\"].containsAll(context.risk.reached) }",
        "when { context has risk }",
        "when { context == context }",
        "when { {Value: context.risk.score}.Value < 50 }",
        "when { {Record: context}.Record.risk.score >= 50 }",
    ];
    for condition in bad {
        assert!(!rises_with_risk(&json(condition)), "{condition}");
    }
}

/// Names by which a record could pass for an operator, and others.
const NAMES: &[&str] =
    &["Value", "Var", "Record", "Set", ".", "has", "left", "attr", "context", "risk", "a", "if-then-else", "decimal"];

fn any_expression() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop::sample::select(vec![
        ("context.risk.score", true),
        ("context.risk", true),
        ("context", true),
        ("context.task.depth", false),
        ("principal", false),
        ("3", false),
        ("\"context\"", false),
    ]);
    leaf.prop_map(|(text, reads)| (text.to_owned(), reads)).prop_recursive(4, 24, 3, |inner| {
        let member = (prop::sample::select(NAMES), inner.clone());
        prop_oneof![
            prop::collection::btree_map(prop::sample::select(NAMES), inner.clone(), 1..3).prop_map(|members| {
                let reads = members.values().any(|(_, reads)| *reads);
                let members: Vec<_> = members.iter().map(|(name, (text, _))| format!("\"{name}\": {text}")).collect();
                (format!("{{{}}}", members.join(", ")), reads)
            }),
            member.prop_map(|(name, (text, reads))| (format!("{{\"{name}\": {text}}}[\"{name}\"]"), reads)),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|items| {
                let reads = items.iter().any(|(_, reads)| *reads);
                let items: Vec<_> = items.into_iter().map(|(text, _)| text).collect();
                (format!("[{}]", items.join(", ")), reads)
            }),
            (inner.clone(), inner).prop_map(|((a, ra), (b, rb))| (format!("({a} == {b})"), ra || rb)),
        ]
    })
}

proptest! {
    #[test]
    fn risk_is_found_wherever_it_stands((text, reads) in any_expression()) {
        prop_assert_eq!(reads_risk(&json(&format!("when {{ {text} == 3 }}"))), reads, "{}", text);
    }
}
