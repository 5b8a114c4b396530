//! The bytes of a segment: a header, and one frame for each commit group, each with one checksum and the Merkle root after
//! it. Checksums start from the log's own id, so that nobody can write an event that looks like a frame.
//!
//! Numbers are little-endian. A segment's header is 128 bytes: magic 8, checksum 4, format 4, log id 16, first position 8,
//! root before it 32, zeros. A frame's is 64: magic 4, checksum 4, length of the payload 4, count 4, first position 8, time 8,
//! root after it 32. The payload holds, for each event, its length (4) and its stored bytes. Zeros follow the last frame.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::audit::tree::TreeHash;
use crate::model::time::Timestamp;

/// The format of segments that this version writes and reads.
pub(super) const FORMAT: u32 = 1;
/// Length of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 128;
/// Length of a frame's header.
pub(super) const FRAME_HEADER: usize = 64;
/// Longest payload of a frame: the largest entry, or a group of smaller ones.
pub(super) const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Tells one log from all others; sixteen random bytes that never leave the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogId(pub(super) [u8; 16]);

/// How this log's frames are told from other bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal {
    seed: u32,
    magic: u32,
}

impl LogId {
    pub(super) fn seal(self) -> Seal {
        let seed = crc32c::crc32c(&self.0);
        Seal { seed, magic: crc32c::crc32c_append(seed, FRAME_MAGIC) }
    }
}

/// What stands at the start of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log: LogId,
    pub(super) first: u64,
    pub(super) root: TreeHash,
}

/// Why the start of a segment is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentHeaderError {
    Damaged,
    Format(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut rest = BytesMut::with_capacity(SEGMENT_HEADER);
        rest.put_u32_le(FORMAT);
        rest.put_slice(&self.log.0);
        rest.put_u64_le(self.first);
        rest.put_slice(self.root.as_bytes());
        rest.resize(SEGMENT_HEADER - 12, 0);
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.put_slice(SEGMENT_MAGIC);
        out.put_u32_le(crc32c::crc32c(&rest));
        out.put_slice(&rest);
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, SegmentHeaderError> {
        if bytes.len() < SEGMENT_HEADER || !bytes.starts_with(SEGMENT_MAGIC) {
            return Err(SegmentHeaderError::Damaged);
        }
        bytes.advance(SEGMENT_MAGIC.len());
        let checksum = bytes.get_u32_le();
        if checksum != crc32c::crc32c(bytes.get(..SEGMENT_HEADER - 12).unwrap_or_default()) {
            return Err(SegmentHeaderError::Damaged);
        }
        let format = bytes.get_u32_le();
        if format != FORMAT {
            return Err(SegmentHeaderError::Format(format));
        }
        let mut log = [0; 16];
        bytes.copy_to_slice(&mut log);
        let first = bytes.get_u64_le();
        let mut root = [0; 32];
        bytes.copy_to_slice(&mut root);
        Ok(Self { log: LogId(log), first, root: TreeHash::from_bytes(root) })
    }
}

/// What stands at the start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    checksum: u32,
    pub(super) len: usize,
    pub(super) count: u32,
    pub(super) first: u64,
    pub(super) time: Timestamp,
    pub(super) root: TreeHash,
}

impl FrameHeader {
    /// A header, where the bytes may be one. Whether they are is for the checksum to say.
    pub(super) fn decode(mut bytes: &[u8], seal: Seal) -> Option<Self> {
        if bytes.len() < FRAME_HEADER || bytes.get_u32_le() != seal.magic {
            return None;
        }
        let checksum = bytes.get_u32_le();
        let len = usize::try_from(bytes.get_u32_le()).ok()?;
        let count = bytes.get_u32_le();
        let first = bytes.get_u64_le();
        let time = Timestamp::from_millis(bytes.get_u64_le());
        let mut root = [0; 32];
        bytes.copy_to_slice(&mut root);
        let fits = count > 0 && len <= PAYLOAD_BYTES_MAX && first.checked_add(u64::from(count)).is_some();
        fits.then(|| Self { checksum, len, count, first, time, root: TreeHash::from_bytes(root) })
    }

    /// Length of the frame, its header included.
    pub(super) const fn frame_len(&self) -> usize {
        FRAME_HEADER + self.len
    }

    /// The position after its last event.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// True when these bytes, header and payload, are what was written.
    pub(super) fn holds(&self, frame: &[u8], seal: Seal) -> bool {
        frame.len() == self.frame_len()
            && frame.get(8..).is_some_and(|covered| self.checksum == crc32c::crc32c_append(seal.seed, covered))
    }
}

/// A frame that is being put together.
pub(super) struct FrameBuilder {
    bytes: BytesMut,
    count: u32,
}

impl FrameBuilder {
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(FRAME_HEADER + capacity);
        bytes.put_bytes(0, FRAME_HEADER);
        Self { bytes, count: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn payload_len(&self) -> usize {
        self.bytes.len() - FRAME_HEADER
    }

    /// Adds an event, which `write` puts into the buffer and tells the length of; gives the range of its stored bytes.
    pub(super) fn push<T>(&mut self, write: impl FnOnce(&mut BytesMut) -> (usize, T)) -> (std::ops::Range<usize>, T) {
        let at = self.bytes.len();
        self.bytes.put_u32_le(0);
        let (len, out) = write(&mut self.bytes);
        if let Some(mut place) = self.bytes.get_mut(at..at + 4) {
            place.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
        }
        self.count += 1;
        (at + 4..at + 4 + len, out)
    }

    /// The bytes of the frame, ready to be written.
    pub(super) fn finish(mut self, first: u64, time: Timestamp, root: &TreeHash, seal: Seal) -> Bytes {
        let len = self.payload_len();
        if let Some(mut header) = self.bytes.get_mut(8..FRAME_HEADER) {
            header.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
            header.put_u32_le(self.count);
            header.put_u64_le(first);
            header.put_u64_le(time.as_millis());
            header.put_slice(root.as_bytes());
        }
        let checksum = crc32c::crc32c_append(seal.seed, self.bytes.get(8..).unwrap_or_default());
        if let Some(mut header) = self.bytes.get_mut(..8) {
            header.put_u32_le(seal.magic);
            header.put_u32_le(checksum);
        }
        self.bytes.freeze()
    }
}

/// The stored bytes of the events in a payload, in order; `None` once where the lengths do not add up.
pub(super) fn events(mut payload: Bytes) -> impl Iterator<Item = Option<Bytes>> {
    std::iter::from_fn(move || {
        if payload.is_empty() {
            return None;
        }
        let len =
            if payload.len() < 4 { usize::MAX } else { usize::try_from(payload.get_u32_le()).unwrap_or(usize::MAX) };
        if len > payload.len() {
            payload.clear();
            return Some(None);
        }
        Some(Some(payload.split_to(len)))
    })
}

const SEGMENT_MAGIC: &[u8; 8] = b"carnetsg";
const FRAME_MAGIC: &[u8] = b"frame";

#[cfg(test)]
mod tests;
