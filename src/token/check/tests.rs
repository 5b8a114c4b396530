//! Calls that a token covers, and calls that differ from one in one thing.

use super::*;
use crate::model::access::Access;
use crate::model::decision::{EntryDecision, Outcome};
use crate::model::sink::SinkKind;
use crate::token::detail::{self, DetailError};

const ARGUMENTS: &str = r#"{"to":["a@x.test","b@x.test"],"amount":"10.50","files":[{"id":1},{"id":2}],"body":"hello"}"#;

fn specs() -> Vec<SinkSpec> {
    [("to", SinkKind::Address), ("amount", SinkKind::Amount), ("files.id", SinkKind::Id), ("bcc", SinkKind::Address)]
        .map(|(name, kind)| SinkSpec { name: name.into(), kind })
        .to_vec()
}

fn here() -> Audience {
    "https://mail.test".parse().unwrap()
}

fn grant(tool: &str, arguments: &str) -> Detail {
    let access = Access {
        // Records of earlier versions hold names of every kind.
        tool: ToolName::try_from(tool.to_owned()).unwrap(),
        actions: vec![],
        resources: vec![],
        arguments: Json::parse(arguments, 1 << 16).unwrap(),
        data_classes: vec![],
    };
    let decided = EntryDecision {
        tool: access.tool.clone(),
        outcome: Outcome::Granted,
        included: true,
        actions: vec!["tools/call".into()],
        resources: vec!["inbox".into()],
        calls_max: Some(1),
        observed_only: false,
    };
    Detail::grant(&here(), &access, &decided, &specs()).unwrap()
}

fn try_call(
    details: &[Detail],
    tool: &str,
    actions: &[&str],
    resources: &[&str],
    arguments: &str,
) -> Result<(), ConstraintError> {
    let tool = tool.parse().unwrap();
    let arguments = Json::parse(arguments, 1 << 16).unwrap();
    let call = Call { tool: &tool, actions, resources, arguments: &arguments };
    check_call(details, &here(), &call).map(|_| ())
}

#[test]
fn a_detail_reads_as_documented() {
    assert_eq!(
        serde_json::to_string(&grant("send", ARGUMENTS)).unwrap(),
        concat!(
            r#"{"type":"https://carnet.dev/ad/tool/v1","locations":["https://mail.test"],"identifier":"send","#,
            r#""actions":["tools/call"],"constraints":{"resources":["inbox"],"max_calls":1,"sinks":{"#,
            r#""amount":{"kind":"amount","eq":["10.5"]},"bcc":{"kind":"address","eq":[]},"#,
            r#""files.id":{"kind":"id","eq":["1","2"]},"to":{"kind":"address","eq":["a@x.test","b@x.test"]}}}}"#,
        )
    );
}

#[test]
fn only_the_sinks_that_were_judged_may_be_called() {
    use ConstraintError as E;
    let details = [grant("send", ARGUMENTS)];
    let sink = |name: &str| Err(E::Sink(name.into()));
    for (name, arguments, expected) in [
        ("control", ARGUMENTS.to_owned(), Ok(())),
        ("another spelling", ARGUMENTS.replace("10.50", "10.5").replace("a@x.test", " a@X.TEST "), Ok(())),
        ("what is no sink", ARGUMENTS.replace("hello", "something else"), Ok(())),
        (
            "members in another order",
            r#"{"files":[{"id":"1"},{"id":"2"}],"to":["a@x.test","b@x.test"],"amount":1.05e1}"#.into(),
            Ok(()),
        ),
        ("another recipient", ARGUMENTS.replace("b@x", "b@y"), sink("to")),
        ("one recipient more", ARGUMENTS.replace(r#""b@x.test""#, r#""b@x.test","c@x.test""#), sink("to")),
        ("one recipient less", ARGUMENTS.replace(r#","b@x.test""#, ""), sink("to")),
        (
            "recipients in another order",
            ARGUMENTS.replace(r#""a@x.test","b@x.test""#, r#""b@x.test","a@x.test""#),
            sink("to"),
        ),
        ("local part in another case", ARGUMENTS.replace("a@x", "A@x"), sink("to")),
        ("a sink that was empty", ARGUMENTS.replace(r#""body""#, r#""bcc":"a@x.test","body""#), sink("bcc")),
        ("a sink left out", ARGUMENTS.replace(r#""amount":"10.50","#, ""), sink("amount")),
        ("another amount", ARGUMENTS.replace("10.50", "10.51"), sink("amount")),
        ("a thousand fold", ARGUMENTS.replace("\"10.50\"", "10.5e3"), sink("amount")),
        ("an item moved", ARGUMENTS.replace(r#"[{"id":1},{"id":2}]"#, r#"[{"id":[1,2]}]"#), sink("files.id")),
        ("an empty item", ARGUMENTS.replace(r#"{"id":2}"#, r#"{},{"id":2}"#), sink("files.id")),
        ("a dotted twin", ARGUMENTS.replace(r#""body""#, r#""files.id":9,"body""#), sink("files.id")),
        (
            "no amount",
            ARGUMENTS.replace("10.50", "ten"),
            Err(E::Unreadable(SinkError::NotAnAmount { name: "amount".into() })),
        ),
        (
            "a sink in another case",
            ARGUMENTS.replace(r#""body""#, r#""Bcc":"c@x.test","body""#),
            Err(E::Unreadable(SinkError::LookAlike { name: "bcc".into() })),
        ),
        (
            "a sink twice, but for case",
            ARGUMENTS.replace(r#""body""#, r#""To":["c@x.test"],"body""#),
            Err(E::Unreadable(SinkError::LookAlike { name: "to".into() })),
        ),
    ] {
        assert_eq!(try_call(&details, "send", &["tools/call"], &[], &arguments), expected, "{name}");
    }
}

#[test]
fn tool_action_resource_and_place_must_be_granted() {
    use ConstraintError as E;
    let details = [grant("send", ARGUMENTS)];
    for (name, tool, actions, resources, expected) in [
        ("control", "send", &["tools/call"][..], &["inbox"][..], Ok(())),
        ("another tool", "sendx", &["tools/call"], &[], Err(E::Tool)),
        ("tool in another case", "Send", &["tools/call"], &[], Err(E::Tool)),
        ("another action", "send", &["tools/list"], &[], Err(E::Action)),
        ("one action more", "send", &["tools/call", "tools/list"], &[], Err(E::Action)),
        ("no action", "send", &[], &[], Err(E::Action)),
        ("another resource", "send", &["tools/call"], &["inbox", "outbox"], Err(E::Resource)),
    ] {
        assert_eq!(try_call(&details, tool, actions, resources, ARGUMENTS), expected, "{name}");
    }
    let mut elsewhere = grant("send", ARGUMENTS);
    elsewhere.locations = vec!["https://mail.test/".parse().unwrap()];
    assert_eq!(
        try_call(&[elsewhere.clone()], "send", &["tools/call"], &[], ARGUMENTS),
        Err(E::Location),
        "no normalising"
    );
    elsewhere.locations.push(here());
    assert_eq!(
        try_call(&[elsewhere.clone()], "send", &["tools/call"], &[], ARGUMENTS),
        Err(E::Location),
        "one place only"
    );
    assert_eq!(
        try_call(&[elsewhere, details[0].clone()], "send", &["tools/call"], &[], ARGUMENTS),
        Ok(()),
        "another entry covers it"
    );
}

#[test]
fn scope_names_what_the_entries_name_and_no_more() {
    let mut odd = grant("a:b c", ARGUMENTS);
    odd.actions = vec!["x".into(), "ü\"".into()];
    let scope = detail::scope(&[grant("send", ARGUMENTS), grant("send", "{}"), odd]);
    assert_eq!(scope, "send:tools/call a%3Ab%20c:x a%3Ab%20c:%C3%BC%22");
}

#[test]
fn uses_are_counted_under_what_is_bound() {
    let one = grant("send", ARGUMENTS);
    let mut renewed = one.clone();
    renewed.constraints.max_calls = Some(9);
    renewed.constraints.resources.clear();
    renewed.actions.clear();
    assert_eq!(one.use_key(), renewed.use_key(), "renewing adds no uses");
    assert_ne!(one.use_key(), grant("send", r#"{"to":"a@x.test"}"#).use_key());
    assert_ne!(one.use_key(), grant("sendx", ARGUMENTS).use_key());
}

#[test]
fn a_sink_that_stands_twice_in_the_catalogue_is_refused() {
    let access = Access {
        tool: "t".parse().unwrap(),
        actions: vec![],
        resources: vec![],
        arguments: Json::Object(vec![]),
        data_classes: vec![],
    };
    let decided = EntryDecision {
        tool: access.tool.clone(),
        outcome: Outcome::Granted,
        included: true,
        actions: vec![],
        resources: vec![],
        calls_max: None,
        observed_only: false,
    };
    let twice = [SinkKind::Id, SinkKind::Amount].map(|kind| SinkSpec { name: "n".into(), kind });
    assert!(matches!(Detail::grant(&here(), &access, &decided, &twice), Err(DetailError::SameSink { .. })));
}
