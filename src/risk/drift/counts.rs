//! What a window of decisions holds: how many, by score and by tool. Bounded: beyond so many tools, the others are counted
//! together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{FAMILIES_MIN, SAMPLES_MIN, SCORE_BINS, TOOL_BINS_MAX, bin, psi};
use crate::model::id::ToolName;
use crate::model::risk::Score;

/// Counts of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Decisions.
    pub samples: u64,
    /// Decisions by bin of their score.
    pub scores: [u64; SCORE_BINS],
    /// Decisions by tool: each counts once for each of its tools.
    pub tools: BTreeMap<ToolName, u64>,
    /// Of tools that nobody knows, or for which there was no room.
    pub tools_other: u64,
    /// Task families that they are of.
    pub families: u64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// Scores.
    Scores,
    /// The mix of tools.
    Tools,
}

impl What {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Scores, Self::Tools];

    /// The name in records and figures.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Tools => "tools",
        }
    }
}

impl Counts {
    /// Counts one decision, of a family that was not counted yet or of one that was. `None` among its tools is one that goes without
    /// a name.
    pub(super) fn add(&mut self, score: Score, tools: &BTreeSet<Option<&ToolName>>, of_another: bool) {
        self.samples += 1;
        self.families += u64::from(of_another);
        if let Some(count) = self.scores.get_mut(bin(score)) {
            *count += 1;
        }
        for tool in tools {
            match tool {
                Some(tool) => *self.tools.entry((*tool).clone()).or_default() += 1,
                None => self.tools_other += 1,
            }
        }
    }

    /// Takes away what a part of it holds.
    pub(super) fn subtract(&mut self, part: &Self) {
        self.samples = self.samples.saturating_sub(part.samples);
        self.families = self.families.saturating_sub(part.families);
        for (count, less) in self.scores.iter_mut().zip(part.scores) {
            *count = count.saturating_sub(less);
        }
        for (tool, less) in &part.tools {
            if let Some(count) = self.tools.get_mut(tool) {
                *count = count.saturating_sub(*less);
            }
        }
        self.tools.retain(|_, count| *count > 0);
        self.tools_other = self.tools_other.saturating_sub(part.tools_other);
    }

    /// True when there are enough to be compared.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.samples >= SAMPLES_MIN && self.families >= FAMILIES_MIN
    }

    /// True when the same holds without a part of them.
    pub(super) const fn is_enough_without(&self, part: &Self) -> bool {
        self.samples.saturating_sub(part.samples) >= SAMPLES_MIN
            && self.families.saturating_sub(part.families) >= FAMILIES_MIN
    }

    /// The index of these against a reference.
    #[must_use]
    pub fn psi(&self, reference: &Self, what: What) -> f64 {
        match what {
            What::Scores => psi(&reference.scores, &self.scores),
            What::Tools => {
                let bins = reference.tool_bins();
                psi(&reference.by(&bins), &self.by(&bins))
            }
        }
    }

    /// The tools that have a bin: the most frequent, of equals the first by name.
    fn tool_bins(&self) -> BTreeSet<&ToolName> {
        let mut tools: Vec<(&ToolName, u64)> = self.tools.iter().map(|(tool, count)| (tool, *count)).collect();
        // Stable: equals stay in the order of their names.
        tools.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        tools.into_iter().take(TOOL_BINS_MAX).map(|(tool, _)| tool).collect()
    }

    /// Counts by these bins, and last of all others.
    fn by(&self, bins: &BTreeSet<&ToolName>) -> Vec<u64> {
        let mut counts: Vec<u64> = bins.iter().map(|tool| self.tools.get(*tool).copied().unwrap_or(0)).collect();
        let others: u64 = self.tools.iter().filter(|(tool, _)| !bins.contains(tool)).map(|(_, count)| count).sum();
        counts.push(others + self.tools_other);
        counts
    }
}
