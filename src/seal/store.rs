//! One file of task keys: records of fixed size, wrapped by the master key. Records are appended and synced before their key is
//! used; erasing overwrites a record in its place. What a device keeps of overwritten blocks is still wrapped.
//! Whoever knows in which record a key is has it read alone; all records are read when a key is wanted of which that is not
//! known, or is to be made.
//!
//! A header and a record take 128 bytes each, so that none lies across two sectors of a disk.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::error::SealError;
use crate::disk::{Disk, DiskFile};
use crate::model::id::TaskId;

/// A wrapped key: nonce, ciphertext, tag.
pub(super) type WrappedKey = [u8; WRAPPED_BYTES];

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Live(u32),
    Erased,
    Damaged,
}

pub(super) struct KeyStore {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    slots: RwLock<Slots>,
    /// Task families whose first key is on its way.
    making: Mutex<HashSet<TaskId>>,
    /// Records written so far.
    written: Mutex<u32>,
    /// Records known to be durable. Held while syncing, so that those who wait find their own record synced by another.
    synced: Mutex<u32>,
    /// Shared by all files: after one failed sync none is relied on.
    poisoned: Arc<AtomicBool>,
}

/// The records that are known.
#[derive(Default)]
struct Slots {
    of: HashMap<TaskId, Slot>,
    /// True when there are no others.
    are_all: bool,
}

impl KeyStore {
    /// Opens the file; `None` when there is none. `check` proves the master key without telling anything about it.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        check: &[u8; 32],
        poisoned: &Arc<AtomicBool>,
    ) -> Result<Option<Self>, SealError> {
        let io = |cause| SealError::Io { path: path.to_owned(), cause };
        let file = match disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io)?,
        };
        let length = file.size().map_err(io)?;
        if length < BLOCK as u64 {
            // A header that was never finished: no key was ever used.
            begin(&*file, check).map_err(io)?;
            disk.sync_dir(folder_of(path)).map_err(io)?;
            return Ok(Some(Self::new(path, file, 0, Arc::clone(poisoned))));
        }
        let mut header = [0; BLOCK];
        file.read_at(&mut header, 0).map_err(io)?;
        check_header(&header, check, path)?;
        let torn_bytes = length % BLOCK as u64;
        if torn_bytes > 0 {
            tracing::warn!(torn_bytes, path = %path.display(), "a record of a task key that was never finished is cut off");
            file.set_len(length - torn_bytes).map_err(io)?;
            file.sync().map_err(io)?;
        }
        let records = u32::try_from(length / BLOCK as u64 - 1);
        let records = records.map_err(|_| SealError::Format { path: path.to_owned() })?;
        Ok(Some(Self::new(path, file, records, Arc::clone(poisoned))))
    }

    /// Makes the file, durable on return. There is none yet.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &Path,
        check: &[u8; 32],
        poisoned: &Arc<AtomicBool>,
    ) -> Result<Self, SealError> {
        let io = |cause| SealError::Io { path: path.to_owned(), cause };
        let file = disk.create(path).map_err(io)?;
        begin(&*file, check).map_err(io)?;
        disk.sync_dir(folder_of(path)).map_err(io)?;
        Ok(Self::new(path, file, 0, Arc::clone(poisoned)))
    }

    fn new(path: &Path, file: Arc<dyn DiskFile>, records: u32, poisoned: Arc<AtomicBool>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            slots: RwLock::new(Slots { are_all: records == 0, ..Slots::default() }),
            making: Mutex::default(),
            written: Mutex::new(records),
            synced: Mutex::new(records),
            poisoned,
        }
    }

    /// Where the key of a family stands; `None` when there is none. Reads the whole file when that is not known.
    pub(super) fn slot(&self, root: TaskId) -> Result<Option<Slot>, SealError> {
        {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            let known = slots.of.get(&root).copied();
            if known.is_some() || slots.are_all {
                return Ok(known);
            }
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if !slots.are_all {
            // INVARIANT: no record is on its way. None is appended before all are known.
            for (root, slot) in self.read_slots()? {
                slots.of.entry(root).or_insert(slot);
            }
            slots.are_all = true;
        }
        Ok(slots.of.get(&root).copied())
    }

    /// Says in which record the key of a family was. When it is not there, all are read as soon as it is wanted.
    pub(super) fn expect(&self, root: TaskId, number: u32) {
        if self.wrapped(root, number).is_ok() {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            slots.of.entry(root).or_insert(Slot::Live(number));
        }
    }

    /// Appends a key; durable on return. Several that come at once share one sync.
    pub(super) fn append(&self, root: TaskId, wrapped: &WrappedKey) -> Result<(), SealError> {
        self.check_sound()?;
        // Of two keys for one family, one would be lost with all that it sealed.
        if !lock(&self.making).insert(root) {
            return Err(SealError::BeingMade(root));
        }
        let appended = match self.slot(root) {
            Ok(None) => self.append_synced(root, wrapped),
            Ok(Some(_)) => Err(SealError::BeingMade(root)),
            Err(error) => Err(error),
        };
        lock(&self.making).remove(&root);
        appended
    }

    fn append_synced(&self, root: TaskId, wrapped: &WrappedKey) -> Result<(), SealError> {
        let number = {
            let mut written = lock(&self.written);
            let number = *written;
            self.write(number, &record(root, STATE_LIVE, wrapped))?;
            *written = number.checked_add(1).ok_or_else(|| SealError::Format { path: self.path.clone() })?;
            number
        };
        let mut synced = lock(&self.synced);
        if *synced <= number {
            let upto = *lock(&self.written);
            self.sync()?;
            *synced = upto;
        }
        drop(synced);
        self.check_sound()?;
        self.set_slot(root, Slot::Live(number));
        Ok(())
    }

    /// The wrapped key of a record. Reads the file.
    pub(super) fn wrapped(&self, root: TaskId, number: u32) -> Result<WrappedKey, SealError> {
        let mut block = [0; BLOCK];
        let read = self.file.read_at(&mut block, offset(number));
        read.map_err(|cause| SealError::Io { path: self.path.clone(), cause })?;
        match parse(&block) {
            Some((id, STATE_LIVE, wrapped)) if id == *root.as_bytes() => Ok(wrapped),
            _ => Err(SealError::KeyDamaged(root)),
        }
    }

    /// Overwrites the key; durable on return. From the first moment on nobody finds it any more.
    pub(super) fn erase(&self, root: TaskId, number: u32) -> Result<(), SealError> {
        self.check_sound()?;
        self.set_slot(root, Slot::Erased);
        let written = self.write(number, &record(root, STATE_ERASED, &[0; WRAPPED_BYTES]));
        // What is not known to be erased is not called so, or a second attempt would do nothing.
        written.and_then(|()| self.sync()).inspect_err(|_| self.set_slot(root, Slot::Live(number)))
    }

    /// How each key stands, when all records were read.
    #[cfg(test)]
    pub(super) fn all(&self) -> Option<Vec<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.are_all.then(|| slots.of.values().copied().collect())
    }

    fn set_slot(&self, root: TaskId, slot: Slot) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).of.insert(root, slot);
    }

    fn read_slots(&self) -> Result<HashMap<TaskId, Slot>, SealError> {
        let (mut slots, mut number) = (HashMap::new(), 0_u32);
        let mut chunk = vec![0; BLOCK * BLOCKS_AT_ONCE];
        loop {
            let read = self.file.read_at(&mut chunk, offset(number));
            let read = read.map_err(|cause| SealError::Io { path: self.path.clone(), cause })?;
            let (blocks, _) = chunk.get(..read).unwrap_or_default().as_chunks::<BLOCK>();
            for block in blocks {
                read_slot(block, number, &mut slots);
                number = number.checked_add(1).ok_or_else(|| SealError::Format { path: self.path.clone() })?;
            }
            if read < chunk.len() {
                break;
            }
        }
        let damaged = slots.values().filter(|slot| **slot == Slot::Damaged).count();
        if damaged > 0 {
            // As a crash in the middle of an erasure leaves them.
            tracing::warn!(damaged, path = %self.path.display(), "records of task keys do not add up");
        }
        Ok(slots)
    }

    fn write(&self, number: u32, block: &[u8; BLOCK]) -> Result<(), SealError> {
        let written = self.file.write_at(block, offset(number));
        written.map_err(|cause| SealError::Io { path: self.path.clone(), cause })
    }

    fn sync(&self) -> Result<(), SealError> {
        self.file.sync().map_err(|cause| {
            // After a failed sync the system may drop what was not written and report success from then on.
            self.poisoned.store(true, Ordering::SeqCst);
            SealError::Io { path: self.path.clone(), cause }
        })
    }

    fn check_sound(&self) -> Result<(), SealError> {
        if self.poisoned.load(Ordering::SeqCst) { Err(SealError::Poisoned) } else { Ok(()) }
    }
}

/// True when there is a file with at least a header, which so was in use.
pub(super) fn in_use(disk: &dyn Disk, path: &Path) -> bool {
    disk.open(path).and_then(|file| file.size()).is_ok_and(|size| size >= BLOCK as u64)
}

fn begin(file: &dyn DiskFile, check: &[u8; 32]) -> io::Result<()> {
    file.set_len(0)?;
    file.write_at(&header(check), 0)?;
    file.sync()
}

fn read_slot(block: &[u8; BLOCK], number: u32, slots: &mut HashMap<TaskId, Slot>) {
    let (id, slot) = match parse(block) {
        Some((id, STATE_LIVE, _)) => (id, Slot::Live(number)),
        Some((id, STATE_ERASED, _)) => (id, Slot::Erased),
        _ => (block.first_chunk().copied().unwrap_or_default(), Slot::Damaged),
    };
    // A record that was never written is all zeros and names no task.
    if id == [0; 16] {
        return;
    }
    let root = TaskId::from_bytes(id);
    // Erased stays erased, whatever else the file claims.
    if slots.get(&root) != Some(&Slot::Erased) {
        slots.insert(root, slot);
    }
}

fn header(check: &[u8; 32]) -> [u8; BLOCK] {
    let mut fields = Vec::with_capacity(BLOCK);
    fields.extend_from_slice(MAGIC);
    fields.extend_from_slice(check);
    finish(fields)
}

fn check_header(block: &[u8; BLOCK], check: &[u8; 32], path: &Path) -> Result<(), SealError> {
    if !block.starts_with(MAGIC) || !is_whole(block) {
        return Err(SealError::Format { path: path.to_owned() });
    }
    if *block != header(check) {
        return Err(SealError::WrongMasterKey { path: path.to_owned() });
    }
    Ok(())
}

fn record(root: TaskId, state: u8, wrapped: &WrappedKey) -> [u8; BLOCK] {
    let mut fields = Vec::with_capacity(BLOCK);
    fields.extend_from_slice(root.as_bytes());
    fields.push(state);
    fields.extend_from_slice(wrapped);
    finish(fields)
}

fn parse(block: &[u8; BLOCK]) -> Option<([u8; 16], u8, WrappedKey)> {
    if !is_whole(block) {
        return None;
    }
    let (id, rest) = block.split_first_chunk()?;
    let (state, rest) = rest.split_first()?;
    Some((*id, *state, *rest.first_chunk()?))
}

fn is_whole(block: &[u8; BLOCK]) -> bool {
    block.split_last_chunk().is_some_and(|(fields, sum)| crc32c::crc32c(fields) == u32::from_le_bytes(*sum))
}

/// Zeros up to the last four bytes, which are the checksum of all before.
fn finish(mut fields: Vec<u8>) -> [u8; BLOCK] {
    fields.resize(BLOCK - 4, 0);
    let checksum = crc32c::crc32c(&fields).to_le_bytes();
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(fields.iter().chain(&checksum)) {
        *to = *from;
    }
    block
}

fn offset(number: u32) -> u64 {
    (u64::from(number) + 1) * BLOCK as u64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes guard are counters that are set in one step, last.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of a file, also of one that is named without one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Nonce, key and tag.
pub(super) const WRAPPED_BYTES: usize = 12 + 32 + 16;
const BLOCK: usize = 128;
// Half a megabyte is read at once.
const BLOCKS_AT_ONCE: usize = 4096;
const MAGIC: &[u8] = b"carnet task keys 1\n";
const STATE_LIVE: u8 = 1;
const STATE_ERASED: u8 = 2;
