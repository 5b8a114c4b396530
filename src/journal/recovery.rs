//! What a start finds on the disk: the segments, the end of the log, and whether what lies there is a torn last group, which
//! is cut off, or damage to what was durable, which is refused.
//!
//! One group is written and synced before the next is begun. So at most one group at the very end may be torn, and what
//! proves that something was durable is: a whole frame after it, a segment after it, the watermark, a snapshot, a checkpoint.

use std::path::Path;
use std::sync::Arc;

use super::error::JournalError;
use super::frame::{FORMAT, FRAME_HEADER, FrameHeader, LogId, Seal, SegmentHeader, SegmentHeaderError};
use super::segment::{FrameReader, Segment, first_of};
use crate::disk::{Disk, TEMPORARY};

/// The segments of a folder, in order, without a gap between their names and what they hold.
pub(super) struct Found {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) log: LogId,
    /// Where the next frame goes in the last segment.
    pub(super) offset: u64,
    /// The position after the last whole frame.
    pub(super) end: u64,
    /// Bytes of a torn last group that were cut off.
    pub(super) torn_bytes: u64,
}

/// Looks through the folder of segments and settles where the log ends. `durable` is what is known from elsewhere to have
/// been durable. `None` when there is no segment and there need not be any.
pub(super) fn find(disk: &dyn Disk, dir: &Path, durable: u64) -> Result<Option<Found>, JournalError> {
    let segments = open_segments(disk, dir)?;
    let Some(last) = segments.last() else {
        if durable > 0 {
            return Err(JournalError::Damaged { position: 0, what: "the segments are gone" });
        }
        return Ok(None);
    };
    let log = last.header.log;
    let Whole { offset, end, last: last_frame } = whole_frames(last, log.seal())?;
    let torn_bytes = settle_tail(last, log.seal(), offset, end, durable)?;
    make_durable(last, last_frame)?;
    Ok(Some(Found { log, offset, end, torn_bytes, segments }))
}

/// Reads every frame of a sealed segment, which must end where the next one begins.
pub(super) fn check_sealed(segment: &Arc<Segment>, seal: Seal, end: u64) -> Result<(), JournalError> {
    let mut reader = FrameReader::new(Arc::clone(segment), seal, WINDOW_BYTES);
    let io = |source| io_error("read", &segment.path, source);
    while reader.next() < end {
        let damaged = JournalError::Damaged { position: reader.next(), what: "a group in the middle of the log" };
        let Some(header) = reader.header().map_err(io)? else { return Err(damaged) };
        if reader.frame(&header).map_err(io)?.is_none() {
            return Err(damaged);
        }
        reader.pass(&header);
    }
    if reader.next() == end {
        Ok(())
    } else {
        Err(JournalError::Damaged { position: end, what: "two segments hold the same position" })
    }
}

fn open_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<Arc<Segment>>, JournalError> {
    let mut firsts = Vec::new();
    for name in disk.list(dir).map_err(|source| io_error("list", dir, source))? {
        if name.ends_with(TEMPORARY) {
            let path = dir.join(name);
            disk.remove(&path).map_err(|source| io_error("remove", &path, source))?;
        } else if let Some(first) = first_of(&name) {
            firsts.push((first, name));
        }
    }
    firsts.sort_unstable();
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(firsts.len());
    for (first, name) in firsts {
        let damaged = |what| JournalError::Damaged { position: first, what };
        if segments.is_empty() && first != 0 {
            return Err(JournalError::Damaged { position: 0, what: "the first segment is gone" });
        }
        let path = dir.join(name);
        let file = disk.open(&path).map_err(|source| io_error("open", &path, source))?;
        let mut bytes = vec![0; super::frame::SEGMENT_HEADER];
        let read = file.read_at(&mut bytes, 0).map_err(|source| io_error("read", &path, source))?;
        bytes.truncate(read);
        let header = SegmentHeader::decode(&bytes).map_err(|error| match error {
            SegmentHeaderError::Damaged => damaged("the header of a segment"),
            SegmentHeaderError::Format(found) => JournalError::Format { found, known: FORMAT },
        })?;
        let same_log = segments.first().is_none_or(|of| of.header.log == header.log);
        if header.first != first || !same_log {
            return Err(damaged("a segment of another place or another log"));
        }
        segments.push(Arc::new(Segment::new(header, path, file)));
    }
    Ok(segments)
}

// Where the whole frames end, which position comes next, and offset and length of the last of them.
struct Whole {
    offset: u64,
    end: u64,
    last: Option<(u64, usize)>,
}

fn whole_frames(segment: &Arc<Segment>, seal: Seal) -> Result<Whole, JournalError> {
    let io = |source| io_error("read", &segment.path, source);
    let mut reader = FrameReader::new(Arc::clone(segment), seal, WINDOW_BYTES);
    let mut last = None;
    while let Some(header) = reader.header().map_err(io)? {
        if reader.frame(&header).map_err(io)?.is_none() {
            break;
        }
        last = Some((reader.offset(), header.frame_len()));
        reader.pass(&header);
    }
    Ok(Whole { offset: reader.offset(), end: reader.next(), last })
}

// Nothing but zeros may follow the last whole frame. What else is there is a group that was being written, unless something
// shows that it, or one after it, had been durable.
fn settle_tail(segment: &Segment, seal: Seal, offset: u64, end: u64, durable: u64) -> Result<u64, JournalError> {
    let io = |source| io_error("read", &segment.path, source);
    if durable > end {
        return Err(JournalError::Damaged { position: end, what: "events that were durable are gone" });
    }
    let len = segment.file.size().map_err(io)?;
    let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut tail = vec![0; rest];
    let read = segment.file.read_at(&mut tail, offset).map_err(io)?;
    tail.truncate(read);
    let used = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    tail.truncate(used);
    if tail.is_empty() {
        return Ok(0);
    }
    if whole_frame_inside(&tail, seal, end) {
        return Err(JournalError::Damaged { position: end, what: "a group that later groups follow" });
    }
    segment.file.write_at(&vec![0; used], offset).map_err(|source| io_error("cut", &segment.path, source))?;
    segment.file.sync().map_err(|source| io_error("sync", &segment.path, source))?;
    Ok(used as u64)
}

fn whole_frame_inside(tail: &[u8], seal: Seal, end: u64) -> bool {
    let is_frame = |window: &[u8]| {
        let Some(header) = FrameHeader::decode(window, seal).filter(|header| header.first >= end) else { return false };
        window.get(..header.frame_len()).is_some_and(|frame| header.holds(frame, seal))
    };
    (0..tail.len().saturating_sub(FRAME_HEADER)).any(|at| tail.get(at..).is_some_and(is_frame))
}

// A frame that is read whole may be in memory only: not yet synced, or given up by a system whose sync had failed. Writing it
// again and syncing makes sure.
fn make_durable(segment: &Segment, frame: Option<(u64, usize)>) -> Result<(), JournalError> {
    if let Some((offset, len)) = frame {
        let mut bytes = vec![0; len];
        let io = |source| io_error("read", &segment.path, source);
        segment.file.read_at(&mut bytes, offset).map_err(io)?;
        segment.file.write_at(&bytes, offset).map_err(|source| io_error("write", &segment.path, source))?;
    }
    segment.file.sync().map_err(|source| io_error("sync", &segment.path, source))
}

pub(super) fn io_error(doing: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { doing, path: path.to_owned(), source }
}

const WINDOW_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
