//! Which pattern decides, and which lists are refused.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

fn list(entries: &[(&str, &str)]) -> String {
    entries.iter().map(|(p, c)| format!("[[identity]]\npattern = \"{p}\"\nclass = \"{c}\"\n")).collect()
}

#[test]
fn the_most_specific_pattern_decides() {
    let text = list(&[
        ("spiffe://td/**", "scorer"),
        ("spiffe://td/agent/**", "service_account"),
        ("spiffe://td/agent/*", "ai_agent"),
        ("spiffe://td/agent/boss", "orchestrator"),
    ]);
    let identities = Identities::parse(&text).unwrap();
    let rows = [
        ("spiffe://td/agent/boss", Some(IdentityClass::Orchestrator)),
        ("spiffe://td/agent/boss/x", Some(IdentityClass::ServiceAccount)),
        ("spiffe://td/agent/a", Some(IdentityClass::AiAgent)),
        ("spiffe://td/agent/a/b/c", Some(IdentityClass::ServiceAccount)),
        ("spiffe://td/agent", Some(IdentityClass::Scorer)),
        ("spiffe://td/agent-evil", Some(IdentityClass::Scorer)),
        ("spiffe://td/other/a", Some(IdentityClass::Scorer)),
        ("spiffe://td", None),
        ("spiffe://td2/agent/a", None),
        ("spiffe://other/agent/boss", None),
    ];
    for (id, expected) in rows {
        let id: SpiffeId = id.parse().unwrap();
        let found = identities.identify(&id);
        assert_eq!(found.map(|i| i.class), expected, "{id}");
        if let Some(identity) = found {
            assert!(identity.pattern.matches(&id), "{id} by {}", identity.pattern);
        }
    }
}

#[test]
fn a_prefix_that_is_no_whole_segment_does_not_match() {
    let identities = Identities::parse(&list(&[("spiffe://td/agent/**", "ai_agent")])).unwrap();
    for stranger in ["spiffe://td/agent-evil", "spiffe://td/agent-evil/a", "spiffe://td/agent", "spiffe://tdx/agent/a"]
    {
        assert!(identities.identify(&stranger.parse().unwrap()).is_none(), "{stranger}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    let rows = [
        "spiffe://td",
        "spiffe://td/",
        "spiffe://*/a",
        "spiffe://td/*/a",
        "spiffe://td/a*",
        "spiffe://td/**/a",
        "spiffe://td/***",
        "spiffe://TD/a",
        "https://td/a",
        "spiffe://td/../a",
        "",
    ];
    for text in rows {
        assert!(text.parse::<Pattern>().is_err(), "{text}");
    }
    for text in ["spiffe://td/a", "spiffe://td/a/*", "spiffe://td/**", "spiffe://td/*"] {
        assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
    }
}

#[test]
fn lists_that_could_mislead_are_refused() {
    let rows = [
        ("a pattern twice", list(&[("spiffe://td/a/*", "ai_agent"), ("spiffe://td/a/*", "scorer")]), "stands twice"),
        ("a person", list(&[("spiffe://td/ann", "human")]), "never names a person"),
        ("audiences of an agent", list(&[("spiffe://td/a", "ai_agent")]) + "audiences = [\"x\"]\n", "has audiences"),
        ("a gateway that is an agent", list(&[("spiffe://td/a", "ai_agent")]) + "gateway = true\n", "is a gateway"),
        ("a network", list(&[("spiffe://td/a", "ai_agent")]) + "networks = [\"10.0.0.1/8\"]\n", "beyond the prefix"),
        ("an unknown member", list(&[("spiffe://td/a", "ai_agent")]) + "admin = true\n", "unknown field"),
        ("an unknown class", list(&[("spiffe://td/a", "root")]), "unknown variant"),
    ];
    for (name, text, expected) in rows {
        let problems = Identities::parse(&text).unwrap_err().problems();
        assert!(problems.iter().any(|p| p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn an_undeclared_network_is_noticed() {
    let text = list(&[("spiffe://td/a", "resource_server")])
        + "networks = [\"10.0.0.0/8\", \"fd00::/8\"]\naudiences = [\"https://files.test\"]\ngateway = true\n";
    let identities = Identities::parse(&text).unwrap();
    let identity = identities.identify(&"spiffe://td/a".parse().unwrap()).unwrap();
    assert!(identity.calls_from("10.9.9.9".parse().unwrap()));
    assert!(!identity.calls_from("192.0.2.1".parse().unwrap()));
    assert!(identity.serves(&"https://files.test".parse().unwrap()));
    assert!(!identity.serves(&"https://files.test/".parse().unwrap()));
    let none = Identities::parse(&list(&[("spiffe://td/a", "ai_agent")])).unwrap();
    assert!(none.identify(&"spiffe://td/a".parse().unwrap()).unwrap().calls_from("192.0.2.1".parse().unwrap()));
}
