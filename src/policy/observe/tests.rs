//! What `observe.toml` may say.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[test]
fn an_end_and_the_classes_that_policy_decides_about_are_read() {
    let usual = Observe::parse("until = 2027-01-15T09:00:00+01:00\n").unwrap();
    assert_eq!(usual.until(), NOW, "in whatever offset it is written");
    let classes: Vec<&str> = usual.classes().map(IdentityClass::as_str).collect();
    assert_eq!(
        classes,
        ["service_account", "ai_agent"],
        "who is not named and whose registrations outlast the end is not"
    );
    let named = Observe::parse("until = 2027-01-15T08:00:00Z\nclasses = [\"orchestrator\"]").unwrap();
    assert!(named.covers(IdentityClass::Orchestrator) && !named.covers(IdentityClass::AiAgent));
    let one = Observe::parse("until = 2027-01-15T08:00:00.25Z\nclasses = [\"ai_agent\"]").unwrap();
    assert_eq!(one.until(), Timestamp::from_millis(NOW.as_millis() + 250));
    assert!(one.covers(IdentityClass::AiAgent) && !one.covers(IdentityClass::ServiceAccount));
}

#[test]
fn what_has_no_end_or_says_something_else_is_refused() {
    let until = "until = 2027-01-15T08:00:00Z";
    for (text, problem) in [
        (String::new(), "`until` is missing"),
        ("classes = [\"ai_agent\"]".to_owned(), "`until` is missing"),
        ("until = 2027-01-15".to_owned(), "with its offset"),
        ("until = 2027-01-15T08:00:00".to_owned(), "with its offset"),
        ("until = 08:00:00".to_owned(), "with its offset"),
        ("until = \"2027-01-15T08:00:00Z\"".to_owned(), "line 1"),
        ("until = 1900-01-15T08:00:00Z".to_owned(), "before 1970"),
        (format!("{until}\nclasses = []"), "empty"),
        (format!("{until}\nclasses = [\"agent\"]"), "none of service_account, ai_agent, orchestrator"),
        (format!("{until}\nclasses = [\"human\"]"), "`human` is none of"),
        (format!("{until}\nclasses = [\"resource_server\"]"), "`resource_server` is none of"),
        (format!("{until}\nclasses = [\"ai_agent\", \"ai_agent\"]"), "twice"),
        (format!("{until}\nforever = true"), "line 2"),
    ] {
        let problems = Observe::parse(&text).unwrap_err();
        assert!(problems.iter().any(|p| p.contains(problem)), "{text}: {problems:?}");
    }
}

#[test]
fn it_ends_thirty_days_after_activation_at_the_latest() {
    let thirty = Duration::from_secs(OBSERVE_SECONDS_MAX);
    let observe = Observe { until: NOW.after(thirty), classes: BTreeSet::new() };
    assert_eq!(observe.problem(NOW), None);
    let too_far = observe.problem(Timestamp::from_millis(NOW.as_millis() - 1)).unwrap();
    assert!(too_far.contains("more than 30 days"), "{too_far}");
    assert_eq!(observe.problem(observe.until().after(thirty)), None, "what is over withholds as always");
    assert_eq!(observe.ends(NOW), observe.until());
    let before = Timestamp::from_secs(NOW.as_secs() - 60);
    assert_eq!(observe.ends(before), before.after(thirty), "however far away its own end is");
}
