//! How fast an identity is granted what it asks for: of the minutes and hours in which it had any grants, how many had how many,
//! by powers of two.

use serde::{Deserialize, Serialize};

use super::is_usual;
use crate::model::time::Timestamp;

/// A length of time in which grants are counted, from one full minute or hour of the clock to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Minute,
    Hour,
}

impl Window {
    pub(super) const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    pub(super) const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// Grants below which no pace is unusual: a step or two of one task need as many.
    pub(super) const fn unremarkable(self) -> u32 {
        match self {
            Self::Minute => 16,
            Self::Hour => 64,
        }
    }

    fn number(self, at: Timestamp) -> u64 {
        at.as_secs() / u64::from(self.seconds())
    }
}

/// The power of two that a number reaches.
pub(super) fn level(grants: u32) -> u8 {
    u8::try_from(grants.max(1).ilog2()).map_or(LEVEL_MAX, |level| level.min(LEVEL_MAX))
}

/// A million grants in an hour, or more.
const LEVEL_MAX: u8 = 20;

/// How many windows reached which level and no higher one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Levels([u32; LEVEL_MAX as usize + 1]);

impl Levels {
    pub(super) fn add(&mut self, level: u8) {
        if let Some(windows) = self.0.get_mut(usize::from(level)) {
            *windows = windows.saturating_add(1);
        }
    }

    pub(super) fn total(&self) -> u32 {
        self.at_least(0)
    }

    /// Windows that reached this level.
    pub(super) fn at_least(&self, level: u8) -> u32 {
        self.0.iter().skip(usize::from(level)).fold(0, |sum, windows| sum.saturating_add(*windows))
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (windows, more) in sum.0.iter_mut().zip(other.0) {
            *windows = windows.saturating_add(more);
        }
        sum
    }
}

/// The window that lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pace {
    number: u64,
    grants: u32,
    /// The level that counts when it ends.
    level: u8,
}

impl Pace {
    /// Counts a grant of a session, and gives the level of the window that is over with it, if one is. A session raises a
    /// window once to a level that is not usual: a task that goes on for hours does not make its pace usual.
    pub(super) fn count(&mut self, window: Window, at: Timestamp, known: &Levels, raised: &mut u32) -> Option<u8> {
        let number = window.number(at);
        let mut over = None;
        if number != self.number {
            over = (self.grants > 0).then_some(self.level);
            *self = Self { number, grants: 0, level: 0 };
        }
        self.grants = self.grants.saturating_add(1);
        let reached = level(self.grants);
        if reached > self.level {
            let (usual, bit) = (is_usual(known.at_least(reached), known.total()), 1_u32 << reached);
            if usual || *raised & bit == 0 {
                self.level = reached;
            }
            if !usual {
                *raised |= bit;
            }
        }
        over
    }

    /// Grants in the window of `at`, with one more.
    pub(super) fn with_one_more(&self, window: Window, at: Timestamp) -> u32 {
        if window.number(at) == self.number { self.grants.saturating_add(1) } else { 1 }
    }
}
