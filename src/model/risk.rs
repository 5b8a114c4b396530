//! Signals and the score that they add up to. A score is an input to policy and never the judge.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::SignalName;
use super::time::Timestamp;

/// Risk from 0 (none known) to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(u8);

impl Score {
    /// No risk known.
    pub const ZERO: Self = Self(0);
    /// The most there is.
    pub const MAX: Self = Self(100);

    /// From points; what is above 100 is 100.
    #[must_use]
    pub fn from_points(points: u32) -> Self {
        Self(u8::try_from(points.min(100)).unwrap_or(100))
    }

    /// Points, 0 to 100.
    #[must_use]
    pub const fn points(self) -> u8 {
        self.0
    }
}

/// A coarse level of risk, by the thresholds of an identity class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Nothing out of the ordinary.
    #[default]
    Low,
    /// Worth a look; shortens life.
    Elevated,
    /// The initiator should confirm.
    High,
    /// A reviewer should look.
    Critical,
}

impl Band {
    /// Every band, in order.
    pub const ALL: [Self; 4] = [Self::Low, Self::Elevated, Self::High, Self::Critical];

    /// The name in policies, tokens and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Elevated => "elevated",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One piece of evidence about risk that was reported or derived before the decision, and recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its name, as `risk.toml` knows it.
    pub name: SignalName,
    /// Who said it: a SPIFFE ID, or `carnet`.
    pub source: String,
    /// Name and version of the scorer that made it; empty when there is none.
    #[serde(default)]
    pub scorer: String,
    /// Points that it asks for. What counts is capped by `risk.toml`.
    pub points: u32,
    /// Why, in words.
    pub explanation: String,
    /// When it was observed.
    pub observed: Timestamp,
}

/// What stands before the name of a scorer that was asked, as the source of a signal. No SPIFFE ID begins so.
pub const SCORER_SOURCE: &str = "scorer:";
/// The signal in which the answer of a scorer that was asked stands, or its silence.
pub const SCORE_SIGNAL: &str = "external_score";

impl Signal {
    /// True for what a scorer that was asked has said, and for its silence.
    #[must_use]
    pub fn is_score(&self) -> bool {
        self.source.starts_with(SCORER_SOURCE)
    }

    /// True for the silence of a scorer that was asked: nobody made a score.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.is_score() && self.scorer.is_empty()
    }
}

/// Takes scores in: of one scorer the higher is kept, and nothing is ever lowered.
pub fn keep_higher(signals: &mut Vec<Signal>, scores: impl IntoIterator<Item = Signal>) {
    for score in scores {
        match signals.iter_mut().find(|s| s.name == score.name && s.source == score.source) {
            Some(known) if known.points >= score.points => {}
            Some(known) => *known = score,
            None => signals.push(score),
        }
    }
}

/// What one signal added to a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The signal.
    pub signal: SignalName,
    /// Who said it.
    pub source: String,
    /// Points that it asked for.
    pub points: u32,
    /// Points that counted, after caps.
    pub counted: u32,
    /// Why, in words.
    pub explanation: String,
}

/// A score with what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assessment {
    /// The score.
    pub score: Score,
    /// Its band for the class of the principal.
    pub band: Band,
    /// What added to it, in a stable order.
    pub contributions: Vec<Contribution>,
}
