//! What an amendment adds, each thing in the form in which it is known again: by what it comes to, however it is spelled.

use std::collections::BTreeSet;

use super::{Allowed, More, classes_beyond, exceeds, more_in, unlimited};
use crate::intent::spelling;
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::id::ToolName;
use crate::model::pattern::{Pattern, SinkPattern};
use crate::model::sink::SinkKind;

/// What is asked, and what there is.
#[derive(Debug, Clone, Copy)]
pub struct Added<'a> {
    /// The ceiling that is asked for.
    pub asked: &'a Ceiling,
    /// The one that bounds now.
    pub own: Option<&'a Ceiling>,
    /// Of a task whose ceiling grounds values: what is ground now. `None` for any other.
    pub ground: Option<Option<&'a Ceiling>>,
}

/// Each thing that it adds, in parts. Values are in the form in which their kind is compared. Of a limit that would be raised, how far is
/// no part of it: it is the same thing with another number. What a first ceiling declares is what it names; only of a tool for which it
/// names nothing, that it declares the tool.
#[must_use]
pub fn added(what: Added<'_>, kind: impl Fn(&ToolName, &str) -> SinkKind) -> BTreeSet<Vec<String>> {
    let mut out = Adding { out: BTreeSet::new(), kind };
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
    out.out
}

struct Adding<K> {
    out: BTreeSet<Vec<String>>,
    kind: K,
}

impl<K: Fn(&ToolName, &str) -> SinkKind> Adding<K> {
    fn add(&mut self, parts: &[&str]) {
        self.out.insert(parts.iter().map(|part| (*part).to_owned()).collect());
    }

    fn value(&mut self, tool: &ToolName, sink: &str, value: &str) {
        let value = spelling::key((self.kind)(tool, sink), value);
        self.add(&["value", tool.as_str(), sink, &value]);
    }

    fn pattern(&mut self, tool: &ToolName, sink: &str, pattern: &SinkPattern) {
        self.add(&["pattern", tool.as_str(), sink, pattern.noun(), &pattern.to_string()]);
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
                More::Any => self.add(&["any", "resource", tool]),
                More::Value(value) => self.add(&["resource", tool, value]),
                More::Pattern(pattern) => self.add(&["resources", tool, &pattern.to_string()]),
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
                    More::Any => self.add(&["any value", tool, &limits.sink]),
                    More::Value(value) => self.value(&asked.tool, &limits.sink, value),
                    More::Pattern(pattern) => self.pattern(&asked.tool, &limits.sink, pattern),
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
                own.values.iter().for_each(|value| self.value(&asked.tool, &own.sink, value));
                own.patterns.iter().for_each(|pattern| self.pattern(&asked.tool, &own.sink, pattern));
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
