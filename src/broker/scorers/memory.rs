//! What scorers said of the same step lately, within this run of the broker: an agent that asks again and again does not wait for
//! the day on which a scorer is mild. What people were asked, and what they denied, is remembered for longer, in the record.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::id::TaskId;
use crate::model::risk::{Signal, keep_higher};
use crate::model::time::Timestamp;

/// Steps that are remembered at a time.
const STEPS_MAX: usize = 8192;
/// How long a score stands for the same step: as long as a denial does by default.
const WINDOW: Duration = Duration::from_secs(900);

/// Scores, by the task at the root and digest of the step.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Step, (Timestamp, Vec<Signal>)>>);

/// The task at the root of a family, and the digest of a step in it: below itself an agent finds no scorer that has not spoken yet.
pub(super) type Step = (TaskId, [u8; 32]);

impl Memory {
    /// The highest of what was said now and of what was said lately.
    pub(super) fn with_earlier(&self, step: Step, now: Timestamp, said: Vec<Signal>) -> Vec<Signal> {
        let mut highest = said;
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = steps.get(&step).filter(|(at, _)| is_fresh(*at, now));
        keep_higher(&mut highest, before.into_iter().flat_map(|(_, scores)| scores.iter().cloned()));
        highest
    }

    /// Takes in what was said now, and gives the highest of it and of what was said lately. A silence is forgotten as soon as
    /// somebody speaks, and takes away nothing of what was said.
    pub(super) fn take_in(&self, step: Step, now: Timestamp, said: Vec<Signal>) -> Vec<Signal> {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = steps.get(&step).filter(|(at, _)| is_fresh(*at, now));
        let mut scores = before.map(|(_, scores)| scores.clone()).unwrap_or_default();
        // Before anything is raised: a silence that counts for more than a score does not stand in its place later.
        keep_higher(&mut scores, said.iter().filter(|signal| !signal.is_absence()).cloned());
        let mut highest = said;
        keep_higher(&mut highest, scores.iter().cloned());
        if scores.is_empty() {
            return highest;
        }
        if steps.len() >= STEPS_MAX && !steps.contains_key(&step) {
            steps.retain(|_, (at, _)| is_fresh(*at, now));
            if steps.len() >= STEPS_MAX {
                let oldest = steps.iter().min_by_key(|(_, (at, _))| *at).map(|(step, _)| *step);
                if let Some(oldest) = oldest {
                    steps.remove(&oldest);
                }
            }
        }
        steps.insert(step, (now, scores));
        highest
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < WINDOW
}

#[cfg(test)]
mod tests;
