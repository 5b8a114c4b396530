//! What a session keeps of reported values: one text, and a small mark for every value in it. Whole values are found by a
//! fingerprint, parts of them by searching the text.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::spelling;
use crate::model::sink::SinkKind;

/// How a value got into the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Standing {
    /// A whole field of a result that audience or gateway reported, and that outsiders can't write: ground.
    Field,
    /// The same of a tool that changed something. It tells what was done, so it is made of what the agent asked for: ground
    /// for ids, amounts and names, and never for where something goes.
    Done,
    /// A sink of a call that audience or gateway reported, grounded as that kind when it was: ground for this kind.
    Argument(SinkKind),
    /// A part of a result that outsiders can write.
    Outsider,
    /// A result that the agent reported, of a call that failed, or of a tool that nobody knows.
    Unproven,
    /// Merely what the agent itself had sent.
    Echo,
}

impl Standing {
    /// True when it is ground for values of that kind.
    pub(super) fn grounds(self, kind: SinkKind) -> bool {
        match self {
            Self::Field => true,
            Self::Done => matches!(kind, SinkKind::Id | SinkKind::Amount | SinkKind::Other),
            Self::Argument(own) => own == kind,
            Self::Outsider | Self::Unproven | Self::Echo => false,
        }
    }
}

/// Every value that a session keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaves {
    text: String,
    marks: Vec<Mark>,
    paths: Vec<Box<str>>,
}

/// One value: it begins at `start` and ends before the separator of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    fingerprint: u32,
    start: u32,
    call: u16,
    path: u16,
    standing: Standing,
}

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a str,
    pub(super) call: u16,
    pub(super) standing: Standing,
}

/// Stands between values: no value is found across it.
const SEPARATOR: char = '\u{1e}';

/// What is kept free when it grows: a small part of what there is, and at least as much as a small result takes.
const SLACK_PART: usize = 32;
const SLACK_BYTES_MIN: usize = 512;
const SLACK_MARKS_MIN: usize = 16;

/// Adds the values of one report.
pub(super) struct Adding<'a> {
    leaves: &'a mut Leaves,
    // What is known already, so that the same listing read twice is kept once.
    known: HashMap<u32, Vec<u32>>,
    paths: HashMap<Box<str>, u16>,
    tool_of: &'a dyn Fn(u16) -> u16,
}

impl Leaves {
    /// Bytes of text that are kept.
    #[cfg(test)]
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory that are held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.marks.capacity() * size_of::<Mark>()
            + self.paths.capacity() * size_of::<Box<str>>()
            + self.paths.iter().map(|p| p.len()).sum::<usize>()
    }

    /// Begins to add the values of one report. `tool_of` says which tool a call was of.
    pub(super) fn adding<'a>(&'a mut self, tool_of: &'a dyn Fn(u16) -> u16) -> Adding<'a> {
        let mut known: HashMap<u32, Vec<u32>> = HashMap::with_capacity(self.marks.len());
        for (i, mark) in self.marks.iter().enumerate() {
            known.entry(mark.fingerprint).or_default().push(u32::try_from(i).unwrap_or(u32::MAX));
        }
        let paths = (0_u16..).zip(&self.paths).map(|(i, p)| (p.clone(), i)).collect();
        Adding { leaves: self, known, paths, tool_of }
    }

    /// Gives back what growing left unused, all but a small part.
    pub(super) fn tighten(&mut self) {
        self.text.shrink_to(self.text.len() + self.text.len() / SLACK_PART);
        self.marks.shrink_to(self.marks.len() + self.marks.len() / SLACK_PART);
        self.paths.shrink_to_fit();
    }

    /// Grows by little: who doubles what it holds gives nothing back by shrinking, because allocators leave a block as it is that is
    /// half full.
    fn make_room(&mut self, bytes: usize) {
        if self.text.capacity() - self.text.len() < bytes {
            self.text.reserve_exact(bytes.max(self.text.len() / SLACK_PART).max(SLACK_BYTES_MIN));
        }
        if self.marks.len() == self.marks.capacity() {
            self.marks.reserve_exact((self.marks.len() / SLACK_PART).max(SLACK_MARKS_MIN));
        }
    }

    /// Every whole value that is the same as `value`, in the order of reports.
    pub(super) fn whole<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        let wanted = spelling::fingerprint(value);
        let value = spelling::key(kind, value);
        let same = (0..self.marks.len()).filter(move |i| self.marks.get(*i).is_some_and(|m| m.fingerprint == wanted));
        same.filter_map(|i| self.leaf(i)).filter(move |leaf| spelling::key(kind, leaf.text) == value)
    }

    /// Every value within which `value` stands on its own, in the order of reports.
    pub(super) fn within<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        spelling::find_alone(&self.text, kind, value).filter_map(|at| self.at(at))
    }

    /// Every value that holds `text` as it stands.
    pub(super) fn holding<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        self.text.match_indices(text).filter_map(|(at, _)| self.at(at))
    }

    fn at(&self, offset: usize) -> Option<Leaf<'_>> {
        let offset = u32::try_from(offset).ok()?;
        self.leaf(self.marks.partition_point(|m| m.start <= offset).checked_sub(1)?)
    }

    fn leaf(&self, index: usize) -> Option<Leaf<'_>> {
        let mark = self.marks.get(index)?;
        let start = usize::try_from(mark.start).ok()?;
        let rest = match self.marks.get(index + 1) {
            Some(next) => self.text.get(start..usize::try_from(next.start).ok()?)?,
            None => self.text.get(start..)?,
        };
        let text = rest.strip_suffix(SEPARATOR).unwrap_or(rest);
        let path = self.paths.get(usize::from(mark.path))?;
        Some(Leaf { text, path, call: mark.call, standing: mark.standing })
    }
}

impl Adding<'_> {
    /// Keeps a value; false when there is no room left for it in `bytes_max` of text and paths.
    pub(super) fn keep(&mut self, path: &str, text: &str, call: u16, standing: Standing, bytes_max: usize) -> bool {
        let fingerprint = spelling::fingerprint(text);
        if self.is_known(fingerprint, path, text, call, standing) {
            return true;
        }
        let (Ok(start), Ok(index)) = (u32::try_from(self.leaves.text.len()), u32::try_from(self.leaves.marks.len()))
        else {
            return false;
        };
        if self.leaves.text.len() + text.len() + path.len() > bytes_max {
            return false;
        }
        let Some(path) = self.path(path) else { return false };
        self.leaves.make_room(text.len() + SEPARATOR.len_utf8());
        self.leaves.text.push_str(text);
        self.leaves.text.push(SEPARATOR);
        self.leaves.marks.push(Mark { fingerprint, start, call, path, standing });
        self.known.entry(fingerprint).or_default().push(index);
        true
    }

    // The same value in the same field of the same tool, of the same standing, says nothing new.
    fn is_known(&self, fingerprint: u32, path: &str, text: &str, call: u16, standing: Standing) -> bool {
        let tool = (self.tool_of)(call);
        self.known.get(&fingerprint).is_some_and(|indexes| {
            indexes.iter().take(KNOWN_MAX).filter_map(|i| self.leaves.leaf(usize::try_from(*i).ok()?)).any(|leaf| {
                leaf.standing == standing && leaf.path == path && leaf.text == text && (self.tool_of)(leaf.call) == tool
            })
        })
    }

    fn path(&mut self, path: &str) -> Option<u16> {
        if let Some(index) = self.paths.get(path) {
            return Some(*index);
        }
        let index = u16::try_from(self.leaves.paths.len()).ok()?;
        self.leaves.paths.push(path.into());
        self.paths.insert(path.into(), index);
        Some(index)
    }
}

/// Most values of one fingerprint that are compared before another is kept: a bound on work, not on what is remembered.
const KNOWN_MAX: usize = 16;
