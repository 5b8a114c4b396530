//! Task handles: a keyed digest of the task id. Nothing is stored, and a retry of a registration gets its handle again.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::error::SealError;
use super::master::MasterKey;
use crate::entropy::Entropy;
use crate::model::id::TaskId;

/// The secret that shows that a caller belongs to a task: 256 bits, base64url without padding.
pub struct TaskHandle(Zeroizing<String>);

impl TaskHandle {
    /// The secret itself, for the answer to the orchestrator and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskHandle(redacted)")
    }
}

/// The key from which task handles are made.
pub struct HandleKey(hmac::Key);

impl HandleKey {
    /// Reads the key from a secret file, or makes one where there is none. Blocking I/O.
    ///
    /// # Errors
    /// When the file may be used by others, or can't be read or made.
    pub fn load_or_create(path: &Path, entropy: &Entropy) -> Result<Self, SealError> {
        let master = MasterKey::load_or_create(path, entropy)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, master.derive("carnet task handle v1").as_slice())))
    }

    /// The handle of that task: always the same.
    #[must_use]
    pub fn handle(&self, task: TaskId) -> TaskHandle {
        TaskHandle(Zeroizing::new(URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, task.as_bytes()))))
    }

    /// True when `shown` is the handle of that task. The time it takes tells nothing about where the two differ.
    #[must_use]
    pub fn check(&self, task: TaskId, shown: &str) -> bool {
        self.handle(task).0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleKey(redacted)")
    }
}

#[cfg(test)]
mod tests;
