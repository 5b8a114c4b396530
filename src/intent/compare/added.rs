//! What an amendment adds, each thing in the form in which it is known again: by what it comes to, however it is spelled.

use std::collections::BTreeMap;

use super::{Allowed, More, classes_beyond, exceeds, more_in, unlimited};
use crate::catalogue::tool::Catalogue;
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::pattern::{Pattern, ResourcePattern, SinkPattern};
use crate::model::sink::SinkKind;

/// What is asked, and what there is, with values as [`super::keyed`] has them.
#[derive(Debug, Clone, Copy)]
pub struct Added<'a> {
    /// The ceiling that is asked for.
    pub asked: &'a Ceiling,
    /// The one that bounds now.
    pub own: Option<&'a Ceiling>,
    /// Of a task whose ceiling grounds values: what is ground now. `None` for any other.
    pub ground: Option<Option<&'a Ceiling>>,
}

/// The things that are added, each in parts.
pub type Things = BTreeMap<Vec<String>, Form>;

/// What a thing is, as far as others hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A value of a sink, which stands last.
    Value,
    /// A pattern of values of a sink.
    Values(SinkPattern),
    /// A resource, which stands last.
    Resource,
    /// A pattern of resources.
    Resources(ResourcePattern),
    /// All values of a sink, or all resources.
    Any,
    /// What has nothing within it.
    Single,
}

/// Each thing that it adds, in parts. Of a limit that would be raised, how far is no part of it: it is the same thing with another number.
/// What a first ceiling declares is what it names; only of a tool for which it names nothing, that it declares the tool.
#[must_use]
pub fn added(what: Added<'_>) -> Things {
    let mut out = Adding(Things::new());
    if let Some(own) = what.own {
        if exceeds(what.asked.ttl_max, own.ttl_max) {
            out.add(&["life"]);
        }
        for class in classes_beyond(what.asked, own) {
            out.add(&["class", class.map_or("", |class| class.as_str())]);
        }
        for tool in &what.asked.tools {
            match own.tool(&tool.tool) {
                None => out.add(&["reaches", tool.tool.as_str()]),
                Some(limits) => out.beyond(tool, limits),
            }
        }
    }
    if let Some(declared) = what.ground {
        what.asked.tools.iter().for_each(|tool| out.grounds(tool, declared));
    }
    out.0
}

/// The things that hold that one, the narrowest first: patterns of its sink or its tool, sets of accounts that have it now, and last of
/// all "any". These are few.
#[must_use]
pub fn holding(thing: &[String], form: &Form, catalogue: Option<&Catalogue>) -> Vec<Vec<String>> {
    let [_, tool, rest @ ..] = thing else { return Vec::new() };
    let (sink, last) = (rest.first().map_or("", String::as_str), rest.last().map_or("", String::as_str));
    let of_values = |patterns: Vec<SinkPattern>| -> Vec<Vec<String>> {
        let held = patterns.iter().map(|pattern| values_of(tool, sink, pattern));
        held.chain([parts(&["any value", tool, sink])]).collect()
    };
    let of_resources = |patterns: Vec<ResourcePattern>| -> Vec<Vec<String>> {
        let held = patterns.iter().map(|pattern| resources_of(tool, pattern));
        held.chain([parts(&["any", "resource", tool])]).collect()
    };
    match form {
        Form::Value => {
            let spec = tool.parse().ok().and_then(|tool| catalogue?.tool(&tool)?.sink(sink));
            let kind = spec.map_or(SinkKind::Other, |spec| spec.kind);
            let sets = catalogue.into_iter().flat_map(|catalogue| catalogue.sets_with(kind, last));
            let sets = sets.map(|set| SinkPattern::AccountSet(set.clone()));
            of_values(SinkPattern::around(last).into_iter().chain(sets).collect())
        }
        Form::Values(pattern) => of_values(pattern.above()),
        Form::Resource => of_resources(ResourcePattern::around(last)),
        Form::Resources(pattern) => of_resources(pattern.above()),
        Form::Any | Form::Single => Vec::new(),
    }
}

fn parts(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn values_of(tool: &str, sink: &str, pattern: &SinkPattern) -> Vec<String> {
    parts(&["pattern", tool, sink, pattern.noun(), &pattern.to_string()])
}

fn resources_of(tool: &str, pattern: &ResourcePattern) -> Vec<String> {
    parts(&["resources", tool, &pattern.to_string()])
}

struct Adding(Things);

impl Adding {
    fn add(&mut self, of: &[&str]) {
        self.0.insert(parts(of), Form::Single);
    }

    fn any(&mut self, of: &[&str]) {
        self.0.insert(parts(of), Form::Any);
    }

    fn value(&mut self, tool: &ToolCeiling, sink: &str, value: &str) {
        self.0.insert(parts(&["value", tool.tool.as_str(), sink, value]), Form::Value);
    }

    fn values(&mut self, tool: &ToolCeiling, sink: &str, pattern: &SinkPattern) {
        self.0.insert(values_of(tool.tool.as_str(), sink, pattern), Form::Values(pattern.clone()));
    }

    /// What is one resource is that resource, however it is written.
    fn resources(&mut self, tool: &ToolCeiling, pattern: &ResourcePattern) {
        let name = tool.tool.as_str();
        match pattern.only() {
            Some(resource) => self.resource(tool, &resource),
            None => _ = self.0.insert(resources_of(name, pattern), Form::Resources(pattern.clone())),
        }
    }

    fn resource(&mut self, tool: &ToolCeiling, resource: &str) {
        self.0.insert(parts(&["resource", tool.tool.as_str(), resource]), Form::Resource);
    }

    fn beyond(&mut self, asked: &ToolCeiling, bound: &ToolCeiling) {
        let tool = asked.tool.as_str();
        for more in more_in(&asked.actions, &bound.actions) {
            match more {
                None => self.add(&["any", "action", tool]),
                Some(more) => self.add(&["action", tool, more]),
            }
        }
        for more in Allowed::resources(asked).more_than(&Allowed::resources(bound)) {
            match more {
                More::Any => self.any(&["any", "resource", tool]),
                More::Value(value) => self.resource(asked, value),
                More::Pattern(pattern) => self.resources(asked, pattern),
            }
        }
        if exceeds(asked.calls_max, bound.calls_max) {
            self.add(&["calls", tool]);
        }
        for limits in &bound.sinks {
            let free = unlimited(&limits.sink);
            let own = asked.sink(&limits.sink).unwrap_or(&free);
            for more in Allowed::values(Some(own)).more_than(&Allowed::values(Some(limits))) {
                match more {
                    More::Any => self.any(&["any value", tool, &limits.sink]),
                    More::Value(value) => self.value(asked, &limits.sink, value),
                    More::Pattern(pattern) => self.values(asked, &limits.sink, pattern),
                }
            }
            if exceeds(own.per_call_max, limits.per_call_max) {
                self.add(&["one call", tool, &limits.sink]);
            }
            if exceeds(own.total_max, limits.total_max) {
                self.add(&["total", tool, &limits.sink]);
            }
        }
    }

    fn grounds(&mut self, asked: &ToolCeiling, declared: Option<&Ceiling>) {
        let was = declared.and_then(|declared| declared.tool(&asked.tool));
        for own in &asked.sinks {
            let was = was.and_then(|was| was.sink(&own.sink));
            if was.is_none_or(|was| !was.limits_values()) {
                own.values.iter().for_each(|value| self.value(asked, &own.sink, value));
                own.patterns.iter().for_each(|pattern| self.values(asked, &own.sink, pattern));
            }
            if was.and_then(|was| was.per_call_max).is_none() && own.per_call_max.is_some() {
                self.add(&["one call", asked.tool.as_str(), &own.sink]);
            }
        }
        let names = |sink: &SinkCeiling| sink.limits_values() || sink.per_call_max.is_some();
        if declared.is_none() && !asked.sinks.iter().any(names) {
            self.add(&["declares", asked.tool.as_str()]);
        }
    }
}
