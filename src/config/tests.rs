//! What is shipped loads; what is wrong is refused with its name, all at once.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use super::settings::{CertificateSource, JournalSettings, LimitSettings, LogFormat};
use super::*;
use crate::model::person::PersonTokenKind;
use crate::token::header::{SigningAlgorithm, TokenType};

const SHIPPED: &str = include_str!("../../deploy/config/carnet.toml");

/// What no file can do without.
pub(in crate::config) const LEAST: &str = r#"
data_dir = "/d"
policy_dir = "/p"
issuer = "https://carnet.example.org"
[workloads]
trust_domains = ["example.org"]
endpoint_socket = "unix:///s"
"#;

fn environment() -> Environment {
    Environment::from([("SPIFFE_ENDPOINT_SOCKET".to_owned(), "unix:///run/agent.sock".to_owned())])
}

/// What is wrong with a file.
pub(in crate::config) fn refused(text: &str) -> Vec<Problem> {
    match parse(text, &Environment::new()).unwrap_err() {
        ConfigError::Refused(problems) => problems,
        other => panic!("not refused, but: {other:?}"),
    }
}

#[test]
fn the_shipped_file_loads_and_its_comments_are_the_defaults() {
    let shipped = parse(SHIPPED, &environment()).unwrap();
    assert_eq!(shipped.workloads.endpoint_socket, "unix:///run/agent.sock");
    assert_eq!(shipped.limits, LimitSettings::default());
    assert_eq!(shipped.journal, JournalSettings::default());
    // Each setting that is commented out says what it is set to without it. The two files go with the other certificate.
    let uncommented: String = SHIPPED
        .lines()
        .filter(|l| !l.contains("_file = \"/etc/carnet/tls"))
        .map(|l| l.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(l))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(uncommented.lines().filter(|l| is_setting(l)).count() > 25);
    let mut explicit = parse(&uncommented, &Environment::new()).unwrap();
    assert_eq!(explicit.workloads.endpoint_socket, "unix:///run/spire/agent.sock");
    explicit.workloads.endpoint_socket.clone_from(&shipped.workloads.endpoint_socket);
    assert_eq!(explicit, shipped);
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// The entries that stand in comments as examples.
fn examples() -> String {
    let lines = SHIPPED.lines().skip_while(|l| *l != "[people]").take_while(|l| *l != "[operator]");
    let kept = lines.filter_map(|l| l.strip_prefix("#   "));
    kept.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_examples_of_issuers_and_people_load() {
    let settings = parse(&format!("{LEAST}{}", examples()), &Environment::new()).unwrap();
    let people = settings.people;
    assert!(people.door.is_none());
    let issuer = people.issuers.first().unwrap();
    assert_eq!((issuer.name.as_str(), issuer.token), ("corp", PersonTokenKind::AccessToken));
    let desk = "spiffe://example.org/orchestrator/desk".parse().unwrap();
    assert_eq!(issuer.initiator_clients, Some([("desk-web".to_owned(), vec![desk])].into()));
    let person = people.persons.first().unwrap();
    assert_eq!(person.accounts, [("https://idp.example.org".to_owned(), "248289761001".to_owned())]);
    assert_eq!(person.may.iter().map(|right| right.as_str()).collect::<Vec<_>>(), ["read", "revoke"]);
}

/// Parts of the examples.
const PATTERN: &str = "[\"spiffe://example.org/orchestrator/desk\"]";
const TABLE: &str = "{ \"desk-web\" = [\"spiffe://example.org/orchestrator/desk\"] }";
const INITIATOR_AUDIENCE: &str = "initiator_audience =";
const ACCOUNTS: &str = "[{ issuer = \"corp\", subject = \"248289761001\" }]";

#[test]
fn issuers_and_people_are_refused_by_name() {
    let change = |from: &str, to: &str| {
        let examples = examples();
        assert!(examples.contains(from), "{from}");
        format!("{LEAST}{}", examples.replace(from, to))
    };
    let twice = |table: &str| format!("{LEAST}{0}{1}", examples(), section(&examples(), table));
    let issuer = |what: &str| format!("people.issuers `corp`.{what}");
    let person = "people.persons `ada@example.org`".to_owned();
    for (name, setting, text) in [
        ("plain http", issuer("issuer"), change("https://idp.example.org", "http://idp.example.org")),
        ("a query", issuer("issuer"), change("https://idp.example.org", "https://idp.example.org?a=b")),
        ("a port alone", issuer("issuer"), change("https://idp.example.org", "https://:443")),
        ("half an address", issuer("issuer"), change("https://idp.example.org", "https://[::1")),
        ("a port that is none", issuer("issuer"), change("https://idp.example.org", "https://idp.example.org:99999")),
        ("white space", issuer("issuer"), change("https://idp.example.org", "https://idp.example.org/ö")),
        (
            "workloads' scheme",
            "people.issuers `spiffe`.name".to_owned(),
            change("name = \"corp\"", "name = \"spiffe\""),
        ),
        ("a client without a name", issuer("clients"), change("[\"carnet-cli\"]", "[\"\"]")),
        ("a client with control characters", issuer("clients"), change("[\"carnet-cli\"]", "[\"a\\n\"]")),
        ("an empty table", issuer("initiator_clients"), change(TABLE, "{}")),
        ("nobody to hand over", issuer("initiator_clients `desk-web`"), change(PATTERN, "[]")),
        ("another wildcard", issuer("initiator_clients `desk-web`"), change(PATTERN, "[\"spiffe://*/desk\"]")),
        ("a trust domain", issuer("initiator_clients `desk-web`"), change(PATTERN, "[\"spiffe://example.org\"]")),
        ("a client without a name there", issuer("initiator_clients ``"), change("\"desk-web\"", "\"\"")),
        ("a table for nobody", issuer("initiator_clients"), change(INITIATOR_AUDIENCE, "#")),
        ("another kind", issuer("token"), change("\"access_token\"", "\"refresh_token\"")),
        ("one audience for both", issuer("initiator_audience"), change("/initiators", "/people")),
        ("no audience", issuer("audience"), change("\"https://carnet.example.org/people\"", "\"\"")),
        ("a secret", issuer("algorithms"), change("\"RS256\"", "\"HS256\"")),
        ("no algorithm", issuer("algorithms"), change("[\"RS256\", \"ES256\", \"PS256\"]", "[]")),
        ("a life of days", issuer("token_life_max"), change("\"2h\"", "\"2d\"")),
        ("the same issuer twice", "people.issuers `corp`".to_owned(), twice("[[people.issuers]]")),
        ("the same person twice", person.clone(), twice("[[people.persons]]")),
        ("an account of an unknown issuer", person.clone(), change("issuer = \"corp\"", "issuer = \"other\"")),
        ("an account without a subject", person.clone(), change("248289761001", "")),
        ("nobody's accounts", person.clone(), change(ACCOUNTS, "[]")),
        (
            "the name of a workload",
            "people.persons `spiffe://td/x`".to_owned(),
            change("ada@example.org", "spiffe://td/x"),
        ),
        ("an unknown right", person, change("\"revoke\"", "\"pardon\"")),
        ("the name of an account", "people.persons `corp:1`".to_owned(), change("ada@example.org", "corp:1")),
        ("a door that nobody can pass", "people.enabled".to_owned(), format!("{LEAST}[people]\nenabled = true\n")),
    ] {
        let problems = refused(&text);
        assert!(problems.iter().any(|p| p.setting == setting), "{name}: {problems:?}");
    }
}

#[test]
fn whom_questions_go_to_is_known_by_name() {
    let with = |more: &str| format!("{LEAST}{}{more}", examples());
    let asked = |more: &str| parse(&with(more), &Environment::new()).unwrap();
    let finance: Vec<_> = asked("").people.groups.into_iter().collect();
    let (name, members) = finance.first().unwrap();
    assert_eq!(
        (name.as_str(), members.first().unwrap().as_str(), finance.len()),
        ("group:finance", "bea@example.org", 1)
    );
    let minutes = |n: u64| Some(Duration::from_secs(n * 60));
    for (more, expected) in [
        ("", minutes(30)),
        ("[approvals]\nanswer_within = \"10m\"\n", minutes(5)),
        ("[approvals]\nanswer_within = \"10m\"\nescalate_after = \"9m\"\n", minutes(9)),
        ("[approvals]\nescalate_after = \"0s\"\n", None),
    ] {
        assert_eq!(asked(more).approvals.escalate_after, expected, "{more}");
    }
    let unattended = |more: &str| asked(more).approvals.unattended_answer_within.as_secs();
    assert_eq!(unattended("[approvals]\nanswer_within = \"10m\"\n"), 600);
    assert_eq!(unattended("[approvals]\nunattended_answer_within = \"2m\"\n"), 120);
    let told = asked("[approvals]\nescalate_to = [\"group:finance\", \"ada@example.org\"]\n").approvals.escalate_to;
    assert_eq!(told.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["group:finance", "ada@example.org"]);

    let group = |name: &str, members: &str| format!("[[people.groups]]\nname = \"{name}\"\nmembers = {members}\n");
    let approvals = |more: &str| format!("[approvals]\n{more}\n");
    for (setting, more) in [
        ("people.groups `group:x`", group("group:x", "[]")),
        ("people.groups `group:x`", group("group:x", "[\"nobody@example.org\"]")),
        ("people.groups `group:x`", group("group:x", "[\"bea@example.org\", \"bea@example.org\"]")),
        ("people.groups `group:finance`", group("group:finance", "[\"bea@example.org\"]")),
        ("people.groups `ada@example.org`", group("ada@example.org", "[\"bea@example.org\"]")),
        ("people.groups ``", group("", "[\"bea@example.org\"]")),
        ("approvals.escalate_after", approvals("escalate_after = \"1h\"")),
        ("approvals.escalate_after", approvals("answer_within = \"1m\"\nescalate_after = \"2m\"")),
        ("approvals.escalate_step_up", approvals("escalate_after = \"0s\"\nescalate_step_up = true")),
        ("approvals.unattended_answer_within", approvals("unattended_answer_within = \"2h\"")),
        ("approvals.escalate_to", approvals("escalate_to = [\"group:nobody\"]")),
        ("approvals.escalate_to", approvals(&format!("escalate_to = {:?}", ["ada@example.org"; 17]))),
    ] {
        let problems = refused(&with(&more));
        assert!(problems.iter().any(|p| p.setting == setting), "{more}: {problems:?}");
    }
}

/// The first table of that name, with what stands in it.
fn section(text: &str, table: &str) -> String {
    let mut lines = text.lines().skip_while(|l| *l != table);
    let head = lines.next().unwrap().to_owned();
    lines.take_while(|l| !l.starts_with("[[")).fold(head + "\n", |text, line| text + line + "\n")
}

#[test]
fn the_least_is_enough_and_the_environment_is_not_needed() {
    let settings = parse(LEAST, &Environment::new()).unwrap();
    assert_eq!(settings.tokens.master_key_file, Path::new("/d/master.key"));
    assert_eq!(settings.operator_socket, Path::new("/d/operator.sock"));
    assert_eq!(settings.https.unwrap().certificate, CertificateSource::Svid);
    assert_eq!(settings.log.format, LogFormat::Text);
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let names: Vec<String> = refused("").into_iter().map(|p| p.setting).collect();
    for name in ["data_dir", "policy_dir", "issuer", "workloads.trust_domains", "workloads.endpoint_socket"] {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    for (name, setting, text) in [
        ("zero life", "tokens.ttl_default", "[tokens]\nttl_default = \"0s\""),
        ("a life of years", "tokens.ttl_max", "[tokens]\nttl_max = \"730d\""),
        ("half a second", "tokens.ttl_default", "[tokens]\nttl_default = \"1500ms\""),
        ("default above most", "tokens.ttl_default", "[tokens]\nttl_default = \"5m\"\nttl_max = \"1m\""),
        ("no requests", "limits.requests_per_second", "[limits]\nrequests_per_second = 0"),
        ("no heartbeat", "revocation.heartbeat", "[revocation]\nheartbeat = \"0s\""),
        ("small segment", "journal.segment_size", "[journal]\nsegment_size = \"1B\""),
        ("other format", "log.format", "[log]\nformat = \"xml\""),
        ("broken filter", "log.filter", "[log]\nfilter = \"carnet=loud\""),
        ("half of the files", "https.certificate", "[https]\ncertificate = \"files\"\nkey_file = \"k\""),
        ("files without saying so", "https.certificate", "[https]\nkey_file = \"k\""),
        ("half of the files for tokens", "bearer.certificate", "[bearer]\nenabled = true\ncertificate = \"files\""),
        ("nobody's audience", "bearer.audience", "[bearer]\nenabled = true\naudience = \"\""),
        ("tokens for ever", "bearer.jwt_svid_life_max", "[bearer]\nenabled = true\njwt_svid_life_max = \"365d\""),
        ("no port", "https.listen", "[https]\nlisten = \"localhost\""),
    ] {
        let problems = refused(&format!("{LEAST}{text}"));
        assert!(problems.iter().any(|p| p.setting == setting), "{name}: {problems:?}");
    }
}

#[test]
fn an_audience_may_have_tokens_of_another_form_once() {
    let one = "[[tokens.formats]]\naudience = \"https://a\"\nalgorithm = \"RS256\"\ntype = \"JWT\"\n";
    let settings = parse(&format!("{LEAST}{one}"), &Environment::new()).unwrap();
    let form = settings.tokens.formats[&"https://a".parse().unwrap()];
    assert_eq!((form.algorithm, form.kind), (SigningAlgorithm::Rs256, TokenType::Plain));
    assert_eq!(refused(&format!("{LEAST}{one}{one}"))[0].setting, "tokens.formats `https://a`");
}

#[test]
fn the_door_for_tokens_is_shut_unless_it_is_asked_for() {
    assert_eq!(parse(LEAST, &Environment::new()).unwrap().bearer, None);
    assert_eq!(parse(&format!("{LEAST}[bearer]\naudience = \"x\""), &Environment::new()).unwrap().bearer, None);
    let bearer = parse(&format!("{LEAST}[bearer]\nenabled = true"), &Environment::new()).unwrap().bearer.unwrap();
    assert_eq!((bearer.audience.as_str(), bearer.certificate), ("https://carnet.example.org", CertificateSource::Svid));
}

#[test]
fn an_issuer_has_one_spelling() {
    for issuer in [
        "http://carnet.example.org",
        "https://",
        "https://carnet.example.org/",
        "https://carnet.example.org?x",
        "https://carnet.example.org#x",
        "https://user@carnet.example.org",
        "https://carnet.example.org/ x",
        "",
    ] {
        let problems = refused(&LEAST.replace("https://carnet.example.org", issuer));
        assert_eq!(problems.len(), 1, "{issuer}: {problems:?}");
        assert_eq!(problems[0].setting, "issuer", "{issuer}");
    }
}

#[test]
fn nobody_is_let_in_by_an_empty_or_broken_list() {
    for list in ["[]", "[\"\"]", "[\"Example.org\"]", "[\"spiffe://example.org\"]"] {
        let problems = refused(&LEAST.replace("[\"example.org\"]", list));
        assert_eq!(problems[0].setting, "workloads.trust_domains", "{list}");
    }
}

#[test]
fn a_setting_that_there_is_not_is_an_error() {
    for text in [
        "[[tokens.formats]]\naudience = \"a\"\nalgorithm = \"none\"",
        "secret = \"x\"",
        "[tokens]\nkey = \"PEM\"",
        "[limits]\nburst = -1",
        "[tokens]\nttl_max = 300",
    ] {
        let error = parse(&format!("{LEAST}{text}"), &Environment::new()).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax(_)), "{text}");
    }
}

#[test]
fn quantities_are_read_and_written() {
    use super::quantity::{Size, Span};
    for (text, same) in [("90s", "90s"), ("60s", "1m"), ("1500ms", "1500ms"), ("24h", "1d"), ("0s", "0ms")] {
        assert_eq!(Span::try_from(text.to_owned()).unwrap().to_string(), same);
    }
    for (text, same) in [("64MiB", "64MiB"), ("1024KiB", "1MiB"), ("3B", "3B")] {
        assert_eq!(Size::try_from(text.to_owned()).unwrap().to_string(), same);
    }
    for text in ["", "s", "5", "5 s", "-5s", "5.5s", "99999999999999999999s", "18446744073709551615d"] {
        assert!(Span::try_from(text.to_owned()).is_err(), "{text}");
    }
}
