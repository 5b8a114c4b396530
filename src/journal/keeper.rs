//! The thread that does what can wait a little: it fills the next segment with zeros, so that writing an event changes no
//! metadata, signs checkpoints, and holds space back for ends.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::engine::{CHECKPOINT, Engine, RESERVE, SEGMENTS};
use super::error::JournalError;
use super::options::Options;
use super::signal::Heard;
use crate::audit::checkpoint;
use crate::disk::{DiskFile, TEMPORARY, replace};

/// A file of zeros that waits to become a segment.
pub(super) struct Prepared {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) bytes: u64,
}

/// Keeps house until it is told to stop.
pub(super) fn run(shared: &Engine) {
    hold_space(shared);
    let every = shared.options.checkpoint_every;
    let mut signed = (shared.options.now)();
    let mut made = 0;
    loop {
        let heard = shared.keeper.hear(every);
        match heard {
            Heard::Stop => return,
            Heard::Word(bytes) => {
                made += 1;
                prepare_segment(shared, made, bytes);
            }
            Heard::Nothing => hold_space(shared),
        }
        let now = (shared.options.now)();
        if heard == Heard::Nothing || now.since(signed) >= every {
            signed = now;
            if let Err(error) = sign(shared) {
                tracing::warn!(error = &error as &dyn std::error::Error, "no checkpoint was signed");
            }
        }
    }
}

/// Signs for what is durable and keeps the checkpoint; gives the one that is kept when nothing was added since.
pub(super) fn sign(shared: &Engine) -> Result<String, JournalError> {
    let mut kept = shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    let head = shared.events.head();
    if let Some((size, note)) = &*kept
        && *size == head.size
    {
        return Ok(note.clone());
    }
    let Options { disk, dir, signer, .. } = &shared.options;
    let note = checkpoint::sign(&head, signer).map_err(JournalError::Checkpoint)?;
    let io = |source| JournalError::Io { doing: "write the checkpoint in", path: dir.clone(), source };
    replace(&**disk, dir, CHECKPOINT, note.as_bytes()).map_err(io)?;
    *kept = Some((head.size, note.clone()));
    Ok(note)
}

/// A file of so many zeros, whose space is taken. The number tells it from one that the writer is about to rename.
pub(super) fn zeros(options: &Options, number: u64, bytes: u64) -> io::Result<Prepared> {
    let path = options.dir.join(SEGMENTS).join(format!("next-{number}{TEMPORARY}"));
    let file = options.disk.create(&path)?;
    let chunk = vec![0; usize::try_from(bytes.min(CHUNK_BYTES)).unwrap_or(usize::MAX)];
    let mut at = 0;
    while at < bytes {
        let len = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(chunk.len());
        file.write_at(chunk.get(..len).unwrap_or_default(), at)?;
        at += len as u64;
    }
    file.sync()?;
    Ok(Prepared { path, file, bytes })
}

fn prepare_segment(shared: &Engine, number: u64, bytes: u64) {
    // Without it the next segment grows as it is written, which is slower and otherwise the same.
    let options = &shared.options;
    let room = options.disk.free_bytes(&options.dir).unwrap_or(0).saturating_sub(options.space_floor_bytes);
    if room < bytes || shared.prepared.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return;
    }
    match zeros(options, number, bytes) {
        Ok(prepared) => *shared.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the next segment was not prepared"),
    }
}

// Takes up the space that is held back, again too when there is room after it had to be given up.
fn hold_space(shared: &Engine) {
    let Options { disk, dir, reserve_bytes, space_floor_bytes, .. } = &shared.options;
    let room = disk.free_bytes(dir).unwrap_or(0);
    let held = shared.reserved.load(Ordering::SeqCst);
    if held || *reserve_bytes == 0 || room < reserve_bytes.saturating_add(*space_floor_bytes) {
        return;
    }
    let path = dir.join(RESERVE);
    let allocate = || match disk.open(&path) {
        Ok(file) if file.size()? >= *reserve_bytes => Ok(()),
        _ => disk.create(&path)?.allocate(*reserve_bytes),
    };
    match allocate() {
        Ok(()) => shared.reserved.store(true, Ordering::SeqCst),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no space could be held back"),
    }
}

// What is written at once, so that the writer is not kept waiting for long.
const CHUNK_BYTES: u64 = 256 << 10;
