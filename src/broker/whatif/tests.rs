//! Which way a decision turns: what is granted beyond what was, is looser, whatever else is taken away.

use super::*;
use crate::model::risk::Assessment;
use crate::model::time::Ttl;

fn decision(outcome: Outcome, approvals: u32, entries: &[(bool, &[&str])]) -> Decision {
    let entry = |(included, actions): &(bool, &[&str])| EntryDecision {
        tool: "a".parse().unwrap_or_else(|e| panic!("{e}")),
        outcome,
        included: *included,
        actions: actions.iter().map(|a| (*a).to_owned()).collect(),
        resources: Vec::new(),
        calls_max: Some(1),
        observed_only: false,
    };
    Decision {
        outcome,
        reasons: Vec::new(),
        policies: Vec::new(),
        entries: entries.iter().map(entry).collect(),
        risk: Assessment::default(),
        ttl_max: Ttl::DEFAULT,
        approvals_needed: approvals,
        approval: None,
        glass: None,
        instead: None,
        unbound: false,
    }
}

#[test]
fn what_is_more_permissive_in_any_way_is_looser() {
    use Outcome::{Denied, Granted, Narrowed, Review, StepUp};
    let (looser, stricter) = (Some(Turn::Looser), Some(Turn::Stricter));
    let of = |outcome, approvals| decision(outcome, approvals, &[]);
    let rows = [
        ("the same", of(Review, 1), of(Review, 1), None),
        ("denied, then granted", of(Denied, 0), of(Granted, 0), looser),
        ("review, then step-up", of(Review, 1), of(StepUp, 1), looser),
        ("two reviewers, then one", of(Review, 2), of(Review, 1), looser),
        ("two reviewers, then the initiator", of(Review, 2), of(StepUp, 1), looser),
        ("denied, then review", of(Denied, 0), of(Review, 5), looser),
        ("granted, then step-up", of(Granted, 0), of(StepUp, 1), stricter),
        ("one reviewer, then two", of(Review, 1), of(Review, 2), stricter),
        ("review, then denied", of(Review, 1), of(Denied, 0), stricter),
        ("narrowed, then granted", of(Narrowed, 0), of(Granted, 0), looser),
        ("granted, then narrowed", of(Granted, 0), of(Narrowed, 0), stricter),
        (
            "another entry",
            decision(Narrowed, 0, &[(true, &["x"]), (false, &[])]),
            decision(Narrowed, 0, &[(false, &[]), (true, &["x"])]),
            looser,
        ),
        ("another action", decision(Granted, 0, &[(true, &["x"])]), decision(Granted, 0, &[(true, &["y"])]), looser),
        (
            "an action less",
            decision(Granted, 0, &[(true, &["x", "y"])]),
            decision(Narrowed, 0, &[(true, &["x"])]),
            stricter,
        ),
        (
            "granted in name, and more in fact",
            decision(Granted, 0, &[(true, &["x"])]),
            decision(Narrowed, 0, &[(true, &["x", "y"])]),
            looser,
        ),
        ("the same entries", decision(Granted, 0, &[(true, &["x"])]), decision(Granted, 0, &[(true, &["x"])]), None),
    ];
    for (name, was, would_be, expected) in rows {
        assert_eq!(turn(&was, &would_be), expected, "{name}");
    }
    let mut unbound = of(Granted, 0);
    unbound.unbound = true;
    assert_eq!((turn(&of(Granted, 0), &unbound), turn(&unbound, &of(Granted, 0))), (looser, stricter));
}
