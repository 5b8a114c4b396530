//! How a request looks beside what the same identity was granted before: conclusions with their numbers, as the facts of a
//! decision hold them. How they come about is the business of `risk`.

use serde::{Deserialize, Serialize};

use super::id::ToolName;

/// What is known of how an identity behaves, and what about a request does not fit it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BehaviourFacts {
    /// Sessions of the identity that were learned from, this one not among them.
    pub sessions: u32,
    /// Different days on which such sessions began.
    pub days: u32,
    /// False while that is too little to call anything unusual.
    pub enough: bool,
    /// What is unusual about the request; nothing while not enough is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<Unusual>,
}

/// One thing that is unusual for an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Unusual {
    /// It was rarely granted the tool.
    Tool {
        /// The tool.
        tool: ToolName,
        /// In how many sessions it was.
        seen: Frequency,
    },
    /// It was rarely granted the tool right after the other.
    Sequence {
        /// The tool before; `None` when a session begins.
        #[serde(default)]
        after: Option<ToolName>,
        /// The tool.
        tool: ToolName,
        /// In how many of the sessions that had the tool before.
        seen: Frequency,
    },
    /// It rarely had a token for the audience.
    Audience {
        /// In how many sessions it had.
        seen: Frequency,
    },
    /// It was rarely granted resources that the request names.
    Resource {
        /// How many of them.
        number: u32,
        /// In how many sessions it was granted the rarest.
        seen: Frequency,
    },
    /// It is rarely at work at this hour of the day.
    Hour {
        /// The hour of the day in UTC, 0 to 23.
        hour: u8,
        /// In how many sessions it was at work within an hour of it.
        seen: Frequency,
    },
    /// It is rarely at work on this day of the week.
    Weekday {
        /// The day of the week in UTC; 0 is Sunday.
        weekday: u8,
        /// In how many sessions it was at work on such a day.
        seen: Frequency,
    },
    /// It rarely had as many grants within such a time.
    Rate {
        /// Length of that time, in seconds.
        window_s: u32,
        /// Grants within it, this one counted.
        grants: u32,
        /// The number that `seen` is of: so many, or more.
        as_many: u32,
        /// In how many of the windows in which it had any.
        seen: Frequency,
    },
}

/// In how many cases of how many something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frequency {
    /// In so many; the most that it can have been when `at_most` is set.
    pub times: u32,
    /// Of so many.
    pub of: u32,
    /// True when there was no room to count all of them.
    #[serde(default)]
    pub at_most: bool,
}

impl Unusual {
    /// How often it was seen.
    #[must_use]
    pub const fn seen(&self) -> Frequency {
        match self {
            Self::Tool { seen, .. }
            | Self::Sequence { seen, .. }
            | Self::Audience { seen }
            | Self::Resource { seen, .. }
            | Self::Hour { seen, .. }
            | Self::Weekday { seen, .. }
            | Self::Rate { seen, .. } => *seen,
        }
    }
}
