//! What patterns of a ceiling let in is within it, and grounded by it as a listed value is.

use super::*;
use crate::intent::ceiling::with_accounts;

const TOOLS: &str = r#"
[account_sets]
suppliers = ["ACME-1", "ACME-2"]

[tools.act]
description = "Acts"
effect = "send"
privilege = 1
sinks = { to = "address", cc = "address", url = "url", path = "path", payee = "account" }

[tools.close]
description = "Closes an account"
effect = "write"
privilege = 1
sinks = { payee = "account" }
"#;

const CEILING: &str = r#"{"tools":[{"tool":"close"},{"tool":"act","sinks":[{"sink":"to","patterns":[{"domain":"acme.test"}]},
    {"sink":"url","patterns":[{"host":"*.acme.test"}]},{"sink":"path","patterns":[{"path_prefix":"/home/ann"}]},
    {"sink":"payee","patterns":[{"account_set":"suppliers"}]}]}]}"#;

fn judged(session: &Session, tool: &str, name: &str, value: &str) -> (bool, Provenance) {
    let (catalogue, ceiling) = (Catalogue::parse(TOOLS).unwrap(), ceiling(CEILING));
    let bounds = [&ceiling];
    let (intent, usage) = ("Do it".into(), Usage::default());
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

#[test]
fn what_was_sent_under_a_set_of_accounts_is_ground_like_a_listed_one() {
    let (catalogue, ceiling) = (Catalogue::parse(TOOLS).unwrap(), ceiling(CEILING));
    let whole = with_accounts(&[&ceiling], &catalogue);
    let mut session = Session::new();
    for payee in ["ACME-1", "EVIL-1"] {
        let sent = access("act", &format!(r#"{{"payee":"{payee}"}}"#));
        let call = ReportedCall {
            tool: &sent.tool,
            spec: catalogue.tool(&sent.tool),
            arguments: &sent.arguments,
            result: &Json::Null,
            reporter: Reporter::Audience,
            position: 8,
            failed: false,
        };
        session.report(&call, &"".into(), &[whole[0].as_ref()]);
    }
    assert_eq!(judged(&session, "close", "payee", "ACME-1").1, Provenance::Argument);
    assert!(!judged(&session, "close", "payee", "EVIL-1").1.is_grounded());
}
