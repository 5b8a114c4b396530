//! The table of guards: at which position each was last touched. What belongs to a task is forgotten some time after the
//! task ended. A guard that was forgotten reads as never touched, so whoever relied on it is refused: it fails closed.

use std::collections::HashMap;
use std::mem;

use serde::{Deserialize, Serialize};

use super::guards::{GuardKey, Life, Touch};
use crate::model::time::Timestamp;

/// How long, in milliseconds of the log's time, a passing guard is remembered at least: far longer than any request is in
/// flight. Twice as long at most.
pub const PASSING_MS: u64 = 10 * 60 * 1000;

/// Where each guard was last touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardTable {
    lasting: HashMap<GuardKey, u64>,
    // Touched in this span of time, and in the one before.
    young: HashMap<GuardKey, u64>,
    old: HashMap<GuardKey, u64>,
    // Number of the span of time that `young` is of.
    span: u64,
    tasks: HashMap<GuardKey, Kept>,
}

// What is kept for a task until it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    parent: Option<GuardKey>,
    children: Vec<GuardKey>,
    keys: Vec<GuardKey>,
}

impl GuardTable {
    /// One more than the position of the last event that touched the key; 0 when none did or it was forgotten.
    #[must_use]
    pub fn at(&self, key: &GuardKey) -> u64 {
        let lasting = self.lasting.get(key);
        let passing = || self.young.get(key).or_else(|| self.old.get(key));
        lasting.or_else(passing).copied().unwrap_or(0)
    }

    /// Takes in what the event at `position`, written at `time`, does to guards.
    pub fn apply(&mut self, touches: &[Touch], position: u64, time: Timestamp) {
        self.advance(time);
        for touch in touches {
            match *touch {
                Touch::Bump { key, life } => self.bump(key, life, position + 1),
                Touch::Register { task, parent } => self.register(task, parent),
                Touch::End { task } => self.end(task),
            }
        }
    }

    /// How many guards are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lasting.len() + self.young.len() + self.old.len()
    }

    /// True when none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bump(&mut self, key: GuardKey, life: Life, at: u64) {
        if let Some(known) = self.lasting.get_mut(&key) {
            *known = at;
            return;
        }
        let kept = match life {
            Life::Lasting => true,
            Life::Passing => false,
            // Of a task that has ended or never was, nothing is kept for long.
            Life::Task(task) => self.tasks.get_mut(&task).map(|kept| kept.keys.push(key)).is_some(),
        };
        if kept {
            self.lasting.insert(key, at);
        } else {
            self.young.insert(key, at);
        }
    }

    fn register(&mut self, task: GuardKey, parent: Option<GuardKey>) {
        if let Some(above) = parent.and_then(|parent| self.tasks.get_mut(&parent)) {
            above.children.push(task);
        }
        self.tasks.entry(task).or_insert_with(|| Kept { parent, ..Kept::default() });
    }

    fn end(&mut self, task: GuardKey) {
        let parent = self.tasks.get(&task).and_then(|kept| kept.parent);
        if let Some(above) = parent.and_then(|parent| self.tasks.get_mut(&parent)) {
            above.children.retain(|child| *child != task);
        }
        let mut ending = vec![task];
        while let Some(task) = ending.pop() {
            let Some(kept) = self.tasks.remove(&task) else { continue };
            for key in kept.keys {
                if let Some(at) = self.lasting.remove(&key) {
                    self.young.insert(key, at);
                }
            }
            ending.extend(kept.children);
        }
    }

    fn advance(&mut self, time: Timestamp) {
        let span = time.as_millis() / PASSING_MS;
        if span > self.span {
            let young = mem::take(&mut self.young);
            self.old = if span == self.span + 1 { young } else { HashMap::new() };
            self.span = span;
        }
    }
}

#[cfg(test)]
mod tests;
