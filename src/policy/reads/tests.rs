//! No policy misses a member that it reads.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use cedar_policy::Policy;

use super::*;

fn reads(conditions: &str) -> Reads {
    let text = format!("permit (principal, action, resource) {conditions};");
    Reads::of([Some(&Policy::parse(None, text).unwrap().to_json().unwrap())])
}

#[test]
fn what_a_policy_names_is_read_wherever_it_stands() {
    let rows: [(&str, &[&str]); 9] = [
        ("", &[]),
        ("when { context.depth > 2 }", &["depth"]),
        ("when { context.sinks.count == 0 } unless { context.call.delegated }", &["call.delegated", "sinks.count"]),
        ("when { context has task && context.task has depth && context.task.depth > 1 }", &["task"]),
        ("when { context has task.depth }", &["task.depth"]),
        ("when { if resource.way_out then context.sinks.grounded else true }", &["sinks.grounded"]),
        ("when { [context.a.b.c, context[\"d e\"]].contains(1) }", &["a.b", "d e"]),
        ("when { {x: context.sinks}.x.count == 1 && context.sinks.count == 1 }", &["sinks"]),
        ("when { context.sinks.amount_max.greaterThan(decimal(\"1.0\")) }", &["sinks.amount_max"]),
    ];
    for (conditions, expected) in rows {
        let reads = reads(conditions);
        assert!(!reads.whole, "{conditions}");
        let read = reads.members.iter().flat_map(|(member, extent)| match extent {
            Extent::Whole => vec![member.clone()],
            Extent::Inner(names) => names.iter().map(|name| format!("{member}.{name}")).collect(),
        });
        assert_eq!(read.collect::<Vec<_>>(), expected, "{conditions}");
    }
}

#[test]
fn what_reads_the_whole_or_is_not_understood_reads_everything() {
    for conditions in ["when { context == context }", "when { {Value: context}.Value.risk.score > 1 }"] {
        assert!(reads(conditions).whole, "{conditions}");
    }
    let odd = serde_json::json!({ "conditions": [{ "kind": "when", "body": { "new-operator": { "of": 1 } } }] });
    for policy in [None, Some(&odd), Some(&Value::Null)] {
        let reads = Reads::of([policy]);
        assert!(reads.member("anything") && reads.inner("any", "thing"), "{policy:?}");
    }
}

#[test]
fn a_record_that_is_read_as_it_is_has_all_its_members() {
    let reads = reads("when { context.sinks == context.sinks }");
    assert!(reads.member("sinks") && reads.inner("sinks", "count"));
    assert!(!reads.member("task") && !reads.inner("task", "depth"));
}
