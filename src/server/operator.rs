//! The operator's socket: a file of mode 0600 in a folder that nobody else may write in. It never stands open for others, not
//! even while it is made; a stale one is replaced, a live one is not.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};

use crate::identity::tied::Tied;
use crate::server::error::ServerError;

/// Longest path of a socket that all systems take, in bytes (`sun_path` has 104 on some).
const PATH_BYTES_MAX: usize = 103;
/// Name of the folder in which the socket is made.
const NURSERY: &str = ".carnet-operator";
/// Its name there.
const DRAFT: &str = "s";

/// The operator's socket, removed when it is dropped.
#[derive(Debug)]
pub struct OperatorSocket {
    path: PathBuf,
    /// The file as it was made, so that no other is removed.
    made: (u64, u64),
    listener: Option<UnixListener>,
}

/// Looks whether the socket could be made at `path`, and makes nothing.
///
/// # Errors
/// When the folder may be written by others, is absent, or something else stands at the path.
pub async fn check(path: &Path) -> Result<(), ServerError> {
    let refuse = |problem, cause| ServerError::Operator { path: path.to_owned(), problem, cause };
    let draft = path.with_file_name(NURSERY).join(DRAFT);
    if path.as_os_str().len().max(draft.as_os_str().len()) > PATH_BYTES_MAX {
        return Err(refuse("the path is too long for a socket", None));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let metadata = fs::metadata(folder).map_err(|e| refuse("its folder cannot be used", Some(e)))?;
    if !metadata.is_dir() {
        return Err(refuse("its folder is none", None));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refuse("its folder may be written by others", None));
    }
    if !is_trusted(metadata.uid()) {
        return Err(refuse("its folder belongs to somebody else", None));
    }
    // Who may rename a folder above it could put another in its place.
    let real = fs::canonicalize(folder).map_err(|e| refuse("its folder cannot be used", Some(e)))?;
    for above in real.ancestors().skip(1) {
        let metadata = fs::metadata(above).map_err(|e| refuse("a folder above it cannot be used", Some(e)))?;
        if (metadata.mode() & 0o022 != 0 && metadata.mode() & STICKY == 0) || !is_trusted(metadata.uid()) {
            return Err(refuse("a folder above it may be changed by others", None));
        }
    }
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(refuse("what stands there cannot be looked at", Some(e))),
        Ok(there) if !there.file_type().is_socket() => Err(refuse("something that is no socket stands there", None)),
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => Err(refuse("another broker listens there", None)),
            Err(_) => Ok(()),
        },
    }
}

/// Makes the socket.
///
/// # Errors
/// As [`check`], and when the system refuses.
pub async fn bind(path: &Path) -> Result<OperatorSocket, ServerError> {
    check(path).await?;
    let refuse = |problem| move |cause| ServerError::Operator { path: path.to_owned(), problem, cause: Some(cause) };
    let nursery = path.with_file_name(NURSERY);
    let draft = nursery.join(DRAFT);
    // What an earlier start left behind.
    drop(fs::remove_file(&draft));
    drop(fs::remove_dir(&nursery));
    DirBuilder::new().mode(0o700).create(&nursery).map_err(refuse("a folder for it cannot be made"))?;
    let made = make(&draft, path);
    drop(fs::remove_dir(&nursery));
    let (listener, made) = made.map_err(refuse("it cannot be made"))?;
    Ok(OperatorSocket { path: path.to_owned(), made, listener: Some(listener) })
}

fn make(draft: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let listener = UnixListener::bind(draft)?;
    fs::set_permissions(draft, Permissions::from_mode(0o600))?;
    let metadata = fs::symlink_metadata(draft)?;
    fs::rename(draft, path)?;
    Ok((listener, (metadata.dev(), metadata.ino())))
}

impl OperatorSocket {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Connections of the broker's own user and of root. The file's mode keeps others out already.
    pub(in crate::server) fn take_connections(
        &mut self,
    ) -> Option<impl Stream<Item = io::Result<Tied<UnixStream>>> + use<>> {
        let connections = UnixListenerStream::new(self.listener.take()?);
        let ours = connections.filter(|connection| match connection {
            Ok(connection) => connection.peer_cred().is_ok_and(|peer| is_trusted(peer.uid())),
            Err(_) => true,
        });
        Some(ours.map(|connection| connection.map(Tied::new)))
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.made);
        if ours {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// What others made in such a folder they alone may rename, as in `/tmp`.
const STICKY: u32 = 0o1000;

fn is_trusted(uid: u32) -> bool {
    uid == 0 || Uid::from_raw(uid) == geteuid()
}

#[cfg(test)]
mod tests;
