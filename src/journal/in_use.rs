//! Whether a process holds a journal's folder, asked without touching it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::engine::LOCK;
use super::error::JournalError;
use super::recovery::io_error;

/// Looks whether the folder could be opened now. One that is absent could.
///
/// # Errors
/// When another process holds it, or it cannot be looked at.
pub fn check(dir: &Path) -> Result<(), JournalError> {
    let path = dir.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("read", &path, error)),
    };
    // Shared, so that two that only look do not take each other for a broker.
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path, error)),
    }
}
