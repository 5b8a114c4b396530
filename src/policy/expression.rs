//! Cedar's JSON form of an expression, taken apart: one operator and its operands. What is not understood is said to be so,
//! because a check that passes over it would check nothing.

use serde_json::Value;

/// The conditions of a policy: `when` or `unless`, and the expression.
pub(in crate::policy) fn conditions(policy: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let list = policy.get("conditions").and_then(Value::as_array).into_iter().flatten();
    list.map(|c| (c.get("kind").and_then(Value::as_str).unwrap_or_default(), c.get("body").unwrap_or(&Value::Null)))
}

/// The operator of an expression with its operands; `None` when it is no expression.
pub(in crate::policy) fn operation(expr: &Value) -> Option<(&str, &Value)> {
    let members = expr.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(operator, operands)| (operator.as_str(), operands))
}

/// The expressions that an expression is made of; `None` when it is not understood. The keys of a record are names and no
/// operators, whatever they spell.
pub(in crate::policy) fn parts(expr: &Value) -> Option<Vec<&Value>> {
    let (operator, operands) = operation(expr)?;
    let named = |names: &[&str]| names.iter().map(|name| operands.get(name)).collect::<Option<Vec<_>>>();
    match operator {
        "Value" | "Var" => Some(Vec::new()),
        "Record" => operands.as_object().map(|members| members.values().collect()),
        "Set" => operands.as_array().map(|items| items.iter().collect()),
        "." | "has" | "like" => named(&["left"]),
        "is" => {
            let within = operands.get("in");
            named(&["left"]).map(|left| left.into_iter().chain(within).collect())
        }
        "!" | "neg" | "isEmpty" => named(&["arg"]),
        "if-then-else" => named(&["if", "then", "else"]),
        "==" | "!=" | "in" | "<" | "<=" | ">" | ">=" | "&&" | "||" | "+" | "-" | "*" | "contains" | "containsAll"
        | "containsAny" | "getTag" | "hasTag" => named(&["left", "right"]),
        // A function of an extension takes a list of expressions.
        _ => operands.as_array().map(|items| items.iter().collect()),
    }
}
