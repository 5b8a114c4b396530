//! The schema of a tool's arguments, as far as it says where something goes: references inside of it are followed, and formats
//! (`uri`, `email`, …) name sinks whatever an argument is called. What is not followed is told.

use serde_json::{Map, Value};

use crate::model::access::Effect;
use crate::model::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX, NAME_BYTES_MAX};
use crate::model::sink::{SinkKind, SinkSpec};

/// A schema without references, and what was not followed in it.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) value: Value,
    pub(super) marks: Vec<String>,
}

impl Schema {
    /// Follows the references inside of a schema.
    pub(super) fn of(root: &Value) -> Self {
        let mut walk = Inlining { root, left: JSON_VALUES_MAX, marks: Vec::new() };
        let value = walk.inline(root, JSON_DEPTH_MAX);
        let mut marks = walk.marks;
        if root.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false)) {
            marks.push("takes arguments that its schema does not list".to_owned());
        }
        marks.sort();
        marks.dedup();
        Self { value, marks }
    }

    /// The schemas of its arguments, by name; nothing where it lists none, whatever else it says.
    pub(super) fn arguments(&self) -> &Value {
        self.value.get("properties").unwrap_or(&Value::Null)
    }

    /// True when it takes any argument.
    pub(super) fn takes_any(&self) -> bool {
        self.arguments().as_object().is_some_and(|members| !members.is_empty())
    }

    /// The arguments that must be given.
    pub(super) fn required(&self) -> Vec<String> {
        let names = self.value.get("required").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The sinks that formats name. Of a read, what leads outside or names one object: whom a search looks for is neither.
    pub(super) fn formatted(&self, effect: Effect) -> Vec<SinkSpec> {
        let mut out = Vec::new();
        formatted(&self.value, "", JSON_DEPTH_MAX, &mut out);
        out.retain(|sink| effect != Effect::Read || matches!(sink.kind, SinkKind::Url | SinkKind::Id));
        out
    }
}

struct Inlining<'a> {
    root: &'a Value,
    left: usize,
    marks: Vec<String>,
}

impl Inlining<'_> {
    fn inline(&mut self, value: &Value, depth: usize) -> Value {
        if depth == 0 || self.left == 0 {
            self.marks.push("is nested or refers to itself too deeply to be followed".to_owned());
            return Value::Object(Map::new());
        }
        self.left -= 1;
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| self.inline(item, depth - 1)).collect()),
            Value::Object(members) => self.object(members, depth),
            plain => plain.clone(),
        }
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Value {
        let mut out = Map::new();
        for (name, value) in members {
            match name.as_str() {
                "$defs" | "definitions" | "$schema" => {}
                // Names of arguments mean nothing here: one that is called `definitions` is an argument all the same.
                "properties" => {
                    let arguments = value.as_object().into_iter().flatten();
                    let arguments = arguments.map(|(name, schema)| (name.clone(), self.inline(schema, depth - 1)));
                    let arguments = Value::Object(arguments.collect());
                    merge(Value::Object(Map::from_iter([(name.clone(), arguments)])), &mut out);
                }
                // Values, which are no schemas.
                "enum" | "const" | "default" | "examples" => drop(out.insert(name.clone(), value.clone())),
                "$ref" => {
                    let path = value.as_str().and_then(|reference| reference.strip_prefix('#'));
                    match path.and_then(|path| self.root.pointer(path)) {
                        Some(target) => merge(self.inline(target, depth - 1), &mut out),
                        None => self.marks.push("refers to a schema that is not in it".to_owned()),
                    }
                }
                "allOf" => {
                    for part in value.as_array().into_iter().flatten() {
                        merge(self.inline(part, depth - 1), &mut out);
                    }
                }
                "patternProperties" | "if" | "dependentSchemas" => {
                    self.marks.push(format!("has `{name}`, which is not followed"));
                }
                _ => merge(Value::Object(Map::from_iter([(name.clone(), self.inline(value, depth - 1))])), &mut out),
            }
        }
        Value::Object(out)
    }
}

/// Puts the members of a schema beside those that are there: properties and what is required add up, else the first stays.
fn merge(from: Value, into: &mut Map<String, Value>) {
    let Value::Object(from) = from else { return };
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => drop(into.insert(name, value)),
            (Some(Value::Object(there)), Value::Object(more)) if name == "properties" => {
                for (name, schema) in more {
                    there.entry(name).or_insert(schema);
                }
            }
            (Some(Value::Array(there)), Value::Array(more)) if name == "required" => there.extend(more),
            _ => {}
        }
    }
}

fn formatted(schema: &Value, path: &str, depth: usize, out: &mut Vec<SinkSpec>) {
    if depth == 0 {
        return;
    }
    for word in ["anyOf", "oneOf"] {
        let options = schema.get(word).and_then(Value::as_array);
        options.into_iter().flatten().for_each(|option| formatted(option, path, depth - 1, out));
    }
    if let Some(items) = schema.get("items") {
        formatted(items, path, depth - 1, out);
    }
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        formatted(member, &at, depth - 1, out);
    }
    let kind = schema.get("format").and_then(Value::as_str).and_then(kind_of);
    if let Some(kind) = kind.filter(|_| is_path(path) && !out.iter().any(|sink| sink.name == path)) {
        out.push(SinkSpec { name: path.to_owned(), kind });
    }
}

/// The formats of JSON Schema (draft 2020-12, validation §7.3) that say where something goes.
fn kind_of(format: &str) -> Option<SinkKind> {
    Some(match format {
        "uri" | "uri-reference" | "uri-template" | "iri" | "iri-reference" | "url" => SinkKind::Url,
        "hostname" | "idn-hostname" | "ipv4" | "ipv6" => SinkKind::Url,
        "email" | "idn-email" => SinkKind::Address,
        "uuid" => SinkKind::Id,
        _ => return None,
    })
}

/// True when a catalogue can name it.
pub(super) fn is_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= NAME_BYTES_MAX
        && path.split('.').all(|part| !part.is_empty())
        && !path.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Names of arguments that no catalogue can name, and that could so be no sinks.
pub(super) fn unnameable(schema: &Value) -> Vec<String> {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    members
        .filter(|(name, _)| !is_path(name) || name.contains('.'))
        .map(|(name, _)| name.escape_debug().to_string())
        .collect()
}
