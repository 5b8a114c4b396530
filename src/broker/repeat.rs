//! Repeats. The same ask about the same facts has the same answer, so an agent that asks in a loop whether it was approved yet
//! is given the recorded one again, and the repeat is counted instead of recorded. Anything that changes what the answer
//! relied on ends this. Only answers that are not terminal are kept: a terminal one belongs to one request id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::broker::answer::Decided;
use crate::journal::guards::Expect;
use crate::model::id::TaskId;
use crate::model::time::Timestamp;

/// Answers that are remembered at a time.
const REPEATS_MAX: usize = 8192;
/// How long an answer is given again without deciding anew: time itself is among the facts.
const WINDOW: Duration = Duration::from_secs(30);

/// Answers that wait for an approval, by what was asked.
#[derive(Debug, Default)]
pub(in crate::broker) struct Repeats(Mutex<HashMap<(TaskId, [u8; 32]), Remembered>>);

#[derive(Debug)]
struct Remembered {
    expects: Vec<Expect>,
    at: Timestamp,
    decided: Decided,
    position: u64,
}

impl Repeats {
    /// The answer that was given to the same ask, when nothing that it relied on has changed since.
    pub(in crate::broker) fn find(
        &self,
        task: TaskId,
        asked: [u8; 32],
        expects: &[Expect],
        now: Timestamp,
    ) -> Option<(Decided, u64)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.get(&(task, asked))?;
        (same.expects == expects && now.since(same.at) < WINDOW).then(|| (same.decided.clone(), same.position))
    }

    /// Remembers an answer that is neither a grant nor a denial.
    pub(in crate::broker) fn keep(
        &self,
        task: TaskId,
        asked: [u8; 32],
        expects: Vec<Expect>,
        now: Timestamp,
        (decided, position): (Decided, u64),
    ) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= REPEATS_MAX {
            kept.retain(|_, r| now.since(r.at) < WINDOW);
            if kept.len() >= REPEATS_MAX {
                kept.clear();
            }
        }
        kept.insert((task, asked), Remembered { expects, at: now, decided, position });
    }
}
