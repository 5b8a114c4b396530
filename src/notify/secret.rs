//! The secrets that notices are signed with, from files that nobody else may read: `whsec_` and base64, as Standard Webhooks writes
//! them. Several sign side by side while a receiver changes from one to the next.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::entropy::secret_file::{self, SecretFileError};
use crate::model::limits::WEBHOOK_SECRETS_MAX;

/// Bytes of a secret (Standard Webhooks, "Signature scheme": 192 to 512 bits).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Largest file of a secret: the prefix, 64 bytes in base64, and the end of a line, with room to spare.
const FILE_BYTES_MAX: u64 = 256;
const PREFIX: &str = "whsec_";

/// The secrets of one receiver; at least one.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

/// Why a file holds no secret to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read, or others can.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// What stands in it is something else.
    #[error(
        "`{}` does not hold `whsec_` and the base64 of {} to {} bytes",
        .0.display(),
        SECRET_BYTES.start(),
        SECRET_BYTES.end()
    )]
    Malformed(PathBuf),
    /// There is none, or there are too many.
    #[error("there must be 1 to {} secrets, and there are {}", WEBHOOK_SECRETS_MAX, .0)]
    Count(usize),
}

impl Secrets {
    /// Reads the secrets in these files.
    ///
    /// # Errors
    /// When one of them holds none, or others may read it.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self, SecretError> {
        if files.is_empty() || files.len() > WEBHOOK_SECRETS_MAX {
            return Err(SecretError::Count(files.len()));
        }
        let read = |path: &P| {
            let path = path.as_ref();
            let content = secret_file::read(path, FILE_BYTES_MAX)?;
            key(&content).ok_or_else(|| SecretError::Malformed(path.to_owned()))
        };
        files.iter().map(read).collect::<Result<_, SecretError>>().map(Self)
    }

    /// The value of `webhook-signature`: one signature by each secret.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signature = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes())));
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

fn key(content: &[u8]) -> Option<hmac::Key> {
    let text = std::str::from_utf8(content).ok()?.trim_end();
    let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
    SECRET_BYTES.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests;
