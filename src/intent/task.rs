//! What a task is for, in the words of whoever registered it, and what those words were found to say.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::echo::OwnWords;
use super::fit::Reading;
use super::refused;

/// The intent of a task. It is read at most once, however many requests are held against it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Intent {
    words: String,
    reading: OnceLock<Reading>,
    own: OnceLock<OwnWords>,
    affirmed: OnceLock<String>,
}

impl Intent {
    /// No words at all: nothing is grounded in it.
    #[must_use]
    pub const fn silent() -> Self {
        Self { words: String::new(), reading: OnceLock::new(), own: OnceLock::new(), affirmed: OnceLock::new() }
    }

    /// The words as they were written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.words
    }

    /// What they say.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        self.reading.get_or_init(|| Reading::of(&self.words))
    }

    /// The words without what they refuse.
    pub(super) fn affirmed(&self) -> &str {
        self.affirmed.get_or_init(|| refused::affirmed(&self.words).into_owned())
    }

    /// The words that a value may be put together from without saying anything.
    pub(super) fn own_words(&self) -> &OwnWords {
        self.own.get_or_init(|| OwnWords::of(&self.words))
    }
}

impl From<String> for Intent {
    fn from(words: String) -> Self {
        Self { words, ..Self::silent() }
    }
}

impl From<&str> for Intent {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<Intent> for String {
    fn from(intent: Intent) -> Self {
        intent.words
    }
}

impl PartialEq for Intent {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Intent {}
