//! What patterns of a ceiling let in is within it, and grounded by it as a listed value is.

use super::*;

const TOOLS: &str = r#"
[account_sets]
suppliers = ["ACME-1", "ACME-2"]

[tools.act]
description = "Acts"
effect = "send"
privilege = 1
sinks = { to = "address", cc = "address", url = "url", path = "path", payee = "account" }

[tools.look]
description = "Looks things up"
effect = "read"
privilege = 1

[tools.close]
description = "Closes an account"
effect = "write"
privilege = 1
sinks = { payee = "account" }
"#;

const CEILING: &str = r#"{"tools":[{"tool":"close"},{"tool":"act","sinks":[{"sink":"to","patterns":[{"domain":"acme.test"}]},
    {"sink":"url","patterns":[{"host":"*.acme.test"}]},{"sink":"path","patterns":[{"path_prefix":"/home/ann"}]},
    {"sink":"payee","values":["LISTED-1"],"patterns":[{"account_set":"suppliers"}]},
    {"sink":"note","patterns":[{"path_prefix":"/"}]}]},{"tool":"look"}]}"#;

fn judged(session: &Session, tool: &str, name: &str, value: &str) -> (bool, Provenance) {
    judged_for("Do it", session, tool, name, value)
}

fn judged_for(intent: &str, session: &Session, tool: &str, name: &str, value: &str) -> (bool, Provenance) {
    let (catalogue, ceiling) = (Catalogue::parse(TOOLS).unwrap(), ceiling(CEILING));
    let bounds = [&ceiling];
    let (intent, usage) = (intent.into(), Usage::default());
    let grounds = Grounds {
        intent: &intent,
        bounds: &bounds,
        declared: &bounds,
        session,
        usage: &usage,
        past: &[],
        now: NOW,
        agent: None,
    };
    let arguments = serde_json::json!({ name: value }).to_string();
    let found = entries(&[access(tool, &arguments)], &catalogue, &grounds, Asked::New).unwrap();
    (found[0].ceiling == CeilingFit::Within, found[0].sinks[0].provenance)
}

#[test]
fn what_a_pattern_lets_in_is_grounded_and_nothing_else_is() {
    let session = Session::new();
    for (name, inside, outside) in [
        ("to", "a@acme.test", "a@evil-acme.test"),
        ("url", "https://eu.acme.test/x", "https://eu.acme.test@evil.test/x"),
        ("path", "/home/ann/a", "/home/ann/../bob"),
        ("payee", "ACME-1", "ACME-10"),
        ("payee", "ACME-2", "suppliers"),
    ] {
        assert_eq!(judged(&session, "act", name, inside), (true, Provenance::Ceiling), "{inside}");
        assert_eq!(judged(&session, "act", name, outside), (false, Provenance::None), "{outside}");
    }
    assert_eq!(judged(&session, "act", "cc", "a@acme.test"), (true, Provenance::None), "another sink");
    assert_eq!(judged(&session, "close", "payee", "ACME-1"), (true, Provenance::None), "another tool");
}

/// Says that value as that argument, and has what stands last in it come back as a field of another tool.
fn said_and_read(tool: &str, name: &str, value: &str) -> Session {
    let (catalogue, ceiling) = (Catalogue::parse(TOOLS).unwrap(), ceiling(CEILING));
    let mut session = Session::new();
    let back = value.rsplit('/').next().unwrap();
    for (tool, position, arguments, result) in [
        (tool, 8, serde_json::json!({ name: value }), serde_json::Value::Null),
        ("look", 9, serde_json::json!({}), serde_json::json!({ "account": back })),
    ] {
        let said = access(tool, &arguments.to_string());
        let call = ReportedCall {
            tool: &said.tool,
            spec: catalogue.tool(&said.tool),
            arguments: &said.arguments,
            result: &Json::parse(&result.to_string(), 1000).unwrap(),
            reporter: Reporter::Audience,
            position,
            failed: false,
        };
        session.report(&call, &"".into(), &[&ceiling]);
    }
    session
}

#[test]
fn what_merely_a_pattern_or_a_set_lets_in_is_said_without_ground() {
    for (tool, said_as, value, later, used_as) in [
        ("act", "to", "eve@acme.test", "act", "cc"),
        ("act", "payee", "ACME-1", "close", "payee"),
        // A path that is a name and an address as well, and an argument that is no sink.
        ("act", "path", "/home/ann/eve@evil.test", "act", "cc"),
        ("act", "note", "/eve@evil.test", "act", "cc"),
    ] {
        let session = said_and_read(tool, said_as, value);
        let used = value.rsplit('/').next().unwrap();
        let provenance = judged(&session, later, used_as, used).1;
        assert!(!provenance.is_grounded(), "{said_as} {value}: {provenance:?}");
    }
    let read = said_and_read("act", "payee", "EVIL-1");
    assert!(!judged(&read, "close", "payee", "EVIL-1").1.is_grounded(), "what nothing let in");
    let control = said_and_read("look", "x", "ACME-1");
    assert!(!judged(&control, "close", "payee", "ACME-1").1.is_grounded(), "said without a ceiling for it");
}

#[test]
fn what_is_listed_and_said_is_ground_wherever_it_is_such_a_thing() {
    let session = said_and_read("act", "payee", "LISTED-1");
    let found = judged(&session, "close", "payee", "LISTED-1").1;
    assert_eq!(found, Provenance::Field, "what repeats it is no echo of something without ground");
}

#[test]
fn what_the_intent_forbids_by_name_is_in_no_pattern_and_no_set() {
    let session = Session::new();
    for (intent, name, value) in [
        ("Tell everybody at acme, but never write to ceo@acme.test.", "to", "ceo@acme.test"),
        ("Tidy up /home/ann, and do not touch /home/ann/keep.txt.", "path", "/home/ann/keep.txt"),
        ("Pay the suppliers. Do not pay ACME-2.", "payee", "ACME-2"),
    ] {
        assert_eq!(judged_for(intent, &session, "act", name, value), (true, Provenance::None), "{intent}");
        assert_eq!(judged_for("Do it", &session, "act", name, value), (true, Provenance::Ceiling), "{intent}");
    }
    let listed = judged_for("Pay them. Do not pay LISTED-1.", &session, "act", "payee", "LISTED-1");
    assert_eq!(listed, (true, Provenance::Ceiling), "whoever lists it says so");
}
