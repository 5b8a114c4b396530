//! A word to a thread that waits: the last one counts, and `stop` is heard before any.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Where one thread waits for what others say.
pub(super) struct Signal<T> {
    said: Mutex<Said<T>>,
    changed: Condvar,
}

struct Said<T> {
    word: Option<T>,
    stop: bool,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<T> {
    Word(T),
    Nothing,
    Stop,
}

impl<T> Signal<T> {
    pub(super) fn new() -> Self {
        Self { said: Mutex::new(Said { word: None, stop: false }), changed: Condvar::new() }
    }

    /// Says something, in place of what was said and not heard.
    pub(super) fn say(&self, word: T) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).word = Some(word);
        self.changed.notify_one();
    }

    /// Tells the thread to end.
    pub(super) fn stop(&self) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.changed.notify_one();
    }

    /// True when the thread should end.
    pub(super) fn is_stopped(&self) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).stop
    }

    /// Waits for a word, so long at most.
    pub(super) fn hear(&self, at_most: Duration) -> Heard<T> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |said: &mut Said<T>| said.word.is_none() && !said.stop;
        let waited = self.changed.wait_timeout_while(said, at_most, silent);
        let (mut said, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if said.stop {
            return Heard::Stop;
        }
        said.word.take().map_or(Heard::Nothing, Heard::Word)
    }
}

#[cfg(test)]
mod tests;
