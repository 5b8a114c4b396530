//! A value on its way to stdout: fields keep the order in which they were named, so that every form reads alike.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// A value that is printed.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Value {
    /// `null`
    Nothing,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
    /// A JSON document that somebody else wrote, kept as it is where it is one.
    Json(serde_json::Value),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Fields(Vec<(&'static str, Value)>),
}

impl Value {
    /// The field of that name.
    pub(in crate::cli) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Fields(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A JSON document; text that is none stays text.
    pub(in crate::cli) fn json(text: &str) -> Self {
        match serde_json::from_str(text) {
            _ if text.is_empty() => Self::Nothing,
            Ok(value) => Self::Json(value),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// Text; nothing when it is empty.
    pub(in crate::cli) fn text_if_any(text: &str) -> Self {
        if text.is_empty() { Self::Nothing } else { Self::from(text) }
    }

    /// True when a table need not show it.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Fields(fields) => fields.is_empty(),
            Self::Bool(_) | Self::Number(_) | Self::Json(_) => false,
        }
    }

    /// On one line, as a cell of a table shows it.
    pub(in crate::cli) fn inline(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Json(json) => json.to_string(),
            Self::List(list) => list.iter().map(Self::inline).collect::<Vec<_>>().join(", "),
            Self::Fields(fields) => {
                let shown = fields.iter().filter(|(_, value)| !value.is_empty());
                shown.map(|(name, value)| format!("{name}={}", value.inline())).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(json) => json.serialize(serializer),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|value| seq.serialize_element(value))?;
                seq.end()
            }
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}
