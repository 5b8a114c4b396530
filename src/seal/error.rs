//! What can go wrong when something is sealed or opened.

use std::io;
use std::path::PathBuf;

use crate::entropy::EntropyError;
use crate::entropy::secret_file::SecretFileError;
use crate::model::id::TaskId;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key of that task family was destroyed, and what it sealed with it.
    #[error("the key of `{0}` was erased")]
    Erased(TaskId),
    /// No key was ever made for that task family.
    #[error("there is no key for `{0}`")]
    Unknown(TaskId),
    /// Somebody else is making that key at this moment.
    #[error("the key of `{0}` is being made already")]
    BeingMade(TaskId),
    /// The record of the key does not add up.
    #[error("the key of `{0}` is damaged")]
    KeyDamaged(TaskId),
    /// The sealed bytes are not what was sealed under that key in that context.
    #[error("sealed bytes of `{0}` were altered, cut, or belong elsewhere")]
    Altered(TaskId),
    /// The keys were wrapped by another master key.
    #[error("the master key is not the one that wraps `{}`", path.display())]
    WrongMasterKey {
        /// The file of wrapped keys.
        path: PathBuf,
    },
    /// The master key is gone, but keys that it wraps are there: a new one would make them useless.
    #[error("`{}` holds keys, but their master key `{}` is absent", keys.display(), master.display())]
    MasterKeyAbsent {
        /// The file of wrapped keys.
        keys: PathBuf,
        /// Where the master key should be.
        master: PathBuf,
    },
    /// A file that should hold a key holds something else.
    #[error("`{}` does not hold a key: 64 hexadecimal digits are due", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The file of wrapped keys is of another kind or version.
    #[error("`{}` is no file of task keys that this version reads", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A file with a secret can't be used.
    #[error("a secret file can't be used")]
    SecretFile(#[from] SecretFileError),
    /// The file of wrapped keys can't be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A sync failed before, so that nothing that is written from then on can be relied on.
    #[error("a file of task keys failed to sync; no more keys are made")]
    Poisoned,
    /// No randomness.
    #[error("a key or nonce could not be made")]
    Entropy(#[from] EntropyError),
    /// The cryptography refused; it gives no reasons.
    #[error("encryption failed")]
    Crypto,
}
