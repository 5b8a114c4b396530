//! The schema of a tool's arguments, as far as it says where something goes: references inside of it are followed, and formats
//! (`uri`, `email`, …) name sinks whatever an argument is called. What is not followed is told.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::infer::sinks;
use crate::model::access::Effect;
use crate::model::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX, NAME_BYTES_MAX};
use crate::model::sink::{SinkKind, SinkSpec};

/// A schema without references, and what was not followed in it.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) value: Value,
    /// Of the whole, and of each of its alternatives.
    arguments: Value,
    required: Vec<String>,
    pub(super) marks: Vec<String>,
}

impl Schema {
    /// Follows the references inside of a schema.
    pub(super) fn of(root: &Value) -> Self {
        let mut walk = Inlining { root, left: JSON_VALUES_MAX, marks: Vec::new() };
        let value = walk.inline(root, JSON_DEPTH_MAX);
        let mut marks = walk.marks;
        let mut given = Given::default();
        given.by(&value, JSON_DEPTH_MAX);
        if given.has_others {
            marks.push("takes arguments that its schema does not list".to_owned());
        }
        if given.has_more {
            marks.push(format!(
                "has an argument with more than {ALTERNATIVES_MAX} schemas, and the others are not followed"
            ));
        }
        marks.sort();
        marks.dedup();
        let argument = |mut schemas: Vec<Value>| match schemas.len() {
            1 => schemas.remove(0),
            _ => json!({ "anyOf": schemas }),
        };
        let arguments = given.arguments.into_iter().map(|(name, schemas)| (name, argument(schemas))).collect();
        Self { value, arguments: Value::Object(arguments), required: given.required, marks }
    }

    /// The schemas of its arguments, by name; nothing where it lists none, whatever else it says.
    pub(super) const fn arguments(&self) -> &Value {
        &self.arguments
    }

    /// True when it takes any argument.
    pub(super) fn takes_any(&self) -> bool {
        self.arguments().as_object().is_some_and(|members| !members.is_empty())
    }

    /// The arguments that must be given, in whatever alternative.
    pub(super) fn required(&self) -> &[String] {
        &self.required
    }

    /// The sinks that formats name. Of a read, what leads outside or names one object: whom a search looks for is neither.
    pub(super) fn formatted(&self, effect: Effect) -> Vec<SinkSpec> {
        let mut out = Vec::new();
        formatted(&self.value, "", JSON_DEPTH_MAX, &mut out);
        out.retain(|sink| effect != Effect::Read || matches!(sink.kind, SinkKind::Url | SinkKind::Id));
        out
    }

    /// What no rule looks at, of arguments that could say where something goes and are none of these sinks.
    pub(super) fn unseen(&self, sinks: &[SinkSpec]) -> Vec<String> {
        let mut out = Vec::new();
        for (name, argument) in self.arguments.as_object().into_iter().flatten() {
            unseen(argument, name, sinks, JSON_DEPTH_MAX, &mut out);
        }
        out.sort();
        out.dedup();
        out.truncate(UNSEEN_MAX);
        out
    }
}

/// What is given to a tool, gathered from its schema and from the alternatives of it.
#[derive(Debug, Default)]
struct Given {
    arguments: BTreeMap<String, Vec<Value>>,
    required: Vec<String>,
    has_others: bool,
    has_more: bool,
}

impl Given {
    fn by(&mut self, schema: &Value, depth: usize) {
        let Some(left) = depth.checked_sub(1) else { return };
        for (name, argument) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let known = self.arguments.entry(name.clone()).or_default();
            // What is no schema says nothing, and stands for no other keyword.
            let argument = if argument.is_object() { argument.clone() } else { json!({}) };
            if known.len() >= ALTERNATIVES_MAX {
                self.has_more = true;
            } else if !known.contains(&argument) {
                known.push(argument);
            }
        }
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        self.required.extend(names.filter_map(Value::as_str).map(str::to_owned));
        self.has_others |= takes_others(schema);
        options(schema).for_each(|option| self.by(option, left));
    }
}

/// The schemas of which one applies.
fn options(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(move |word| schema.get(word)?.as_array()).flatten()
}

fn takes_others(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false))
}

/// The schemas of the items of an array: of all, and of the first ones.
fn items(schema: &Value) -> impl Iterator<Item = &Value> {
    ["items", "prefixItems"].into_iter().filter_map(move |word| schema.get(word)).flat_map(|items| match items {
        Value::Array(each) => each.as_slice(),
        all => std::slice::from_ref(all),
    })
}

fn unseen(schema: &Value, path: &str, sinks: &[SinkSpec], depth: usize, out: &mut Vec<String>) {
    let Some(left) = depth.checked_sub(1).filter(|_| out.len() < UNSEEN_MAX) else { return };
    let shown = path.escape_debug();
    let is_choice = schema.get("enum").is_some() || schema.get("const").is_some();
    let says_where = path.rsplit('.').next().is_some_and(sinks::says_where);
    if is_choice && says_where && !sinks.iter().any(|sink| sink.name == path) {
        out.push(format!("its argument `{shown}` takes what its schema lists, and so is no sink"));
    }
    if takes_others(schema) {
        out.push(format!("its argument `{shown}` takes members that its schema does not list"));
    }
    options(schema).chain(items(schema)).for_each(|inner| unseen(inner, path, sinks, left, out));
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if path.split('.').count() >= sinks::DEPTH_MAX {
            out.push(format!("what is below its argument `{shown}` is looked at for its formats alone"));
            return;
        }
        unseen(member, &format!("{path}.{name}"), sinks, left, out);
    }
}

/// Most schemas of one argument, in the alternatives of a tool's.
const ALTERNATIVES_MAX: usize = 64;
/// Most of what no rule looks at that is told of one tool.
const UNSEEN_MAX: usize = 16;

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
                // What is asked for under a condition can be given.
                "if" | "then" | "else" => {
                    let schema = self.inline(value, depth - 1);
                    merge(json!({ "anyOf": [schema] }), &mut out);
                }
                "dependentSchemas" => {
                    let schemas = value.as_object().into_iter().flatten();
                    let schemas: Vec<Value> = schemas.map(|(_, schema)| self.inline(schema, depth - 1)).collect();
                    merge(json!({ "anyOf": schemas }), &mut out);
                }
                "patternProperties" | "$dynamicRef" | "$recursiveRef" => {
                    self.marks.push(format!("has `{name}`, which is not followed"));
                }
                _ => merge(Value::Object(Map::from_iter([(name.clone(), self.inline(value, depth - 1))])), &mut out),
            }
        }
        Value::Object(out)
    }
}

/// Puts the members of a schema beside those that are there: properties, alternatives and what is required add up, else the
/// first stays.
fn merge(from: Value, into: &mut Map<String, Value>) {
    let Value::Object(from) = from else { return };
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => drop(into.insert(name, value)),
            (Some(Value::Object(there)), Value::Object(more)) if name == "properties" => {
                for (name, schema) in more {
                    match there.get_mut(&name) {
                        Some(Value::Object(known)) => merge(schema, known),
                        Some(_) => {}
                        None => drop(there.insert(name, schema)),
                    }
                }
            }
            (Some(Value::Array(there)), Value::Array(more))
                if matches!(name.as_str(), "required" | "anyOf" | "oneOf") =>
            {
                there.extend(more);
            }
            _ => {}
        }
    }
}

fn formatted(schema: &Value, path: &str, depth: usize, out: &mut Vec<SinkSpec>) {
    if depth == 0 {
        return;
    }
    options(schema).chain(items(schema)).for_each(|inner| formatted(inner, path, depth - 1, out));
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
pub(super) fn unnameable(arguments: &Value) -> Vec<String> {
    let members = arguments.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !is_path(name) || name.contains('.'))
        .map(|(name, _)| name.escape_debug().to_string())
        .collect()
}

#[cfg(test)]
mod tests;
