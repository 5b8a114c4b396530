//! Labels: what a reviewer says of a recorded decision, as it turned out.

use serde::{Deserialize, Serialize};

/// What a decision was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// What was asked for was what the task was for.
    Benign,
    /// It would have done harm, or did.
    Harmful,
    /// Looked at, and nobody can say.
    Unsure,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 3] = [Self::Benign, Self::Harmful, Self::Unsure];

    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Harmful => "harmful",
            Self::Unsure => "unsure",
        }
    }
}
