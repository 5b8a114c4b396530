//! The watermark: how far the log was known to be durable, in a small file of its own. It is written after each group and
//! never synced: it may lag behind, and is never ahead. By it, damage to what was durable is told from a torn last group.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};

/// The file that holds the watermark, in two places by turns.
pub(super) struct Watermark {
    file: Arc<dyn DiskFile>,
    turn: bool,
}

impl Watermark {
    /// Opens the file or makes it, and tells what it says; 0 when it says nothing that can be relied on.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> io::Result<(Self, u64)> {
        let path = dir.join(NAME);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(&path)?;
                // Its space is taken now, so that a full disk does not stop it later.
                file.write_at(&[0; 2 * SLOT_BYTES], 0)?;
                file
            }
            file => file?,
        };
        let mut bytes = [0; 2 * SLOT_BYTES];
        file.read_at(&mut bytes, 0)?;
        let (one, two) = bytes.split_at(SLOT_BYTES);
        let durable = decode(one).max(decode(two)).unwrap_or(0);
        Ok((Self { file, turn: false }, durable))
    }

    /// Notes that so many events are durable.
    pub(super) fn note(&mut self, durable: u64) -> io::Result<()> {
        let offset = if self.turn { SLOT_BYTES as u64 } else { 0 };
        self.turn = !self.turn;
        self.file.write_at(&encode(durable), offset)
    }

    /// Makes it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn encode(durable: u64) -> [u8; 12] {
    let number = durable.to_le_bytes();
    let mut out = [0; 12];
    let checksum = crc32c::crc32c_append(SEED, &number).to_le_bytes();
    for (byte, of) in out.iter_mut().zip(number.iter().chain(&checksum)) {
        *byte = *of;
    }
    out
}

fn decode(slot: &[u8]) -> Option<u64> {
    let durable = u64::from_le_bytes(slot.get(..8)?.try_into().ok()?);
    (slot.get(..12) == Some(encode(durable).as_slice())).then_some(durable)
}

const NAME: &str = "watermark";
// So that zeros are not taken for a number.
const SEED: u32 = 0x6361_726e;
// One sector each, so that a torn write spoils one only.
const SLOT_BYTES: usize = 512;

#[cfg(test)]
mod tests;
