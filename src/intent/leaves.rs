//! What a session keeps of reported values, in chunks of text that are shared with whoever reads the session while it grows.
//! Whole values are found by a fingerprint, parts of them by searching the text.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::chunk::{Chunk, Mark};
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
    /// Nobody can tell whether it is: something was sent of which a digest alone was told.
    Unread,
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
            | Self::Unread
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

    /// What it is where outsiders may have written some of it.
    pub(super) const fn of_outsiders(self) -> Self {
        match self {
            Self::Field | Self::Done | Self::Echo | Self::Unread => Self::Outsider,
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
            Self::Unread => Seen::MaybeEcho,
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
    // All but the last are full, and change only when something is taken back.
    chunks: Vec<Arc<Chunk>>,
    places: Vec<Place>,
    pub(super) digests: Digests,
}

/// Where values came, and as what they stand there. They are few, whatever there is of values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Place {
    path: Box<str>,
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

/// Most places of a session. What is left of the numbers is for what was taken back where there is no room for its path.
const PLACES_MAX: usize = u16::MAX as usize - 2;

/// Adds the values of one report.
pub(super) struct Adding<'a> {
    leaves: &'a mut Leaves,
    bytes: usize,
    // What is known already, so that the same listing read twice is kept once.
    known: Known,
    places: HashMap<Place, u16>,
    tool_of: &'a dyn Fn(u16) -> u16,
}

/// Which values of a fingerprint stand at a place: the last of them, and for each the one before it.
#[derive(Default)]
struct Known {
    last: HashMap<(u16, u16), usize>,
    values: Vec<(At, Option<usize>)>,
}

/// Which value: of that chunk, that mark.
type At = (usize, usize);

impl Leaves {
    /// Bytes that count against what a session keeps, apart from those of digests.
    fn bytes(&self) -> usize {
        let paths: usize = self.places.iter().map(|place| place.path.len()).sum();
        self.text_bytes() + paths
    }

    /// Bytes of text that are kept.
    pub(super) fn text_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.text_bytes()).sum()
    }

    /// Bytes of memory that are held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Arc<Chunk>>()
            + self.chunks.iter().map(|chunk| chunk.memory_bytes()).sum::<usize>()
            + self.places.capacity() * size_of::<Place>()
            + self.places.iter().map(|place| place.path.len()).sum::<usize>()
            + self.digests.memory_bytes()
    }

    /// Bytes that are left for values that are told by digest.
    pub(super) fn digest_room(&self, bytes_max: usize) -> usize {
        bytes_max.saturating_sub(self.bytes())
    }

    /// Begins to add the values of one report. `tool_of` says which tool a call was of.
    pub(super) fn adding<'a>(&'a mut self, tool_of: &'a dyn Fn(u16) -> u16) -> Adding<'a> {
        let mut known = Known::default();
        for (c, chunk) in self.chunks.iter().enumerate() {
            chunk.marks().iter().enumerate().for_each(|(m, mark)| known.add(mark, (c, m)));
        }
        let (places, bytes) = (self.numbers(), self.bytes() + self.digests.bytes());
        Adding { leaves: self, bytes, known, places, tool_of }
    }

    /// Makes what was kept of the calls from `first` on ground for nothing; gives the amounts that were sent by them.
    pub(super) fn take_back(&mut self, first: u16) -> Vec<String> {
        let amount = Standing::Argument(SinkKind::Amount);
        let amounts = self.all().filter(|leaf| leaf.call >= first && leaf.standing == amount);
        let amounts = amounts.map(|leaf| leaf.text.to_owned()).collect();
        let (mut numbers, mut taken) = (self.numbers(), HashMap::new());
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.marks().iter().any(|mark| mark.call >= first)) {
            for mark in Arc::make_mut(chunk).marks_mut().iter_mut().filter(|mark| mark.call >= first) {
                mark.place =
                    *taken.entry(mark.place).or_insert_with(|| taken_back(&mut self.places, &mut numbers, mark.place));
            }
        }
        self.digests.take_back(first);
        amounts
    }

    /// Gives back what growing left unused, all but a small part.
    pub(super) fn tighten(&mut self) {
        if let Some(last) = self.chunks.last_mut().and_then(Arc::get_mut) {
            last.tighten();
        }
        self.chunks.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Every whole value that is the same as `value`, in the order of reports; those that were told by digest come last.
    pub(super) fn whole<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        let digested = self.digests.whole(kind, value);
        let wanted = chunk::fingerprint(value);
        let value = spelling::key(kind, value);
        let same = self.chunks.iter().flat_map(move |chunk| {
            let marks = chunk.marks().iter().enumerate().filter(move |(_, mark)| mark.fingerprint == wanted);
            marks.filter_map(|(index, _)| self.leaf(chunk, index))
        });
        same.filter(move |leaf| spelling::key(kind, leaf.text) == value).chain(digested)
    }

    /// Every value within which `value` stands on its own, in the order of reports.
    pub(super) fn within<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        self.chunks.iter().flat_map(move |chunk| {
            spelling::find_alone(chunk.text(), kind, value).filter_map(move |at| self.leaf(chunk, chunk.index_at(at)?))
        })
    }

    /// The first value that says `value` in prose, however it is spelled there: `3,000` for `3000`.
    /// Where there is more to read than is read, that much is said of it.
    pub(super) fn saying<'a>(&'a self, kind: SinkKind, value: &str) -> Option<Said<'a>> {
        let hint = spelling::hint(kind, value)?;
        let mut left = SAID_BYTES_MAX;
        for chunk in &self.chunks {
            // What was taken back is passed over: it hides nothing that came later.
            for leaf in chunk.holding(hint).filter_map(|index| self.leaf(chunk, index)) {
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
        }
        None
    }

    /// Every value that holds `text` as it stands.
    pub(super) fn holding<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        self.chunks.iter().flat_map(move |chunk| chunk.holding(text).filter_map(move |index| self.leaf(chunk, index)))
    }

    fn numbers(&self) -> HashMap<Place, u16> {
        (0_u16..=u16::MAX).zip(&self.places).map(|(number, place)| (place.clone(), number)).collect()
    }

    /// Every value within which `value` stands on its own as people begin a name, with capitals where it has none.
    pub(super) fn begun<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = Leaf<'a>> + 'a {
        self.chunks.iter().flat_map(move |chunk| {
            let found = spelling::find_capitalised(chunk.text(), kind, value);
            found.filter_map(move |at| self.leaf(chunk, chunk.index_at(at)?))
        })
    }

    fn all(&self) -> impl Iterator<Item = Leaf<'_>> {
        let indexes = |chunk: &Chunk| 0..chunk.marks().len();
        self.chunks.iter().flat_map(move |chunk| indexes(chunk).filter_map(|index| self.leaf(chunk, index)))
    }

    fn leaf<'a>(&'a self, chunk: &'a Chunk, index: usize) -> Option<Leaf<'a>> {
        let (mark, text) = chunk.value(index)?;
        let place = self.places.get(usize::from(mark.place)).filter(|place| place.standing != Standing::Unsaid)?;
        Some(Leaf { text, path: &place.path, call: mark.call, standing: place.standing, digest: None })
    }
}

/// The number of the same place with what is left of its standing.
fn taken_back(places: &mut Vec<Place>, numbers: &mut HashMap<Place, u16>, number: u16) -> u16 {
    let Some(was) = places.get(usize::from(number)) else { return number };
    let mut place = Place { path: was.path.clone(), standing: was.standing.taken_back() };
    if places.len() >= PLACES_MAX && !numbers.contains_key(&place) {
        // Better without a path than as ground.
        place.path = Box::default();
    }
    *numbers.entry(place).or_insert_with_key(|place| {
        places.push(place.clone());
        u16::try_from(places.len() - 1).unwrap_or(u16::MAX)
    })
}

impl Adding<'_> {
    /// Keeps a value; false when there is no room left for it in `bytes_max` of text and paths.
    pub(super) fn keep(&mut self, path: &str, text: &str, call: u16, standing: Standing, bytes_max: usize) -> bool {
        let fingerprint = chunk::fingerprint(text);
        let place = Place { path: path.into(), standing };
        let known = self.places.get(&place).copied();
        if known.is_some_and(|place| self.is_known((fingerprint, place), text, call)) {
            return true;
        }
        let bytes = self.bytes + text.len() + if known.is_none() { path.len() } else { 0 };
        if bytes > bytes_max {
            return false;
        }
        let Some(place) = known.or_else(|| self.add_place(place)) else { return false };
        self.bytes = bytes + chunk::SEPARATOR.len_utf8();
        let mark = Mark { fingerprint, start: 0, call, place };
        let at = self.leaves.push(mark, text);
        self.known.add(&mark, at);
        true
    }

    // The same value in the same field of the same tool, of the same standing, says nothing new.
    fn is_known(&self, key: (u16, u16), text: &str, call: u16) -> bool {
        let tool = (self.tool_of)(call);
        let chunks = &self.leaves.chunks;
        let mut values = self.known.of(key).filter_map(|(chunk, index)| chunks.get(chunk)?.value(index));
        values.any(|(mark, known)| known == text && (self.tool_of)(mark.call) == tool)
    }

    fn add_place(&mut self, place: Place) -> Option<u16> {
        let number = u16::try_from(self.leaves.places.len()).ok().filter(|n| usize::from(*n) < PLACES_MAX)?;
        self.leaves.places.push(place.clone());
        self.places.insert(place, number);
        Some(number)
    }
}

impl Leaves {
    /// Adds a value to the last chunk, or to a new one where that is full.
    fn push(&mut self, mark: Mark, text: &str) -> At {
        if self.chunks.last().is_none_or(|last| !last.has_room(text)) {
            // Where somebody reads it still, the copy is what has no room to spare.
            if let Some(full) = self.chunks.last_mut() {
                Arc::make_mut(full).close();
            }
            self.chunks.push(Arc::default());
        }
        let chunk = self.chunks.len() - 1;
        let index = self.chunks.last_mut().map_or(0, |last| Arc::make_mut(last).push(mark, text));
        (chunk, index)
    }
}

impl Known {
    fn add(&mut self, mark: &Mark, at: At) {
        let before = self.last.insert((mark.fingerprint, mark.place), self.values.len());
        self.values.push((at, before));
    }

    /// The newest of them, and no more than are compared.
    fn of(&self, key: (u16, u16)) -> impl Iterator<Item = At> {
        let mut next = self.last.get(&key).copied();
        let values = std::iter::from_fn(move || {
            let (at, before) = *self.values.get(next?)?;
            next = before;
            Some(at)
        });
        values.take(KNOWN_MAX)
    }
}

/// Most text that is read as prose for one value, in bytes: a bound on work. What is not found there may stand in the rest.
const SAID_BYTES_MAX: usize = 64 << 10;
/// Most values of one fingerprint that are compared before another is kept: a bound on work, not on what is remembered.
const KNOWN_MAX: usize = 16;

mod chunk;
#[cfg(test)]
mod tests;
