//! Strict validation knows types and not words: a misspelt `"reveiw"` would make a rule that never applies. So the
//! loader holds literals that are compared with an attribute of a closed vocabulary against that vocabulary.

use serde_json::Value;

use crate::model::access::Effect;
use crate::model::facts::FitVerdict;
use crate::model::provenance::Provenance;
use crate::model::risk::Band;
use crate::model::sink::SinkKind;
use crate::policy::monotone::conditions;

/// The literals of the policy that no value of the attribute beside them ever equals, each with the attribute.
pub(in crate::policy) fn unknown(policy: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (_, body) in conditions(policy) {
        walk(body, &mut out);
    }
    out
}

fn walk(expr: &Value, out: &mut Vec<(String, String)>) {
    match expr {
        Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
        Value::Object(members) => {
            for (operator, operands) in members {
                if matches!(operator.as_str(), "==" | "!=" | "contains" | "containsAny" | "containsAll") {
                    compare(operands.get("left"), operands.get("right"), out);
                    compare(operands.get("right"), operands.get("left"), out);
                }
                if operator != "Value" {
                    walk(operands, out);
                }
            }
        }
        _ => {}
    }
}

fn compare(attribute: Option<&Value>, literal: Option<&Value>, out: &mut Vec<(String, String)>) {
    let (Some(path), Some(literal)) = (attribute.and_then(path), literal) else { return };
    let Some(words) = vocabulary(&path) else { return };
    let mut literals = Vec::new();
    strings(literal, &mut literals);
    out.extend(literals.into_iter().filter(|l| !words.contains(l)).map(|l| (path.clone(), l.to_owned())));
}

/// `context.call.ceiling` for the expression that reads it.
fn path(expr: &Value) -> Option<String> {
    if let Some(variable) = expr.get("Var").and_then(Value::as_str) {
        return Some(variable.to_owned());
    }
    let access = expr.get(".")?;
    Some(format!("{}.{}", path(access.get("left")?)?, access.get("attr")?.as_str()?))
}

/// The strings of a literal, or of a set of literals.
fn strings<'a>(expr: &'a Value, out: &mut Vec<&'a str>) {
    if let Some(value) = expr.get("Value") {
        match value {
            Value::String(s) => out.push(s),
            Value::Array(items) => out.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    if let Some(items) = expr.get("Set").and_then(Value::as_array) {
        items.iter().for_each(|item| strings(item, out));
    }
}

fn vocabulary(path: &str) -> Option<Vec<&'static str>> {
    Some(match path {
        "resource.effect" | "context.ceiling.effects" => Effect::ALL.map(Effect::as_str).to_vec(),
        "resource.sink_kinds"
        | "context.sinks.text"
        | "context.sinks.unseen"
        | "context.sinks.undeclared"
        | "context.sinks.beside_intent" => SINK_KINDS.map(SinkKind::as_str).to_vec(),
        "context.sinks.worst" => Provenance::ALL.map(Provenance::as_str).to_vec(),
        "context.risk.reached" => Band::ALL.map(Band::as_str).to_vec(),
        "context.call.ceiling" => vec!["undeclared", "within", "outside"],
        "context.call.intent_fit" => {
            [FitVerdict::Implied, FitVerdict::Silent, FitVerdict::NotImplied].map(FitVerdict::as_str).to_vec()
        }
        "context.question" => vec!["request", "retain"],
        "context.agent_class" => vec!["ai_agent", "service_account"],
        "context.caller.profile_changes" => vec!["model", "prompt", "corpus", "tools"],
        _ => return None,
    })
}

const SINK_KINDS: [SinkKind; 7] = [
    SinkKind::Address,
    SinkKind::Account,
    SinkKind::Url,
    SinkKind::Path,
    SinkKind::Id,
    SinkKind::Amount,
    SinkKind::Other,
];

#[cfg(test)]
mod tests;
