//! Why no token can be made, or no key used.

use std::path::PathBuf;

use crate::entropy::secret_file::SecretFileError;
use crate::journal::error::ReadError;
use crate::token::claims::UnknownDetailError;
use crate::token::detail::DetailError;
use crate::token::header::SigningAlgorithm;
use crate::token::jwks::KeyId;

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// What was decided and what is to be granted are not about the same thing.
    #[error("the plan of the grant does not match the decision: {0}")]
    Mismatch(&'static str),
    /// It would outlive the SVID that it is bound to, or what policy allows.
    #[error("the token would live longer than the SVID or policy allows")]
    LifeTooLong,
    /// The caller proved no key that it could be bound to.
    #[error("the caller proved no key")]
    KeyNotProven,
    /// A sink can't be bound.
    #[error("the call can't be bound")]
    Detail(#[source] DetailError),
    /// The claims can't be written.
    #[error("the claims can't be written")]
    Claims(#[source] UnknownDetailError),
    /// The token would be longer than verifiers read.
    #[error("the token would be longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The entry that is to be recorded has no place for the grant, more than one, or one for another.
    #[error("the entry does not hold exactly one decision of this credential that waits for its grant")]
    NoEvidence,
    /// The claims can't be sealed for the record.
    #[error("the claims can't be sealed")]
    Seal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The claims of a recorded grant can't be opened: erased, say.
    #[error("the recorded claims can't be opened")]
    Unseal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The record can't be read.
    #[error("the record of the grant can't be read")]
    Unread(#[source] ReadError),
    /// What was recorded is no grant, or not what would be signed now.
    #[error("what was recorded does not give this token")]
    NotRecorded,
    /// The key is no longer trusted.
    #[error("key `{0}` is distrusted")]
    Distrusted(KeyId),
    /// The key is gone: all that it signed has expired.
    #[error("key `{0}` is gone")]
    KeyGone(String),
    /// There is no key of that algorithm.
    #[error("no key for `{0}`")]
    NoKey(SigningAlgorithm),
    /// The cryptography refused; it gives no reasons.
    #[error("signing failed")]
    Signing,
}

/// Why the keys can't be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// A file with a secret can't be used.
    #[error("a key file can't be used")]
    SecretFile(#[from] SecretFileError),
    /// The list of keys is none that this version reads.
    #[error("`{}` is no list of keys that this version reads", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A key file holds something else than the list says.
    #[error("`{}` does not hold the private key that its name tells", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the folder, and asking for it failed.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// There is no key of that name.
    #[error("there is no key `{0}`")]
    Unknown(KeyId),
    /// A key could not be made.
    #[error("no key could be made")]
    Generate,
}
