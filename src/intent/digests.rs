//! What a session keeps of values that were told by their digests: a mark for each, and the key under which a value that is
//! looked for is digested. Whole values are found; what stands within one nobody can tell, so it counts as possible.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::leaves::{Leaf, Standing};
use crate::model::digested::{DIGEST_BYTES, DigestKey, DigestedField, DigestedKind};
use crate::model::sink::SinkKind;

/// Most places at which one value is kept: more than any catalogue has fields for it, and a bound on the work for a value that is
/// looked for. Beyond it nothing is forgotten silently.
const PLACES_MAX: usize = 256;

/// Every value that is known by its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digests {
    // Set with the first of them.
    key: Option<DigestKey>,
    // In the order of their digests, and those of one in the order of reports.
    marks: Vec<Mark>,
    paths: Vec<Box<str>>,
    path_bytes: usize,
    // Those that occur: a value is digested under each that it could be told under.
    kinds: BTreeSet<DigestedKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    hmac: [u8; DIGEST_BYTES],
    call: u16,
    path: u16,
    kind: DigestedKind,
    standing: Standing,
}

/// What a value is told to be, and how it got into the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) field: &'a DigestedField,
    pub(super) path: &'a str,
    pub(super) call: u16,
    pub(super) standing: Standing,
}

/// By what a digest is named among what was sent.
pub(super) fn name(hmac: &[u8; DIGEST_BYTES]) -> u64 {
    hmac.iter().take(size_of::<u64>()).fold(0, |name, byte| name << 8 | u64::from(*byte))
}

impl Digests {
    pub(super) const fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes that count against what a session keeps.
    pub(super) const fn bytes(&self) -> usize {
        self.marks.len() * size_of::<Mark>() + self.path_bytes
    }

    /// Bytes of memory that are held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.paths.capacity() * size_of::<Box<str>>() + self.path_bytes
    }

    /// Keeps what one report told; false when there is no room for all of it in `room` bytes, or a value stands at too many places.
    /// `tool_of` says which tool a call was of: the same value in the same field of the same tool, of the same standing, says
    /// nothing new.
    pub(super) fn keep<'a>(
        &mut self,
        key: &DigestKey,
        told: impl Iterator<Item = Told<'a>>,
        tool_of: &dyn Fn(u16) -> u16,
        room: usize,
    ) -> bool {
        let index = |(i, path): (usize, &str)| Some((path.into(), u16::try_from(i).ok()?));
        let mut paths: HashMap<Box<str>, u16> =
            self.paths.iter().map(AsRef::as_ref).enumerate().filter_map(index).collect();
        let what = |mark: &Mark| (mark.hmac, mark.kind, mark.standing, mark.path, tool_of(mark.call));
        let mut known: HashSet<_> = self.marks.iter().map(what).collect();
        let mut places: HashMap<[u8; DIGEST_BYTES], usize> = HashMap::new();
        for mark in &self.marks {
            *places.entry(mark.hmac).or_default() += 1;
        }
        let mut fits = true;
        for Told { field, path, call, standing } in told {
            let is_known = |path: &u16| known.contains(&(field.hmac, field.kind, standing, *path, tool_of(call)));
            let index = paths.get(path).copied();
            if index.as_ref().is_some_and(is_known) {
                continue;
            }
            let places = places.entry(field.hmac).or_default();
            if *places == PLACES_MAX {
                fits = false;
                continue;
            }
            let more = size_of::<Mark>() + if index.is_none() { path.len() } else { 0 };
            let Some(index) =
                index.or_else(|| u16::try_from(self.paths.len()).ok()).filter(|_| self.bytes() + more <= room)
            else {
                fits = false;
                break;
            };
            if usize::from(index) == self.paths.len() {
                self.paths.push(path.into());
                self.path_bytes += path.len();
                paths.insert(path.into(), index);
            }
            let mark = Mark { hmac: field.hmac, call, path: index, kind: field.kind, standing };
            known.insert(what(&mark));
            *places += 1;
            self.key.get_or_insert_with(|| key.clone());
            self.kinds.insert(field.kind);
            self.marks.push(mark);
        }
        self.marks.sort_by_key(|mark| mark.hmac);
        self.marks.shrink_to(self.marks.len() + self.marks.len() / 8);
        self.paths.shrink_to_fit();
        fits
    }

    /// Makes what the calls from `first` on told ground for nothing.
    pub(super) fn take_back(&mut self, first: u16) {
        for mark in self.marks.iter_mut().filter(|mark| mark.call >= first) {
            mark.standing = mark.standing.taken_back();
        }
    }

    /// Every whole value that is the value (canonical) of a sink of that kind, in the order of reports.
    pub(super) fn whole<'a>(&'a self, kind: SinkKind, value: &'a str) -> Vec<Leaf<'a>> {
        self.leaves(value, |told| told.tells(kind))
    }

    /// Every whole value that the text is, whatever it is taken for, in the order of reports.
    pub(super) fn any<'a>(&'a self, text: &'a str) -> Vec<Leaf<'a>> {
        self.leaves(text, |_| true)
    }

    /// By what the text is named as which it is ground for anything.
    pub(super) fn ground(&self, text: &str) -> Vec<u64> {
        let is_ground = |mark: &Mark| matches!(mark.standing, Standing::Field | Standing::Done);
        self.digests(text, |_| true)
            .filter(|hmac| self.of(hmac).iter().any(is_ground))
            .map(|hmac| name(&hmac))
            .collect()
    }

    /// The first value within which any text could stand; with `by_outsiders`, one that outsiders could have written, or that
    /// nobody answers for.
    pub(super) fn unsearched(&self, by_outsiders: bool) -> Option<Leaf<'_>> {
        let may_hold = |mark: &&Mark| {
            let theirs = mark.standing.is_anybodys();
            mark.kind == DigestedKind::Text && !by_outsiders || theirs && mark.kind.may_hold_prose()
        };
        // Paths are numbered as they come.
        let first = self.marks.iter().filter(may_hold).min_by_key(|mark| (mark.call, mark.path));
        first.and_then(|mark| self.leaf(mark, ""))
    }

    fn leaves<'a>(&'a self, text: &'a str, told: impl Fn(DigestedKind) -> bool) -> Vec<Leaf<'a>> {
        let marks = self.digests(text, told).flat_map(|hmac| self.of(&hmac));
        let mut leaves: Vec<Leaf<'a>> = marks.filter_map(|mark| self.leaf(mark, text)).collect();
        leaves.sort_by_key(|leaf| leaf.call);
        leaves
    }

    /// The digests of a text. The kind is a part of what is digested, so that no two of them agree.
    fn digests(&self, text: &str, told: impl Fn(DigestedKind) -> bool) -> impl Iterator<Item = [u8; DIGEST_BYTES]> {
        let kinds = self.key.iter().flat_map(|key| self.kinds.iter().map(move |kind| (key, *kind)));
        kinds.filter(move |(_, kind)| told(*kind)).filter_map(move |(key, kind)| key.digest(kind, text))
    }

    fn of(&self, hmac: &[u8; DIGEST_BYTES]) -> &[Mark] {
        let from = self.marks.partition_point(|mark| mark.hmac < *hmac);
        let rest = self.marks.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|mark| mark.hmac == *hmac)).unwrap_or_default()
    }

    fn leaf<'a>(&'a self, mark: &Mark, text: &'a str) -> Option<Leaf<'a>> {
        let path = self.paths.get(usize::from(mark.path))?;
        Some(Leaf { text, path, call: mark.call, standing: mark.standing, digest: Some(name(&mark.hmac)) })
    }
}
