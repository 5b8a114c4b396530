//! The words of people and agents as they stand in events: JSON, sealed under the key of their task family. What is sealed
//! where is bound by its context, so that no sealed text can be moved to another event of the record.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::broker::answer::Difference;
use crate::broker::error::BrokerError;
use crate::intent::task::Intent;
use crate::model::access::Access;
use crate::model::ceiling::{Ceiling, CeilingFit};
use crate::model::decision::Decision;
use crate::model::digested::DigestedCall;
use crate::model::facts::{Facts, Question};
use crate::model::id::TaskId;
use crate::model::json::Json;
use crate::model::task::AgentProfile;
use crate::seal::error::SealError;
use crate::seal::sealer::Sealer;

/// What was written when a task was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct TaskWords {
    pub(in crate::broker) intent: Intent,
    pub(in crate::broker) ceiling: Option<Ceiling>,
    /// True when an orchestrator wrote the ceiling. One that an agent wrote takes away and declares nothing.
    #[serde(default)]
    pub(in crate::broker) by_orchestrator: bool,
    /// What of the ceiling is ground, where that is less than all of it: what was taken back in part.
    #[serde(default)]
    pub(in crate::broker) grounds: Option<Ceiling>,
    pub(in crate::broker) profile: AgentProfile,
}

/// What a family is for, when its root's words are gone.
static SILENT: Intent = Intent::silent();

/// What a family is for, by the words of the task that began it.
pub(in crate::broker) fn root_intent(root: Option<&Arc<TaskWords>>) -> &Intent {
    root.map_or(&SILENT, |words| &words.intent)
}

impl TaskWords {
    /// The ceiling, as far as it is more than an agent's own word, and more than what is left of an extension.
    pub(in crate::broker) fn declared(&self) -> Option<&Ceiling> {
        let ceiling = self.ceiling.as_ref().filter(|_| self.by_orchestrator)?;
        Some(self.grounds.as_ref().unwrap_or(ceiling))
    }

    /// Puts another ceiling in the place of this one, with who wrote it.
    pub(in crate::broker) fn amend(&mut self, amended: AmendWords) {
        self.ceiling = Some(amended.ceiling);
        self.by_orchestrator = amended.by_orchestrator;
        self.grounds = amended.grounds;
    }
}

/// What a decision was made from, and the decision itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::broker) struct DecisionWords {
    pub(in crate::broker) facts: Facts,
    pub(in crate::broker) decision: Decision,
    #[serde(default)]
    pub(in crate::broker) access: Vec<Access>,
    #[serde(default)]
    pub(in crate::broker) purpose: String,
    #[serde(default)]
    pub(in crate::broker) differences: Vec<Difference>,
    /// What the agent said that it was made of; empty in older records.
    #[serde(default)]
    pub(in crate::broker) profile: AgentProfile,
}

impl DecisionWords {
    /// Those of a decision that is about no request.
    pub(in crate::broker) fn bare(facts: Facts, decision: Decision) -> Self {
        let (access, purpose, differences) = (Vec::new(), String::new(), Vec::new());
        Self { facts, decision, access, purpose, differences, profile: AgentProfile::default() }
    }
}

/// What an amendment puts in place of the ceiling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::broker) struct AmendWords {
    pub(in crate::broker) ceiling: Ceiling,
    /// True when an orchestrator wrote it.
    #[serde(default)]
    pub(in crate::broker) by_orchestrator: bool,
    /// What of it is ground, where that is less than all of it.
    #[serde(default)]
    pub(in crate::broker) grounds: Option<Ceiling>,
    /// Values that were ground before and are none any more. What merely a pattern let in was ground for nothing but itself; records of
    /// before may name patterns as well.
    #[serde(default)]
    pub(in crate::broker) named_no_more: Vec<String>,
}

/// A reported call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::broker) struct CallWords {
    pub(in crate::broker) arguments: Json,
    pub(in crate::broker) result: Json,
    /// What was told by digests instead. Left out where there is none, so that reports of before look the same.
    #[serde(default, skip_serializing_if = "DigestedCall::is_empty")]
    pub(in crate::broker) digested: DigestedCall,
}

/// A sentence that came with a signal, a pause or an end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::broker) struct Sentence {
    pub(in crate::broker) text: String,
}

/// What a sealed text is, and where it stands: bound to the text as associated data.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Context<'a> {
    /// The kind of text, e.g. `task`.
    pub(in crate::broker) kind: &'static str,
    /// The id that makes it unique in its family: a decision, a request or a task.
    pub(in crate::broker) id: &'a str,
}

/// What most words need, as JSON.
const WORDS_BYTES_USUAL: usize = 4 << 10;

/// Seals `words` for the record under the key of the family of `root`. They are read before they are written, and what does
/// not read back is not written: a decision could not be explained, renewed or made again from it, and a fold that needs
/// words would end the broker, and every start of it.
///
/// # Errors
/// When the family has no key or was erased, and when the words do not read back.
pub(in crate::broker) fn seal<W: Serialize + DeserializeOwned>(
    sealer: &Sealer,
    root: TaskId,
    context: Context<'_>,
    words: &W,
) -> Result<bytes::Bytes, WordsError> {
    let json = encoded(words)?;
    serde_json::from_slice::<W>(&json).map_err(WordsError::Decode)?;
    sealed(sealer, root, context, &json)
}

/// The same for a decision's words, of which every request makes some, for the record alone: no fold needs them. Where they hold
/// nothing that was worked out, they are made of what was parsed when it came in, by the very rules that read it back; that it
/// does is looked at wherever assertions are, so in every test. Words that did not read back would suspend their grant, and
/// explain nothing.
///
/// # Errors
/// As [`seal`].
pub(in crate::broker) fn seal_decided(
    sealer: &Sealer,
    root: TaskId,
    context: Context<'_>,
    words: &DecisionWords,
) -> Result<bytes::Bytes, WordsError> {
    let Facts { question, entries, .. } = &words.facts;
    let is_parsed = *question == Question::Request
        && !entries.iter().any(|entry| matches!(entry.ceiling, CeilingFit::Outside { .. }));
    if is_parsed && !cfg!(debug_assertions) {
        return seal_derived(sealer, root, context, words);
    }
    seal(sealer, root, context, words)
}

/// The same for what is derived and can be derived again: whoever reads it finds out whether it does.
///
/// # Errors
/// When the family has no key or was erased.
pub(in crate::broker) fn seal_derived<W: Serialize>(
    sealer: &Sealer,
    root: TaskId,
    context: Context<'_>,
    words: &W,
) -> Result<bytes::Bytes, WordsError> {
    sealed(sealer, root, context, &encoded(words)?)
}

fn encoded<W: Serialize>(words: &W) -> Result<zeroize::Zeroizing<Vec<u8>>, WordsError> {
    // What moves while it grows leaves copies behind.
    let mut json = zeroize::Zeroizing::new(Vec::with_capacity(WORDS_BYTES_USUAL));
    serde_json::to_writer(&mut *json, words).map_err(WordsError::Encode)?;
    Ok(json)
}

fn sealed(sealer: &Sealer, root: TaskId, context: Context<'_>, json: &[u8]) -> Result<bytes::Bytes, WordsError> {
    Ok(sealer.seal(root, &associated(context), json).map_err(WordsError::Seal)?.into())
}

/// Opens what [`seal`] made.
///
/// # Errors
/// When it was erased, damaged, or stands in another place than it was made for.
pub(in crate::broker) fn open<W: DeserializeOwned>(
    sealer: &Sealer,
    root: TaskId,
    context: Context<'_>,
    sealed: &[u8],
) -> Result<W, WordsError> {
    let json = sealer.open(root, &associated(context), sealed).map_err(WordsError::Seal)?;
    serde_json::from_slice(&json).map_err(WordsError::Decode)
}

fn associated(context: Context<'_>) -> String {
    format!("carnet/{}/{}", context.kind, context.id)
}

/// Why words could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum WordsError {
    /// They could not be written as JSON.
    #[error("words could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// They are not the JSON that they should be.
    #[error("words could not be decoded")]
    Decode(#[source] serde_json::Error),
    /// The seal failed.
    #[error("words could not be sealed or opened")]
    Seal(#[source] SealError),
}

impl WordsError {
    /// True when the words were erased on purpose.
    pub(in crate::broker) const fn is_erased(&self) -> bool {
        matches!(self, Self::Seal(SealError::Erased(_)))
    }
}

impl From<WordsError> for BrokerError {
    fn from(error: WordsError) -> Self {
        match error {
            WordsError::Seal(_) => Self::unavailable(error),
            WordsError::Encode(_) | WordsError::Decode(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests;
