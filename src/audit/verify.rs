//! The offline verifier: holds an export against a public key, and against a checkpoint that was kept elsewhere. It trusts
//! neither the broker nor the one who made the export, and needs nothing else.

use std::io::Read;

use super::checkpoint::Checkpoint;
use super::event::{self, DecodeEventError, Place};
use super::export::{ExportError, ExportReader, Part};
use super::note::{NoteError, VerifierKey};
use super::tree::{Frontier, TreeHash, TreeHead};
use crate::model::time::Timestamp;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The log, by the name of its key.
    pub origin: String,
    /// Position of the first event that the export holds.
    pub from: u64,
    /// Size and root that its checkpoint signs for, and that its events lead to.
    pub head: TreeHead,
    /// Size of the kept checkpoint that the log was found to continue.
    pub kept: Option<u64>,
    /// When the first and the last event of the export were written; `None` when it holds none.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// Why an export is not what was signed for.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file itself.
    #[error("the export is not whole")]
    Export(#[source] ExportError),
    /// Bytes that are no event.
    #[error("the event at position {position} is malformed")]
    Event {
        /// Where it stands.
        position: u64,
        /// Why.
        #[source]
        source: DecodeEventError,
    },
    /// Its beginning was dropped, or it is another part of the log than was meant.
    #[error("the export begins after {found} events, where it should begin after {expected}")]
    Beginning {
        /// Where it should begin.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
    /// An event was dropped, added, or moved.
    #[error("position {found} stands where {expected} should")]
    OutOfPlace {
        /// What should be there.
        expected: u64,
        /// What the event says of itself.
        found: u64,
    },
    /// An event says that it is older than the one before it.
    #[error("time goes back at position {position}")]
    TimeWentBack {
        /// Where.
        position: u64,
    },
    /// The export's own checkpoint.
    #[error("the checkpoint of the export does not hold")]
    Checkpoint(#[source] NoteError),
    /// The checkpoint signs for more or fewer events than there are.
    #[error("the checkpoint signs for {signed} events, the export ends at {found}")]
    Size {
        /// What was signed.
        signed: u64,
        /// What there is.
        found: u64,
    },
    /// At least one byte is not what was signed for.
    #[error("the events do not lead to the signed root; {}", until(*.sound))]
    Root {
        /// Up to here they lead to the root of the kept checkpoint.
        sound: Option<u64>,
    },
    /// The kept checkpoint.
    #[error("the kept checkpoint does not hold")]
    Kept(#[source] NoteError),
    /// The log is shorter than it was, or the export was made before the checkpoint.
    #[error(
        "a kept checkpoint signs for {kept} events, the export for {signed}: it was made before the checkpoint, or the log \
         was cut short"
    )]
    CutShort {
        /// What the kept checkpoint signs for.
        kept: u64,
        /// What the export signs for.
        signed: u64,
    },
    /// Two checkpoints were signed of which neither continues the other.
    #[error("the log was forked: the first {kept} events are not those that the kept checkpoint signs for")]
    Fork {
        /// What the kept checkpoint signs for.
        kept: u64,
    },
    /// The kept checkpoint is of a size that the export does not go back to.
    #[error("the kept checkpoint signs for {kept} events, the export begins after {from}")]
    KeptBefore {
        /// What the kept checkpoint signs for.
        kept: u64,
        /// Where the export begins.
        from: u64,
    },
}

fn until(sound: Option<u64>) -> String {
    sound.map_or_else(|| "which of them is not known".into(), |size| format!("the first {size} are as they were kept"))
}

/// Verifies an export of everything after the first `from` events: every byte of every event is what the key's owner signed
/// for, nothing is dropped, added or moved, and the log continues the kept checkpoint.
///
/// # Errors
/// When any of that is not so.
pub fn verify(input: impl Read, key: &VerifierKey, from: u64, kept: Option<&str>) -> Result<VerifyReport, VerifyError> {
    let kept = kept.map(|note| Checkpoint::verify(note, key)).transpose().map_err(VerifyError::Kept)?;
    let kept = kept.as_ref().map(Checkpoint::head);
    let mut reader = ExportReader::new(input).map_err(VerifyError::Export)?;
    let mut fold = Walk::new(reader.before().clone(), kept.map(|head| head.size));
    // Where an export begins is its maker's word alone.
    if fold.from != from {
        return Err(VerifyError::Beginning { expected: from, found: fold.from });
    }
    let mut note = None;
    while let Some(part) = reader.part().map_err(VerifyError::Export)? {
        match part {
            Part::Event(stored) => fold.event(stored)?,
            Part::Checkpoint(text) => note = Some(text),
        }
    }
    let note = note.ok_or(VerifyError::Export(ExportError::CutShort { events: fold.tree.size() - from }))?;
    let checkpoint = Checkpoint::verify(&note, key).map_err(VerifyError::Checkpoint)?;
    let head = *checkpoint.head();
    fold.check(&head, kept)?;
    let Walk { times, .. } = fold;
    Ok(VerifyReport { origin: checkpoint.origin().to_owned(), from, head, kept: kept.map(|head| head.size), times })
}

// The tree over the events so far.
struct Walk {
    tree: Frontier,
    times: Option<(Timestamp, Timestamp)>,
    // Where the kept checkpoint is to be met, and the root there.
    kept_size: Option<u64>,
    root_at_kept: Option<TreeHash>,
    from: u64,
}

impl Walk {
    fn new(tree: Frontier, kept_size: Option<u64>) -> Self {
        let mut walk = Self { from: tree.size(), tree, times: None, kept_size, root_at_kept: None };
        walk.meet_kept();
        walk
    }

    fn event(&mut self, stored: bytes::Bytes) -> Result<(), VerifyError> {
        let position = self.tree.size();
        let leaf = TreeHash::leaf(&stored);
        // The whole event must be readable, or it could not be replayed.
        let (place, _) = event::decode(stored).map_err(|source| VerifyError::Event { position, source })?;
        let Place { position: found, time, .. } = place;
        if found != position {
            return Err(VerifyError::OutOfPlace { expected: position, found });
        }
        let first = match self.times {
            Some((_, last)) if time < last => return Err(VerifyError::TimeWentBack { position }),
            Some((first, _)) => first,
            None => time,
        };
        self.times = Some((first, time));
        self.tree.push(leaf);
        self.meet_kept();
        Ok(())
    }

    fn meet_kept(&mut self) {
        if self.kept_size == Some(self.tree.size()) {
            self.root_at_kept = Some(self.tree.root());
        }
    }

    fn check(&self, signed: &TreeHead, kept: Option<&TreeHead>) -> Result<(), VerifyError> {
        let found = self.tree.size();
        if let Some(kept) = kept.filter(|kept| kept.size > signed.size) {
            return Err(VerifyError::CutShort { kept: kept.size, signed: signed.size });
        }
        if signed.size != found {
            return Err(VerifyError::Size { signed: signed.size, found });
        }
        let matching = kept.filter(|kept| self.root_at_kept == Some(kept.root));
        if signed.root != self.tree.root() {
            return Err(VerifyError::Root { sound: matching.map(|kept| kept.size) });
        }
        match kept {
            Some(kept) if kept.size < self.from => Err(VerifyError::KeptBefore { kept: kept.size, from: self.from }),
            Some(kept) if matching.is_none() => Err(VerifyError::Fork { kept: kept.size }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
