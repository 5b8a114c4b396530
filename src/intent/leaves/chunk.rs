//! A part of what a session keeps: values one after the other in one text, and a mark of eight bytes for each.

use serde::{Deserialize, Serialize};

use crate::intent::spelling;

/// Most bytes of values in one: a size that allocators have. A value that is longer stands alone.
const CHUNK_BYTES: usize = 8 << 10;
/// Stands between values: no value is found across it.
pub(super) const SEPARATOR: char = '\u{1e}';

/// What is kept free when it grows: a small part of what there is, and at least as much as a small result takes.
const SLACK_PART: usize = 32;
const SLACK_BYTES_MIN: usize = 512;
const SLACK_MARKS_MIN: usize = 16;

/// Some values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    text: String,
    marks: Vec<Mark>,
}

/// One value: it begins at `start` and ends before the separator of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) fingerprint: u16,
    /// Always below the size of a chunk: what has no room begins another.
    pub(super) start: u16,
    pub(super) call: u16,
    pub(super) place: u16,
}

/// What values that are the same have in common, and few others.
pub(super) fn fingerprint(text: &str) -> u16 {
    let [a, b, c, d] = spelling::fingerprint(text).to_be_bytes();
    u16::from_be_bytes([a ^ c, b ^ d])
}

impl Chunk {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub(super) fn marks_mut(&mut self) -> &mut [Mark] {
        &mut self.marks
    }

    pub(super) const fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) const fn has_room(&self, text: &str) -> bool {
        self.text.is_empty() || self.text.len() + text.len() + SEPARATOR.len_utf8() <= CHUNK_BYTES
    }

    /// Bytes of memory that it holds.
    pub(super) const fn memory_bytes(&self) -> usize {
        size_of::<Self>() + 2 * size_of::<usize>() + self.text.capacity() + self.marks.capacity() * size_of::<Mark>()
    }

    /// The mark and the text of a value.
    pub(super) fn value(&self, index: usize) -> Option<(Mark, &str)> {
        let mark = *self.marks.get(index)?;
        let start = usize::from(mark.start);
        let rest = match self.marks.get(index + 1) {
            Some(next) => self.text.get(start..usize::from(next.start))?,
            None => self.text.get(start..)?,
        };
        Some((mark, rest.strip_suffix(SEPARATOR).unwrap_or(rest)))
    }

    /// Which value stands at that place in the text.
    pub(super) fn index_at(&self, offset: usize) -> Option<usize> {
        self.marks.partition_point(|mark| usize::from(mark.start) <= offset).checked_sub(1)
    }

    /// Every value that holds `text` as it stands, each of them once.
    pub(super) fn holding(&self, text: &str) -> impl Iterator<Item = usize> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let from = next?;
            let index = self.index_at(from + self.text.get(from..)?.find(text)?)?;
            next = self.marks.get(index + 1).map(|mark| usize::from(mark.start));
            Some(index)
        })
    }

    /// Adds a value; its start is set here. Gives its index. Not for a chunk that has no room for it.
    pub(super) fn push(&mut self, mark: Mark, text: &str) -> usize {
        self.make_room(text.len() + SEPARATOR.len_utf8());
        let start = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        self.text.push_str(text);
        self.text.push(SEPARATOR);
        self.marks.push(Mark { start, ..mark });
        self.marks.len() - 1
    }

    /// Gives back what growing left unused, all but a small part.
    pub(super) fn tighten(&mut self) {
        self.text.shrink_to(self.text.len() + self.text.len() / SLACK_PART);
        self.marks.shrink_to(self.marks.len() + self.marks.len() / SLACK_PART);
    }

    /// Gives back everything that is unused.
    pub(super) fn close(&mut self) {
        self.text.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    // Grows by little: who doubles what it holds gives nothing back by shrinking, because allocators leave a block as it is that is half
    // full.
    fn make_room(&mut self, bytes: usize) {
        if self.text.capacity() - self.text.len() < bytes {
            self.text.reserve_exact(bytes.max(self.text.len() / SLACK_PART).max(SLACK_BYTES_MIN));
        }
        if self.marks.len() == self.marks.capacity() {
            self.marks.reserve_exact((self.marks.len() / SLACK_PART).max(SLACK_MARKS_MIN));
        }
    }
}
