//! The schema of the Cedar model. A bundle brings its own copy, which may declare less than what this version fills
//! in (as a bundle of an earlier version does) and nothing else; so a policy that passes strict validation never
//! meets a missing attribute.

use cedar_policy::{Schema, SchemaFragment};
use serde_json::Value;

/// The schema that this version fills in: the shipped one.
pub(in crate::policy) const SHIPPED: &str = include_str!("../../deploy/policy/schema.cedarschema");

/// Reads a bundle's schema and holds it against the shipped one.
///
/// # Errors
/// Every problem, in words.
pub(in crate::policy) fn read(text: &str) -> Result<Schema, Vec<String>> {
    let declared = as_json(text).map_err(|e| vec![e])?;
    let known = as_json(SHIPPED).map_err(|e| vec![e])?;
    let mut problems = Vec::new();
    for (namespace, content) in declared.as_object().into_iter().flatten() {
        match known.get(namespace) {
            Some(ours) => within(content, ours, "", &mut problems),
            None => problems.push(format!("namespace `{namespace}` is not known")),
        }
    }
    let schema = Schema::from_cedarschema_str(text).map(|(schema, _)| schema).map_err(|e| vec![in_words(&e)])?;
    if problems.is_empty() { Ok(schema) } else { Err(problems) }
}

fn as_json(text: &str) -> Result<Value, String> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(text).map_err(|e| in_words(&e))?;
    fragment.to_json_value().map_err(|e| in_words(&e))
}

/// Everything that is declared must stand in ours; an attribute must be as certain there as here.
fn within(declared: &Value, ours: &Value, at: &str, problems: &mut Vec<String>) {
    match (declared, ours) {
        (Value::Object(declared), Value::Object(known)) => {
            for (name, value) in declared.iter().filter(|(name, _)| *name != "annotations") {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                match known.get(name) {
                    Some(ours) => within(value, ours, &at, problems),
                    None => problems.push(format!("`{at}` is not known to this version")),
                }
            }
            let required =
                |of: &serde_json::Map<String, Value>| of.get("required").and_then(Value::as_bool).unwrap_or(true);
            if required(declared) && !required(known) {
                problems.push(format!("`{at}` is not always there and must be optional"));
            }
        }
        (Value::Array(declared), Value::Array(known)) => {
            for value in declared.iter().filter(|v| !known.contains(v)) {
                problems.push(format!("`{at}` names {value}, which it does not have in this version"));
            }
        }
        (declared, ours) if declared == ours => {}
        (declared, ours) => problems.push(format!("`{at}` is {declared} and should be {ours}")),
    }
}

/// The sentence of an error and of its causes, on one line.
pub(in crate::policy) fn in_words(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !out.contains(&more) {
            out.push_str(": ");
            out.push_str(&more);
        }
        cause = e.source();
    }
    out.replace('\n', " ")
}

#[cfg(test)]
mod tests;
