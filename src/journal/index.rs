//! The search index: for each block of 1024 events and each kind of term, which of them has which. Positions only, and never
//! more than a hint: what is found is checked against the log, what is missing is read from it, and what is damaged is thrown
//! away and made again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

use bytes::{Buf as _, BufMut as _};
use sled::{Batch, Db, Mode};

use super::frame::LogId;
use super::terms::{HASH_BITS, Term, TermKind};
use crate::audit::tree::TreeHash;
use crate::pb::wire::{put_varint, take_varint};

/// Events of a block.
pub(super) const BLOCK_EVENTS: u64 = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 32 - HASH_BITS;

/// An index of whole blocks, from the first on without a gap.
pub(super) struct Index {
    db: Db,
    log: LogId,
    blocks: AtomicU64,
}

/// Why the index is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("the index could not be read or written")]
    Sled(#[source] sled::Error),
    #[error("the index could not be removed")]
    Remove(#[source] io::Error),
    #[error("the index is damaged")]
    Damaged,
}

impl Index {
    /// Opens the index in a folder, or a new one in place of what is no use. `leaf_at` gives the hash of an event of the log.
    pub(super) fn open(
        dir: &Path,
        log: LogId,
        leaf_at: impl Fn(u64) -> Option<TreeHash>,
    ) -> Result<Arc<Self>, IndexError> {
        if let Ok(index) = Self::open_as_it_is(dir, log)
            && index.is_of(leaf_at)
        {
            return Ok(Arc::new(index));
        }
        Self::begin(dir, log)
    }

    /// Throws away what is there and begins again.
    pub(super) fn begin(dir: &Path, log: LogId) -> Result<Arc<Self>, IndexError> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(IndexError::Remove(error)),
            _ => {}
        }
        Self::open_as_it_is(dir, log).map(Arc::new)
    }

    fn open_as_it_is(dir: &Path, log: LogId) -> Result<Self, IndexError> {
        let path: PathBuf = dir.to_owned();
        let config = sled::Config::new().path(path).mode(Mode::HighThroughput);
        let config = config.cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_MS));
        let mut opened = config.open();
        // Threads of one that was closed a moment ago may hold the folder still.
        for _ in 0..OPEN_TRIES {
            if !matches!(opened, Err(sled::Error::Io(_))) {
                break;
            }
            thread::sleep(OPEN_AGAIN_AFTER);
            opened = config.open();
        }
        Ok(Self { db: opened.map_err(IndexError::Sled)?, log, blocks: AtomicU64::new(0) })
    }

    // True when what stands in the index is of this log, and not ahead of it.
    fn is_of(&self, leaf_at: impl Fn(u64) -> Option<TreeHash>) -> bool {
        let Ok(Some(meta)) = self.db.get(META) else { return false };
        let Some(meta) = Meta::decode(&meta).filter(|meta| meta.log == self.log) else { return false };
        self.blocks.store(meta.blocks, Ordering::SeqCst);
        let last = (meta.blocks * BLOCK_EVENTS).checked_sub(1);
        last.is_none_or(|last| leaf_at(last) == Some(meta.leaf))
    }

    /// How many blocks are indexed.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::SeqCst)
    }

    /// Adds the next block: the terms of each of its events in order, and the leaf hash of its last.
    pub(super) fn add(&self, terms: &[Box<[Term]>], leaf: TreeHash) -> Result<(), IndexError> {
        let block = self.blocks();
        let mut columns: BTreeMap<TermKind, Vec<u32>> = BTreeMap::new();
        for (place, terms) in terms.iter().enumerate() {
            for term in terms {
                let place = u32::try_from(place).unwrap_or(0);
                columns.entry(term.kind).or_default().push(term.hash << BLOCK_BITS | place);
            }
        }
        let mut batch = Batch::default();
        for kind in TermKind::ALL {
            let mut column = columns.remove(&kind).unwrap_or_default();
            column.sort_unstable();
            batch.insert(key(kind, block).as_slice(), encode_column(&column));
        }
        let meta = Meta { log: self.log, blocks: block + 1, leaf };
        batch.insert(META, meta.encode());
        self.db.apply_batch(batch).map_err(IndexError::Sled)?;
        self.blocks.store(block + 1, Ordering::SeqCst);
        Ok(())
    }

    /// The places inside a block of the events that may have every one of these terms.
    pub(super) fn find(&self, block: u64, wanted: &[Term]) -> Result<Vec<u32>, IndexError> {
        let mut found: Option<Vec<u32>> = None;
        for term in wanted {
            let column = self.db.get(key(term.kind, block)).map_err(IndexError::Sled)?.ok_or(IndexError::Damaged)?;
            let places = places(&column, term.hash)?;
            let both = match found {
                None => places,
                Some(found) => found.into_iter().filter(|place| places.binary_search(place).is_ok()).collect(),
            };
            if both.is_empty() {
                return Ok(both);
            }
            found = Some(both);
        }
        Ok(found.unwrap_or_default())
    }
}

fn key(kind: TermKind, block: u64) -> [u8; 9] {
    let mut key = [kind as u8; 9];
    let (_, number) = key.split_at_mut(1);
    number.copy_from_slice(&block.to_be_bytes());
    key
}

// A checksum, and the differences between neighbours.
fn encode_column(column: &[u32]) -> Vec<u8> {
    let mut out = vec![0; 4];
    let mut last = 0;
    for value in column {
        put_varint(u64::from(value - last), &mut out);
        last = *value;
    }
    let checksum = crc32c::crc32c(out.get(4..).unwrap_or_default());
    if let Some(mut place) = out.get_mut(..4) {
        place.put_u32_le(checksum);
    }
    out
}

fn places(mut column: &[u8], hash: u32) -> Result<Vec<u32>, IndexError> {
    if column.len() < 4 || column.get_u32_le() != crc32c::crc32c(column) {
        return Err(IndexError::Damaged);
    }
    let (mut value, mut found) = (0_u32, Vec::new());
    while !column.is_empty() {
        let step = take_varint(&mut column).ok().and_then(|step| u32::try_from(step).ok());
        value = step.and_then(|step| value.checked_add(step)).ok_or(IndexError::Damaged)?;
        if value >> BLOCK_BITS == hash {
            found.push(value & ((1 << BLOCK_BITS) - 1));
        } else if value >> BLOCK_BITS > hash {
            break;
        }
    }
    Ok(found)
}

// How far the index goes, and in which log.
struct Meta {
    log: LogId,
    blocks: u64,
    leaf: TreeHash,
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.put_u32_le(FORMAT);
        out.put_slice(&self.log.0);
        out.put_u64_le(self.blocks);
        out.put_slice(self.leaf.as_bytes());
        let checksum = crc32c::crc32c(out.get(4..).unwrap_or_default());
        if let Some(mut place) = out.get_mut(..4) {
            place.put_u32_le(checksum);
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 4 + 4 + 16 + 8 + 32 || bytes.get_u32_le() != crc32c::crc32c(bytes) {
            return None;
        }
        if bytes.get_u32_le() != FORMAT {
            return None;
        }
        let mut log = [0; 16];
        bytes.copy_to_slice(&mut log);
        let blocks = bytes.get_u64_le();
        let mut leaf = [0; 32];
        bytes.copy_to_slice(&mut leaf);
        Some(Self { log: LogId(log), blocks, leaf: TreeHash::from_bytes(leaf) })
    }
}

// The form of the index. Another is thrown away.
const FORMAT: u32 = 1;
const META: &[u8] = b"meta";
// What sled keeps in memory; more brings little, as columns are read once a search.
const CACHE_BYTES: u64 = 64 << 20;
const FLUSH_MS: u64 = 500;
// A second in all.
const OPEN_TRIES: u32 = 20;
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
