//! What a task is to the rooms that judge it.

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Credentials may be asked for.
    #[default]
    Active,
    /// Every grant is suspended until it is resumed.
    Paused,
    /// Ended by its orchestrator: done.
    Completed,
    /// Ended by its orchestrator: given up.
    Cancelled,
    /// Ended by its deadline.
    Expired,
}

impl TaskState {
    /// True when nothing can be granted ever again.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Expired)
    }

    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// What an agent is made of. Empty members were not given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentProfile {
    /// Name and version of the model.
    pub model: String,
    /// Digest of the system prompt.
    pub prompt_digest: String,
    /// Digest of the corpus that it retrieves from.
    pub corpus_digest: String,
    /// Digest of the tool definitions that it was shown.
    pub tools_digest: String,
}

/// A part of an agent profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum ProfilePart {
    /// The model.
    Model,
    /// The system prompt.
    Prompt,
    /// The corpus.
    Corpus,
    /// The tool definitions.
    Tools,
}

impl ProfilePart {
    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Corpus => "corpus",
            Self::Tools => "tools",
        }
    }
}

impl AgentProfile {
    /// True when `shown` has a part that this one lacks.
    #[must_use]
    pub fn lacks(&self, shown: &Self) -> bool {
        let mut both = self.clone();
        both.complete(shown);
        both != *self
    }

    /// Takes over the parts that it lacks.
    pub fn complete(&mut self, shown: &Self) {
        let parts = [
            (&mut self.model, &shown.model),
            (&mut self.prompt_digest, &shown.prompt_digest),
            (&mut self.corpus_digest, &shown.corpus_digest),
            (&mut self.tools_digest, &shown.tools_digest),
        ];
        for (own, shown) in parts.into_iter().filter(|(own, _)| own.is_empty()) {
            own.clone_from(shown);
        }
    }

    /// The parts in which `now` differs from this registered profile. A part that was not registered, and that the agent has not shown
    /// before, cannot change; one that was and is no longer told has changed.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<ProfilePart> {
        let known = |(_, was, _): &(ProfilePart, &str, &str)| !was.is_empty();
        self.differing(now).filter(known).map(|(part, ..)| part).collect()
    }

    /// The parts in which `now` differs at all, told before or not.
    #[must_use]
    pub fn differs(&self, now: &Self) -> Vec<ProfilePart> {
        self.differing(now).map(|(part, ..)| part).collect()
    }

    /// Each part that is another, with what it was and is.
    fn differing<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = (ProfilePart, &'a str, &'a str)> {
        let parts = [
            (ProfilePart::Model, self.model.as_str(), now.model.as_str()),
            (ProfilePart::Prompt, &self.prompt_digest, &now.prompt_digest),
            (ProfilePart::Corpus, &self.corpus_digest, &now.corpus_digest),
            (ProfilePart::Tools, &self.tools_digest, &now.tools_digest),
        ];
        parts.into_iter().filter(|(_, was, is)| was != is)
    }
}
