//! Ceilings against ceilings: whether a sub-task's goes beyond its parent's, whether an amended one grows, and what is left of one
//! when what it gained is taken back.

use super::spelling;
use crate::catalogue::tool::Catalogue;
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::pattern::{Pattern, ResourcePattern, SinkPattern};
use crate::model::sink::SinkKind;

/// As [`beyond`], with values that the catalogue's kinds of sinks take for the same taken for the same.
#[must_use]
pub fn beyond_by_keys(asked: Option<&Ceiling>, bound: Option<&Ceiling>, catalogue: &Catalogue) -> Vec<String> {
    let keyed = |ceiling: Option<&Ceiling>| ceiling.map(|ceiling| keyed(ceiling, catalogue));
    beyond(keyed(asked).as_ref(), keyed(bound).as_ref())
}

/// The ceiling with its values in the form in which they are compared.
fn keyed(ceiling: &Ceiling, catalogue: &Catalogue) -> Ceiling {
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
    // What reaches no tool touches nothing.
    let limited = !bound.data_classes.is_empty() && !asked.tools.is_empty();
    if limited && asked.data_classes.is_empty() {
        out.push("touches data of any class".to_owned());
    } else if limited {
        let more = asked.data_classes.iter().filter(|class| !bound.data_classes.contains(class));
        out.extend(more.map(|class| format!("touches data of class `{class}`")));
    }
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

/// What is left of `now` when what it has beyond `before` is taken back: it allows nothing that either does not, and grounds nothing
/// that `before` does not. Where that is not to be had by a list, because an empty one allows everything, the tool is left out.
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
    let says_something =
        |sink: &SinkCeiling| sink.limits_values() || sink.per_call_max.is_some() || sink.total_max.is_some();
    let (resources, resource_patterns) = Allowed::resources(now).in_both(&Allowed::resources(before))?;
    Some(ToolCeiling {
        tool: now.tool.clone(),
        actions: in_both(&now.actions, &before.actions)?,
        resources,
        resource_patterns,
        sinks: sinks.collect::<Option<Vec<_>>>()?.into_iter().filter(says_something).collect(),
        calls_max: least(now.calls_max, before.calls_max),
    })
}

/// What limited nothing before was no ground before, and so a list or a cap of a call that came with what is taken back goes with it.
fn sink_taken_back(name: &str, now: Option<&SinkCeiling>, before: Option<&SinkCeiling>) -> Option<SinkCeiling> {
    let total_max = least(now.and_then(|now| now.total_max), before.and_then(|before| before.total_max));
    let ((values, patterns), per_call_max) = match before {
        None => ((Vec::new(), Vec::new()), None),
        Some(before) if !before.limits_values() => ((Vec::new(), Vec::new()), before.per_call_max),
        Some(before) => (Allowed::values(now).in_both(&Allowed::values(Some(before)))?, before.per_call_max),
    };
    let per_call_max = per_call_max.and_then(|most| least(now.and_then(|now| now.per_call_max), Some(most)));
    Some(SinkCeiling { sink: name.to_owned(), values, patterns, per_call_max, total_max })
}

/// What a ceiling allows of something: texts as they stand, and those of patterns. Where there is neither, everything.
struct Allowed<'a, P> {
    values: &'a [String],
    patterns: &'a [P],
}

impl<'a> Allowed<'a, SinkPattern> {
    fn values(limits: Option<&'a SinkCeiling>) -> Self {
        let (values, patterns) =
            limits.map_or((&[][..], &[][..]), |limits| (limits.values.as_slice(), limits.patterns.as_slice()));
        Self { values, patterns }
    }
}

impl<'a> Allowed<'a, ResourcePattern> {
    fn resources(limits: &'a ToolCeiling) -> Self {
        Self { values: &limits.resources, patterns: &limits.resource_patterns }
    }
}

impl<P: Pattern> Allowed<'_, P> {
    fn is_everything(&self) -> bool {
        self.values.is_empty() && self.patterns.is_empty()
    }

    fn lets(&self, value: &str) -> bool {
        self.values.iter().any(|own| own == value) || self.patterns.iter().any(|pattern| pattern.lets(value))
    }

    /// True when a pattern surely lets in no more. That two patterns together let in what a third does is not looked for.
    fn has(&self, pattern: &P) -> bool {
        pattern.only().is_some_and(|value| self.lets(&value)) || self.patterns.iter().any(|own| pattern.is_within(own))
    }

    /// What it allows beyond `bound`, in words; `noun` is what single texts are called.
    fn beyond(&self, bound: &Self, noun: &str) -> Vec<String> {
        if bound.is_everything() {
            return Vec::new();
        }
        if self.is_everything() {
            return vec![format!("{noun} of any kind")];
        }
        let values = self.values.iter().filter(|value| !bound.lets(value)).map(|value| format!("{noun} `{value}`"));
        let patterns = self.patterns.iter().filter(|pattern| !bound.has(pattern));
        values.chain(patterns.map(|pattern| format!("{} `{pattern}`", pattern.noun()))).collect()
    }

    /// What both allow; `None` is nothing.
    fn in_both(&self, other: &Self) -> Option<(Vec<String>, Vec<P>)> {
        if self.is_everything() {
            return Some((other.values.to_vec(), other.patterns.to_vec()));
        }
        if other.is_everything() {
            return Some((self.values.to_vec(), self.patterns.to_vec()));
        }
        let mut values: Vec<String> = self.values.iter().filter(|value| other.lets(value)).cloned().collect();
        let others = other.values.iter().filter(|value| self.lets(value) && !self.values.contains(value));
        values.extend(others.cloned());
        // Of two patterns one holds the other, or they have nothing in common that could be shown.
        let mut patterns: Vec<P> = self.patterns.iter().filter(|pattern| other.has(pattern)).cloned().collect();
        for pattern in other.patterns.iter().filter(|pattern| self.has(pattern)) {
            if !patterns.contains(pattern) {
                patterns.push(pattern.clone());
            }
        }
        (!values.is_empty() || !patterns.is_empty()).then_some((values, patterns))
    }
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
    let [own, limits]: [Allowed<'_, ResourcePattern>; 2] =
        [asked, bound].map(|of| Allowed { values: &of.actions, patterns: &[] });
    let more = own.beyond(&limits, "action");
    let resources = Allowed::resources(asked).beyond(&Allowed::resources(bound), "resource");
    out.extend(more.into_iter().chain(resources).map(|what| format!("allows `{tool}` the {what}")));
    if exceeds(asked.calls_max, bound.calls_max) {
        out.push(format!("allows `{tool}` {} calls", shown(asked.calls_max)));
    }
    for limits in &bound.sinks {
        // A sink that is not named is not limited.
        let free = SinkCeiling { sink: limits.sink.clone(), ..SinkCeiling::default() };
        let own = asked.sink(&limits.sink).unwrap_or(&free);
        let sink = &limits.sink;
        let more = Allowed::values(Some(own)).beyond(&Allowed::values(Some(limits)), "value");
        out.extend(more.into_iter().map(|what| format!("allows `{sink}` of `{tool}` the {what}")));
        if exceeds(own.per_call_max, limits.per_call_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in one call", shown(own.per_call_max)));
        }
        if exceeds(own.total_max, limits.total_max) {
            out.push(format!("allows `{sink}` of `{tool}` {} in total", shown(own.total_max)));
        }
    }
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
