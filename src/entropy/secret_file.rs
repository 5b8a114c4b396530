//! Files that hold a secret: readable by their owner alone, written whole or not at all. What stands in them is the business
//! of the room that keeps them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file with a secret can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Somebody else may read or write it.
    #[error("`{}` may be used by others (mode {mode:o}); it must be {expected:o}", path.display())]
    TooOpen {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        expected: u32,
    },
    /// It is somebody else's, who could put another in its place.
    #[error("`{}` belongs to another user (uid {owner}, and this is uid {own})", path.display())]
    NotOwned {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// A folder, a socket, a device.
    #[error("`{}` is not an ordinary file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// Larger than any secret of its kind.
    #[error("`{}` is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// The file system refused.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        cause: io::Error,
    },
}

impl SecretFileError {
    /// True when the file is not there, as on a first start.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }

    /// True when a file of that name is there already.
    #[must_use]
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// Reads a secret of at most `bytes_max` bytes from a file that nobody but its owner may use.
///
/// # Errors
/// When the file is absent, too open, too large or no file.
pub fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let io = |cause| SecretFileError::Io { path: path.to_owned(), cause };
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(SecretFileError::NotAFile { path: path.to_owned() });
    }
    let mut file = File::open(path).map_err(io)?;
    // The rules are held against what was opened: the name may point elsewhere by now.
    let metadata = file.metadata().map_err(io)?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(SecretFileError::NotAFile { path: path.to_owned() });
    }
    if mode & 0o077 != 0 {
        return Err(SecretFileError::TooOpen { path: path.to_owned(), mode, expected: FILE_MODE });
    }
    refuse_others(path, metadata.uid(), &[0])?;
    if metadata.len() > bytes_max {
        return Err(SecretFileError::TooLarge { path: path.to_owned(), max: bytes_max });
    }
    // With room for all of it from the start, no copy is left behind by growing.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    (&mut file).take(bytes_max.saturating_add(1)).read_to_end(&mut content).map_err(io)?;
    Ok(content)
}

/// Writes a new secret file, durable on return. One that exists is left alone.
///
/// # Errors
/// When a file of that name exists ([`SecretFileError::is_present`]) or the file system refuses.
pub fn create(path: &Path, content: &[u8]) -> Result<(), SecretFileError> {
    let draft = write_draft(path, content)?;
    // A link, not a rename: it never takes the place of a secret that somebody else has just made.
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    linked.and(removed).map_err(|cause| SecretFileError::Io { path: path.to_owned(), cause })?;
    sync_folder_of(path)
}

/// Writes a secret file in place of the one of that name, if there is one; durable on return, and never half written.
///
/// # Errors
/// When the file system refuses.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), SecretFileError> {
    let draft = write_draft(path, content)?;
    fs::rename(&draft, path).map_err(|cause| SecretFileError::Io { path: path.to_owned(), cause })?;
    sync_folder_of(path)
}

/// Makes a folder for secrets (0700) unless it is there, and refuses one that others may use.
///
/// # Errors
/// When it can't be made, is no folder, is somebody else's, or may be used by others.
pub fn folder(path: &Path) -> Result<(), SecretFileError> {
    let io = |cause| SecretFileError::Io { path: path.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(io)?;
    check_folder(path)
}

/// Looks whether a folder may hold secrets, and makes none.
///
/// # Errors
/// When it is absent, no folder, somebody else's, or may be used by others.
pub fn check_folder(path: &Path) -> Result<(), SecretFileError> {
    let io = |cause| SecretFileError::Io { path: path.to_owned(), cause };
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_dir() {
        return Err(io(io::ErrorKind::NotADirectory.into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::TooOpen { path: path.to_owned(), mode, expected: FOLDER_MODE });
    }
    refuse_others(path, metadata.uid(), &[])
}

/// Refuses what belongs neither to us nor to one of `besides`.
fn refuse_others(path: &Path, owner: u32, besides: &[u32]) -> Result<(), SecretFileError> {
    let own = nix::unistd::geteuid().as_raw();
    if owner == own || besides.contains(&owner) {
        return Ok(());
    }
    Err(SecretFileError::NotOwned { path: path.to_owned(), owner, own })
}

fn write_draft(path: &Path, content: &[u8]) -> Result<PathBuf, SecretFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    let io = |cause| SecretFileError::Io { path: draft.clone(), cause };
    match fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&draft).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.sync_all().map_err(io)?;
    Ok(draft)
}

fn sync_folder_of(path: &Path) -> Result<(), SecretFileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|cause| SecretFileError::Io { path: folder.to_owned(), cause })
}

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

#[cfg(test)]
mod tests;
