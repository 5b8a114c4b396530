//! The file `task-keys`: one record of fixed size for each task family, wrapped by the master key. Records are appended and
//! synced before their key is used; erasing overwrites a record in its place. What a device keeps of overwritten blocks is
//! still wrapped.
//!
//! A header and a record take 128 bytes each, so that none lies across two sectors of a disk.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::error::SealError;
use crate::model::id::TaskId;

/// A wrapped key: nonce, ciphertext, tag.
pub(super) type WrappedKey = [u8; WRAPPED_BYTES];

/// What was found when the file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeysReport {
    /// Keys that can be used.
    pub live: u64,
    /// Keys that were erased.
    pub erased: u64,
    /// Records that do not add up, as a crash in the middle of an erasure leaves them.
    pub damaged: u64,
    /// Bytes of a record that was never finished, which were cut off.
    pub torn_bytes: u64,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Live(u32),
    Erased,
    Damaged,
}

pub(super) struct KeyStore {
    path: PathBuf,
    file: File,
    slots: RwLock<HashMap<TaskId, Slot>>,
    /// Task families whose first key is on its way.
    making: Mutex<HashSet<TaskId>>,
    /// Records written so far.
    written: Mutex<u32>,
    /// Records known to be durable. Held while syncing, so that those who wait find their own record synced by another.
    synced: Mutex<u32>,
    poisoned: AtomicBool,
}

impl KeyStore {
    /// Opens the file, or makes it. `check` proves the master key without telling anything about it.
    pub(super) fn open(path: &Path, check: &[u8; 32]) -> Result<(Self, KeysReport), SealError> {
        let io = |cause| SealError::Io { path: path.to_owned(), cause };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = file.map_err(io)?;
        let mut report = KeysReport::default();
        let mut slots = HashMap::new();
        let mut records = 0_u32;
        let length = file.metadata().map_err(io)?.len();
        if length < BLOCK as u64 {
            // A header that was never finished: no key was ever used.
            file.set_len(0).map_err(io)?;
            file.write_all_at(&header(check), 0).map_err(io)?;
            file.sync_all().map_err(io)?;
            sync_folder_of(path).map_err(io)?;
        } else {
            report.torn_bytes = length % BLOCK as u64;
            if report.torn_bytes > 0 {
                file.set_len(length - report.torn_bytes).map_err(io)?;
                file.sync_all().map_err(io)?;
            }
            let mut reader = io::BufReader::with_capacity(1 << 16, &mut file);
            let mut block = [0; BLOCK];
            reader.read_exact(&mut block).map_err(io)?;
            check_header(&block, check, path)?;
            for number in 0..length / BLOCK as u64 - 1 {
                reader.read_exact(&mut block).map_err(io)?;
                let number = u32::try_from(number).map_err(|_| SealError::Format { path: path.to_owned() })?;
                read_slot(&block, number, &mut slots);
                records = number + 1;
            }
        }
        for slot in slots.values() {
            match slot {
                Slot::Live(_) => report.live += 1,
                Slot::Erased => report.erased += 1,
                Slot::Damaged => report.damaged += 1,
            }
        }
        let store = Self {
            path: path.to_owned(),
            file,
            slots: RwLock::new(slots),
            making: Mutex::default(),
            written: Mutex::new(records),
            synced: Mutex::new(records),
            poisoned: AtomicBool::new(false),
        };
        Ok((store, report))
    }

    pub(super) fn slot(&self, root: TaskId) -> Option<Slot> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&root).copied()
    }

    /// Appends a key; durable on return. Several that come at once share one sync.
    pub(super) fn append(&self, root: TaskId, wrapped: &WrappedKey) -> Result<(), SealError> {
        self.check_sound()?;
        // Of two keys for one family, one would be lost with all that it sealed.
        if !lock(&self.making).insert(root) {
            return Err(SealError::BeingMade(root));
        }
        let known = self.slot(root).is_some();
        let appended = if known { Err(SealError::BeingMade(root)) } else { self.append_synced(root, wrapped) };
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
        let read = self.file.read_exact_at(&mut block, offset(number));
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

    fn set_slot(&self, root: TaskId, slot: Slot) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(root, slot);
    }

    fn write(&self, number: u32, block: &[u8; BLOCK]) -> Result<(), SealError> {
        let written = self.file.write_all_at(block, offset(number));
        written.map_err(|cause| SealError::Io { path: self.path.clone(), cause })
    }

    fn sync(&self) -> Result<(), SealError> {
        self.file.sync_data().map_err(|cause| {
            // After a failed sync the system may drop what was not written and report success from then on.
            self.poisoned.store(true, Ordering::SeqCst);
            SealError::Io { path: self.path.clone(), cause }
        })
    }

    fn check_sound(&self) -> Result<(), SealError> {
        if self.poisoned.load(Ordering::SeqCst) { Err(SealError::Poisoned) } else { Ok(()) }
    }
}

/// True when the file holds at least a header, and so was in use.
pub(super) fn in_use(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() >= BLOCK as u64)
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

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Nonce, key and tag.
pub(super) const WRAPPED_BYTES: usize = 12 + 32 + 16;
const BLOCK: usize = 128;
const MAGIC: &[u8] = b"carnet task keys 1\n";
const STATE_LIVE: u8 = 1;
const STATE_ERASED: u8 = 2;
