//! What a ceiling allows of one thing, against what another allows of it.

use std::collections::HashSet;

use crate::model::ceiling::{SinkCeiling, ToolCeiling};
use crate::model::pattern::{Pattern, Read, ResourcePattern, SinkPattern};

/// One thing that is allowed beyond a bound.
pub(super) enum More<'a, P> {
    /// Everything, where only some is.
    Any,
    /// A text as it stands.
    Value(&'a str),
    /// All that is in a pattern.
    Pattern(&'a P),
}

/// What a ceiling allows of something: texts as they stand, and those of patterns. Where there is neither, everything.
pub(super) struct Allowed<'a, P> {
    values: &'a [String],
    patterns: &'a [P],
}

impl<'a> Allowed<'a, SinkPattern> {
    pub(super) fn values(limits: Option<&'a SinkCeiling>) -> Self {
        let (values, patterns) =
            limits.map_or((&[][..], &[][..]), |limits| (limits.values.as_slice(), limits.patterns.as_slice()));
        Self { values, patterns }
    }
}

impl<'a> Allowed<'a, ResourcePattern> {
    pub(super) fn resources(limits: &'a ToolCeiling) -> Self {
        Self { values: &limits.resources, patterns: &limits.resource_patterns }
    }
}

impl<'a, P: Pattern> Allowed<'a, P> {
    fn is_everything(&self) -> bool {
        self.values.is_empty() && self.patterns.is_empty()
    }

    /// What many are looked up in.
    pub(super) fn looked_up(&self) -> LookedUp<'a, P> {
        LookedUp { values: self.values.iter().map(String::as_str).collect(), patterns: self.patterns }
    }

    /// What it allows beyond `bound`.
    pub(super) fn more_than(&self, bound: &Self) -> Vec<More<'a, P>> {
        if bound.is_everything() {
            return Vec::new();
        }
        if self.is_everything() {
            return vec![More::Any];
        }
        let bound = bound.looked_up();
        let values = self.values.iter().filter(|value| !bound.lets(value)).map(|value| More::Value(value.as_str()));
        values.chain(self.patterns.iter().filter(|pattern| !bound.has(pattern)).map(More::Pattern)).collect()
    }

    /// What both allow; `None` is nothing.
    pub(super) fn in_both(&self, other: &Self) -> Option<(Vec<String>, Vec<P>)> {
        if self.is_everything() {
            return Some((other.values.to_vec(), other.patterns.to_vec()));
        }
        if other.is_everything() {
            return Some((self.values.to_vec(), self.patterns.to_vec()));
        }
        let (own, others) = (self.looked_up(), other.looked_up());
        let mut values: Vec<String> = self.values.iter().filter(|value| others.lets(value)).cloned().collect();
        let only_others = other.values.iter().filter(|value| own.lets(value) && !own.values.contains(value.as_str()));
        values.extend(only_others.cloned());
        // Of two patterns one holds the other, or they have nothing in common that could be shown.
        let mut patterns: Vec<P> = self.patterns.iter().filter(|pattern| others.has(pattern)).cloned().collect();
        for pattern in other.patterns.iter().filter(|pattern| own.has(pattern)) {
            if !patterns.contains(pattern) {
                patterns.push(pattern.clone());
            }
        }
        (!values.is_empty() || !patterns.is_empty()).then_some((values, patterns))
    }
}

/// What is allowed, for looking up many: no value is compared with all others, and each is read once for all patterns.
pub(super) struct LookedUp<'a, P> {
    values: HashSet<&'a str>,
    patterns: &'a [P],
}

impl<P: Pattern> LookedUp<'_, P> {
    pub(super) fn lets(&self, value: &str) -> bool {
        let read = Read::of(value);
        self.values.contains(value) || self.patterns.iter().any(|pattern| pattern.holds(&read))
    }

    /// True when a pattern surely lets in no more. That two patterns together let in what a third does is not looked for.
    pub(super) fn has(&self, pattern: &P) -> bool {
        match pattern.only() {
            Some(value) => self.lets(&value),
            None => self.patterns.iter().any(|own| pattern.is_within(own)),
        }
    }
}
