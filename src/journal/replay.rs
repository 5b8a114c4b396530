//! Folding the log at a start, and checking what lies before.

use std::sync::Arc;

use super::error::JournalError;
use super::fold::Fold;
use super::frame::events;
use super::projection::{Projection, Recorded};
use super::recovery::{Found, check_sealed, io_error};
use super::segment::{FrameReader, Segment};
use crate::audit::tree::{TreeHash, TreeHead};

/// Folds what the log holds beyond the fold; how many events that were.
pub(super) fn replay(found: &Found, fold: &mut Fold, projection: &dyn Projection) -> Result<u64, JournalError> {
    let begun = fold.next();
    for (segment, end) in ends(found).filter(|(_, end)| *end > begun) {
        if segment.header.first == fold.next() && segment.header.root != fold.tree.root() {
            return Err(damaged(fold.next(), "a segment that is not what the log before it leads to"));
        }
        replay_segment(found, segment, end, fold, projection)?;
        if fold.next() != end {
            return Err(damaged(fold.next(), "a gap between segments"));
        }
    }
    Ok(fold.next() - begun)
}

/// Reads through the segments before the one that `position` lies in, newest first, so many bytes at most.
pub(super) fn check_before(found: &Found, position: u64, bytes_max: u64) -> Result<(), JournalError> {
    let mut left = bytes_max;
    let mut segments: Vec<_> = ends(found).filter(|(segment, _)| segment.header.first < position).collect();
    while let Some((segment, end)) = segments.pop() {
        let size = segment.file.size().map_err(|source| io_error("read", &segment.path, source))?;
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        check_sealed(segment, found.log.seal(), end)?;
    }
    Ok(())
}

/// The root of the tree at that size, if a group ends there.
pub(super) fn root_at(found: &Found, size: u64) -> Result<Option<TreeHash>, JournalError> {
    let Some((segment, _)) = ends(found).filter(|(segment, _)| segment.header.first <= size).last() else {
        return Ok(None);
    };
    if segment.header.first == size {
        return Ok(Some(segment.header.root));
    }
    let io = |source| io_error("read", &segment.path, source);
    let mut reader = FrameReader::new(Arc::clone(segment), found.log.seal(), WINDOW_BYTES);
    while let Some(header) = reader.header().map_err(io)? {
        if header.end() == size {
            return Ok(Some(header.root));
        }
        if header.end() > size {
            break;
        }
        reader.pass(&header);
    }
    Ok(None)
}

/// Refuses a log that is not the one that was signed for.
pub(super) fn check_head(found: &Found, head: &TreeHead) -> Result<(), JournalError> {
    if root_at(found, head.size)? == Some(head.root) {
        Ok(())
    } else {
        Err(damaged(head.size.saturating_sub(1), "the log is not the one that the kept checkpoint signs for"))
    }
}

/// Bytes of all segments up to their last frame, or nearly.
pub(super) fn total_bytes(found: &Found) -> Result<u64, JournalError> {
    let sealed = found.segments.len().saturating_sub(1);
    let mut total = found.offset;
    for segment in found.segments.iter().take(sealed) {
        total += segment.file.size().map_err(|source| io_error("read", &segment.path, source))?;
    }
    Ok(total)
}

// Each segment with the position at which it ends.
fn ends(found: &Found) -> impl Iterator<Item = (&Arc<Segment>, u64)> {
    let ends = found.segments.iter().skip(1).map(|segment| segment.header.first).chain([found.end]);
    found.segments.iter().zip(ends)
}

fn replay_segment(
    found: &Found,
    segment: &Arc<Segment>,
    end: u64,
    fold: &mut Fold,
    projection: &dyn Projection,
) -> Result<(), JournalError> {
    let io = |source| io_error("read", &segment.path, source);
    let mut reader = FrameReader::new(Arc::clone(segment), found.log.seal(), WINDOW_BYTES);
    while reader.next() < end {
        let first = reader.next();
        let header = reader.header().map_err(io)?.ok_or(damaged(first, "a group in the middle of the log"))?;
        let payload = reader.frame(&header).map_err(io)?.ok_or(damaged(first, "a group in the middle of the log"))?;
        reader.pass(&header);
        if header.end() <= fold.next() {
            continue;
        }
        for (stored, position) in events(payload).zip(first..) {
            let stored = stored.ok_or(damaged(position, "the lengths inside a group"))?;
            let recorded = Recorded::decode(stored).map_err(|source| JournalError::Event { position, source })?;
            if !fold.apply(&recorded) {
                return Err(damaged(position, "an event that is out of place"));
            }
            projection.apply(&recorded).map_err(|source| JournalError::Fold { position, source })?;
        }
        if fold.tree.root() != header.root || fold.next() != header.end() {
            return Err(damaged(first, "a group that is not what its root says"));
        }
    }
    Ok(())
}

fn damaged(position: u64, what: &'static str) -> JournalError {
    JournalError::Damaged { position, what }
}

const WINDOW_BYTES: usize = 1 << 20;
