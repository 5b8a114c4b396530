//! Checkpoints (C2SP tlog-checkpoint): origin, size and root of the tree, signed as a note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{NoteError, SignerKey, VerifierKey};
use super::tree::{TreeHash, TreeHead};

/// A tree head whose signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
}

impl Checkpoint {
    /// Reads a checkpoint and checks its signature. The origin of the log is the name of its key.
    ///
    /// # Errors
    /// When the note does not hold, is no checkpoint, or is one of another log.
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let text = key.verify(note)?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed("fewer than three lines"));
        };
        if origin != key.name() {
            return Err(NoteError::Malformed("the origin is not the name of the key"));
        }
        let parsed: u64 = size.parse().map_err(|_| NoteError::Malformed("the size is no number"))?;
        // One spelling only: no sign, no leading zeros.
        if parsed.to_string() != size {
            return Err(NoteError::Malformed("the size is spelled oddly"));
        }
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.map(TreeHash::from_bytes).ok_or(NoteError::Malformed("the root is no SHA-256 digest"))?;
        Ok(Self { origin: origin.to_owned(), head: TreeHead { size: parsed, root } })
    }

    /// The log that it is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Size and root of the tree.
    #[must_use]
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }
}

/// Signs a tree head; the origin is the name of the key.
///
/// # Errors
/// Never for a key that was made: its name fits a note.
pub fn sign(head: &TreeHead, key: &SignerKey) -> Result<String, NoteError> {
    key.sign(&format!("{}\n{}\n{}\n", key.verifier().name(), head.size, head.root))
}

#[cfg(test)]
mod tests;
