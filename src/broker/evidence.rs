//! Evidence about a task family as it is kept: signals, of which none is ever dropped, and the reports that were counted, so
//! that a retry is known again. Both are bounded for each who reports, never at the cost of somebody else's evidence.

use std::collections::{BTreeMap, VecDeque};
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
/// What is kept free when they grow: a part of what there is, and at least so many.
const REPORTS_SLACK_PART: usize = 8;
const REPORTS_SLACK_MIN: usize = 4;
/// Bytes of a keyed digest that are kept: it tells a retry from something else that its reporter says under the same id.
const ASKED_BYTES: usize = 8;
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

/// The reports that were counted lately, by who reported, oldest first. Of fifty calls they are a tenth of what a task costs, so there is
/// no index: who repeats a report does so soon, and whoever makes thousands pays with a look at its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::box_collection, reason = "a map has room for eleven of them, and most families have one reporter")]
pub(in crate::broker) struct Reports(BTreeMap<Box<str>, Box<VecDeque<Report>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    key: GuardKey,
    time: Timestamp,
    counted: Counted,
}

/// A report that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Counted {
    /// Position of its event.
    pub(in crate::broker) position: u64,
    /// How the digest of what was reported begins, keyed by the family; `None` when its words were erased.
    asked: Option<[u8; ASKED_BYTES]>,
}

impl Counted {
    /// True unless something else was reported under the same id.
    pub(in crate::broker) fn is_same<E>(&self, asked: impl FnOnce() -> Result<[u8; 32], E>) -> Result<bool, E> {
        self.asked.map_or(Ok(true), |known| Ok(known == beginning(&asked()?)))
    }
}

impl Reports {
    /// The report that was made under that key.
    pub(in crate::broker) fn find(&self, (key, reporter): (GuardKey, &str)) -> Option<Counted> {
        self.0.get(reporter)?.iter().rev().find(|report| report.key == key).map(|report| report.counted)
    }

    /// Remembers a report.
    pub(in crate::broker) fn keep(
        &mut self,
        (key, reporter): (GuardKey, &str),
        (position, time): (u64, Timestamp),
        asked: Option<[u8; 32]>,
    ) {
        let counted = Counted { position, asked: asked.map(|asked| beginning(&asked)) };
        let own = self.0.entry(reporter.into()).or_default();
        if let Some(known) = own.iter_mut().rev().find(|report| report.key == key) {
            known.counted = counted;
            return;
        }
        if own.len() >= REPORTS_MAX {
            own.pop_front();
        }
        if own.len() == own.capacity() {
            own.reserve_exact((own.len() / REPORTS_SLACK_PART).max(REPORTS_SLACK_MIN));
        }
        own.push_back(Report { key, time, counted });
    }

    /// Lets go of what was reported too long ago.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        for own in self.0.values_mut() {
            while own.front().is_some_and(|report| report.time.after(REPORT_RETENTION) <= now) {
                own.pop_front();
            }
            own.shrink_to(own.len() * 2);
        }
        self.0.retain(|_, own| !own.is_empty());
    }

    /// When the oldest was made; `None` when there is none.
    pub(in crate::broker) fn oldest(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|own| own.front()).map(|report| report.time).min()
    }
}

fn beginning(digest: &[u8; 32]) -> [u8; ASKED_BYTES] {
    let (beginning, _) = digest.split_first_chunk().unwrap_or((&[0; ASKED_BYTES], &[]));
    *beginning
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
