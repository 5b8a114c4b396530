//! Evidence about a task family as it is kept: signals, of which none is ever dropped, and the reports that were counted, so
//! that a retry is known again. Both are bounded for each who reports, never at the cost of somebody else's evidence.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::record::asked_digest;
use crate::broker::words::CallWords;
use crate::journal::guards::GuardKey;
use crate::model::id::SignalName;
use crate::model::limits::{SIGNALS_PER_SOURCE_MAX, SIGNALS_PER_TASK_MAX};
use crate::model::risk::Signal;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;

/// How long a report is known again. A retry comes within seconds; what comes later is counted anew, which changes no score
/// and takes away no taint.
pub(in crate::broker) const REPORT_RETENTION: Duration = Duration::from_secs(900);
/// Reports of a family by one reporter that are known again at a time; its oldest gives way.
const REPORTS_MAX: usize = 4096;
/// Most words of signals that the facts of a family hold, in bytes. Those of later signals stand in their events alone.
const SIGNAL_WORDS_BYTES_MAX: usize = 128 << 10;

/// True when the source may add a signal of that name: one that it has reported before, or one within what is kept.
pub(in crate::broker) fn has_room(signals: &[Signal], name: &SignalName, source: &str) -> bool {
    let own = || signals.iter().filter(|s| s.source == source);
    own().any(|s| s.name == *name) || (own().count() < SIGNALS_PER_SOURCE_MAX && signals.len() < SIGNALS_PER_TASK_MAX)
}

/// Takes a signal in. Of one name and source the strongest is kept, as it alone counts; true when that changed.
pub(in crate::broker) fn take_in(signals: &mut Vec<Signal>, mut signal: Signal) -> bool {
    let known = signals.iter().position(|s| s.name == signal.name && s.source == signal.source);
    if known.and_then(|at| signals.get(at)).is_some_and(|s| s.points >= signal.points) {
        return false;
    }
    if let Some(at) = known {
        signals.swap_remove(at);
    }
    let words: usize = signals.iter().map(words_of).sum();
    if words + words_of(&signal) > SIGNAL_WORDS_BYTES_MAX {
        signal.explanation.clear();
        // Of a scorer that was asked, who made it says that it is no silence.
        if !signal.is_score() {
            signal.scorer.clear();
        }
    }
    // INVARIANT: nothing but the silence of a scorer ever leaves the list, so that no report makes an outcome milder.
    signals.push(signal);
    true
}

const fn words_of(signal: &Signal) -> usize {
    signal.explanation.len() + signal.scorer.len()
}

/// The reports that were counted lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Reports {
    counted: HashMap<GuardKey, Counted>,
    /// By who reported, oldest first.
    order: BTreeMap<String, VecDeque<(Timestamp, GuardKey)>>,
}

/// A report that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Counted {
    /// Position of its event.
    pub(in crate::broker) position: u64,
    /// Digest of what was reported, keyed by the family; `None` when its words were erased.
    asked: Option<[u8; 32]>,
}

impl Counted {
    /// True unless something else was reported under the same id.
    pub(in crate::broker) fn is_same<E>(&self, asked: impl FnOnce() -> Result<[u8; 32], E>) -> Result<bool, E> {
        self.asked.map_or(Ok(true), |known| Ok(known == asked()?))
    }
}

impl Reports {
    /// The report that was made under that key.
    pub(in crate::broker) fn find(&self, key: &GuardKey) -> Option<Counted> {
        self.counted.get(key).copied()
    }

    /// Remembers a report.
    pub(in crate::broker) fn keep(
        &mut self,
        (key, reporter): (GuardKey, &str),
        (position, time): (u64, Timestamp),
        asked: Option<[u8; 32]>,
    ) {
        if self.counted.insert(key, Counted { position, asked }).is_some() {
            return;
        }
        let own = self.order.entry(reporter.to_owned()).or_default();
        own.push_back((time, key));
        if own.len() > REPORTS_MAX
            && let Some((_, oldest)) = own.pop_front()
        {
            self.counted.remove(&oldest);
        }
    }

    /// Lets go of what was reported too long ago.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        for own in self.order.values_mut() {
            while own.front().is_some_and(|(at, _)| at.after(REPORT_RETENTION) <= now) {
                let Some((_, key)) = own.pop_front() else { break };
                self.counted.remove(&key);
            }
            own.shrink_to(own.len() * 2);
        }
        self.order.retain(|_, own| !own.is_empty());
        self.counted.shrink_to(self.counted.len() * 2);
    }

    /// When the oldest was made; `None` when there is none.
    pub(in crate::broker) fn oldest(&self) -> Option<Timestamp> {
        self.order.values().filter_map(|own| own.front()).map(|(at, _)| *at).min()
    }
}

/// What a signal says, apart from when it was observed: a retry may not know that any more.
pub(in crate::broker) fn signal_digest(signal: &pb::SignalReported, explanation: &str) -> [u8; 32] {
    asked_digest(&[
        b"signal",
        signal.name.as_bytes(),
        signal.scorer.as_bytes(),
        &signal.points.to_be_bytes(),
        explanation.as_bytes(),
    ])
}

/// What a reported call says.
pub(in crate::broker) fn call_digest(call: &pb::ToolCallReported, words: &CallWords) -> [u8; 32] {
    let words = serde_json::to_vec(words).unwrap_or_default();
    asked_digest(&[b"call", call.grant_id.as_bytes(), call.tool.as_bytes(), &[call.failed.into()], &words])
}

#[cfg(test)]
mod tests;
