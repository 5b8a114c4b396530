//! The canonical form is that of RFC 8785, and the digest holds for the definition and not for how it was sent.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

fn canonical(json: &str) -> String {
    text(&Json::parse(json, usize::MAX).unwrap()).unwrap()
}

/// RFC 8785 §3.2.3 and appendix B.
#[test]
fn members_are_sorted_and_numbers_take_one_form() {
    let sent = r#"{"numbers":[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null, true, false]}"#;
    let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(sent), expected);
    assert_eq!(canonical(expected), expected);
    let names = "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}";
    assert_eq!(canonical(names), "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}");
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    let rows = [
        ("0", "0"),
        ("-0.0", "0"),
        ("1", "1"),
        ("-1.0", "-1"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("123456789012345680000", "123456789012345680000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-1.25e-7", "-1.25e-7"),
        ("5e-324", "5e-324"),
        ("9007199254740992", "9007199254740992"),
        ("10", "10"),
        ("12.5", "12.5"),
    ];
    for (sent, expected) in rows {
        assert_eq!(number(sent).as_deref(), Ok(expected), "{sent}");
    }
    assert!(number("1e400").is_err());
}

#[test]
fn the_digest_is_of_the_definition_and_not_of_its_spelling() {
    let of = |json: &str| digest(&Json::parse(json, usize::MAX).unwrap()).unwrap();
    let first = of(r#"{"name":"a","inputSchema":{"type":"object","maxProperties":2}}"#);
    // `printf '%s' '{"inputSchema":{"maxProperties":2,"type":"object"},"name":"a"}' | sha256sum`
    assert_eq!(first, "ea855b9d2cded7577b528f83aa4e182521df68785d51ee2a1fb4e04e0aada8c2");
    let respelled =
        r#"{ "inputSchema": {"maxProperties": 2.0, "type": "object"}, "_meta": {"at": 7}, "name": "\u0061" }"#;
    assert_eq!(of(respelled), first);
    for other in [
        r#"{"name":"a","inputSchema":{"type":"object","maxProperties":3}}"#,
        r#"{"name":"a","inputSchema":{"type":"object","maxProperties":2},"description":""}"#,
        r#"{"name":"a","inputSchema":{"type":"object","maxProperties":2},"later":true}"#,
    ] {
        assert_ne!(of(other), first, "{other}");
    }
}
