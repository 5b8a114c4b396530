//! What thresholds would have meant for decisions that were recorded: alerts among all of them, misses and false alarms among those
//! that people labelled. Whoever was not labelled is in neither. A proposal is for a person to review, and changes nothing.

use std::collections::BTreeMap;

use crate::model::label::Label;
use crate::model::risk::Score;

/// Decisions labelled harmful, and as many labelled benign, that it takes to propose anything. With thirty of which none is missed, the
/// share that is may still be 11 %.
pub const LABELS_MIN: u64 = 30;
/// A threshold that no score reaches.
pub const NEVER: u8 = 101;
/// Two-sided 95 % of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Decisions of one class of identities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    all: BTreeMap<Score, u64>,
    harmful: BTreeMap<Score, u64>,
    benign: BTreeMap<Score, u64>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

/// What one threshold would have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The threshold.
    pub threshold: u8,
    /// Of all decisions, those that reach it.
    pub alerts: u64,
    /// Labelled harmful, and below it.
    pub misses: Share,
    /// Labelled benign, and not below it.
    pub false_alarms: Share,
}

/// Where bands begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// The band `elevated`.
    pub elevated: u8,
    /// The band `high`.
    pub high: u8,
    /// The band `critical`.
    pub critical: u8,
}

/// What the labels of a decision come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The label that counts.
    pub label: Label,
    /// True when it is unsure because persons contradict each other.
    pub contradicted: bool,
}

/// What labels of different persons come to, each person's latest: harmful or benign when nobody says the contrary.
#[must_use]
pub fn settle(labels: impl IntoIterator<Item = Label>) -> Settled {
    let (mut harmful, mut benign) = (false, false);
    for label in labels {
        harmful |= label == Label::Harmful;
        benign |= label == Label::Benign;
    }
    let label = match (harmful, benign) {
        (true, false) => Label::Harmful,
        (false, true) => Label::Benign,
        _ => Label::Unsure,
    };
    Settled { label, contradicted: harmful && benign }
}

impl Sample {
    /// Counts a decision.
    pub fn decided(&mut self, score: Score) {
        *self.all.entry(score).or_default() += 1;
    }

    /// Counts what labels say of one. Who is unsure says nothing about a threshold.
    pub fn labelled(&mut self, score: Score, label: Label) {
        match label {
            Label::Harmful => *self.harmful.entry(score).or_default() += 1,
            Label::Benign => *self.benign.entry(score).or_default() += 1,
            Label::Unsure => {}
        }
    }

    /// How many were labelled harmful, and how many benign.
    #[must_use]
    pub fn labels(&self) -> (u64, u64) {
        (self.harmful.values().sum(), self.benign.values().sum())
    }

    /// What a threshold would have meant.
    #[must_use]
    pub fn row(&self, threshold: u8) -> Row {
        let (harmful, benign) = self.labels();
        Row {
            threshold,
            alerts: reaching(&self.all, threshold),
            misses: Share { count: harmful - reaching(&self.harmful, threshold), of: harmful },
            false_alarms: Share { count: reaching(&self.benign, threshold), of: benign },
        }
    }

    /// Bands that the labels speak for; `None` with fewer than [`LABELS_MIN`] of either kind, and when scores do not tell them apart.
    ///
    /// `high` is the threshold that tells harmful from benign best: at which the share of harmful that reach it exceeds that of
    /// benign the most, of equals the lowest. `elevated` is the highest that misses no labelled harmful, and `critical` the lowest that
    /// no labelled benign reaches; neither goes past `high`.
    #[must_use]
    pub fn propose(&self) -> Option<Bands> {
        let (harmful, benign) = self.labels();
        if harmful < LABELS_MIN || benign < LABELS_MIN {
            return None;
        }
        let exceeds = |row: &Row| {
            let caught = i128::from(row.misses.of - row.misses.count) * i128::from(benign);
            caught - i128::from(row.false_alarms.count) * i128::from(harmful)
        };
        let rows = (1..NEVER).map(|threshold| self.row(threshold));
        // Of equals `max_by_key` takes the last, so the lowest comes last.
        let best = rows.rev().max_by_key(exceeds).filter(|row| exceeds(row) > 0)?;
        let high = best.threshold;
        let lowest_harmful = self.harmful.keys().next().map_or(high, |score| score.points());
        let above_benign = self.benign.keys().next_back().map_or(high, |score| score.points() + 1);
        Some(Bands { elevated: lowest_harmful.clamp(1, high), high, critical: above_benign.clamp(high, NEVER) })
    }
}

impl Share {
    /// The 95 % interval by Wilson's score; of nothing everything is possible.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let n = self.of as f64;
        let p = self.count as f64 / n;
        let z2 = Z * Z;
        let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let reach = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        ((middle - reach).max(0.0), (middle + reach).min(1.0))
    }
}

fn reaching(scores: &BTreeMap<Score, u64>, threshold: u8) -> u64 {
    scores.iter().filter(|(score, _)| score.points() >= threshold).map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests;
