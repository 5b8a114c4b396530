//! What one append says about grants that were decided again. Signals are the same for all of them, so one event holds them
//! and the others say how far back it stands.

use crate::broker::words::DecisionWords;
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::Expect;
use crate::model::risk::Signal;
use crate::pb::journal as pb;
use crate::pb::wire::encoded_len;

/// Events that are appended together.
pub(super) struct Batch {
    entry: Entry,
    bytes: usize,
    /// Where the event stands that holds the signals.
    whole: Option<usize>,
}

impl Batch {
    pub(super) fn new(class: EntryClass, policy: Expect) -> Self {
        Self { entry: Entry { events: Vec::new(), expects: vec![policy], class }, bytes: 0, whole: None }
    }

    pub(super) fn expect(&mut self, expect: Expect) {
        if !self.entry.expects.contains(&expect) {
            self.entry.expects.push(expect);
        }
    }

    pub(super) fn push(&mut self, event: pb::Event) {
        self.bytes += encoded_len(&event);
        self.entry.events.push(event);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entry.events.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn into_entry(self) -> Entry {
        self.entry
    }

    /// Leaves out of the words of the next event what an event before holds; how many events back that one stands.
    pub(super) fn share_signals(&self, words: &mut DecisionWords, signals: &[Signal]) -> u32 {
        let back = self.whole.and_then(|whole| u32::try_from(self.entry.events.len() - whole).ok());
        let Some(back) = back else { return 0 };
        words.facts.signals.clear();
        for contribution in &mut words.decision.risk.contributions {
            let same = |s: &&Signal| s.name == contribution.signal && s.source == contribution.source;
            if signals.iter().find(same).is_some_and(|s| s.explanation == contribution.explanation) {
                contribution.explanation.clear();
            }
        }
        back
    }

    /// The next event holds the signals for those that follow.
    pub(super) const fn holds_signals(&mut self) {
        self.whole = Some(self.entry.events.len());
    }
}

/// Puts back into words what [`Batch::share_signals`] left out of them.
pub(in crate::broker) fn with_signals(words: &mut DecisionWords, signals: Vec<Signal>) {
    for contribution in &mut words.decision.risk.contributions {
        let same = |s: &&Signal| s.name == contribution.signal && s.source == contribution.source;
        if let Some(signal) = signals.iter().find(same).filter(|_| contribution.explanation.is_empty()) {
            contribution.explanation.clone_from(&signal.explanation);
        }
    }
    words.facts.signals = signals;
}
