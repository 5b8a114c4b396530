//! Ceilings against ceilings: whether a sub-task's goes beyond its parent's, whether an amended one grows, and what is left of one
//! when what it gained is taken back.

mod added;
mod allowed;

use std::collections::BTreeSet;

pub use added::{Added, Form, Things, added, holding};
use allowed::{Allowed, More};

use super::spelling;
use crate::catalogue::tool::Catalogue;
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::decimal::Decimal;
use crate::model::id::{DataClass, ToolName};
use crate::model::pattern::{Pattern, SinkPattern};
use crate::model::sink::SinkKind;

/// As [`beyond`], with values that the catalogue's kinds of sinks take for the same taken for the same.
#[must_use]
pub fn beyond_by_keys(asked: Option<&Ceiling>, bound: Option<&Ceiling>, catalogue: &Catalogue) -> Vec<String> {
    let keyed = |ceiling: Option<&Ceiling>| ceiling.map(|ceiling| keyed(ceiling, catalogue));
    beyond(keyed(asked).as_ref(), keyed(bound).as_ref())
}

/// The ceiling with its values in the form in which they are compared.
#[must_use]
pub fn keyed(ceiling: &Ceiling, catalogue: &Catalogue) -> Ceiling {
    let mut keyed = ceiling.clone();
    for tool in &mut keyed.tools {
        let known = catalogue.tool(&tool.tool);
        for sink in &mut tool.sinks {
            let kind = known.and_then(|known| known.sink(&sink.sink)).map_or(SinkKind::Other, |spec| spec.kind);
            let key = |value: &String| spelling::key(kind, value).into_owned();
            sink.values = sink.values.iter().map(key).collect();
        }
    }
    keyed
}

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
    out.extend(classes_beyond(asked, bound).into_iter().map(|class| match class {
        None => "touches data of any class".to_owned(),
        Some(class) => format!("touches data of class `{class}`"),
    }));
    for tool in &asked.tools {
        match bound.tool(&tool.tool) {
            None => out.push(format!("reaches `{}`", tool.tool)),
            Some(limits) => of_tool(tool, limits, &mut out),
        }
    }
    out
}

/// What `asked` says of sinks and `declared` does not, in words: it takes away, and yet what it lists becomes ground that nothing was
/// before. None when there is nothing of it.
#[must_use]
pub fn grounds(asked: &Ceiling, declared: Option<&Ceiling>) -> Vec<String> {
    let mut out = Vec::new();
    for (tool, own) in asked.tools.iter().flat_map(|tool| tool.sinks.iter().map(move |own| (&tool.tool, own))) {
        let was = declared.and_then(|d| d.tool(tool)).and_then(|limits| limits.sink(&own.sink));
        let sink = &own.sink;
        if was.is_none_or(|was| !was.limits_values()) {
            out.extend(own.values.iter().map(|value| format!("names `{value}` as `{sink}` of `{tool}`")));
            let told = |pattern: &SinkPattern| format!("{} `{pattern}`", pattern.noun());
            out.extend(own.patterns.iter().map(|p| format!("names the {} as `{sink}` of `{tool}`", told(p))));
        }
        // A total alone is no ground.
        if let (None, Some(most)) = (was.and_then(|was| was.per_call_max), own.per_call_max) {
            out.push(format!("names amounts up to {most} as `{sink}` of `{tool}`"));
        }
    }
    out
}

/// The tools of which `asked` says more than `before`, or of which it makes ground that nothing was before; all of them where there was
/// no ceiling, or where tokens may live longer or data of more classes is touched. `ground` is what of it was ground before.
#[must_use]
pub fn gaining(asked: &Ceiling, before: Option<&Ceiling>, ground: Option<&Ceiling>) -> Vec<ToolName> {
    let of_all = |before: &Ceiling| exceeds(asked.ttl_max, before.ttl_max) || !classes_beyond(asked, before).is_empty();
    let more_of_all = before.is_none_or(of_all);
    let gains = move |tool: &&ToolCeiling| {
        let Some(limits) = before.and_then(|before| before.tool(&tool.tool)) else { return true };
        let mut more = Vec::new();
        of_tool(tool, limits, &mut more);
        let alone = Ceiling { tools: vec![(*tool).clone()], ..Ceiling::default() };
        more_of_all || !more.is_empty() || !grounds(&alone, ground).is_empty()
    };
    asked.tools.iter().filter(gains).map(|tool| tool.tool.clone()).collect()
}

/// What is left of `now` when what it has beyond `before` is taken back: it allows nothing that either does not. Where that is not to be
/// had by a list, because an empty one allows everything, the tool is left out. Which of it is ground says [`still_ground`].
#[must_use]
pub fn taken_back(now: &Ceiling, before: &Ceiling) -> Ceiling {
    let tools = now.tools.iter().filter_map(|tool| tool_taken_back(tool, before.tool(&tool.tool)?));
    let (tools, ttl_max) = (tools.collect(), least(now.ttl_max, before.ttl_max));
    match in_both(&now.data_classes, &before.data_classes) {
        Some(data_classes) => Ceiling { tools, ttl_max, data_classes },
        None => Ceiling { tools: Vec::new(), ttl_max, data_classes: before.data_classes.clone() },
    }
}

fn tool_taken_back(now: &ToolCeiling, before: &ToolCeiling) -> Option<ToolCeiling> {
    let only_before = before.sinks.iter().filter(|sink| now.sink(&sink.sink).is_none());
    let names = now.sinks.iter().chain(only_before).map(|sink| sink.sink.as_str());
    let sinks = names.map(|name| sink_taken_back(name, now.sink(name), before.sink(name)));
    let (resources, resource_patterns) = Allowed::resources(now).in_both(&Allowed::resources(before))?;
    Some(ToolCeiling {
        tool: now.tool.clone(),
        actions: in_both(&now.actions, &before.actions)?,
        resources,
        resource_patterns,
        sinks: sinks.collect::<Option<Vec<_>>>()?,
        calls_max: least(now.calls_max, before.calls_max),
    })
}

/// Whoever limited it, and when: to lift a limit is no part of taking something back.
fn sink_taken_back(name: &str, now: Option<&SinkCeiling>, before: Option<&SinkCeiling>) -> Option<SinkCeiling> {
    let (values, patterns) = Allowed::values(now).in_both(&Allowed::values(before))?;
    let cap = |of: fn(&SinkCeiling) -> Option<Decimal>| least(now.and_then(of), before.and_then(of));
    Some(SinkCeiling {
        sink: name.to_owned(),
        values,
        patterns,
        per_call_max: cap(|sink| sink.per_call_max),
        total_max: cap(|sink| sink.total_max),
    })
}

/// Of what is left, what is ground: what was ground before and is so now. Other lists and caps merely bound. `now` and `before` are
/// what was ground then, which may be less than the ceilings were.
#[must_use]
pub fn still_ground(left: &Ceiling, now: &Ceiling, before: &Ceiling) -> Ceiling {
    let of_sink = |tool: &ToolCeiling, sink: &SinkCeiling| {
        let then = |of: &Ceiling| of.tool(&tool.tool).and_then(|limits| limits.sink(&sink.sink)).cloned();
        let (now, before) = (then(now)?, then(before)?);
        let (was, is) = (Allowed::values(Some(&before)), Allowed::values(Some(&now)));
        let (was, is) = (was.looked_up(), is.looked_up());
        let listed = |value: &&String| is.lets(value) && was.lets(value);
        let values: Vec<String> = sink.values.iter().filter(listed).cloned().collect();
        let held = |pattern: &&SinkPattern| is.has(pattern) && was.has(pattern);
        let patterns: Vec<SinkPattern> = sink.patterns.iter().filter(held).cloned().collect();
        let capped = now.per_call_max.is_some() && before.per_call_max.is_some();
        let per_call_max = sink.per_call_max.filter(|_| capped);
        let ground = SinkCeiling { sink: sink.sink.clone(), values, patterns, per_call_max, total_max: None };
        (ground.limits_values() || per_call_max.is_some()).then_some(ground)
    };
    let of_tool = |tool: &ToolCeiling| {
        let sinks: Vec<SinkCeiling> = tool.sinks.iter().filter_map(|sink| of_sink(tool, sink)).collect();
        (!sinks.is_empty()).then(|| ToolCeiling { sinks, ..ToolCeiling::of(tool.tool.clone()) })
    };
    Ceiling { tools: left.tools.iter().filter_map(of_tool).collect(), ..Ceiling::default() }
}

/// The values that these ceilings name and `left` does not, for whichever sink.
#[must_use]
pub fn named_no_more<'a>(named: impl IntoIterator<Item = &'a Ceiling>, left: Option<&Ceiling>) -> Vec<String> {
    let still: BTreeSet<&str> = left.into_iter().flat_map(names).collect();
    let gone: BTreeSet<&str> = named.into_iter().flat_map(names).filter(|value| !still.contains(value)).collect();
    gone.into_iter().map(str::to_owned).collect()
}

fn names(ceiling: &Ceiling) -> impl Iterator<Item = &str> {
    let sinks = ceiling.tools.iter().flat_map(|tool| &tool.sinks);
    sinks.flat_map(|sink| &sink.values).map(String::as_str)
}

/// What both lists allow; an empty list allows everything, and `None` is nothing.
fn in_both<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Option<Vec<T>> {
    match (a, b) {
        ([], all) | (all, []) => Some(all.to_vec()),
        (a, b) => {
            let both: Vec<T> = a.iter().filter(|item| b.contains(item)).cloned().collect();
            (!both.is_empty()).then_some(both)
        }
    }
}

/// An absent limit is no limit.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn of_tool(asked: &ToolCeiling, bound: &ToolCeiling, out: &mut Vec<String>) {
    let tool = &asked.tool;
    let told = |what: &str, more: Option<&str>| match more {
        None => format!("allows `{tool}` the {what} of any kind"),
        Some(more) => format!("allows `{tool}` the {what} `{more}`"),
    };
    out.extend(more_in(&asked.actions, &bound.actions).into_iter().map(|more| told("action", more)));
    out.extend(Allowed::resources(asked).more_than(&Allowed::resources(bound)).into_iter().map(|more| match more {
        More::Any => told("resource", None),
        More::Value(value) => told("resource", Some(value)),
        More::Pattern(pattern) => told(pattern.noun(), Some(&pattern.to_string())),
    }));
    if exceeds(asked.calls_max, bound.calls_max) {
        out.push(format!("allows `{tool}` {} calls", shown(asked.calls_max)));
    }
    for limits in &bound.sinks {
        // A sink that is not named is not limited.
        let free = unlimited(&limits.sink);
        let own = asked.sink(&limits.sink).unwrap_or(&free);
        let sink = &limits.sink;
        let told = |what: &str| format!("allows `{sink}` of `{tool}` the {what}");
        let more = Allowed::values(Some(own)).more_than(&Allowed::values(Some(limits)));
        out.extend(more.into_iter().map(|more| match more {
            More::Any => told("value of any kind"),
            More::Value(value) => told(&format!("value `{value}`")),
            More::Pattern(pattern) => told(&format!("{} `{pattern}`", pattern.noun())),
        }));
        if exceeds(own.per_call_max, limits.per_call_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in one call", shown(own.per_call_max)));
        }
        if exceeds(own.total_max, limits.total_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in total", shown(own.total_max)));
        }
    }
}

fn unlimited(sink: &str) -> SinkCeiling {
    SinkCeiling { sink: sink.to_owned(), ..SinkCeiling::default() }
}

/// The classes of data that `asked` touches and `bound` does not; `None` is any. What reaches no tool touches nothing.
fn classes_beyond<'a>(asked: &'a Ceiling, bound: &Ceiling) -> Vec<Option<&'a DataClass>> {
    if bound.data_classes.is_empty() || asked.tools.is_empty() {
        return Vec::new();
    }
    if asked.data_classes.is_empty() {
        return vec![None];
    }
    asked.data_classes.iter().filter(|class| !bound.data_classes.contains(class)).map(Some).collect()
}

/// What a list has that the other does not; `None` is anything. An empty list allows everything.
fn more_in<'a>(asked: &'a [String], bound: &[String]) -> Vec<Option<&'a str>> {
    if bound.is_empty() {
        return Vec::new();
    }
    if asked.is_empty() {
        return vec![None];
    }
    asked.iter().filter(|a| !bound.contains(a)).map(|a| Some(a.as_str())).collect()
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
