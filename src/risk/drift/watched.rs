//! One class of identities under watch: its reference, the days of its current window, and of what it is known to drift.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::counts::{Counts, What};
use super::{ENDS_BELOW_PERCENT, SAMPLES_MIN, TOOLS_MAX, WINDOW_DAYS, WINDOW_DAYS_MAX, milli};
use crate::model::id::ToolName;
use crate::model::risk::Score;
use crate::model::time::Timestamp;

const DAY_SECONDS: u64 = 24 * 3600;

/// What is known of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    reference: Window,
    set: Option<Set>,
    /// Of the current window, by the number of the day. All together are `current`.
    days: VecDeque<(u64, Counts)>,
    current: Window,
    drifting: BTreeSet<What>,
}

/// Counts, and the first and the last that was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What was counted.
    pub counts: Counts,
    /// When the first of it was decided; for one that slides, the day.
    pub from: Timestamp,
    /// When the last was.
    pub until: Timestamp,
}

/// That somebody chose the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// That an index crossed its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// Of what.
    pub what: What,
    /// True when it drifts from now on, false when it no longer does.
    pub begins: bool,
    /// The index, in thousandths.
    pub psi_milli: u32,
}

impl Watched {
    /// Counts a decision: for the reference while that is too small, otherwise for the current window. A tool is `None` when the
    /// catalogue does not know it: names that anybody makes up are not kept.
    pub fn learn(&mut self, score: Score, tools: &[Option<&ToolName>], at: Timestamp) {
        if !self.has_reference() {
            let room = self.reference.counts.tools.clone();
            let named = |tool: &ToolName| room.contains_key(tool) || room.len() < TOOLS_MAX;
            self.reference.add(score, &bounded(tools, named), at);
            return;
        }
        let (reference, current) = (&self.reference.counts.tools, &self.current.counts.tools);
        // A tool of the reference is told apart whatever else there is.
        let named =
            |tool: &ToolName| reference.contains_key(tool) || current.contains_key(tool) || current.len() < TOOLS_MAX;
        let tools = bounded(tools, named);
        let today = at.as_secs() / DAY_SECONDS;
        self.expire(today);
        if self.days.back().is_none_or(|(day, _)| *day != today) {
            self.days.push_back((today, Counts::default()));
        }
        if let Some((_, counts)) = self.days.back_mut() {
            counts.add(score, &tools);
        }
        self.current.add(score, &tools, at);
        let first = self.days.front().map_or(today, |(day, _)| *day);
        self.current.from = Timestamp::from_secs(first * DAY_SECONDS);
    }

    fn expire(&mut self, today: u64) {
        while let Some((day, counts)) = self.days.front() {
            let is_old = *day + WINDOW_DAYS <= today;
            let is_spare = self.current.counts.samples.saturating_sub(counts.samples) >= SAMPLES_MIN;
            if !(is_old && is_spare || *day + WINDOW_DAYS_MAX <= today) {
                return;
            }
            self.current.counts.subtract(counts);
            self.days.pop_front();
        }
    }

    /// True when there is something to compare with.
    #[must_use]
    pub fn has_reference(&self) -> bool {
        self.set.is_some() || self.reference.counts.samples >= SAMPLES_MIN
    }

    /// The reference, or what there is of it so far.
    #[must_use]
    pub const fn reference(&self) -> &Window {
        &self.reference
    }

    /// Who chose it, when somebody did.
    #[must_use]
    pub const fn set(&self) -> Option<&Set> {
        self.set.as_ref()
    }

    /// What was decided of late.
    #[must_use]
    pub const fn current(&self) -> &Window {
        &self.current
    }

    /// True from the crossing that was recorded until the one back.
    #[must_use]
    pub fn is_drifting(&self, what: What) -> bool {
        self.drifting.contains(&what)
    }

    /// The index; `None` while one of the windows is too small.
    #[must_use]
    pub fn psi(&self, what: What) -> Option<f64> {
        let enough = |window: &Window| window.counts.samples >= SAMPLES_MIN;
        (enough(&self.reference) && enough(&self.current))
            .then(|| self.current.counts.psi(&self.reference.counts, what))
    }

    /// What has crossed a threshold since it was last recorded.
    #[must_use]
    pub fn crossings(&self, threshold_milli: u32) -> Vec<Crossing> {
        let ends_below = u64::from(threshold_milli) * u64::from(ENDS_BELOW_PERCENT) / 100;
        let crossing = |what| {
            let psi_milli = milli(self.psi(what)?);
            let crosses = match self.is_drifting(what) {
                false => psi_milli >= threshold_milli,
                true => u64::from(psi_milli) < ends_below,
            };
            crosses.then(|| Crossing { what, begins: !self.is_drifting(what), psi_milli })
        };
        What::ALL.into_iter().filter_map(crossing).collect()
    }

    /// A crossing was recorded.
    pub fn crossed(&mut self, what: What, begins: bool) {
        if begins {
            self.drifting.insert(what);
        } else {
            self.drifting.remove(&what);
        }
    }

    /// From now on it is compared with that. What was counted of late stays.
    pub fn refer_to(&mut self, reference: Window, set: Set) {
        self.reference = reference;
        self.set = Some(set);
        self.drifting.clear();
    }

    /// Begins anew: the next decisions make the reference.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Another bundle scores from now on: what an earlier one scored is in no current window, and in no reference that nobody chose.
    pub fn begin_again(&mut self) {
        match self.set.take() {
            None => self.clear(),
            set @ Some(_) => *self = Self { set, reference: std::mem::take(&mut self.reference), ..Self::default() },
        }
    }
}

impl Window {
    fn add(&mut self, score: Score, tools: &[Option<&ToolName>], at: Timestamp) {
        if self.counts.samples == 0 {
            self.from = at;
        }
        self.until = at;
        self.counts.add(score, tools);
    }
}

fn bounded<'t>(tools: &[Option<&'t ToolName>], named: impl Fn(&ToolName) -> bool) -> Vec<Option<&'t ToolName>> {
    tools.iter().map(|tool| tool.filter(|tool| named(tool))).collect()
}
