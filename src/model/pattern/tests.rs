//! What looks alike is not alike, and what is said to be within a pattern is within it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> SinkPattern {
    SinkPattern::Domain(text.parse().unwrap())
}

fn host(text: &str) -> SinkPattern {
    SinkPattern::Host(text.parse().unwrap())
}

fn folder(text: &str) -> SinkPattern {
    SinkPattern::PathPrefix(text.parse().unwrap())
}

fn resources(text: &str) -> ResourcePattern {
    text.parse().unwrap()
}

#[test]
fn a_domain_is_compared_by_whole_labels() {
    let (all, one) = (domain("*.acme.test"), domain("Acme.TEST"));
    assert_eq!((all.to_string(), one.to_string()), ("*.acme.test".to_owned(), "acme.test".to_owned()));
    for value in
        ["bob@eu.acme.test", "bob@a.eu.acme.test", "BOB@EU.Acme.Test", "bob.o'neil+x@eu.acme.test", "eu.acme.test"]
    {
        assert!(all.lets(value), "{value}");
        assert!(!one.lets(value), "{value}");
    }
    for value in ["bob@acme.test", "bob@ACME.TEST", "acme.test"] {
        assert!(one.lets(value), "{value}");
        assert!(!all.lets(value), "no label more: {value}");
    }
    let neither = [
        ("another name", "bob@evil-acme.test"),
        ("another name without a hyphen", "bob@evilacme.test"),
        ("before it", "bob@acme.test.evil.test"),
        ("an empty label", "bob@.acme.test"),
        ("an empty label inside", "bob@eu..acme.test"),
        ("a dot at the end", "bob@eu.acme.test."),
        ("a dot at the end of the other", "bob@acme.test."),
        ("a wide letter", "bob@eu.\u{ff41}cme.test"),
        ("a Cyrillic letter", "bob@eu.\u{430}cme.test"),
        ("an ideographic dot", "bob@eu\u{3002}acme.test"),
        ("a wide at sign", "bob\u{ff20}eu.acme.test"),
        ("an unseen letter", "bob@eu.acme\u{200b}.test"),
        ("two addresses", "eve@evil.test,bob@eu.acme.test"),
        ("two at signs", "eve@evil.test@eu.acme.test"),
        ("the other way round", "bob@eu.acme.test@evil.test"),
        ("a route by percent", "eve%evil.test@eu.acme.test"),
        ("a route by bangs", "evil.test!eve@eu.acme.test"),
        ("a name before it", "Bob <bob@eu.acme.test>"),
        ("a comment", "bob(eve@evil.test)@eu.acme.test"),
        ("a quoted part", "\"eve@evil.test \"@eu.acme.test"),
        ("nobody", "@eu.acme.test"),
        ("white space", "bob@eu.acme.test "),
        ("a line", "bob@eu.acme.test\nBcc: eve@evil.test"),
        ("a hyphen at the edge", "bob@-eu.acme.test"),
        ("an underscore", "bob@e_u.acme.test"),
        ("an escape", "bob@eu%2eacme.test"),
        ("an address literal", "bob@[10.0.0.1]"),
        ("a URL", "https://eu.acme.test"),
        ("nothing", ""),
    ];
    for (name, value) in neither {
        assert!(!all.lets(value) && !one.lets(value), "{name}: {value}");
    }
    let long = format!("bob@{}.acme.test", "a".repeat(64));
    assert!(!all.lets(&long), "a label of 64 letters");
}

#[test]
fn a_host_is_read_from_a_url_in_one_way_or_not_at_all() {
    let (all, one, elsewhere) = (host("*.acme.test"), host("api.acme.test"), host("api.acme.test:8443"));
    for value in
        ["https://api.acme.test", "http://api.acme.test/", "HTTPS://API.ACME.test:443/x?y#z", "http://api.acme.test:80"]
    {
        assert!(all.lets(value) && one.lets(value), "{value}");
        assert!(!elsewhere.lets(value), "another port: {value}");
    }
    assert!(elsewhere.lets("https://api.acme.test:8443/a@b") && !one.lets("https://api.acme.test:8443/"));
    let neither = [
        ("another host", "https://evil-acme.test/"),
        ("before it", "https://api.acme.test.evil.test/"),
        ("user information", "https://api.acme.test@evil.test/"),
        ("user information of ours", "https://eve@api.acme.test/"),
        ("user information with a secret", "https://a:b@api.acme.test/"),
        ("a backslash", "https://evil.test\\@api.acme.test/"),
        ("a backslash as a stroke", "https:\\\\api.acme.test/"),
        ("a fragment before it", "https://evil.test#.acme.test/"),
        ("a query before it", "https://evil.test?.acme.test/"),
        ("an escape in the host", "https://api%2eacme.test/"),
        ("a dot at the end", "https://api.acme.test./"),
        ("a wide stroke", "https://evil.test\u{ff0f}.acme.test/"),
        ("a wide dot", "https://api\u{ff0e}acme.test/"),
        ("a tab in it", "https://evil.test\t.acme.test/"),
        ("white space before it", " https://api.acme.test/"),
        ("no scheme", "api.acme.test/x"),
        ("no host", "https:///api.acme.test/"),
        ("another scheme", "ftp://api.acme.test/"),
        ("a script", "javascript://api.acme.test/%0aalert(1)"),
        ("one stroke", "https:/api.acme.test/"),
        ("an empty port", "https://api.acme.test:/"),
        ("a port with a nought", "https://api.acme.test:0443/"),
        ("a port too high", "https://api.acme.test:65979/"),
        ("a signed port", "https://api.acme.test:+443/"),
        ("an address literal", "https://[::1]/"),
        ("an address", "bob@api.acme.test"),
    ];
    for (name, value) in neither {
        assert!(!all.lets(value) && !one.lets(value) && !elsewhere.lets(value), "{name}: {value}");
    }
}

#[test]
fn a_folder_is_compared_by_whole_segments() {
    let home = folder("/home/ann");
    for value in ["/home/ann", "/home/ann/a", "/home/ann/a/b.txt", "/home/ann/..a", "/home/ann/B\u{fc}cher/C# notes"] {
        assert!(home.lets(value), "{value}");
    }
    let outside = [
        ("another folder", "/home/anna"),
        ("above it", "/home"),
        ("up again", "/home/ann/../bob"),
        ("up at the end", "/home/ann/.."),
        ("a dot", "/home/ann/./a"),
        ("dots alone", "/home/ann/.../a"),
        ("dots and a space", "/home/ann/.. /bob"),
        ("dots and a parameter", "/home/ann/..;x/bob"),
        ("an empty segment", "/home/ann//etc"),
        ("a stroke at the end", "/home/ann/"),
        ("an escape", "/home/ann/%2e%2e/bob"),
        ("an escaped escape", "/home/ann/%252e%252e/bob"),
        ("a backslash", "/home/ann/..\\bob"),
        ("a wide stroke", "/home/ann/..\u{ff0f}bob"),
        ("wide dots", "/home/ann/\u{ff0e}\u{ff0e}/bob"),
        ("a leader of two dots", "/home/ann/\u{2025}/bob"),
        ("a stroke of division", "/home/ann/a\u{2215}b"),
        ("an unseen letter among dots", "/home/ann/.\u{200b}./bob"),
        ("a filler among dots", "/home/ann/.\u{3164}./bob"),
        ("a narrow filler among dots", "/home/ann/.\u{ffa0}./bob"),
        ("a blank of Braille", "/home/ann/\u{2800}"),
        ("a vowel that is none", "/home/ann/a\u{17b4}"),
        ("a mark of a beam", "/home/ann/a\u{1d173}"),
        ("an annotation", "/home/ann/a\u{fff9}b"),
        ("a nought", "/home/ann/a\0.txt"),
        ("another case", "/Home/ann/a"),
        ("relative", "home/ann/a"),
        ("a URL", "file:///home/ann/a"),
    ];
    for (name, value) in outside {
        assert!(!home.lets(value), "{name}: {value}");
    }
    assert!(folder("/").lets("/a/b") && !folder("/").lets("a/b") && !folder("/").lets("/../a"));
    assert!(folder("docs").lets("docs/a") && !folder("docs").lets("/docs/a"));
}

#[test]
fn resources_are_compared_by_whole_segments() {
    let rows = [
        ("spiffe://td/agent", "spiffe://td/agent", true),
        ("spiffe://td/agent", "spiffe://td/agent-evil", false),
        ("spiffe://td/agent", "spiffe://td/agent/a", false),
        ("spiffe://td/agent/*", "spiffe://td/agent/a", true),
        ("spiffe://td/agent/*", "spiffe://td/agent-evil", false),
        ("spiffe://td/agent/*", "spiffe://td/agent-evil/a", false),
        ("spiffe://td/agent/*", "spiffe://td/agent", false),
        ("spiffe://td/agent/*", "spiffe://td/agent/", false),
        ("spiffe://td/agent/*", "spiffe://td/agent/a/b", false),
        ("spiffe://td/agent/**", "spiffe://td/agent/a/b", true),
        ("spiffe://td/agent/**", "spiffe://td/agent/../admin", false),
        ("spiffe://td/agent/**", "spiffe://td/agent/%2e%2e/admin", false),
        ("spiffe://td/agent/**", "spiffe://td/agent//a", false),
        ("spiffe://td/agent/**", "SPIFFE://td/agent/a", false),
        ("projects/alpha/*", "projects/alpha/x", true),
        ("projects/alpha/*", "projects/alpha-2/x", false),
        ("projects/alpha/*", "projects/alpha/x\\y", false),
    ];
    for (pattern, value, expected) in rows {
        assert_eq!(resources(pattern).lets(value), expected, "{pattern}: {value}");
    }
}

#[test]
fn what_is_no_pattern_is_refused_with_a_hint() {
    for text in [
        "",
        "*",
        "*.",
        "*acme.test",
        "a.*.test",
        "*.*.test",
        "acme.test.",
        ".acme.test",
        "b\u{fc}cher.test",
        "bob@acme.test",
        "*@acme.test",
        "*.0.0.1",
        "*.0x7f",
        "a b.test",
    ] {
        assert!(text.parse::<DomainPattern>().is_err(), "{text}");
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
    for text in [
        "https://acme.test",
        "acme.test/",
        "acme.test:",
        "acme.test:443",
        "acme.test:x",
        "acme.test:1:2",
        "eve@acme.test:8443",
    ] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
    for text in ["", "/home/ann/", "/home/ann/*", "/home/ann/**", "//", "/a//b", "/a/../b", "/a/%2e", "a\\b", ".", ".."]
    {
        assert!(text.parse::<PathPrefix>().is_err(), "{text}");
    }
    for text in ["", "/*", "/**", "*", "a*", "a/*/b", "a/***", "a/../*", "a//*", "a/%2e/**", "a\n"] {
        assert!(text.parse::<ResourcePattern>().is_err(), "{text}");
    }
    for unseen in ["a\u{202e}b", "a\u{3164}/b"] {
        assert!(unseen.parse::<ResourcePattern>().is_err() && unseen.parse::<PathPrefix>().is_err(), "{unseen}");
    }
    for text in ["", "a b", "pay/roll", "b\u{fc}cher", "*"] {
        assert!(text.parse::<AccountSet>().is_err(), "{text}");
    }
    for text in [
        "*",
        "*.acme.test",
        " *.acme.test",
        "*@acme.test",
        "bob@*",
        "a/*",
        "a/**",
        "bob@*.test",
        "https://*.acme.test/",
    ] {
        assert!(looks_like_one(text), "{text}");
    }
    for text in ["bob@acme.test", "SELECT * FROM t", "2*3", "a*b", ""] {
        assert!(!looks_like_one(text), "{text}");
    }
}

#[test]
fn what_was_a_pattern_when_it_was_recorded_is_read_again() {
    for text in [r#"{"path_prefix":"/a/.\u3164."}"#, r#"{"path_prefix":"/a\u2800/b"}"#] {
        let pattern: SinkPattern = serde_json::from_str(text).unwrap();
        assert!(!pattern.lets("/a/b"), "{text}");
    }
    for text in [r#""a\u202eb""#, r#""a\u3164/**""#] {
        assert!(serde_json::from_str::<ResourcePattern>(text).is_ok(), "{text}");
    }
    for text in [r#"{"path_prefix":""}"#, r#"{"path_prefix":"/a/../b"}"#, r#"{"path_prefix":"/a/*"}"#] {
        assert!(serde_json::from_str::<SinkPattern>(text).is_err(), "{text}");
    }
}

#[test]
fn a_pattern_is_written_as_it_is_read() {
    let text = r#"[{"domain":"*.acme.test"},{"host":"api.acme.test:8443"},{"path_prefix":"/home/ann"},{"account_set":"payroll"}]"#;
    let patterns: Vec<SinkPattern> = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&patterns).unwrap(), text);
    assert!(serde_json::from_str::<SinkPattern>(r#"{"domain":"*acme.test"}"#).is_err());
    assert!(serde_json::from_str::<SinkPattern>(r#"{"regex":".*"}"#).is_err());
    assert_eq!(serde_json::to_string(&resources("a/**")).unwrap(), r#""a/**""#);
    let set = SinkPattern::AccountSet("payroll".parse().unwrap());
    assert!(!set.lets("payroll") && set.is_within(&set), "who is in it says the catalogue");
}

fn any_name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "evil-a", "A"]);
    prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."))
}

fn any_path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "..", ".", "", "%2e", "\u{2025}", "a;b"]);
    prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
}

fn any_pattern() -> impl Strategy<Value = SinkPattern> {
    let star = |name: (bool, String)| format!("{}{}", if name.0 { "*." } else { "" }, name.1);
    let port = prop::sample::select(vec!["", ":81"]);
    prop_oneof![
        (any::<bool>(), any_name()).prop_map(move |name| domain(&star(name))),
        ((any::<bool>(), any_name()), port).prop_map(move |(name, port)| host(&format!("{}{port}", star(name)))),
        any_path().prop_filter_map("no folder", |text| Some(SinkPattern::PathPrefix(text.parse().ok()?))),
        Just(SinkPattern::AccountSet("s".parse().unwrap())),
    ]
}

fn any_value() -> impl Strategy<Value = String> {
    let port = prop::sample::select(vec!["", ":81", ":443", ":"]);
    prop_oneof![
        any_name(),
        any_name().prop_map(|name| format!("bob@{name}")),
        (any_name(), port).prop_map(|(name, port)| format!("https://{name}{port}/x")),
        any_path(),
    ]
}

fn any_resources() -> impl Strategy<Value = ResourcePattern> {
    (any_path(), prop::sample::select(vec!["", "/*", "/**"]))
        .prop_filter_map("no pattern", |(path, reach)| format!("{path}{reach}").parse().ok())
}

proptest! {
    #[test]
    fn what_the_smaller_lets_in_the_larger_lets_in(
        own in any_pattern(), other in any_pattern(), third in any_pattern(), value in any_value()
    ) {
        prop_assert!(own.is_within(&own));
        if own.is_within(&other) {
            prop_assert!(!own.lets(&value) || other.lets(&value), "{own} {other} {value}");
            prop_assert!(!other.is_within(&third) || own.is_within(&third), "{own} {other} {third}");
        }
        // Whatever holds it is known without looking at all patterns that there are.
        prop_assert!(!own.lets(&value) || SinkPattern::around(&value).contains(&own), "{own} {value}");
        prop_assert!(own == other || !own.is_within(&other) || own.above().contains(&other), "{own} {other}");
        prop_assert!(own.above().iter().all(|wider| own.is_within(wider)), "{own}");
    }

    #[test]
    fn of_resources_as_well(
        own in any_resources(), other in any_resources(), third in any_resources(), value in any_path()
    ) {
        if own.is_within(&other) {
            prop_assert!(!own.lets(&value) || other.lets(&value), "{own} {other} {value}");
            prop_assert!(!other.is_within(&third) || own.is_within(&third), "{own} {other} {third}");
        }
        if own.only().is_none() && own.lets(&value) {
            prop_assert!(ResourcePattern::around(&value).contains(&own), "{own} {value}");
        }
        if own != other && own.is_within(&other) && other.only().is_none() {
            prop_assert!(own.above().contains(&other), "{own} {other}");
        }
        prop_assert!(own.above().iter().all(|wider| own.is_within(wider)), "{own}");
        prop_assert_eq!(own.to_string().parse::<ResourcePattern>(), Ok(own));
    }
}
