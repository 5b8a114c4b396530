//! What the agent sent without ground, so that it is known again when a tool repeats it: as it was sent, spelled otherwise,
//! inside something longer, or put together from parts. Grounding merges few spellings; this merges many, because here a
//! mistake asks a person and there it would ask nobody.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::spelling;
use crate::model::limits::SINK_VALUE_BYTES_MAX;

/// Most fingerprints that are kept.
const SENT_MAX: usize = 64 << 10;
/// Longest text, in bytes, of which every part is kept: what is longer is content, and is kept by its words.
const PARTED_BYTES_MAX: usize = 128;
/// Longest part, in bytes of its folded form.
const PART_BYTES_MAX: usize = 127;
/// Shortest part, but for groups of digits: shorter ones stand in any value by chance.
const PART_BYTES_MIN: usize = 3;
/// What a tool may put before or behind what it was sent, in bytes, without making something new of it: a scheme (`mailto:`,
/// `https://www.`), a tag, a file's extension. Digits that were not sent are the tool's own: ids are made so.
const AFFIX_BYTES_MAX: usize = 8;

/// What was sent without ground, as fingerprints of folded texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    // Whole texts, and their words.
    words: Vec<u32>,
    // What a value could be put together from.
    parts: Vec<u32>,
    // Addresses and URLs: a value that holds one is no more than it.
    places: Vec<u32>,
    // Lengths of parts and places.
    lengths: Vec<u8>,
    // How the digests begin of what was ground by its digest when it was sent: to repeat it makes it no echo.
    #[serde(default)]
    known: Vec<u64>,
}

/// The words of an intent: what a value is put together from, when they are the user's own, says nothing.
#[derive(Debug, Clone)]
pub(super) struct OwnWords(HashSet<u32>);

impl OwnWords {
    pub(super) fn of(intent: &str) -> Self {
        let words = spelling::tokens(intent).flat_map(|token| parts_of(token).chain([token]));
        Self(words.map(|word| fingerprint(&spelling::folded(word))).collect())
    }
}

impl Sent {
    /// True when nothing was sent without ground.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.parts.is_empty() && self.places.is_empty()
    }

    /// What `known` does not hold already.
    pub(super) fn without(self, known: &Self) -> Self {
        let news = |list: Vec<u32>, known: &[u32]| -> Vec<u32> {
            list.into_iter().filter(|hash| known.binary_search(hash).is_err()).collect()
        };
        let (words, parts) = (news(self.words, &known.words), news(self.parts, &known.parts));
        let places = news(self.places, &known.places);
        let out = Self { words, parts, places, lengths: Vec::new(), known: Vec::new() };
        if out.is_empty() { out } else { Self { lengths: self.lengths, known: self.known, ..out } }
    }

    /// Bytes of memory that it holds, apart from its own size.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.words.capacity() + self.parts.capacity() + self.places.capacity()) * size_of::<u32>()
            + self.lengths.capacity()
            + self.known.capacity() * size_of::<u64>()
    }

    /// Adds what was ground by its digest before this was sent.
    pub(super) fn know(&mut self, digests: impl Iterator<Item = u64>) {
        self.known.extend(digests);
    }

    /// True for what was ground by its digest before it was sent.
    pub(super) fn knew(&self, digest: u64) -> bool {
        self.known.binary_search(&digest).is_ok()
    }

    /// Adds a text that nothing grounds. Call [`Sent::settle`] when all are added.
    pub(super) fn add(&mut self, text: &str, own: &OwnWords) {
        let whole = spelling::folded(text);
        if whole.is_empty() {
            return;
        }
        self.words.push(fingerprint(&whole));
        let short = text.len() <= PARTED_BYTES_MAX;
        let own_words = |token| own.0.contains(&fingerprint(&spelling::folded(token)));
        if short && !is_date(text) && !spelling::tokens(text).all(own_words) {
            self.part(&whole);
        }
        for token in spelling::tokens(text) {
            let folded = spelling::folded(token);
            let known = fingerprint(&folded);
            self.words.push(known);
            if spelling::is_address(token) || spelling::is_url(token) {
                self.length(&folded);
                self.places.push(known);
            }
            // Of content, only what looks like part of an account or an id.
            let telling = short || token.bytes().any(|b| b.is_ascii_digit());
            if !telling || is_date(token) {
                continue;
            }
            if !own.0.contains(&known) {
                self.part(&folded);
            }
            for word in parts_of(token).filter(|_| short) {
                let folded = spelling::folded(word);
                if !own.0.contains(&fingerprint(&folded)) {
                    self.part(&folded);
                }
            }
        }
    }

    /// Adds a text that is ground already, so that repeating it makes it no more than it was.
    pub(super) fn add_whole(&mut self, text: &str) {
        let whole = spelling::folded(text);
        if !whole.is_empty() {
            self.words.push(fingerprint(&whole));
        }
    }

    /// Brings it into the order in which it is looked up.
    pub(super) fn settle(&mut self) {
        for list in [&mut self.words, &mut self.parts, &mut self.places] {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
        self.lengths.sort_unstable();
        self.lengths.dedup();
        self.known.sort_unstable();
        self.known.dedup();
    }

    /// Adds what another one holds; false when there is no room for all of it.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut fits = true;
        let lists =
            [(&mut self.words, &other.words), (&mut self.parts, &other.parts), (&mut self.places, &other.places)];
        for (own, more) in lists {
            let news: Vec<u32> = more.iter().copied().filter(|hash| own.binary_search(hash).is_err()).collect();
            let room = SENT_MAX.saturating_sub(own.len());
            fits &= news.len() <= room;
            own.extend(news.iter().take(room));
        }
        self.lengths.extend(&other.lengths);
        let room = SENT_MAX.saturating_sub(self.known.len());
        fits &= other.known.len() <= room;
        self.known.extend(other.known.iter().take(room));
        self.settle();
        fits
    }

    /// True when a value is what was sent, is made of its words or parts only, or holds an address or a URL of it.
    pub(super) fn is_echoed_by(&self, text: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let folded = spelling::folded(text);
        if folded.is_empty() {
            return false;
        }
        let was_sent = |hash: u32| self.words.binary_search(&hash).is_ok();
        if was_sent(fingerprint(&folded)) {
            return true;
        }
        // What is longer is no value of a sink.
        if text.len() > SINK_VALUE_BYTES_MAX {
            return false;
        }
        let mut words = spelling::tokens(text).peekable();
        if words.peek().is_some() && words.all(|word| was_sent(fingerprint(&spelling::folded(word)))) {
            return true;
        }
        self.is_long_with_affixes(folded.as_bytes()) || self.is_made_of_parts(folded.as_bytes())
    }

    /// True for what is too long to be known by its parts, when it is what was sent but for what a tool puts around it.
    fn is_long_with_affixes(&self, value: &[u8]) -> bool {
        if value.len() <= PART_BYTES_MAX {
            return false;
        }
        let own = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_digit);
        let ends = value.len() - AFFIX_BYTES_MAX..=value.len();
        (0..=AFFIX_BYTES_MAX).take_while(|start| !value.get(..*start).is_some_and(own)).any(|start| {
            let mut hash = SEED;
            (start + 1..).zip(value.iter().skip(start)).any(|(end, byte)| {
                hash = step(hash, *byte);
                ends.contains(&end) && !value.get(end..).is_some_and(own) && self.words.binary_search(&hash).is_ok()
            })
        })
    }

    fn is_made_of_parts(&self, value: &[u8]) -> bool {
        let mut covered = vec![false; value.len()];
        let longest = self.lengths.last().copied().map_or(0, usize::from);
        // INVARIANT: no length is above `PART_BYTES_MAX`, so each has its bit.
        let lengths = self.lengths.iter().fold(0_u128, |all, len| all | 1_u128.wrapping_shl(u32::from(*len)));
        for start in 0..value.len() {
            let mut hash = SEED;
            for (len, byte) in (1_usize..).zip(value.iter().skip(start).take(longest)) {
                hash = step(hash, *byte);
                if lengths >> len & 1 == 0 {
                    continue;
                }
                if self.places.binary_search(&hash).is_ok() {
                    return true;
                }
                if self.parts.binary_search(&hash).is_ok() {
                    covered.iter_mut().skip(start).take(len).for_each(|c| *c = true);
                }
            }
        }
        let Some(first) = covered.iter().position(|c| *c) else { return false };
        let behind = covered.iter().rev().take_while(|c| !**c).count();
        let between = covered.iter().skip(first).take(covered.len() - first - behind).filter(|c| !**c).count();
        let sent = covered.iter().filter(|c| **c).count();
        if value.iter().zip(&covered).any(|(byte, covered)| !covered && byte.is_ascii_digit()) {
            return false;
        }
        first <= AFFIX_BYTES_MAX && behind <= AFFIX_BYTES_MAX && between == 0 && sent > first + behind
    }

    fn part(&mut self, folded: &str) {
        let is_group = folded.len() > 1 && folded.bytes().all(|b| b.is_ascii_digit());
        if (is_group || folded.len() >= PART_BYTES_MIN) && self.length(folded) {
            self.parts.push(fingerprint(folded));
        }
    }

    fn length(&mut self, folded: &str) -> bool {
        let length = u8::try_from(folded.len()).ok().filter(|n| usize::from(*n) <= PART_BYTES_MAX);
        self.lengths.extend(length);
        length.is_some()
    }
}

/// The runs of letters and digits of a word.
fn parts_of(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty())
}

/// True for a day (`2031-05-13`, with a time or without): it says when, and many ids hold one.
fn is_date(text: &str) -> bool {
    let day =
        text.bytes().take(10).enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    text.len() >= 10 && day
}

const SEED: u32 = 0x811c_9dc5;

// FNV-1a: the same in every build, so that snapshots stay readable, and grown byte by byte.
const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

fn fingerprint(folded: &str) -> u32 {
    folded.bytes().fold(SEED, step)
}

#[cfg(test)]
mod tests;
