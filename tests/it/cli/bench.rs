//! `carnet bench` by what scripts rely on: the members of its JSON, and the lines that it records.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Dev, ends, told};

/// The members of a report, whatever was driven, wherever.
const MEMBERS: [&str; 11] = [
    "connections",
    "cpu_us_per_request",
    "echo_p50_us",
    "echo_per_second",
    "errors",
    "fdatasync_us",
    "p50_us",
    "p999_us",
    "p99_us",
    "ratio",
    "requests_per_second",
];

/// Runs it shortly, holds what every report must hold, and gives the report with what was said beside it.
fn measured(kind: &str, more: &[&str]) -> (Value, String) {
    let shortly = ["bench", kind, "--output", "json", "--duration", "500ms", "--echo", "200ms", "--in-flight", "4"];
    let output = ends(&[&shortly, more].concat(), 0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let members: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members.iter().copied().collect::<BTreeSet<_>>(), MEMBERS.into_iter().collect(), "{kind}: {report}");
    assert_eq!(report["errors"], 0, "{kind}: {}", told(&output));
    for member in MEMBERS.into_iter().filter(|member| !matches!(*member, "errors" | "cpu_us_per_request")) {
        assert!(report[member].as_f64().is_some_and(|figure| figure > 0.0), "{kind}: `{member}` in {report}");
    }
    let ratio = report["requests_per_second"].as_f64().unwrap() / report["echo_per_second"].as_f64().unwrap();
    assert!((report["ratio"].as_f64().unwrap() - ratio).abs() < 1e-9, "{kind}: {report}");
    (report, said)
}

#[test]
fn an_embedded_broker_is_measured_in_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for (kind, more, connections) in [
        ("request", vec!["--agents", "2", "--policies", "20"], 2),
        ("revoke", vec![], 4),
        ("verify", vec!["--agents", "9"], 4),
    ] {
        let (report, said) = measured(kind, &[&["--data-dir", folder], more.as_slice()].concat());
        assert_eq!(report["connections"], connections, "{kind}");
        assert!(report["cpu_us_per_request"].as_f64().is_some_and(|us| us > 0.0), "{kind}: {report}");
        assert_eq!(said.contains("of 9 agents 4 are used"), more.contains(&"9"), "{kind}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "a run leaves nothing behind");
}

#[test]
fn what_a_broker_elsewhere_granted_is_recorded_and_found_in_its_record() {
    let dev = Dev::start(&[]);
    let (broker, folder, operator) = (dev.value("broker"), dev.value("data"), dev.value("operator"));
    let (sockets, recorded) = (format!("{folder}/sockets"), format!("{folder}/grants.jsonl"));
    let pid = dev.process.id().to_string();
    let target = ["--target", &broker, "--sockets", &sockets];
    // Slowly, so that all that was granted is on one page.
    let recording = ["--rate", "100", "--record", &recorded];
    let (report, _) = measured("request", &[target.as_slice(), &recording].concat());
    assert!(report["cpu_us_per_request"].is_null(), "nobody said which process it is: {report}");

    let search = ["audit", "search", "--output", "json", "--operator-socket", &operator];
    let granted = ["--kind", "credential_decided", "--outcome", "granted", "--limit", "500"];
    let found = ends(&[search.as_slice(), &granted].concat(), 0).stdout;
    let found: Vec<Value> = serde_json::from_slice(&found).unwrap();
    let lines = std::fs::read_to_string(&recorded).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!((10..500).contains(&lines.len()), "{} lines", lines.len());
    for line in &lines {
        let members: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members.into_iter().collect::<BTreeSet<_>>(), ["grant_id", "jti", "position"].into(), "{line}");
        let same = |event: &&Value| ["grant_id", "position"].iter().all(|member| event[member] == line[member]);
        assert!(found.iter().any(|event| same(&event)), "{line} is not in the record");
    }
    let last = lines.last().unwrap();
    let grant = last["grant_id"].as_str().unwrap();
    let grant = ends(&["credential", "get", grant, "--output", "json", "--operator-socket", &operator], 0).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&grant).unwrap()["jti"], last["jti"]);

    let (report, _) = measured("revoke", &[target.as_slice(), &["--pid", &pid]].concat());
    assert!(report["cpu_us_per_request"].as_f64().is_some_and(|us| us > 0.0), "{report}");
    measured("verify", &target);
    assert!(dev.end());
}
