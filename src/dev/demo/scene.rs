//! The stage: tells what happens, and keeps count of what went as it should.

use crate::dev::demo::{Ending, Listener, Step, Told};

/// The stage of one demo.
pub(in crate::dev::demo) struct Scene<'a> {
    listener: Listener<'a>,
    ending: Ending,
}

impl<'a> Scene<'a> {
    pub(in crate::dev::demo) const fn new(listener: Listener<'a>) -> Self {
        Self { listener, ending: Ending { held: 0, failed: 0 } }
    }

    pub(in crate::dev::demo) fn chapter(&mut self, title: &'static str) {
        (self.listener)(Told::Chapter(title));
    }

    pub(in crate::dev::demo) fn remark(&mut self, text: impl Into<String>) {
        (self.listener)(Told::Remark(text.into()));
    }

    /// Tells a step; `held` says whether it went as it should.
    pub(in crate::dev::demo) fn step(
        &mut self,
        who: &'static str,
        what: impl Into<String>,
        answer: impl Into<String>,
        why: impl Into<String>,
        held: bool,
    ) {
        if held {
            self.ending.held += 1;
        } else {
            self.ending.failed += 1;
        }
        (self.listener)(Told::Step(Step { who, what: what.into(), answer: answer.into(), why: why.into(), held }));
    }

    pub(in crate::dev::demo) const fn ending(&self) -> Ending {
        self.ending
    }
}
