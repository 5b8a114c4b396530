//! Segment files: how one is named, made and read frame by frame. What lies after the last frame is judged in `recovery`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::frame::{FRAME_HEADER, FrameHeader, Seal, SegmentHeader};
use crate::disk::{Disk, DiskFile, TEMPORARY};

/// A segment file.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    // Where some of its frames begin, in order.
    marks: RwLock<Vec<Mark>>,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy)]
struct Mark {
    position: u64,
    offset: u64,
}

impl Segment {
    pub(super) fn new(header: SegmentHeader, path: PathBuf, file: Arc<dyn DiskFile>) -> Self {
        Self { header, path, file, marks: RwLock::default() }
    }

    /// Makes an empty segment durable under its name. Takes over the file at `prepared`, which is filled with zeros.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        header: SegmentHeader,
        prepared: Option<(PathBuf, Arc<dyn DiskFile>)>,
    ) -> io::Result<Self> {
        let path = dir.join(name(header.first));
        let (temporary, file) = match prepared {
            Some(prepared) => prepared,
            None => {
                let temporary = dir.join(format!("{}{TEMPORARY}", name(header.first)));
                let file = disk.create(&temporary)?;
                (temporary, file)
            }
        };
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        Ok(Self::new(header, path, file))
    }

    /// Notes where a frame begins, now and then.
    pub(super) fn mark(&self, position: u64, offset: u64) {
        let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        if marks.last().is_none_or(|last| offset >= last.offset + MARK_EVERY_BYTES) {
            marks.push(Mark { position, offset });
        }
    }

    /// Position and offset of a frame that begins at or before `position`, close by if one is known.
    pub(super) fn near(&self, position: u64) -> (u64, u64) {
        let marks = self.marks.read().unwrap_or_else(PoisonError::into_inner);
        let after = marks.partition_point(|mark| mark.position <= position);
        let mark = after.checked_sub(1).and_then(|at| marks.get(at));
        mark.map_or((self.header.first, super::frame::SEGMENT_HEADER as u64), |mark| (mark.position, mark.offset))
    }
}

/// The name of the segment that begins at a position.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The position at which the segment of that name begins.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Reads the frames of a segment in order.
pub(super) struct FrameReader {
    segment: Arc<Segment>,
    seal: Seal,
    // Where the next frame begins, and which position it begins with.
    offset: u64,
    next: u64,
    window: Bytes,
    window_at: u64,
    window_bytes: usize,
}

impl FrameReader {
    /// A reader from the segment's first frame on, that reads so much at a time.
    pub(super) fn new(segment: Arc<Segment>, seal: Seal, window_bytes: usize) -> Self {
        Self::from(segment, seal, 0, window_bytes)
    }

    /// A reader from near the frame of that position on.
    pub(super) fn from(segment: Arc<Segment>, seal: Seal, position: u64, window_bytes: usize) -> Self {
        let (next, offset) = segment.near(position);
        Self { segment, seal, offset, next, window: Bytes::new(), window_at: offset, window_bytes }
    }

    /// Where the next frame begins.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The position that the next frame begins with.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The header of the next frame, where one seems to be.
    pub(super) fn header(&mut self) -> io::Result<Option<FrameHeader>> {
        let bytes = self.bytes(FRAME_HEADER)?;
        Ok(FrameHeader::decode(&bytes, self.seal).filter(|header| header.first == self.next))
    }

    /// The next frame and its payload; `None` when its checksum does not hold.
    pub(super) fn frame(&mut self, header: &FrameHeader) -> io::Result<Option<Bytes>> {
        let bytes = self.bytes(header.frame_len())?;
        Ok(header.holds(&bytes, self.seal).then(|| bytes.slice(FRAME_HEADER..)))
    }

    /// Goes on to the frame after this one.
    pub(super) fn pass(&mut self, header: &FrameHeader) {
        self.segment.mark(header.first, self.offset);
        self.offset += header.frame_len() as u64;
        self.next = header.end();
    }

    // So many bytes from the offset on, fewer at the end of the file.
    fn bytes(&mut self, len: usize) -> io::Result<Bytes> {
        let slice = |window: &Bytes, at: u64| {
            let start = usize::try_from(self.offset.checked_sub(at)?).ok()?;
            (start.checked_add(len)? <= window.len()).then(|| window.slice(start..start + len))
        };
        if let Some(bytes) = slice(&self.window, self.window_at) {
            return Ok(bytes);
        }
        let mut window = vec![0; len.max(self.window_bytes)];
        let read = self.segment.file.read_at(&mut window, self.offset)?;
        window.truncate(read);
        self.window = Bytes::from(window);
        self.window_at = self.offset;
        Ok(self.window.slice(..len.min(read)))
    }
}

// One mark for so many bytes: a thousand for a segment.
const MARK_EVERY_BYTES: u64 = 64 << 10;
const SUFFIX: &str = ".seg";
