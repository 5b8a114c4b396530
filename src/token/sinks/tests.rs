//! What a call carries in a sink, in its arrangement.

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

fn flat(values: &[SinkValue], out: &mut Vec<String>) {
    for value in values {
        match value {
            SinkValue::Absent => {}
            SinkValue::One(text) => out.push(text.clone()),
            SinkValue::Many(items) => flat(items, out),
        }
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
    /// What is bound is at least what was judged: no value that policy saw is missing from the token.
    #[test]
    fn every_value_that_is_judged_is_bound(inner in json(), name in prop_oneof![Just("a"), Just("a.b"), Just("b.a.b")]) {
        let arguments = Json::parse(&format!("{{\"a\":{inner},\"b\":{{\"a\":{inner}}}}}"), 1 << 20).unwrap();
        let spec = SinkSpec { name: name.into(), kind: SinkKind::Other };
        let mut bound = Vec::new();
        flat(&carried(&spec, &arguments).unwrap(), &mut bound);
        let mut rest = bound.iter();
        for judged in spec.values(&arguments).unwrap() {
            prop_assert!(rest.any(|b| *b == judged), "{judged} of {} in {bound:?}", arguments.to_text());
        }
    }

    #[test]
    fn what_is_written_is_read_again(inner in json()) {
        let arguments = Json::parse(&format!("{{\"a\":{inner}}}"), 1 << 20).unwrap();
        let values = carried(&SinkSpec { name: "a".into(), kind: SinkKind::Other }, &arguments).unwrap();
        let text = serde_json::to_string(&values).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<SinkValue>>(&text).unwrap(), values);
    }
}
