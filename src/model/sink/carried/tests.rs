//! What a call carries in a sink, in its arrangement.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::*;
use crate::model::sink::SinkKind;

fn carries(name: &str, kind: SinkKind, arguments: &str) -> String {
    let spec = SinkSpec { name: name.into(), kind };
    match carried(&spec, &Json::parse(arguments, 1 << 20).unwrap()) {
        Ok(values) => serde_json::to_string(&values).unwrap(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_arrangement_of_values_is_kept() {
    for (name, arguments, expected) in [
        ("to", r#"{"to":"a"}"#, r#"["a"]"#),
        ("to", r#"{"to":["a"]}"#, r#"["a"]"#),
        ("to", r#"{"to":["a","b"]}"#, r#"["a","b"]"#),
        ("to", r#"{"to":["b","a"]}"#, r#"["b","a"]"#),
        ("to", "{}", "[]"),
        ("to", r#"{"to":null}"#, "[]"),
        ("to", r#"{"to":""}"#, "[]"),
        ("to", r#"{"to":[]}"#, "[]"),
        ("to", r#"{"to":["",null,[]]}"#, "[]"),
        ("to", r#"{"to":["a",""]}"#, r#"["a",null]"#),
        ("to", r#"{"to":7}"#, r#"["7"]"#),
        ("to", r#"{"to":true}"#, r#"["true"]"#),
        ("to", r#"{"to":{"x":1}}"#, r#"["{\"x\":1}"]"#),
        ("p.to", r#"{"p":[{"to":"a"},{"to":["b","c"]}]}"#, r#"["a",["b","c"]]"#),
        ("p.to", r#"{"p":[{"to":["a","b"]},{"to":"c"}]}"#, r#"[["a","b"],"c"]"#),
        ("p.to", r#"{"p":[{"to":"a"},{"x":1},{"to":"c"}]}"#, r#"["a",null,"c"]"#),
        ("p.to", r#"{"p":[{"x":1},{"x":1}]}"#, "[]"),
        ("p.to", r#"{"p.to":"a"}"#, r#"["a"]"#),
        ("p.to", r#"{"p.to":"a","p":{"to":"b"}}"#, r#"["a","b"]"#),
        ("p.to", r#"{"p":"a"}"#, r#"["a"]"#),
    ] {
        assert_eq!(carries(name, SinkKind::Other, arguments), expected, "{name} of {arguments}");
    }
}

#[test]
fn values_are_in_canonical_form() {
    assert_eq!(carries("n", SinkKind::Amount, r#"{"n":["10.50",1e1]}"#), r#"["10.5","10"]"#);
    assert_eq!(carries("n", SinkKind::Address, r#"{"n":" A@X.Test "}"#), r#"["A@x.test"]"#);
    assert_eq!(carries("n", SinkKind::Path, r#"{"n":"/A/../b "}"#), r#"["/A/../b "]"#);
    assert!(carries("n", SinkKind::Amount, r#"{"n":"ten"}"#).contains("no decimal number"));
}

#[test]
fn too_many_values_are_an_error_and_empty_places_are_not_counted() {
    let many = |n: usize| format!(r#"{{"p":[{}]}}"#, vec!["1"; n].join(","));
    assert!(carries("p", SinkKind::Id, &many(SINK_VALUES_MAX)).starts_with('['));
    assert!(carries("p", SinkKind::Id, &many(SINK_VALUES_MAX + 1)).contains("more than"));
    let empty = format!(r#"{{"p":[{}]}}"#, vec!["{}"; 1000].join(","));
    assert_eq!(carries("p.x", SinkKind::Id, &empty), "[]");
}

#[test]
fn a_member_that_some_reader_would_take_for_the_sink_is_refused() {
    let rows = [
        ("another case", "to", r#"{"to":"a","TO":"b"}"#),
        ("another case alone", "bcc", r#"{"Bcc":"b"}"#),
        ("the long s", "address", "{\"addre\u{17f}\u{17f}\":\"b\"}"),
        ("full width", "to", "{\"\u{ff54}\u{ff4f}\":\"b\"}"),
        ("another script", "to", "{\"t\u{43e}\":\"b\"}"),
        ("an invisible character", "to", "{\"t\u{200b}o\":\"b\"}"),
        ("white space", "to", r#"{" to":"b"}"#),
        ("the other way of joining words", "file_id", r#"{"fileId":"b"}"#),
        ("inside an object", "file.id", r#"{"file":{"ID":"b"}}"#),
        ("inside a list", "file.id", r#"{"file":[{"id":"a"},{"Id":"b"}]}"#),
        ("on the way", "file.id", r#"{"File":{"id":"b"}}"#),
        ("whole", "file.id", r#"{"File.ID":"b"}"#),
    ];
    for (name, sink, arguments) in rows {
        assert!(carries(sink, SinkKind::Other, arguments).contains("spelled"), "{name}: {arguments}");
    }
    for (sink, arguments) in [("to", r#"{"too":1,"t":2,"from":3}"#), ("file.id", r#"{"file_id":1,"id":2}"#)] {
        assert_eq!(carries(sink, SinkKind::Other, arguments), "[]", "{arguments}");
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("\"\"".into()),
        Just("\"v\"".into()),
        Just("7".into()),
        Just("true".into())
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let member = (prop_oneof![Just("a"), Just("b"), Just("a.b")], inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member, 0..3).prop_map(|members| {
                let mut distinct = std::collections::BTreeMap::new();
                distinct.extend(members);
                let members: Vec<_> = distinct.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// Nothing is judged that is not bound, and nothing bound that was not judged.
    #[test]
    fn what_is_judged_is_what_is_bound(inner in json(), name in prop_oneof![Just("a"), Just("a.b"), Just("b.a.b")]) {
        let arguments = Json::parse(&format!("{{\"a\":{inner},\"b\":{{\"a\":{inner}}}}}"), 1 << 20).unwrap();
        let spec = SinkSpec { name: name.into(), kind: SinkKind::Other };
        let mut bound = Vec::new();
        flat(carried(&spec, &arguments).unwrap(), &mut bound);
        prop_assert_eq!(spec.values(&arguments).unwrap(), bound, "{}", arguments.to_text());
    }

    #[test]
    fn what_is_written_is_read_again(inner in json()) {
        let arguments = Json::parse(&format!("{{\"a\":{inner}}}"), 1 << 20).unwrap();
        let values = carried(&SinkSpec { name: "a".into(), kind: SinkKind::Other }, &arguments).unwrap();
        let text = serde_json::to_string(&values).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<SinkValue>>(&text).unwrap(), values);
    }
}
