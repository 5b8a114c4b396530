//! Why the journal does not open, append or read.

use std::io;
use std::path::PathBuf;

use super::guards::GuardKey;
use super::projection::ApplyError;
use crate::audit::event::DecodeEventError;
use crate::audit::note::NoteError;

/// Why the journal could not be opened or went out of service.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Something that was durable is no longer there as it was written. Nothing is served from a log with a hole.
    #[error("the journal is damaged at position {position}: {what}")]
    Damaged {
        /// The first position that is lost or no longer certain.
        position: u64,
        /// What was found.
        what: &'static str,
    },
    /// Another process has the folder open.
    #[error("the journal `{}` is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("the journal is of format {found}, this version knows {known}")]
    Format {
        /// What stands in the folder.
        found: u32,
        /// What this version writes.
        known: u32,
    },
    /// The disk failed.
    #[error("failed to {doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An event that passed every checksum is none that this version knows.
    #[error("the event at position {position} cannot be read")]
    Event {
        /// Where it stands.
        position: u64,
        /// Why.
        #[source]
        source: DecodeEventError,
    },
    /// An event that is durable and not understood: nothing is decided without it.
    #[error("the event at position {position} is not understood")]
    Fold {
        /// Where it stands.
        position: u64,
        /// Why.
        #[source]
        source: ApplyError,
    },
    /// The kept checkpoint or the checkpoint key does not hold.
    #[error("the kept checkpoint or its key is not valid")]
    Checkpoint(#[source] NoteError),
    /// What is durable could not be read.
    #[error("the journal could not be read")]
    Read(#[source] ReadError),
    /// A thread could not be started or has died.
    #[error("a thread of the journal could not run")]
    Thread(#[source] io::Error),
}

impl JournalError {
    /// True when the disk had no space left.
    pub(super) fn is_storage_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// Why an entry was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Something that the decision relied on has changed. Decide again once the journal is durable beyond `at`.
    #[error("`{key}` has changed since, at {at}")]
    Conflict {
        /// What changed.
        key: GuardKey,
        /// One more than the position of the event that changed it: readers must have seen that many events. 0 when the
        /// guard is no longer remembered.
        at: u64,
    },
    /// The space that is left is held back for ends and revocations.
    #[error("the space that is left is held back")]
    Full,
    /// The journal is closed, or closes; whether an entry under way was committed is then not known.
    #[error("the journal is closed")]
    Closed,
    /// Above the limits of an entry.
    #[error("the entry is too large")]
    TooLarge,
    /// An entry without events.
    #[error("the entry holds no event")]
    Empty,
}

/// Why an event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not yet durable, or never written.
    #[error("there is no durable event at position {0}")]
    Beyond(u64),
    /// The bytes on disk are not those that were written.
    #[error("the journal is damaged at position {0}")]
    Damaged(u64),
    /// The disk failed.
    #[error("failed to read a segment")]
    Io(#[source] io::Error),
    /// An event that passed every checksum is none that this version knows.
    #[error("the event at position {position} cannot be read")]
    Event {
        /// Where it stands.
        position: u64,
        /// Why.
        #[source]
        source: DecodeEventError,
    },
    /// A page token that this journal did not give.
    #[error("the page token is not valid")]
    PageToken,
}
