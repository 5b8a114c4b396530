//! Whether the intent's words imply an effect of the kind that is asked for. A lexicon with reasons: it may say that a person
//! should look, and never decides alone.

use super::words::{self, Word};
use crate::catalogue::tool::Tool;
use crate::model::access::Effect;
use crate::model::facts::{FitVerdict, IntentFit};

mod lexicon;

/// Most words that a conclusion names.
const BECAUSE_MAX: usize = 5;
/// How far behind its verb a noun may stand that changes what the verb means.
const NOUN_DISTANCE: usize = 5;
/// How far before a verb a word may stand that turns it round (`do not`, `without`).
const NEGATION_DISTANCE: usize = 3;

/// The effects that a verb implies by itself, as the lexicon has it, and whether the word is a noun as often; `None` for a word
/// that is no verb of it. For names of tools, which begin with one.
#[must_use]
pub fn implied_by_verb(base: &str) -> Option<(&'static [Effect], bool)> {
    lexicon::verb(base).map(|verb| (verb.effects, verb.noun_too))
}

/// What an intent was found to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Effects that it asks for, each with the words that say so.
    asked: Vec<(Effect, String)>,
    /// Effects that it speaks against, each with the words that say so.
    refused: Vec<(Effect, String)>,
    /// Words that ask to be told something.
    reads: Vec<String>,
    /// The words that tell the agent to take what it does or writes from something that it reads.
    sources: Vec<String>,
    /// The words that leave it to something that is read which actions are taken.
    open: Vec<String>,
    /// Every word in its base form, for topics.
    topics: Vec<String>,
}

impl Reading {
    /// Reads an intent.
    #[must_use]
    pub fn of(intent: &str) -> Self {
        let mut reading = Self::default();
        for sentence in words::sentences(intent) {
            reading.sentence(&sentence);
        }
        for token in super::spelling::tokens(intent) {
            reading.topics.extend(words::name_words(token).iter().map(|w| words::singular(w).to_owned()));
        }
        reading.topics.sort_unstable();
        reading.topics.dedup();
        reading
    }

    /// How an access to `tool` fits; a tool that nobody knows fits nothing and says so by silence.
    #[must_use]
    pub fn fit(&self, tool: Option<&Tool>) -> IntentFit {
        let delegates = !self.sources.is_empty() || !self.open.is_empty();
        let (verdict, because) = match tool {
            None => (FitVerdict::Silent, Vec::new()),
            Some(tool) if tool.effect == Effect::Read => self.fit_read(tool),
            Some(tool) => self.fit_effect(tool.effect),
        };
        IntentFit { verdict, because, delegates }
    }

    fn fit_effect(&self, effect: Effect) -> (FitVerdict, Vec<String>) {
        let of = |list: &[(Effect, String)]| {
            let mut said: Vec<String> = list.iter().filter(|(e, _)| *e == effect).map(|(_, w)| w.clone()).collect();
            said.dedup();
            said.truncate(BECAUSE_MAX);
            said
        };
        let asked = of(&self.asked);
        if !asked.is_empty() {
            return (FitVerdict::Implied, asked);
        }
        let refused = of(&self.refused);
        if !refused.is_empty() {
            return (FitVerdict::NotImplied, refused);
        }
        if !self.open.is_empty() {
            return (FitVerdict::Silent, self.open.iter().take(BECAUSE_MAX).cloned().collect());
        }
        let mut other: Vec<String> =
            self.asked.iter().map(|(_, w)| w.clone()).chain(self.reads.iter().cloned()).collect();
        other.dedup();
        other.truncate(BECAUSE_MAX);
        let verdict = if other.is_empty() { FitVerdict::Silent } else { FitVerdict::NotImplied };
        (verdict, other)
    }

    /// Reading is part of most tasks, so silence is the worst that a read of ordinary data meets. A read of sensitive
    /// classes is another matter: the intent has to speak of them, or of what the tool is named for.
    fn fit_read(&self, tool: &Tool) -> (FitVerdict, Vec<String>) {
        let name = words::name_words(tool.name.as_str());
        let named: Vec<String> = name
            .iter()
            .map(|w| words::singular(w))
            .filter(|w| !lexicon::is_generic(w) && self.speaks_of(w))
            .map(str::to_owned)
            .collect();
        if !named.is_empty() {
            return (FitVerdict::Implied, named);
        }
        let unspoken: Vec<String> = tool
            .sensitive
            .iter()
            .filter(|class| !lexicon::class_words(class.as_str()).iter().any(|w| self.speaks_of(w)))
            .map(|class| format!("{class} data"))
            .collect();
        if unspoken.is_empty() { (FitVerdict::Silent, Vec::new()) } else { (FitVerdict::NotImplied, unspoken) }
    }

    fn speaks_of(&self, word: &str) -> bool {
        self.topics.binary_search_by(|t| t.as_str().cmp(word)).is_ok()
    }

    fn sentence(&mut self, sentence: &[Word]) {
        self.reads.extend(lexicon::told(sentence));
        let asks_from = reminder(sentence).unwrap_or(sentence.len());
        for (at, word) in sentence.iter().enumerate() {
            if lexicon::holds(lexicon::READS, &word.text) {
                self.reads.push(word.text.clone());
            }
            // What one is to be reminded of is content, and no ask.
            if at >= asks_from {
                continue;
            }
            let list = if is_refused(sentence, at) { &mut self.refused } else { &mut self.asked };
            for (effects, words) in effects_of(sentence, at) {
                list.extend(effects.iter().map(|e| (*e, words.clone())));
            }
        }
        self.sources.extend(lexicon::source(sentence));
        self.open.extend(lexicon::open(sentence));
    }
}

/// True for a word with which somebody may begin to ask for something.
pub(super) fn is_verb(word: &str) -> bool {
    lexicon::verb(word).is_some() || lexicon::holds(lexicon::ASKS, word)
}

/// The same for one that is hardly ever anything else.
pub(super) fn is_only_verb(word: &str) -> bool {
    lexicon::verb(word).is_some_and(|verb| !verb.noun_too)
}

/// True for a word of tool and argument names that says nothing about what they are for.
pub(super) fn is_generic(word: &str) -> bool {
    lexicon::is_generic(word)
}

fn effects_of(sentence: &[Word], at: usize) -> Vec<(&'static [Effect], String)> {
    let mut out = Vec::new();
    let Some(word) = sentence.get(at) else { return out };
    let behind = sentence.get(at + 1..).unwrap_or(&[]);
    let bases = std::iter::once(word.text.clone()).chain(words::from_ing(&word.text));
    for (i, base) in bases.enumerate() {
        let Some(verb) = lexicon::verb(&base) else { continue };
        // Words that are nouns as often as verbs count only where a verb stands, and never in `-ing`.
        if verb.noun_too && (i > 0 || !stands_as_verb(sentence, at)) {
            continue;
        }
        // `tell me` asks to be told, and reaches nobody else.
        if lexicon::tells_me(&base, behind) {
            continue;
        }
        if !verb.effects.is_empty() {
            out.push((verb.effects, word.text.clone()));
        }
        if lexicon::writes_to(&base, behind) {
            out.push((&[Effect::Send], format!("{} to", word.text)));
        }
        for pair in lexicon::PAIRS.iter().filter(|p| p.has_verb(&base)) {
            // Names and addresses between verb and noun do not part them.
            let plain = behind.iter().filter(|w| w.text.chars().all(|c| c.is_alphabetic() || c == '-'));
            let noun = plain.take(NOUN_DISTANCE).find(|n| pair.has_noun(words::singular(&n.text)));
            out.extend(noun.map(|n| (pair.effects, format!("{} … {}", word.text, n.text))));
        }
    }
    out
}

fn stands_as_verb(sentence: &[Word], at: usize) -> bool {
    let Some(word) = sentence.get(at) else { return false };
    let before = at.checked_sub(1).and_then(|b| sentence.get(b));
    let led = |b: &Word| [lexicon::LEADS, lexicon::NEGATIONS].iter().any(|list| lexicon::holds(list, &b.text));
    let leads = word.begins || before.is_none_or(led);
    let after = sentence.get(at + 1).map_or("", |w| w.text.as_str());
    leads && !lexicon::holds(lexicon::AFTER_NOUN, after)
}

fn is_refused(sentence: &[Word], at: usize) -> bool {
    let before = sentence.get(at.saturating_sub(NEGATION_DISTANCE)..at).unwrap_or(&[]);
    // A clause of its own begins anew: `if not, send it`.
    let clause = before.iter().rposition(|w| w.begins).unwrap_or(0);
    let own_clause = sentence.get(at).is_some_and(|w| w.begins);
    let mut near = before.get(clause..).unwrap_or(&[]).iter().map(|w| w.text.as_str());
    !own_clause && near.any(|w| lexicon::holds(lexicon::NEGATIONS, w))
}

/// Where the content of a reminder begins: behind `remind … to` or `reminder … about`.
fn reminder(sentence: &[Word]) -> Option<usize> {
    let at = sentence.iter().position(|w| matches!(w.text.as_str(), "remind" | "reminder" | "reminding"))?;
    let behind = sentence.get(at + 1..)?;
    let to = behind.iter().position(|w| matches!(w.text.as_str(), "to" | "about" | "of" | "that"))?;
    Some(at + to + 2)
}

#[cfg(test)]
mod tests;
