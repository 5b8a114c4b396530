//! Where sinks are found, and which spellings are one value.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

fn values(name: &str, kind: SinkKind, arguments: &str) -> Result<Vec<String>, SinkError> {
    SinkSpec { name: name.into(), kind }.values(&Json::parse(arguments, 4096).unwrap())
}

#[test]
fn values_are_found_through_arrays_and_members() {
    let args = r#"{"to":["A@X.test"," b@y.test "],"f":[{"id":7},{"id":"8"},{}],"a.b":"dotted","e":"","n":null}"#;
    assert_eq!(values("to", SinkKind::Address, args).unwrap(), ["A@x.test", "b@y.test"]);
    assert_eq!(values("f.id", SinkKind::Id, args).unwrap(), ["7", "8"]);
    assert_eq!(values("a.b", SinkKind::Id, args).unwrap(), ["dotted"]);
    let both = r#"{"a.b":"shown","a":{"b":"used"}}"#;
    assert_eq!(values("a.b", SinkKind::Id, both).unwrap(), ["shown", "used"], "neither hides the other");
    for absent in ["e", "n", "zz", "f.zz"] {
        assert!(values(absent, SinkKind::Id, args).unwrap().is_empty(), "{absent}");
    }
}

#[test]
fn a_value_where_the_path_would_go_on_is_judged() {
    let args = r#"{"to":["A@X.test"," b@y.test "],"f":[{"id":7},{"id":"8"},{}]}"#;
    assert_eq!(values("to.x", SinkKind::Address, args).unwrap(), ["A@x.test", "b@y.test"]);
    assert_eq!(values("f.id.x", SinkKind::Id, args).unwrap(), ["7", "8"]);
    assert_eq!(values("f.id", SinkKind::Id, r#"{"f":["payroll"]}"#).unwrap(), ["payroll"]);
    assert!(values("f.n", SinkKind::Amount, r#"{"f":"all of it"}"#).is_err());
}

#[test]
fn an_object_where_a_value_is_due_is_judged_as_its_text() {
    assert_eq!(values("to", SinkKind::Id, r#"{"to":{"id":1}}"#).unwrap(), [r#"{"id":1}"#]);
}

#[test]
fn amounts_are_decimal_and_nothing_else() {
    assert_eq!(values("n", SinkKind::Amount, r#"{"n":10.50}"#).unwrap(), ["10.5"]);
    assert_eq!(values("n", SinkKind::Amount, r#"{"n":"10.5"}"#).unwrap(), ["10.5"]);
    assert!(values("n", SinkKind::Amount, r#"{"n":"ten"}"#).is_err());
    assert!(values("n", SinkKind::Amount, r#"{"n":true}"#).is_err());
}

#[test]
fn white_space_is_what_everybody_calls_so() {
    let args = "{\"to\":[\"\\t a@x.test\\r\\n\",\"\u{a0}a@x.test\",\"\u{feff}a@x.test\",\"\\u000ba@x.test\"],\"n\":\"\u{a0}1\"}";
    let read = values("to", SinkKind::Address, args).unwrap();
    assert_eq!(read, ["a@x.test", "\u{a0}a@x.test", "\u{feff}a@x.test", "\u{b}a@x.test"]);
    assert!(values("n", SinkKind::Amount, args).is_err());
}

#[test]
fn other_kinds_merge_nothing() {
    assert_eq!(values("p", SinkKind::Path, r#"{"p":"/A/../b "}"#).unwrap(), ["/A/../b "]);
}

#[test]
fn too_long_and_too_many_are_errors() {
    let long = format!(r#"{{"p":"{}"}}"#, "x".repeat(SINK_VALUE_BYTES_MAX + 1));
    let spec = SinkSpec { name: "p".into(), kind: SinkKind::Other };
    assert!(matches!(spec.values(&Json::parse(&long, usize::MAX).unwrap()), Err(SinkError::TooLong { .. })));
    let many = format!(r#"{{"p":[{}1]}}"#, "1,".repeat(SINK_VALUES_MAX));
    assert!(matches!(spec.values(&Json::parse(&many, usize::MAX).unwrap()), Err(SinkError::TooMany)));
}
