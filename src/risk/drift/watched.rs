//! One class of identities under watch: its reference, the days of its current window, and of what it is known to drift.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::counts::{Counts, What};
use super::{ENDS_BELOW_PERCENT, FAMILY_DAY_MAX, SAMPLES_MIN, TOOLS_MAX, WINDOW_DAYS, WINDOW_DAYS_MAX, milli};
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
    /// Of the reference that is made, or was. The current window has the next.
    number: u64,
}

/// What a task family added to the windows of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added(Option<AddedTo>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct AddedTo {
    /// The number of the window.
    window: u64,
    /// The day on which it counted as a family of it.
    counted: u64,
    /// The last day, and how many decisions then.
    day: u64,
    times: u32,
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
    /// Counts a decision of a family: for the reference while that is too small, otherwise for the current window. What a family
    /// adds beyond its share of a day is left out. A tool is `None` when the catalogue does not know it: names that anybody makes up
    /// are not kept.
    pub fn learn(&mut self, family: &mut Added, score: Score, tools: &[Option<&ToolName>], at: Timestamp) {
        let today = at.as_secs() / DAY_SECONDS;
        let is_current = self.has_reference();
        let Some(of_another) = family.take(self.number + u64::from(is_current), today) else { return };
        if !is_current {
            let room = self.reference.counts.tools.clone();
            let named = |tool: &ToolName| room.contains_key(tool) || room.len() < TOOLS_MAX;
            self.reference.add(score, &bounded(tools, named), (at, of_another));
            return;
        }
        let (reference, current) = (&self.reference.counts.tools, &self.current.counts.tools);
        // A tool of the reference is told apart whatever else there is.
        let named =
            |tool: &ToolName| reference.contains_key(tool) || current.contains_key(tool) || current.len() < TOOLS_MAX;
        let tools = bounded(tools, named);
        self.expire(today);
        if self.days.back().is_none_or(|(day, _)| *day != today) {
            self.days.push_back((today, Counts::default()));
        }
        if let Some((_, counts)) = self.days.back_mut() {
            counts.add(score, &tools, of_another);
        }
        self.current.add(score, &tools, (at, of_another));
        let first = self.days.front().map_or(today, |(day, _)| *day);
        self.current.from = Timestamp::from_secs(first * DAY_SECONDS);
        // What can no longer be told is over, so that the next time is told again.
        if !self.current.counts.is_enough() {
            self.drifting.clear();
        }
    }

    fn expire(&mut self, today: u64) {
        while let Some((day, counts)) = self.days.front() {
            let is_old = *day + WINDOW_DAYS <= today;
            let is_spare = self.current.counts.is_enough_without(counts);
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
        self.set.is_some() || self.reference.counts.is_enough()
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
        // What somebody chose was enough then.
        let is_enough = self.has_reference() && self.reference.counts.samples >= SAMPLES_MIN;
        (is_enough && self.current.counts.is_enough()).then(|| self.current.counts.psi(&self.reference.counts, what))
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

    /// A crossing was recorded. One that says more than can be told was meant for windows that are gone.
    pub fn crossed(&mut self, what: What, begins: bool) {
        if begins && self.psi(what).is_none() {
            return;
        }
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
        *self = Self { number: self.number + 2, ..Self::default() };
    }

    /// Another bundle scores from now on: what an earlier one scored is in no current window, and in no reference that nobody chose.
    pub fn begin_again(&mut self) {
        match self.set.take() {
            None => self.clear(),
            set @ Some(_) => {
                let reference = std::mem::take(&mut self.reference);
                *self = Self { set, reference, number: self.number + 2, ..Self::default() };
            }
        }
    }
}

impl Window {
    fn add(&mut self, score: Score, tools: &BTreeSet<Option<&ToolName>>, (at, of_another): (Timestamp, bool)) {
        if self.counts.samples == 0 {
            self.from = at;
        }
        self.until = at;
        self.counts.add(score, tools, of_another);
    }
}

impl Added {
    /// Takes in another decision for a window: true when the family counts as another one of it; `None` when it added as many today
    /// as it may.
    fn take(&mut self, window: u64, today: u64) -> Option<bool> {
        let known = self.0.filter(|added| added.window == window);
        let times = known.filter(|added| added.day == today).map_or(0, |added| added.times);
        if times >= FAMILY_DAY_MAX {
            return None;
        }
        // By then the day on which it counted may have left the window.
        let counted = known.map(|added| added.counted).filter(|day| today < *day + WINDOW_DAYS);
        let times = times + 1;
        self.0 = Some(AddedTo { window, counted: counted.unwrap_or(today), day: today, times });
        Some(counted.is_none())
    }
}

/// Each tool once, without those that there is no room for.
fn bounded<'t>(tools: &[Option<&'t ToolName>], named: impl Fn(&ToolName) -> bool) -> BTreeSet<Option<&'t ToolName>> {
    tools.iter().map(|tool| tool.filter(|tool| named(tool))).collect()
}
