//! What a ceiling allows of one thing, against what another allows of it.

use crate::model::ceiling::{SinkCeiling, ToolCeiling};
use crate::model::pattern::{Pattern, ResourcePattern, SinkPattern};

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

    pub(super) fn lets(&self, value: &str) -> bool {
        self.values.iter().any(|own| own == value) || self.patterns.iter().any(|pattern| pattern.lets(value))
    }

    /// True when a pattern surely lets in no more. That two patterns together let in what a third does is not looked for.
    pub(super) fn has(&self, pattern: &P) -> bool {
        pattern.only().is_some_and(|value| self.lets(&value)) || self.patterns.iter().any(|own| pattern.is_within(own))
    }

    /// What it allows beyond `bound`.
    pub(super) fn more_than(&self, bound: &Self) -> Vec<More<'a, P>> {
        if bound.is_everything() {
            return Vec::new();
        }
        if self.is_everything() {
            return vec![More::Any];
        }
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
