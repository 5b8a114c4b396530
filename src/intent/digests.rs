//! What a session keeps of values that were told by their digests: a mark for each, and the key under which a value that is
//! looked for is digested. Whole values are found; what stands within one nobody can tell, so it counts as possible.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::leaves::{Leaf, Standing};
use crate::model::digested::{DIGEST_BYTES, DigestKey, DigestedField, DigestedKind};
use crate::model::sink::SinkKind;

/// Every value that is known by its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digests {
    // Set with the first of them.
    key: Option<DigestKey>,
    marks: Vec<Mark>,
    paths: Vec<Box<str>>,
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
    pub(super) fn bytes(&self) -> usize {
        self.marks.len() * size_of::<Mark>() + self.paths.iter().map(|path| path.len()).sum::<usize>()
    }

    /// Bytes of memory that are held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
            + self.paths.capacity() * size_of::<Box<str>>()
            + self.paths.iter().map(|path| path.len()).sum::<usize>()
    }

    /// Keeps what one report told; false when there is no room for all of it in `room` bytes. `tool_of` says which tool a call was
    /// of: the same value in the same field of the same tool, of the same standing, says nothing new.
    pub(super) fn keep<'a>(
        &mut self,
        key: &DigestKey,
        told: impl Iterator<Item = Told<'a>>,
        tool_of: &dyn Fn(u16) -> u16,
        room: usize,
    ) -> bool {
        let mut known: HashSet<[u8; DIGEST_BYTES]> = self.marks.iter().map(|mark| mark.hmac).collect();
        let mut paths: HashMap<Box<str>, u16> = (0_u16..).zip(&self.paths).map(|(i, path)| (path.clone(), i)).collect();
        let mut bytes = self.bytes();
        for Told { field, path, call, standing } in told {
            self.key.get_or_insert_with(|| key.clone());
            let index = paths.get(path).copied();
            let same = |mark: &Mark| {
                mark.hmac == field.hmac
                    && (mark.kind, mark.standing, Some(mark.path)) == (field.kind, standing, index)
                    && tool_of(mark.call) == tool_of(call)
            };
            if !known.insert(field.hmac) && self.marks.iter().any(same) {
                continue;
            }
            bytes += size_of::<Mark>() + if index.is_none() { path.len() } else { 0 };
            if bytes > room {
                return false;
            }
            let index = match index {
                Some(index) => index,
                None => {
                    let Ok(next) = u16::try_from(self.paths.len()) else { return false };
                    self.paths.push(path.into());
                    paths.insert(path.into(), next);
                    next
                }
            };
            self.kinds.insert(field.kind);
            self.marks.push(Mark { hmac: field.hmac, call, path: index, kind: field.kind, standing });
        }
        self.marks.shrink_to(self.marks.len() + self.marks.len() / 8);
        self.paths.shrink_to_fit();
        true
    }

    /// Makes what the calls from `first` on told ground for nothing.
    pub(super) fn take_back(&mut self, first: u16) {
        for mark in self.marks.iter_mut().filter(|mark| mark.call >= first) {
            mark.standing = mark.standing.taken_back();
        }
    }

    /// Every whole value that is the value (canonical) of a sink of that kind, in the order of reports.
    pub(super) fn whole<'a>(&'a self, kind: SinkKind, value: &'a str) -> Vec<Leaf<'a>> {
        let Some(key) = &self.key else { return Vec::new() };
        let digests = self.kinds.iter().filter(|told| told.tells(kind));
        let digests: Vec<_> = digests.filter_map(|kind| Some((*kind, key.digest(*kind, value)?))).collect();
        let is_it = |mark: &&Mark| digests.iter().any(|(kind, hmac)| mark.kind == *kind && mark.hmac == *hmac);
        self.marks.iter().filter(is_it).filter_map(|mark| self.leaf(mark, value)).collect()
    }

    /// Every whole value that one of these texts is, whatever it is taken for.
    pub(super) fn any<'a>(&'a self, texts: impl Iterator<Item = &'a str>) -> Vec<Leaf<'a>> {
        let Some(key) = &self.key else { return Vec::new() };
        let mut marks: HashMap<&[u8; DIGEST_BYTES], Vec<&Mark>> = HashMap::with_capacity(self.marks.len());
        for mark in &self.marks {
            marks.entry(&mark.hmac).or_default().push(mark);
        }
        let mut out = Vec::new();
        for text in texts {
            // The kind is a part of what is digested, so that no two of them agree.
            let digests = self.kinds.iter().filter_map(|kind| key.digest(*kind, text));
            for found in digests.filter_map(|hmac| marks.get(&hmac)) {
                out.extend(found.iter().filter_map(|mark| self.leaf(mark, text)));
            }
        }
        out
    }

    /// The first value within which any text could stand; with `by_outsiders`, one that outsiders could have written, or that
    /// nobody answers for.
    pub(super) fn unsearched(&self, by_outsiders: bool) -> Option<Leaf<'_>> {
        let may_hold = |mark: &&Mark| {
            let theirs = mark.standing.is_anybodys();
            mark.kind == DigestedKind::Text && !by_outsiders || theirs && mark.kind.may_hold_prose()
        };
        self.marks.iter().find(may_hold).and_then(|mark| self.leaf(mark, ""))
    }

    fn leaf<'a>(&'a self, mark: &Mark, text: &'a str) -> Option<Leaf<'a>> {
        let path = self.paths.get(usize::from(mark.path))?;
        Some(Leaf { text, path, call: mark.call, standing: mark.standing, digest: Some(name(&mark.hmac)) })
    }
}
