//! What is written of receivers, and what is refused.

use crate::config::settings::Settings;
use crate::config::tests::{self, LEAST};
use crate::config::{ConfigError, Environment, parse};

use super::*;

fn with(webhooks: &str) -> Result<Settings, ConfigError> {
    parse(&format!("{LEAST}\n{webhooks}"), &Environment::new())
}

fn problems(webhooks: &str) -> Vec<String> {
    let problems = tests::refused(&format!("{LEAST}\n{webhooks}"));
    problems.into_iter().map(|p| format!("{}: {}", p.setting, p.problem)).collect()
}

#[test]
fn what_is_not_said_takes_its_default_and_the_example_loads() {
    let least = with("[[webhooks]]\nname = \"a\"\nurl = \"https://h.example/x\"\nsecret_files = [\"/s\"]\n").unwrap();
    let webhook = &least.webhooks[0];
    assert_eq!((webhook.events.as_slice(), webhook.deadline), (NoticeType::ALL.as_slice(), DEADLINE_DEFAULT));
    assert_eq!((webhook.ca_file.as_ref(), webhook.link_base.as_ref()), (None, None));

    let shipped = include_str!("../../../deploy/config/carnet.toml");
    let lines = shipped.lines().skip_while(|line| !line.starts_with("#   [[webhooks]]"));
    let lines = lines.map_while(|line| line.strip_prefix("#   "));
    let example = lines.fold(String::new(), |text, line| text + line + "\n");
    let example = with(&example).unwrap();
    assert_eq!(example.webhooks[0].name.as_str(), "pager");
    assert_eq!(example.webhooks[0].events, [NoticeType::ApprovalPending, NoticeType::ApprovalExpired]);
    assert_eq!(example.webhooks[0].secret_files.len(), 2);
}

#[test]
fn what_cannot_be_told_is_refused_and_no_url_is_repeated() {
    let entry = |name: &str, url: &str, rest: &str| {
        format!("[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_files = [\"/s\"]\n{rest}\n")
    };
    let good = "https://h.example/sesame";
    for (name, text, expected) in [
        ("a name", entry("Pager Duty", good, ""), "webhooks `Pager Duty`: is not 1 to 32"),
        ("a path as name", entry("../a", good, ""), "webhooks `../a`: is not 1 to 32"),
        ("plain", entry("a", "http://127.0.0.1/sesame", ""), "webhooks `a`.url: is not `https`"),
        ("a user", entry("a", "https://u:sesame@h.example/", ""), "webhooks `a`.url: is no `https` URL"),
        (
            "plain to elsewhere",
            entry("a", "http://h.example/sesame", "danger_plain_http_to_loopback = true"),
            "webhooks `a`.url: is `http`, which may only go to a loopback address",
        ),
        ("an event", entry("a", good, "events = [\"approval.made\"]"), "`approval.made` is none of approval.pending"),
        ("a test", entry("a", good, "events = [\"test\"]"), "`test` is none of"),
        ("no events", entry("a", good, "events = []"), "it would be told nothing"),
        ("a link", entry("a", good, "link_base = \"http://h.example/\""), "webhooks `a`.link_base: is no `https`"),
        (
            "too long",
            entry("a", good, "deadline = \"1m\""),
            "webhooks `a`.deadline: `1m` is not between `1s` and `25s`",
        ),
        ("twice", entry("a", good, "") + &entry("a", good, ""), "webhooks `a`: stands twice"),
        ("no secret", entry("a", good, "").replace("[\"/s\"]", "[]"), "must name 1 to 3 files, and names 0"),
        (
            "too many",
            (0..=WEBHOOKS_MAX).map(|n| entry(&format!("a{n}"), good, "")).collect(),
            "webhooks: has more than 16 entries",
        ),
    ] {
        let problems = problems(&text).join("\n");
        assert!(problems.contains(expected), "{name}: {problems}");
        assert!(!problems.contains("sesame"), "{name}: {problems}");
    }
    let plain = entry("a", "http://127.0.0.1:8080/in", "danger_plain_http_to_loopback = true");
    let settings = with(&plain).unwrap();
    assert!(!format!("{settings:?}").contains("/in"), "{settings:?}");
}

#[test]
fn a_file_that_is_malformed_is_told_by_its_place_and_no_url_is_repeated() {
    let good = "name = \"a\"\nurl = \"https://h.example/sesame\"\nsecret_files = [\"/s\"]\n";
    let entry = |from: &str, to: &str| format!("[[webhooks]]\n{}", good.replace(from, to));
    for (name, text, line, expected) in [
        ("a misspelt key", entry("url =", "urll ="), 11, "unknown field `urll`"),
        (
            "another type",
            entry("url = \"https://h.example/sesame\"", "url = [\"https://h.example/sesame\"]"),
            11,
            "sequence",
        ),
        ("a text for a truth", entry("name", "danger_plain_http_to_loopback = \"sesame\"\nname"), 10, "string \"..\""),
        ("a text for an entry", "webhooks = [\"https://h.example/sesame\"]\n".to_owned(), 9, "string \"..\""),
        ("no quote at the end", entry("sesame\"", "sesame"), 11, "string"),
        ("no quotes", entry("\"https://h.example/sesame\"", "https://h.example/sesame"), 11, ""),
    ] {
        // An entry of the file itself stands before all tables.
        let text = if text.starts_with('[') { format!("{LEAST}\n{text}") } else { format!("\n\n\n\n\n\n\n\n{text}") };
        let error = parse(&text, &Environment::new()).unwrap_err();
        let ConfigError::Syntax(syntax) = &error else { panic!("{name}: {error:?}") };
        assert_eq!(syntax.line, line, "{name}: {syntax}");
        assert!(syntax.problem.contains(expected), "{name}: {syntax}");
        let told = format!("{error} {error:?} {syntax}");
        assert!(!told.contains("sesame") && !told.contains("h.example"), "{name}: {told}");
    }
}
