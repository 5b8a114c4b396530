//! Ceilings against ceilings: whether a sub-task's goes beyond its parent's, and whether an amended one grows.

use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};

/// The ways in which `asked` goes beyond `bound`, in words; none when it is the same or less. Used for a sub-task against
/// its parent, and for an amendment against what the task has. `None` is no ceiling, which bounds nothing.
#[must_use]
pub fn beyond(asked: Option<&Ceiling>, bound: Option<&Ceiling>) -> Vec<String> {
    let Some(bound) = bound else { return Vec::new() };
    let Some(asked) = asked else { return vec!["declares no ceiling".to_owned()] };
    let mut out = Vec::new();
    if exceeds(asked.ttl_max, bound.ttl_max) {
        out.push(format!("tokens may live {}", shown(asked.ttl_max)));
    }
    for tool in &asked.tools {
        match bound.tool(&tool.tool) {
            None => out.push(format!("reaches `{}`", tool.tool)),
            Some(limits) => of_tool(tool, limits, &mut out),
        }
    }
    out
}

/// True when `asked` says something of a sink that `declared` does not: it takes away, and yet what it lists becomes ground that
/// nothing was before.
#[must_use]
pub fn grounds(asked: &Ceiling, declared: Option<&Ceiling>) -> bool {
    let new = |tool: &ToolCeiling, own: &SinkCeiling| {
        let was = declared.and_then(|d| d.tool(&tool.tool)).and_then(|limits| limits.sink(&own.sink));
        // A total alone is no ground.
        let (values, per_call) = was.map_or((false, false), |was| (!was.values.is_empty(), was.per_call_max.is_some()));
        (!values && !own.values.is_empty()) || (!per_call && own.per_call_max.is_some())
    };
    asked.tools.iter().any(|tool| tool.sinks.iter().any(|own| new(tool, own)))
}

fn of_tool(asked: &ToolCeiling, bound: &ToolCeiling, out: &mut Vec<String>) {
    let tool = &asked.tool;
    for (what, a, b) in [("action", &asked.actions, &bound.actions), ("resource", &asked.resources, &bound.resources)] {
        let more = beyond_list(a, b);
        out.extend(more.into_iter().map(|value| format!("allows `{tool}` the {what} {value}")));
    }
    if exceeds(asked.calls_max, bound.calls_max) {
        out.push(format!("allows `{tool}` {} calls", shown(asked.calls_max)));
    }
    for limits in &bound.sinks {
        // A sink that is not named is not limited.
        let free = SinkCeiling { sink: limits.sink.clone(), values: Vec::new(), per_call_max: None, total_max: None };
        let own = asked.sink(&limits.sink).unwrap_or(&free);
        let sink = &limits.sink;
        let more = beyond_list(&own.values, &limits.values);
        out.extend(more.into_iter().map(|value| format!("allows `{sink}` of `{tool}` the value {value}")));
        if exceeds(own.per_call_max, limits.per_call_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in one call", shown(own.per_call_max)));
        }
        if exceeds(own.total_max, limits.total_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in total", shown(own.total_max)));
        }
    }
}

/// An empty list allows everything.
fn beyond_list(asked: &[String], bound: &[String]) -> Vec<String> {
    if bound.is_empty() {
        return Vec::new();
    }
    if asked.is_empty() {
        return vec!["of any kind".to_owned()];
    }
    asked.iter().filter(|a| !bound.contains(a)).map(|a| format!("`{a}`")).collect()
}

/// An absent limit is no limit.
fn exceeds<T: PartialOrd>(asked: Option<T>, bound: Option<T>) -> bool {
    match (asked, bound) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(a), Some(b)) => a > b,
    }
}

fn shown<T: std::fmt::Display>(limit: Option<T>) -> String {
    limit.map_or_else(|| "any number".to_owned(), |l| l.to_string())
}

#[cfg(test)]
mod tests;
