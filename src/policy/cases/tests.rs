//! Cases that do not hold are found, and cases that are not well formed are refused.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::policy::bundle::PolicyBundle;
use crate::policy::bundle::tests::{load, shipped_with};

fn failure(case: &str) -> Option<String> {
    let bundle = load(&[("tests/x.toml", &format!("[[case]]\nname = \"x\"\ntool = \"tickets.search\"\n{case}"))]);
    bundle.run_tests().results.into_iter().find(|r| r.path == "tests/x.toml").unwrap().failure
}

#[test]
fn a_case_that_does_not_hold_is_told() {
    let rows = [
        ("outcome = \"granted\"", None),
        ("outcome = \"denied\"", Some("outcome is granted")),
        ("outcome = \"granted\"\nttl = 10", Some("ttl is 300s")),
        ("outcome = \"granted\"\npolicies = []", Some("policies is [permit-read]")),
        ("outcome = \"granted\"\nincluded = []", Some("included is [tickets.search]")),
        ("outcome = \"granted\"\napprovals = 1", Some("approvals is 0")),
        (
            "initiator_verified = true\nband = \"high\"\noutcome = \"step_up\"\nreasons = []",
            Some("reasons is [RISK_HIGH]"),
        ),
    ];
    for (case, expected) in rows {
        assert_eq!(failure(case).as_deref(), expected, "{case}");
    }
}

#[test]
fn what_is_no_case_is_refused() {
    let rows = [
        (
            "a member that means nothing",
            "name = \"a\"\ntool = \"mail.send\"\ncolour = 1\noutcome = \"granted\"",
            "colour",
        ),
        (
            "a misspelt member of an entry",
            "name = \"a\"\nentries = [{ tool = \"mail.send\", sinsk = [{ name = \"to\", from = \"none\" }] }]\noutcome = \"granted\"",
            "sinsk",
        ),
        (
            "one of several entries",
            "name = \"a\"\nentries = [{ tool = \"mail.send\" }, { tool = \"mail.send\", outcome = \"granted\" }]\noutcome = \"granted\"",
            "unknown field `outcome`",
        ),
        ("no outcome", "name = \"a\"\ntool = \"mail.send\"", "outcome"),
        ("no name", "tool = \"mail.send\"\noutcome = \"granted\"", "name"),
        (
            "a sink that is not there",
            "name = \"a\"\ntool = \"mail.send\"\nsinks = [{ name = \"x\", from = \"text\" }]\noutcome = \"granted\"",
            "no sink `x`",
        ),
        (
            "a reason that is none",
            "name = \"a\"\ntool = \"mail.send\"\noutcome = \"denied\"\nreasons = [\"NOPE\"]",
            "NOPE",
        ),
        (
            "a band and signals",
            "name = \"a\"\ntool = \"mail.send\"\nband = \"low\"\nweigh = true\noutcome = \"denied\"",
            "weighs",
        ),
    ];
    for (name, case, expected) in rows {
        let error = PolicyBundle::load(shipped_with(&[("tests/x.toml", &format!("[[case]]\n{case}\n"))])).unwrap_err();
        let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|p| p.contains("tests/x.toml") && p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn a_policy_that_no_case_reaches_is_named() {
    let rule =
        "@id(\"lonely\") @reason(\"FORBIDDEN\") forbid (principal, action, resource == Carnet::Tool::\"files.list\");";
    let report = load(&[("x.cedar", rule)]).run_tests();
    let names: Vec<_> = report.never_fired().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["lonely"]);
    assert!(report.coverage_percent() < 100, "one of many is not rounded away");
}

#[test]
fn a_policy_that_fires_beside_a_stricter_one_does_not_decide() {
    let without = |path: &str| (format!("tests/{path}.toml"), String::new());
    let none: Vec<_> = ["break-glass", "people", "risk", "structure", "tasks", "use"].map(without).into();
    let case = "[[case]]\nname = \"x\"\ntool = \"mail.send\"\noutcome = \"review\"\n\
        sinks = [{ name = \"to\", from = \"none\" }, { name = \"cc\", from = \"text\" }]";
    let mut changes: Vec<(&str, &str)> = none.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    changes.push(("tests/x.toml", case));
    let report = load(&changes).run_tests();
    let of = |id: &str| report.coverage.iter().find(|c| c.id.as_str() == id).map(|c| (c.fired, c.decided));
    assert_eq!(of("sink-unseen"), Some((1, 1)));
    assert_eq!(of("sink-in-text"), Some((1, 0)));
    assert_eq!(of("permit-change"), Some((1, 0)), "nothing was granted");
    assert_eq!(of("permit-read"), Some((0, 0)));
    let all = u32::try_from(report.coverage.len()).unwrap();
    assert_eq!(report.coverage_percent(), 3 * 100 / all);
}
