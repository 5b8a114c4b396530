//! JSON as agents and tools send it: numbers keep their spelling, duplicate members are refused, depth and size are bounded.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

/// A JSON value. Members of an object are in the order of the text and have distinct names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was spelled.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Why a text is not JSON that Carnet reads.
#[derive(Debug, thiserror::Error)]
pub enum ParseJsonError {
    /// More bytes than the place allows.
    #[error("JSON is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Deeper than [`JSON_DEPTH_MAX`].
    #[error("JSON is nested too deeply")]
    TooDeep,
    /// More than [`JSON_VALUES_MAX`] values.
    #[error("JSON holds too many values")]
    TooMany,
    /// Not RFC 8259, or an object with a member twice.
    #[error("not valid JSON")]
    Syntax(#[source] serde_json::Error),
    /// Valid, but not an object where one is needed.
    #[error("not a JSON object")]
    NotAnObject,
}

impl Json {
    /// Reads one JSON value of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When the text is too long, too deep, too large, no JSON, or names a member twice.
    pub fn parse(text: &str, bytes_max: usize) -> Result<Self, ParseJsonError> {
        if text.len() > bytes_max {
            return Err(ParseJsonError::TooLong { max: bytes_max });
        }
        check_depth(text)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(ParseJsonError::Syntax)?;
        let mut left = JSON_VALUES_MAX;
        from_raw(raw, &mut left)
    }

    /// Reads one JSON object; an empty text is the empty object.
    ///
    /// # Errors
    /// As [`Json::parse`], and when the value is no object.
    pub fn parse_object(text: &str, bytes_max: usize) -> Result<Self, ParseJsonError> {
        if text.is_empty() {
            return Ok(Self::Object(Vec::new()));
        }
        match Self::parse(text, bytes_max)? {
            object @ Self::Object(_) => Ok(object),
            _ => Err(ParseJsonError::NotAnObject),
        }
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Compact text; numbers as they were spelled.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(n) => out.push_str(n),
            Self::String(s) => write_string(s, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(s: &str, out: &mut String) {
    // Most need no escape (RFC 8259 §7).
    if s.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(s);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(s).to_string());
    }
}

// Each level is scanned again by the level above it, so depth is bounded before anything is built.
fn check_depth(text: &str) -> Result<(), ParseJsonError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for b in text.bytes() {
        match (in_string, b) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(ParseJsonError::TooDeep);
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn from_raw(raw: &RawValue, left: &mut usize) -> Result<Json, ParseJsonError> {
    *left = left.checked_sub(1).ok_or(ParseJsonError::TooMany)?;
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(ParseJsonError::Syntax)?;
            let members = members.into_iter().map(|(name, value)| Ok((name, from_raw(value, left)?)));
            Json::Object(members.collect::<Result<_, ParseJsonError>>()?)
        }
        Some(b'[') => {
            let Items(items) = serde_json::from_str(text).map_err(ParseJsonError::Syntax)?;
            Json::Array(items.into_iter().map(|item| from_raw(item, left)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Json::String(serde_json::from_str(text).map_err(ParseJsonError::Syntax)?),
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'n') => Json::Null,
        _ => Json::Number(text.to_owned()),
    })
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Distinct;
        impl<'de> Visitor<'de> for Distinct {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with distinct member names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    members.push(member);
                }
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| pair.first() == pair.last()) {
                    return Err(de::Error::custom("a member stands twice"));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Distinct)
    }
}

struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<&RawValue>()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

impl serde::Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Json {
    /// From the compact text, as a string: the form in records, where numbers must keep their spelling.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, usize::MAX).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
