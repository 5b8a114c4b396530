//! Drift of what is decided for a class of identities: the population stability index of scores and of the mix of tools, in fixed
//! bins, smoothed, and only of windows that are large enough and of enough tasks. It changes nothing. `docs/learning.md` tells it to
//! operators.

use crate::model::risk::Score;

pub mod counts;
pub mod watched;

/// Decisions from which on a window is compared: with ten bins, two windows of five hundred that are alike have an index of 0.04
/// on average, if no decision has to do with another.
pub const SAMPLES_MIN: u64 = 500;
/// Task families that a window takes besides. What one task asks for is much alike, so that chance goes by tasks rather than by
/// decisions: if all that each asks for were the same, two windows of two hundred families would have an index of 0.1 on average, and
/// of 0.25 in one pair of fifty at most. With half as many families it would be every fourth.
pub const FAMILIES_MIN: u64 = 200;
/// Decisions of one task family that count in a day: no agent makes a window by itself.
pub const FAMILY_DAY_MAX: u32 = 5;
/// Bins of scores: 0 to 9, 10 to 19, …, 90 to 100.
pub const SCORE_BINS: usize = 10;
/// Tools of the reference that have a bin of their own, the most frequent; the rest shares one with all others. With more than ten
/// bins, chance alone would look like drift where windows are of few families.
pub const TOOL_BINS_MAX: usize = SCORE_BINS - 1;
/// Tools that a window counts by name.
pub const TOOLS_MAX: usize = 128;
/// Days that the current window lasts; longer while it holds too little. A family counts once in so many.
pub const WINDOW_DAYS: u64 = 7;
/// What is older is in no current window, however little came after.
pub const WINDOW_DAYS_MAX: u64 = 90;
/// Threshold of a bundle that names none, in thousandths: what is usually called a major shift.
pub const THRESHOLD_MILLI_DEFAULT: u32 = 250;
/// Drift is over when the index is below so many hundredths of the threshold, so that one that wavers about it is told once.
pub const ENDS_BELOW_PERCENT: u32 = 80;
/// What a bin has more than was counted in it, so that an empty one makes nothing infinite.
const ADDED: f64 = 0.5;

/// The bin of a score.
#[must_use]
pub fn bin(score: Score) -> usize {
    usize::from(score.points() / 10).min(SCORE_BINS - 1)
}

/// The population stability index of two lists of counts, bin by bin, each bin with half a sample more than was counted.
#[must_use]
pub fn psi(reference: &[u64], current: &[u64]) -> f64 {
    index(&shares(reference), &shares(current))
}

/// The index of two distributions: Σ (q − p) ln(q / p). Bins must not be empty.
#[must_use]
pub fn index(reference: &[f64], current: &[f64]) -> f64 {
    reference.iter().zip(current).map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64 + ADDED * counts.len() as f64;
    counts.iter().map(|count| (*count as f64 + ADDED) / total).collect()
}

/// An index in thousandths, as thresholds are compared with and records say it.
#[must_use]
pub fn milli(psi: f64) -> u32 {
    // A float becomes the nearest number that there is.
    (psi * 1000.0).round() as u32
}

#[cfg(test)]
mod tests;
