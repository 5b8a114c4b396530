//! `carnet policy test`, `fmt` and `explain` over bundles in folders, as authors of policy use them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carnet::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

use super::{carnet, copy, ends, told};
use crate::observe::written;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A copy of the shipped bundle, to be changed.
fn bundle() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy");
    copy(&shipped(), &path);
    (folder, path)
}

fn json(arguments: &[&str], code: i32) -> Value {
    let output = ends(&[arguments, &["--output", "json"]].concat(), code);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", told(&output)))
}

const LONELY: &str =
    "@id(\"lonely\")\n@reason(\"FORBIDDEN\")\nforbid (principal, action, resource == Carnet::Tool::\"files.list\");\n";

#[test]
fn every_policy_of_the_shipped_bundle_fires_in_its_tests() {
    let report = json(&["policy", "test", text(&shipped()), "--coverage-min", "100"], 0);
    assert_eq!((&report["coverage_percent"], &report["never_fired"]), (&100.into(), &serde_json::json!([])));
    let policies = report["coverage"].as_array().unwrap();
    assert!(policies.len() >= 25 && policies.iter().all(|p| p["fired"].as_u64() > Some(0)), "{policies:?}");
    let checked = json(&["policy", "check", text(&shipped())], 0);
    assert_eq!(checked["never_fired"], serde_json::json!([]));
}

#[test]
fn a_bundle_that_only_observes_says_so_and_its_tests_tell_what_policy_answers() {
    let (_folder, path) = bundle();
    let in_days = |days: u64| written(Clock::system().now().after(Duration::from_secs(days * 24 * 3600)));
    let observe = path.join("observe.toml");
    std::fs::write(&observe, format!("until = {}\n", in_days(29))).unwrap();
    assert_eq!(json(&["policy", "test", text(&path)], 0)["failed"], 0, "denied is denied");
    let output = ends(&["policy", "check", text(&path)], 0);
    let loud = String::from_utf8(output.stderr).unwrap();
    assert!(loud.contains("OBSERVES ONLY") && loud.contains("from service_account, ai_agent is granted"), "{loud}");
    let checked = json(&["policy", "check", text(&path)], 0);
    assert_eq!(checked["observing"]["over"], false);
    std::fs::write(&observe, "until = 2020-01-01T00:00:00Z\nclasses = [\"ai_agent\"]\n").unwrap();
    assert!(told(&ends(&["policy", "check", text(&path)], 0)).contains("OBSERVING IS OVER"));
    std::fs::write(&observe, format!("until = {}\n", in_days(31))).unwrap();
    assert!(told(&ends(&["policy", "check", text(&path)], 5)).contains("more than 30 days away"));
    std::fs::write(&observe, "classes = [\"ai_agent\"]\n").unwrap();
    assert!(told(&ends(&["policy", "check", text(&path)], 1)).contains("`until` is missing"));
    assert_eq!(
        json(&["policy", "check", text(&shipped())], 0)["observing"],
        Value::Null,
        "what is shipped is enforced"
    );
}

#[test]
fn a_policy_without_a_case_fails_where_coverage_is_asked_for() {
    let (_folder, path) = bundle();
    std::fs::write(path.join("70-lonely.cedar"), LONELY).unwrap();
    // Without the option it is told and no failure.
    assert!(told(&ends(&["policy", "test", text(&path)], 0)).contains("no test makes these policies fire: lonely"));
    let report = json(&["policy", "test", text(&path), "--coverage-min", "100"], 5);
    assert_eq!(report["never_fired"], serde_json::json!(["lonely"]));
    assert_eq!(report["failed"], 0);
    let percent = report["coverage_percent"].as_u64().unwrap();
    assert!((90..100).contains(&percent), "{percent}");
    ends(&["policy", "test", text(&path), "--coverage-min", &percent.to_string()], 0);
    ends(&["policy", "test", text(&path), "--coverage-min", "101"], 1);
    let table = ends(&["policy", "test", text(&path), "--coverage"], 0);
    let lonely = String::from_utf8(table.stdout).unwrap();
    let line = lonely.lines().find(|line| line.starts_with("lonely ")).unwrap().to_owned();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["lonely", "70-lonely.cedar", "denied", "0", "0"]);
    assert_eq!(json(&["policy", "check", text(&path)], 0)["never_fired"], serde_json::json!(["lonely"]));
}

#[test]
fn the_shipped_bundle_is_in_form() {
    let output = ends(&["policy", "fmt", "--check", text(&shipped())], 0);
    assert!(!told(&output).contains(".cedar"), "{}", told(&output));
}

#[test]
fn what_is_out_of_form_is_named_and_then_brought_into_it() {
    let (_folder, path) = bundle();
    let file = path.join("50-risk.cedar");
    let before = std::fs::read_to_string(&file).unwrap();
    let untidy = before.replace("  ", "      ").replace("\nforbid", "\n\n\n   forbid");
    std::fs::write(&file, &untidy).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let checked = json(&["policy", "fmt", "--check", text(&path)], 1);
    assert_eq!(checked, serde_json::json!([{ "file": "50-risk.cedar", "result": "would change" }]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), untidy, "`--check` writes nothing");
    let done = json(&["policy", "fmt", text(&path)], 0);
    assert_eq!(done[0]["file"], "50-risk.cedar");
    // Comments hold more blanks now, and the rest is as it was.
    assert_eq!(std::fs::read_to_string(&file).unwrap().replace("      ", "  "), before.replace("      ", "  "));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), std::fs::read_dir(shipped()).unwrap().count());
    ends(&["policy", "fmt", "--check", text(&path)], 0);
    ends(&["policy", "test", text(&path)], 0);
}

#[test]
fn one_file_that_does_not_parse_leaves_all_as_they_are() {
    let (_folder, path) = bundle();
    let untidy = "@id(\"a\")permit(principal,action,resource);";
    std::fs::write(path.join("00-untidy.cedar"), untidy).unwrap();
    std::fs::write(path.join("99-broken.cedar"), "// ok\npermit (principal, action, resource\n").unwrap();
    let output = ends(&["policy", "fmt", text(&path)], 1);
    assert!(told(&output).contains("`99-broken.cedar`: line "), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(path.join("00-untidy.cedar")).unwrap(), untidy);
}

#[test]
fn a_case_is_explained_as_a_reviewer_reads_it() {
    let case = "the strictest of two doubts wins and both are told";
    let story = told(&ends(&["policy", "explain", text(&shipped()), "--case", case], 0));
    for part in [
        "outcome      review on a request for a credential",
        "cure         one independent reviewer approves",
        "longest life 120s",
        "`to` stands neither in the intent nor in anything that was reported",
        "SINK_UNSEEN (access 0) → review, policy `sink-unseen`",
        "SINK_IN_TEXT (access 0) → step_up, policy `sink-in-text`",
        "A value that decides where this goes stands only in text that the agent read.",
        "+20  sink_unseen (carnet)",
        "permits      permit-change (120s)",
        "forbids      sink-in-text (120s), sink-unseen (120s)",
    ] {
        assert!(story.contains(part), "no `{part}`:\n{story}");
    }
    let value = json(&["policy", "explain", text(&shipped()), "--case", "a large amount takes two reviewers"], 0);
    assert_eq!((&value["outcome"], &value["approvals_needed"]), (&"review".into(), &2.into()));
    assert_eq!(
        (&value["as_expected"], &value["cure"]),
        (&true.into(), &"2 independent reviewers approve, one for `group:finance`".into())
    );
    let reason = &value["reasons"][0];
    assert_eq!((&reason["policy"], &reason["asks_for"]), (&"large-amount".into(), &"review".into()));
    let critical = "a critical score is reviewed and never denied";
    let value = json(&["policy", "explain", text(&shipped()), "--case", critical], 0);
    assert_eq!(
        (&value["band"], &value["floor"], &value["band_assumed"]),
        (&"critical".into(), &"review".into(), &true.into())
    );
    assert!(value["reasons"][0]["origin"].as_str().unwrap().starts_with("the band"), "{value}");
}

#[test]
fn facts_of_a_file_are_explained_whether_as_they_are_recorded_or_as_a_test() {
    let (folder, path) = bundle();
    let case = "credentials are not sent anywhere";
    let value = json(&["policy", "explain", text(&path), "--case", case], 0);
    let write = |name: &str, content: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    };
    let recorded = write("facts.json", value["facts"].to_string());
    // What `audit explain --output json` prints holds the facts among the rest.
    let whole = write("whole.json", value.to_string());
    let test = write(
        "facts.toml",
        "[[case]]\nname = \"mine\"\ntool = \"mail.send\"\ncarries = [\"credentials\"]\noutcome = \"granted\"\n\
         sinks = [{ name = \"to\", from = \"intent\" }]\n"
            .to_owned(),
    );
    for file in [&recorded, &whole, &test] {
        let told = json(&["policy", "explain", text(&path), "--facts", text(file)], 0);
        assert_eq!((&told["outcome"], &told["reasons"][0]["policy"]), (&"denied".into(), &"credentials-exit".into()));
        assert!(told["cure"].as_str().unwrap().starts_with("no approval"), "{told}");
    }
    let value = json(&["policy", "explain", text(&path), "--facts", text(&test), "--case", "mine"], 0);
    assert_eq!((&value["as_expected"], &value["failure"]), (&false.into(), &"outcome is denied".into()));
    for (name, content, expected) in [
        ("bad.json", "{\"version\": 1}", "missing field"),
        ("bad.toml", "version = 1\n", "missing field"),
        ("case.toml", "[[case]]\nname = \"x\"\ntool = \"mail.send\"\ncolour = 1\noutcome = \"denied\"\n", "colour"),
        (
            "two.toml",
            "[[case]]\nname = \"a\"\ntool = \"mail.send\"\noutcome = \"denied\"\n[[case]]\nname = \"b\"\ntool = \"mail.send\"\noutcome = \"denied\"\n",
            "2 cases",
        ),
    ] {
        let file = write(name, content.to_owned());
        let output = ends(&["policy", "explain", text(&path), "--facts", text(&file)], 1);
        assert!(told(&output).contains(expected) && told(&output).contains(name), "{name}: {}", told(&output));
    }
}

#[test]
fn a_policy_is_shown_with_its_text_and_the_cases_that_make_it_fire() {
    let value = json(&["policy", "explain", text(&shipped()), "--policy-id", "large-amount"], 0);
    assert_eq!(
        (&value["effect"], &value["outcome"], &value["approvals"], &value["route"]),
        (&"forbid".into(), &"review".into(), &2.into(), &"owner".into())
    );
    assert!(value["controls"].as_array().unwrap().contains(&"PR.AA-05".into()), "{value}");
    let written = value["text"].as_str().unwrap();
    assert!(written.starts_with("@id(\"large-amount\")") && written.contains("amount_max.greaterThan"), "{written}");
    assert_eq!(value["cases"][0]["test"], "a large amount takes two reviewers");
    let page = told(&ends(&["policy", "explain", text(&shipped()), "--policy-id", "permit-read"], 0));
    assert!(page.contains("longest life 300s") && page.contains("permit ("), "{page}");
    let (_folder, path) = bundle();
    std::fs::write(path.join("70-lonely.cedar"), LONELY).unwrap();
    let page = told(&ends(&["policy", "explain", text(&path), "--policy-id", "lonely"], 0));
    assert!(page.contains("none: what it says is not tested"), "{page}");
}

#[test]
fn what_is_not_there_cannot_be_explained() {
    for (arguments, expected) in [
        (vec!["--case", "no such case"], "there is no case"),
        (vec!["--policy-id", "large-amonut"], "there is no policy"),
        (vec!["--facts", "/nowhere/facts.json"], "/nowhere/facts.json"),
        (vec![], "required"),
        (vec!["--case", "a", "--policy-id", "b"], "cannot be used"),
    ] {
        let output = carnet(&["policy", "explain", text(&shipped())]).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(expected), "{arguments:?}: {}", told(&output));
    }
    let (_folder, path) = bundle();
    std::fs::copy(path.join("tests/risk.toml"), path.join("tests/again.toml")).unwrap();
    let twice = ["policy", "explain", text(&path), "--case", "a high score is confirmed"];
    assert!(told(&ends(&twice, 1)).contains("tests/again.toml, tests/risk.toml"));
    ends(&[twice.as_slice(), &["--file", "tests/risk.toml"]].concat(), 0);
}
