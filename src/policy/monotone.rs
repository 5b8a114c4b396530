//! Risk can only tighten: the checks by which the loader keeps it so. A permit may not read `context.risk`, nor the
//! context as a whole. A forbid may, where more risk can only make it apply: each test of risk must turn true, never
//! false, as risk grows. Works on Cedar's JSON form of a policy.

use serde_json::Value;

use super::expression::{conditions, operation, parts};

/// The member of the context that holds everything observed about risk.
const RISK: &str = "risk";

/// True when a condition of the policy reads risk, or could.
pub(in crate::policy) fn reads_risk(policy: &Value) -> bool {
    conditions(policy).any(|(_, body)| touches(body))
}

/// True when more risk can never make the policy's conditions false.
pub(in crate::policy) fn rises_with_risk(policy: &Value) -> bool {
    conditions(policy).all(|(kind, body)| match kind {
        "when" => rises(body, true),
        "unless" => rises(body, false),
        _ => false,
    })
}

fn is_context(expr: &Value) -> bool {
    expr.get("Var").and_then(Value::as_str) == Some("context")
}

/// True when the expression reads risk: `context.risk`, `context has risk`, or the context otherwise than by a named
/// member. What is not understood counts as reading it.
fn touches(expr: &Value) -> bool {
    if is_context(expr) {
        return true;
    }
    if let Some(("." | "has", operands)) = operation(expr)
        && operands.get("left").is_some_and(is_context)
    {
        return !names_another_member(operands.get("attr"));
    }
    parts(expr).is_none_or(|parts| parts.into_iter().any(touches))
}

/// True when an attribute of the context is named, and it is not risk. What is not a plain name counts as risk.
fn names_another_member(attr: Option<&Value>) -> bool {
    match attr {
        Some(Value::String(name)) => name != RISK,
        Some(Value::Array(path)) => path.first().and_then(Value::as_str).is_some_and(|name| name != RISK),
        _ => false,
    }
}

/// True when the expression can only go from false to true (`up`), or from true to false (not `up`), as risk grows.
fn rises(expr: &Value, up: bool) -> bool {
    if !touches(expr) {
        return true;
    }
    let Some((operator, operands)) = operation(expr) else { return false };
    let left = operands.get("left").unwrap_or(&Value::Null);
    let right = operands.get("right").unwrap_or(&Value::Null);
    match operator {
        "&&" | "||" => rises(left, up) && rises(right, up),
        "!" => rises(operands.get("arg").unwrap_or(&Value::Null), !up),
        "if-then-else" => {
            let part = |name| operands.get(name).unwrap_or(&Value::Null);
            !touches(part("if")) && rises(part("then"), up) && rises(part("else"), up)
        }
        ">" | ">=" => (is_score(left) && !touches(right) && up) || (is_score(right) && !touches(left) && !up),
        "<" | "<=" => (is_score(left) && !touches(right) && !up) || (is_score(right) && !touches(left) && up),
        "contains" | "containsAny" | "containsAll" => is_growing_set(left) && !touches(right) && up,
        "isEmpty" => is_growing_set(operands.get("arg").unwrap_or(&Value::Null)) && !up,
        _ => false,
    }
}

fn is_score(expr: &Value) -> bool {
    risk_member(expr) == Some("score")
}

/// The sets that only grow as risk does.
fn is_growing_set(expr: &Value) -> bool {
    matches!(risk_member(expr), Some("reached" | "signals"))
}

fn risk_member(expr: &Value) -> Option<&str> {
    let member = expr.get(".")?;
    let risk = member.get("left")?.get(".")?;
    let of_context = is_context(risk.get("left")?) && risk.get("attr")?.as_str()? == RISK;
    if of_context { member.get("attr")?.as_str() } else { None }
}

#[cfg(test)]
mod tests;
