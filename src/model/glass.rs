//! Break-glass: what a person opened for one task and one access, so that its agent gets there although policy would ask others
//! first, or forbids it by a policy that says that break-glass goes before it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{GlassId, InitiatorName};
use super::identity::IdentityClass;
use super::time::Timestamp;

/// Time to try, to fail, and to try again, when the operator does not say.
pub const LIFE_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// A working day and the night after it, when the operator does not say.
pub const REVIEW_WITHIN_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// What break-glass is called where agents could ask for it: no tool and no action has that name.
pub const BREAK_GLASS: &str = "break_glass";

/// The signal of an agent that asked for break-glass.
pub const ASKED_FOR_SIGNAL: &str = "break_glass_asked";

/// True for a name of a tool or an action that asks for break-glass, however it is spelled.
#[must_use]
pub fn names_break_glass(name: &str) -> bool {
    let asks = |part: &str| {
        let letters = part.chars().filter(char::is_ascii_alphanumeric);
        let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        matches!(plain.as_str(), "breakglass" | "openbreakglass")
    };
    // Of a name in parts each counts, and all of them read as one.
    asks(name) || name.split(['/', '.', ':']).any(asks)
}

/// A glass, as a decision knows it. It is good for the bundle under which it was opened and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassFacts {
    /// Which.
    pub id: GlassId,
    /// Who opened it.
    pub by: InitiatorName,
    /// Digest of the policy bundle under which it was opened, hexadecimal.
    pub policy_digest: String,
    /// When it is over.
    pub until: Timestamp,
}

/// What a person asks who opens a glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningFacts {
    /// Who asks.
    pub by: InitiatorName,
    /// True when that is who the task runs for, verified or merely named.
    pub initiated: bool,
    /// How long it is to stand open, in seconds.
    pub life_s: u64,
    /// How many grants it is to be good for.
    pub uses_max: u32,
    /// The class of the task's agent; `None` when the bundle knows no such identity.
    #[serde(default)]
    pub agent_class: Option<IdentityClass>,
    /// True while a person's denial of the same access of the same agent stands.
    #[serde(default)]
    pub denied_before: bool,
}

/// What a post-review found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlassVerdict {
    /// It was right to open it.
    Justified,
    /// It was not.
    Unjustified,
}

impl GlassVerdict {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names_break_glass;

    #[test]
    fn every_spelling_of_break_glass_is_known_and_nothing_else_is() {
        for name in ["break_glass", "break-glass", "BreakGlass", "tools/break_glass", "carnet.open_break_glass"] {
            assert!(names_break_glass(name), "{name}");
        }
        for name in ["break.glass", "open/break:glass", "break_glass.open", "carnet.break-glass.v1"] {
            assert!(names_break_glass(name), "{name}");
        }
        for name in ["", "glass", "break", "glass.break", "break_glasses", "windows.break_glass_report"] {
            assert!(!names_break_glass(name), "{name}");
        }
    }
}
