//! Strict validation knows types and not words: a misspelt `"reveiw"` would make a rule that never applies. So the
//! loader holds literals that are compared with an attribute against the words that it can hold: those of Carnet, and
//! those that the bundle itself declares (signals, data classes, tools).

use serde_json::Value;

use crate::catalogue::tool::Catalogue;
use crate::model::access::Effect;
use crate::model::facts::FitVerdict;
use crate::model::provenance::Provenance;
use crate::model::risk::Band;
use crate::model::sink::SinkKind;
use crate::policy::expression::{conditions, operation, parts};
use crate::risk::table::RiskTable;

/// The words that a bundle declares.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Declared<'a> {
    pub(in crate::policy) catalogue: &'a Catalogue,
    pub(in crate::policy) risk: &'a RiskTable,
}

/// The literals of the policy that no value of the attribute beside them ever equals, each with the attribute.
pub(in crate::policy) fn unknown(policy: &Value, declared: Declared<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (_, body) in conditions(policy) {
        walk(body, declared, &mut out);
    }
    out
}

fn walk(expr: &Value, declared: Declared<'_>, out: &mut Vec<(String, String)>) {
    if let Some(("==" | "!=" | "contains" | "containsAny" | "containsAll", operands)) = operation(expr) {
        compare(operands.get("left"), operands.get("right"), declared, out);
        compare(operands.get("right"), operands.get("left"), declared, out);
    }
    for part in parts(expr).unwrap_or_default() {
        walk(part, declared, out);
    }
}

fn compare(
    attribute: Option<&Value>,
    literal: Option<&Value>,
    declared: Declared<'_>,
    out: &mut Vec<(String, String)>,
) {
    let (Some(path), Some(literal)) = (attribute.and_then(path), literal) else { return };
    let Some(is_word) = vocabulary(&path, declared) else { return };
    let mut literals = Vec::new();
    strings(literal, &mut literals);
    out.extend(literals.into_iter().filter(|l| !is_word(l)).map(|l| (path.clone(), l.to_owned())));
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

type IsWord<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// What tells the words that an attribute can hold; `None` when it can hold any.
fn vocabulary<'a>(path: &str, Declared { catalogue, risk }: Declared<'a>) -> Option<IsWord<'a>> {
    Some(match path {
        // A name that somebody reports and that the table does not list weighs little; a rule about it is a misspelling, or
        // wants a weight of its own.
        "context.risk.signals" => Box::new(|word| risk.listed(word).is_some()),
        "resource.data_classes"
        | "resource.sensitive"
        | "context.call.data_classes"
        | "context.session.carries"
        | "context.ceiling.sensitive" => Box::new(|word| catalogue.declares(word)),
        "context.call.conflicts" => Box::new(|word| catalogue.tools().any(|tool| tool.name.as_str() == word)),
        _ => {
            let words = closed(path)?;
            Box::new(move |word| words.contains(&word))
        }
    })
}

/// The words of Carnet's own.
fn closed(path: &str) -> Option<Vec<&'static str>> {
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
        "context.outcome" => vec!["step_up", "review"],
        "context.caller.authentication" => vec!["x509_svid", "jwt_svid"],
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
