//! What a call carries in one sink: the one walk over arguments, by which values are judged, bound into tokens and compared
//! by verifiers. The arrangement in which the arguments have them is kept, so that nothing can be moved from one item of a
//! list to another. docs/tokens.md says the same for people who write verifiers in other languages.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{SinkError, SinkSpec, alike};
use crate::model::json::Json;
use crate::model::limits::SINK_VALUES_MAX;

/// What stands in one place of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkValue {
    /// Nothing, beside something: an item of a list that lacks this sink while others have it.
    Absent,
    /// A value in canonical form.
    One(String),
    /// The items of a list; at least one of them holds a value.
    Many(Vec<SinkValue>),
}

/// What `arguments` carry for that sink: empty when they carry nothing.
///
/// # Errors
/// When a value is no amount where one is due, too long, or there are too many; when a member is spelled so that some readers
/// of the call would take it for the sink.
pub fn carried(spec: &SinkSpec, arguments: &Json) -> Result<Vec<SinkValue>, SinkError> {
    let mut left = SINK_VALUES_MAX;
    Ok(match project(spec, arguments, &spec.name, &mut left)? {
        SinkValue::Absent => Vec::new(),
        SinkValue::Many(items) => items,
        one @ SinkValue::One(_) => vec![one],
    })
}

fn project(spec: &SinkSpec, at: &Json, path: &str, left: &mut usize) -> Result<SinkValue, SinkError> {
    match at {
        Json::Array(items) => {
            let items = items.iter().map(|item| project(spec, item, path, left)).collect::<Result<Vec<_>, _>>()?;
            Ok(list(items))
        }
        Json::Object(members) if !path.is_empty() => {
            let (head, rest) = path.split_once('.').unwrap_or((path, ""));
            // Whoever serves the call may find members without regard to case, or after normalising their names.
            let other = |name: &str| name != path && name != head && (alike::are(name, path) || alike::are(name, head));
            if members.iter().any(|(name, _)| other(name)) {
                return Err(SinkError::LookAlike { name: spec.name.clone() });
            }
            // A member whose own name holds dots, and the same path through members: who reads the call may take either.
            let whole = at.member(path).map(|value| project(spec, value, "", left)).transpose()?;
            let nested = if rest.is_empty() { None } else { at.member(head) };
            let nested = nested.map(|value| project(spec, value, rest, left)).transpose()?;
            Ok(match (whole, nested) {
                (Some(whole), Some(nested)) => list(vec![whole, nested]),
                (one, other) => one.or(other).unwrap_or(SinkValue::Absent),
            })
        }
        Json::Null => Ok(SinkValue::Absent),
        Json::String(s) if s.is_empty() => Ok(SinkValue::Absent),
        // Also where the path would go on: a tool that takes an object may take its text as well.
        value => {
            *left = left.checked_sub(1).ok_or(SinkError::TooMany)?;
            spec.canonical(value).map(SinkValue::One)
        }
    }
}

/// The values, one after the other, without their arrangement.
pub(super) fn flat(values: Vec<SinkValue>, out: &mut Vec<String>) {
    for value in values {
        match value {
            SinkValue::Absent => {}
            SinkValue::One(text) => out.push(text),
            SinkValue::Many(items) => flat(items, out),
        }
    }
}

fn list(items: Vec<SinkValue>) -> SinkValue {
    if items.iter().all(|item| *item == SinkValue::Absent) { SinkValue::Absent } else { SinkValue::Many(items) }
}

impl Serialize for SinkValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_unit(),
            Self::One(value) => serializer.serialize_str(value),
            Self::Many(items) => items.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SinkValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = SinkValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a string, or an array of them")
            }

            fn visit_unit<E: de::Error>(self) -> Result<SinkValue, E> {
                Ok(SinkValue::Absent)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<SinkValue, E> {
                Ok(SinkValue::One(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SinkValue, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(SinkValue::Many(items))
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(test)]
mod tests;
