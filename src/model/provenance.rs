//! Provenance: where the value of a sink came from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value came from, best ground first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// It stands in the intent.
    Intent,
    /// The ceiling lists it, or holds a pattern that lets it in.
    Ceiling,
    /// It is a whole field of an earlier result that the audience or gateway reported and that outsiders can't write.
    Field,
    /// It was an earlier argument that was itself grounded.
    Argument,
    /// It stands only inside free text of a result, or in a field that outsiders can write.
    Text,
    /// It was never seen before.
    None,
}

impl Provenance {
    /// Every provenance, best ground first.
    pub const ALL: [Self; 6] = [Self::Intent, Self::Ceiling, Self::Field, Self::Argument, Self::Text, Self::None];

    /// True when a value from there is grounded.
    #[must_use]
    pub const fn is_grounded(self) -> bool {
        matches!(self, Self::Intent | Self::Ceiling | Self::Field | Self::Argument)
    }

    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Ceiling => "ceiling",
            Self::Field => "field",
            Self::Argument => "argument",
            Self::Text => "text",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a value was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which call of the session, from 0 in the order of reports; `None` when it was not in a call.
    pub call: Option<u32>,
    /// Position of the event that reported it; 0 when there is none.
    pub position: u64,
    /// The tool whose result or argument it was.
    pub tool: String,
    /// The field of the result or the name of the argument, as a path.
    pub field: String,
}
