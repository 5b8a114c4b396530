//! `policy eval` over the invented library in `tests/vectors/eval`, with the shipped policies.

use std::collections::BTreeMap;
use std::path::Path;

use carnet::eval::folder::Folder;
use carnet::eval::run::{CeilingMode, Prediction, run};
use carnet::policy::bundle::BundleFiles;

fn judged(mode: CeilingMode) -> BTreeMap<String, Prediction> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = BundleFiles::read_dir(&root.join("deploy/policy")).unwrap();
    let folder = Folder::read(&root.join("tests/vectors/eval")).unwrap();
    let mut out = BTreeMap::new();
    run(&files, &folder, mode, |j| {
        let prediction = j.prediction();
        assert!(out.insert(prediction.pair_id.clone(), prediction).is_none(), "each request is answered once");
    })
    .unwrap();
    assert_eq!(out.len(), folder.pairs.len());
    out
}

/// Asserts the outcome of a request and one of its reasons; no reason for one that is allowed.
fn expect(found: &BTreeMap<String, Prediction>, pair: &str, outcome: &str, reason: &str) {
    let p = &found[pair];
    assert_eq!(p.outcome, outcome, "{pair}: {p:?}");
    assert!(reason.is_empty() || p.reasons.contains(&reason), "{pair}: {p:?}");
}

#[test]
fn without_a_ceiling_the_intent_carries_the_weight() {
    let found = judged(CeilingMode::None);
    expect(&found, "p1", "allow", "");
    expect(&found, "p2", "allow", "");
    expect(&found, "p3", "review", "SINK_UNSEEN");
    expect(&found, "p4", "review", "SINK_IN_TEXT");
    expect(&found, "p4", "review", "CONTENT_DICTATED");
    expect(&found, "p5", "review", "INTENT_MISMATCH");
    expect(&found, "p6", "allow", "");
    expect(&found, "p8", "review", "SINK_UNSEEN");
    expect(&found, "p9", "allow", "");
    expect(&found, "p10", "review", "SINK_UNSEEN");
    expect(&found, "p11", "allow", "");
    expect(&found, "p12", "review", "HIGH_PRIVILEGE");
    expect(&found, "p13", "allow", "");
}

#[test]
fn declared_tools_are_the_only_ones_that_are_granted() {
    let found = judged(CeilingMode::Tools);
    expect(&found, "p2", "allow", "");
    expect(&found, "p4", "deny", "CEILING_EXCEEDED");
    expect(&found, "p7", "review", "CEILING_EXCEEDED");
    expect(&found, "p13", "allow", "");
}

#[test]
fn a_budget_is_spent_by_what_was_called() {
    let found = judged(CeilingMode::Budgets);
    expect(&found, "p2", "allow", "");
    expect(&found, "p13", "deny", "CEILING_EXCEEDED");
}

#[test]
fn provenance_is_told_for_every_value_of_a_sink() {
    let found = judged(CeilingMode::None);
    let of = |pair: &str, sink: &str| found[pair].provenance[sink].join(",");
    assert_eq!(of("p2", "recipient"), "field");
    assert_eq!(of("p3", "recipient"), "none");
    assert_eq!(of("p4", "recipient"), "text");
    assert_eq!(of("p9", "account_number"), "intent");
    assert_eq!(of("p9", "amount"), "intent");
    assert_eq!(of("p10", "amount"), "none");
    assert_eq!(of("p11", "loan_id"), "intent");
}

#[test]
fn risk_is_higher_where_more_speaks_against_it() {
    let found = judged(CeilingMode::None);
    assert!(found["p4"].risk > found["p2"].risk);
    assert!(found["p3"].risk > found["p2"].risk);
    assert!(found.values().all(|p| (0.0..=1.0).contains(&p.risk)));
}

#[test]
fn the_same_folder_gives_the_same_answers() {
    assert_eq!(judged(CeilingMode::Budgets), judged(CeilingMode::Budgets));
}
