//! Snapshots: everything that was folded up to a position, in a synced file, so that a start does not fold the whole history.
//! One that is damaged or of another form is passed over: the log is the truth.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, BufMut as _};

use super::fold::Fold;
use super::frame::LogId;
use crate::disk::{Disk, TEMPORARY, read_all, replace};

/// What was folded up to a position.
pub(super) struct Snapshot {
    pub(super) log: LogId,
    pub(super) projection_format: u32,
    pub(super) fold: Fold,
    pub(super) projection: Vec<u8>,
}

impl Snapshot {
    /// Makes the snapshot durable, and removes all but the last two.
    pub(super) fn save(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let fold = postcard::to_stdvec(&self.fold).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEADER + fold.len() + self.projection.len());
        bytes.put_slice(MAGIC);
        bytes.put_u32_le(0);
        bytes.put_u32_le(FORMAT);
        bytes.put_slice(&self.log.0);
        bytes.put_u32_le(self.projection_format);
        bytes.put_u64_le(fold.len() as u64);
        bytes.put_slice(&fold);
        bytes.put_slice(&self.projection);
        let checksum = crc32c::crc32c(bytes.get(12..).unwrap_or_default());
        if let Some(mut place) = bytes.get_mut(8..12) {
            place.put_u32_le(checksum);
        }
        replace(disk, dir, &format!("{:020}{SUFFIX}", self.fold.next()), &bytes)?;
        for (_, path) in list(disk, dir)?.into_iter().skip(KEPT) {
            disk.remove(&path)?;
        }
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC).filter(|rest| rest.len() >= HEADER - MAGIC.len())?;
        if rest.get_u32_le() != crc32c::crc32c(rest) || rest.get_u32_le() != FORMAT {
            return None;
        }
        let mut log = [0; 16];
        rest.copy_to_slice(&mut log);
        let projection_format = rest.get_u32_le();
        let len = usize::try_from(rest.get_u64_le()).ok()?;
        let (fold, projection) = rest.split_at_checked(len)?;
        let fold = postcard::from_bytes(fold).ok()?;
        Some(Self { log: LogId(log), projection_format, fold, projection: projection.to_vec() })
    }
}

/// The snapshots in a folder, newest first; `None` for one that cannot be read.
pub(super) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Option<Snapshot>>> {
    for name in disk.list(dir)? {
        if name.ends_with(TEMPORARY) {
            disk.remove(&dir.join(name))?;
        }
    }
    let read = |(size, path): (u64, PathBuf)| {
        let snapshot = read_all(disk, &path)?.and_then(|bytes| Snapshot::decode(&bytes));
        Ok(snapshot.filter(|snapshot| snapshot.fold.next() == size))
    };
    list(disk, dir)?.into_iter().map(read).collect()
}

fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let parse = |name: String| Some((name.strip_suffix(SUFFIX)?.parse().ok()?, dir.join(&name)));
    let mut found: Vec<(u64, PathBuf)> = disk.list(dir)?.into_iter().filter_map(parse).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

// The form of the journal's own part. Another is not read.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"carnetsn";
const HEADER: usize = 8 + 4 + 4 + 16 + 4 + 8;
const SUFFIX: &str = ".snapshot";
// The one before is there should the last be damaged.
const KEPT: usize = 2;

#[cfg(test)]
mod tests;
