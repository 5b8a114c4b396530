//! However a schema says what is given to a tool, what decides where something goes is found, or it is told that it was not looked for.

use serde_json::{Value, json};

use crate::infer::mcp::tests::{proposal, sinks};
use crate::model::sink::SinkKind;

/// Each row: a schema of the argument `a`, or of the tool where it lists properties itself, and the sinks of a tool that sends.
#[test]
fn sinks_are_found_below_whatever_a_schema_is_made_of() {
    use SinkKind::{Address, Amount, Id, Url};
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "number" }));
    let person = json!({ "type": "object", "properties": { "email": text, "amount": { "type": "number" } } });
    let both = vec![("a.amount", Amount), ("a.email", Address)];
    let one = |name: &str, schema: &Value| json!({ "properties": { name: schema } });
    let rows = [
        ("an object", one("a", &person), both.clone()),
        ("an array of objects", one("a", &json!({ "type": "array", "items": person })), both.clone()),
        ("an array of arrays", one("a", &json!({ "type": "array", "items": { "items": person } })), both.clone()),
        ("a tuple", one("a", &json!({ "type": "array", "prefixItems": [text, person] })), both.clone()),
        ("an older tuple", one("a", &json!({ "type": "array", "items": [text, person] })), both.clone()),
        ("one that may be null", one("a", &json!({ "type": ["array", "null"], "items": person })), both.clone()),
        ("null or it", one("a", &json!({ "anyOf": [{ "type": "null" }, person] })), both.clone()),
        ("an array of alternatives", one("a", &json!({ "items": { "oneOf": [text, person] } })), both.clone()),
        (
            "alternatives in alternatives",
            one("a", &json!({ "oneOf": [{ "anyOf": [{ "type": "null" }, { "allOf": [person] }] }, text] })),
            both.clone(),
        ),
        (
            "alternatives that only say what must be given",
            one(
                "a",
                &json!({ "type": "object", "properties": { "email": text, "amount": { "type": "number" } },
                "anyOf": [{ "required": ["email"] }, { "required": ["amount"] }] }),
            ),
            both.clone(),
        ),
        (
            "alternatives beside members",
            one(
                "a",
                &json!({ "type": "object", "properties": { "email": text },
                "oneOf": [{ "properties": { "amount": { "type": "integer" } } }] }),
            ),
            both.clone(),
        ),
        (
            "two lists of alternatives",
            one("a", &json!({ "allOf": [{ "anyOf": [one("email", &text)] }, { "anyOf": [one("amount", &number)] }] })),
            both.clone(),
        ),
        (
            "a condition",
            one("a", &json!({ "if": one("email", &text), "then": one("amount", &number), "else": one("url", &text) })),
            vec![("a.amount", Amount), ("a.email", Address), ("a.url", Url)],
        ),
        (
            "what depends on others",
            one("a", &json!({ "dependentSchemas": { "email": one("amount", &number), "x": one("email", &text) } })),
            both.clone(),
        ),
        (
            "definitions that refer to definitions",
            json!({ "$defs": { "P": person, "Q": { "type": ["array", "null"], "items": { "$ref": "#/$defs/P" } } },
                "properties": { "a": { "anyOf": [{ "$ref": "#/$defs/Q" }, { "type": "null" }] } } }),
            both.clone(),
        ),
        (
            "what two parts say of one argument",
            json!({ "allOf": [one("a", &text), one("a", &json!({ "format": "uri" }))] }),
            vec![("a", Url)],
        ),
        (
            "alternatives of the whole",
            json!({ "type": "object", "properties": { "url": text }, "oneOf": [
                { "properties": { "kind": { "const": "mail" }, "email": text } },
                { "properties": { "kind": { "const": "file" }, "a": { "oneOf": [text, one("file_id", &text)] } } }
            ] }),
            vec![("a.file_id", Id), ("email", Address), ("url", Url)],
        ),
        (
            "one argument in two alternatives",
            json!({ "oneOf": [one("a", &text), one("a", &one("email", &text))] }),
            vec![("a.email", Address)],
        ),
        (
            "what is listed, or anything",
            one("email", &json!({ "anyOf": [{ "enum": ["x"] }, text] })),
            vec![("email", Address)],
        ),
        ("what is listed", one("email", &json!({ "type": "string", "enum": ["x"] })), vec![]),
        ("what is fixed", one("a", &json!({ "type": "array", "items": { "const": "x" } })), vec![]),
        (
            "what is no schema",
            json!({ "properties": { "type": "object", "properties": {}, "email": text } }),
            vec![("email", Address)],
        ),
    ];
    for (name, schema, expected) in rows {
        let found = sinks(&json!({ "name": "send_it", "inputSchema": schema }));
        let expected: Vec<_> = expected.into_iter().map(|(sink, kind)| (sink.to_owned(), kind)).collect();
        assert_eq!(found, expected, "{name}: {schema}");
    }
}

#[test]
fn what_must_be_given_in_an_alternative_may_say_whom_it_hits() {
    use SinkKind::Other;
    let of = |schema: Value| sinks(&json!({ "name": "send_it", "inputSchema": schema }));
    let whom = json!({ "whom": { "type": "string" } });
    let other = |name: &str| vec![(name.to_owned(), Other)];
    assert_eq!(of(json!({ "properties": whom })), []);
    assert_eq!(of(json!({ "properties": whom, "anyOf": [{ "required": ["whom"] }] })), other("whom"));
    assert_eq!(of(json!({ "anyOf": [{ "properties": whom, "required": ["whom"] }, {}] })), other("whom"));
    let items = json!({ "type": "array", "items": { "properties": whom, "required": ["whom"] } });
    assert_eq!(of(json!({ "required": ["a"], "properties": { "a": items } })), other("a.whom"));
    assert_eq!(of(json!({ "properties": { "a": items } })), [], "of what need not be given nothing must be");
}

/// However a schema branches, looking at it comes to an end, and what was not looked at is told.
#[test]
fn a_schema_is_followed_only_so_far_and_says_so() {
    let nested = |wrap: &dyn Fn(Value) -> Value, times: usize| {
        (0..times)
            .fold(json!({ "type": "object", "properties": { "email": { "type": "string" } } }), |inner, _| wrap(inner))
    };
    let object = |inner: Value| json!({ "type": "object", "properties": { "a": inner } });
    let within = json!({ "name": "send_it", "inputSchema": nested(&object, 3) });
    assert_eq!(sinks(&within).len(), 1);
    let below = json!({ "name": "send_it", "inputSchema": nested(&object, 4) });
    assert_eq!(sinks(&below), []);
    let marks = proposal(&below).marks;
    assert!(marks.iter().any(|mark| mark.contains("`a.a.a.a` is looked at for its formats alone")), "{marks:?}");
    // Each refers to the next one twice: as many paths as there are in no schema.
    let mut defs = serde_json::Map::new();
    for n in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
        defs.insert(format!("d{n}"), json!({ "anyOf": [next, { "properties": { "a": next } }] }));
    }
    let tree =
        json!({ "name": "send_it", "inputSchema": { "$defs": defs, "properties": { "x": { "$ref": "#/$defs/d0" } } } });
    let marks = proposal(&tree).marks;
    assert!(marks.iter().any(|mark| mark.contains("too deeply")), "{marks:?}");
    let many: Vec<Value> = (0..200).map(|n| json!({ "properties": { "to": { "title": n.to_string() } } })).collect();
    let marks = proposal(&json!({ "name": "send_it", "inputSchema": { "oneOf": many } })).marks;
    assert!(marks.iter().any(|mark| mark.contains("more than 64 schemas")), "{marks:?}");
}
