//! Where development keeps its things: a folder of the user's choice, or a temporary one that goes away at the end.

use std::path::{Path, PathBuf};

use crate::dev::error::DevError;
use crate::entropy::{Entropy, secret_file};
use crate::server::folder::DataFolder;

/// A folder of a dev broker, marked as such.
#[derive(Debug)]
pub struct DevFolder {
    path: PathBuf,
    temporary: bool,
}

impl DevFolder {
    /// A folder that stays. It may be there already, if a dev broker made it.
    ///
    /// # Errors
    /// When it cannot be made, others may write in it, or it holds something that no dev broker has made.
    pub fn kept(path: &Path) -> Result<Self, DevError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = DataFolder::new(&path);
        let filled = std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        if filled && folder.refuse_dev().is_ok() {
            return Err(DevError::NotOurs(path));
        }
        folder.mark_as_dev()?;
        Ok(Self { path, temporary: false })
    }

    /// A folder of its own, removed when this is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary(entropy: &Entropy) -> Result<Self, DevError> {
        let random: [u8; 4] = entropy.bytes()?;
        let name = format!("carnet-dev-{:08x}", u32::from_be_bytes(random));
        let path = std::env::temp_dir().join(name);
        secret_file::folder(&path)?;
        // From here on it is removed, whatever fails next.
        let folder = Self { path, temporary: true };
        DataFolder::new(&folder.path).mark_as_dev()?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when it goes away at the end.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl Drop for DevFolder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(folder = %self.path.display(), %error, "the temporary folder stays behind");
        }
    }
}

#[cfg(test)]
mod tests;
