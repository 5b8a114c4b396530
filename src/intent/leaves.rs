//! What a session keeps of reported values: one text, and a small mark for every value in it. Whole values are found by a
//! fingerprint, parts of them by searching the text.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::digests::Digests;
use super::spelling;
use crate::model::provenance::Seen;
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
    /// A result that the agent alone reported.
    Said,
    /// A result of a call that was never granted.
    Ungranted,
    /// What came back of a call that failed.
    Failed,
    /// A result of a tool that the catalogue does not know.
    UnknownTool,
    /// Merely what the agent itself had sent.
    Echo,
    /// What was a field, or told what was done, before it was taken back that the call was allowed.
    TakenBack,
    /// What was an argument then: as if it had not been kept, because only the agent has said it.
    Unsaid,
}

impl Standing {
    /// True when it is ground for values of that kind.
    pub(super) fn grounds(self, kind: SinkKind) -> bool {
        match self {
            Self::Field => true,
            Self::Done => matches!(kind, SinkKind::Id | SinkKind::Amount | SinkKind::Other),
            Self::Argument(own) => own == kind,
            Self::Outsider
            | Self::Said
            | Self::Ungranted
            | Self::Failed
            | Self::UnknownTool
            | Self::Echo
            | Self::TakenBack
            | Self::Unsaid => false,
        }
    }

    /// What is left of it when it is taken back that the call was allowed.
    pub(super) const fn taken_back(self) -> Self {
        match self {
            Self::Field | Self::Done => Self::TakenBack,
            Self::Argument(_) => Self::Unsaid,
            _ => self,
        }
    }

    /// True when outsiders may have written it, or nobody answers for it.
    pub(super) const fn is_anybodys(self) -> bool {
        matches!(self, Self::Outsider | Self::Said | Self::Ungranted | Self::Failed | Self::UnknownTool)
    }

    /// As what a value is told that was seen there and is no ground.
    pub(super) const fn seen(self, whole: bool) -> Seen {
        match self {
            Self::Outsider if whole => Seen::OutsiderField,
            Self::Outsider => Seen::OutsiderText,
            Self::Field | Self::Done | Self::Argument(_) if whole => Seen::OtherField,
            Self::Field | Self::Done | Self::Argument(_) => Seen::Text,
            Self::Echo | Self::Unsaid => Seen::Echo,
            Self::TakenBack => Seen::TakenBack,
            Self::Said => Seen::Said,
            Self::Ungranted => Seen::Ungranted,
            Self::Failed => Seen::Failed,
            Self::UnknownTool => Seen::UnknownTool,
        }
    }
}

/// Every value that a session keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaves {
    text: String,
    marks: Vec<Mark>,
    paths: Vec<Box<str>>,
    pub(super) digests: Digests,
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
    /// How its digest begins, when nothing but that is known of it; `text` is then what was looked for.
    pub(super) digest: Option<u64>,
}

/// What reading texts as prose for a value came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// This one says it.
    Here(Leaf<'a>),
    /// It may stand in this one or behind it: as much as is read was read.
    Unread(Leaf<'a>),
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
            + self.digests.memory_bytes()
    }

    /// Bytes that are left for values that are told by digest.
    pub(super) fn digest_room(&self, bytes_max: usize) -> usize {
        bytes_max.saturating_sub(self.text.len())
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

    /// What was sent, and ground then, by the calls from `first` on.
    pub(super) fn arguments_since(&self, first: u16) -> impl Iterator<Item = (SinkKind, &str)> {
        let since = (0..self.marks.len()).filter(move |i| self.marks.get(*i).is_some_and(|mark| mark.call >= first));
        since.filter_map(move |i| self.leaf(i)).filter_map(|leaf| match leaf.standing {
            Standing::Argument(kind) => Some((kind, leaf.text)),
            _ => None,
        })
    }

    /// Makes what was kept of the calls from `first` on ground for nothing; gives the amounts that were sent by them.
    pub(super) fn take_back(&mut self, first: u16) -> Vec<String> {
        let since = (0..self.marks.len()).filter(|i| self.marks.get(*i).is_some_and(|mark| mark.call >= first));
        let leaves = since.filter_map(|i| self.leaf(i));
        let amounts = leaves.filter(|leaf| leaf.standing == Standing::Argument(SinkKind::Amount));
        let amounts = amounts.map(|leaf| leaf.text.to_owned()).collect();
        for mark in self.marks.iter_mut().filter(|mark| mark.call >= first) {
            mark.standing = mark.standing.taken_back();
        }
        self.digests.take_back(first);
        amounts
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
        let digested = self.digests.whole(kind, value);
        let wanted = spelling::fingerprint(value);
        let value = spelling::key(kind, value);
        let same = (0..self.marks.len()).filter(move |i| self.marks.get(*i).is_some_and(|m| m.fingerprint == wanted));
        same.filter_map(|i| self.leaf(i)).filter(move |leaf| spelling::key(kind, leaf.text) == value).chain(digested)
    }

    /// Every value within which `value` stands on its own, in the order of reports.
    pub(super) fn within<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        spelling::find_alone(&self.text, kind, value).filter_map(|at| self.at(at))
    }

    /// The first value that says `value` in prose, however it is spelled there: `3,000` for `3000`.
    /// Where there is more to read than is read, that much is said of it.
    pub(super) fn saying<'a>(&'a self, kind: SinkKind, value: &str) -> Option<Said<'a>> {
        let hint = spelling::hint(kind, value)?;
        let mut left = SAID_BYTES_MAX;
        let mut next = 0;
        loop {
            let at = next + self.text.get(next..)?.find(hint)?;
            let index = self
                .marks
                .partition_point(|m| usize::try_from(m.start).is_ok_and(|start| start <= at))
                .checked_sub(1)?;
            // What was taken back is passed over: it hides nothing that came later.
            if let Some(leaf) = self.leaf(index) {
                let Some(rest) = left.checked_sub(leaf.text.len()) else { return Some(Said::Unread(leaf)) };
                left = rest;
                // What a text calls money is a question of ground.
                let says = match kind {
                    SinkKind::Amount => spelling::quantity_stands_in(leaf.text, value),
                    _ => spelling::stands_in(leaf.text, kind, value),
                };
                if says {
                    return Some(Said::Here(leaf));
                }
            }
            next = usize::try_from(self.marks.get(index + 1)?.start).ok()?;
        }
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
        let mark = self.marks.get(index).filter(|mark| mark.standing != Standing::Unsaid)?;
        let start = usize::try_from(mark.start).ok()?;
        let rest = match self.marks.get(index + 1) {
            Some(next) => self.text.get(start..usize::try_from(next.start).ok()?)?,
            None => self.text.get(start..)?,
        };
        let text = rest.strip_suffix(SEPARATOR).unwrap_or(rest);
        let path = self.paths.get(usize::from(mark.path))?;
        Some(Leaf { text, path, call: mark.call, standing: mark.standing, digest: None })
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
        if self.leaves.text.len() + self.leaves.digests.bytes() + text.len() + path.len() > bytes_max {
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

/// Most text that is read as prose for one value, in bytes: a bound on work. What is not found there may stand in the rest.
const SAID_BYTES_MAX: usize = 64 << 10;
/// Most values of one fingerprint that are compared before another is kept: a bound on work, not on what is remembered.
const KNOWN_MAX: usize = 16;
