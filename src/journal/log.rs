//! The log as readers see it: segments up to what is durable. Bytes are checked whenever they are read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::error::ReadError;
use super::frame::{FrameHeader, Seal, events};
use super::projection::Recorded;
use super::segment::{FrameReader, Segment};
use crate::audit::tree::TreeHead;

/// Segments, and how far they are durable.
pub(super) struct Log {
    pub(super) seal: Seal,
    segments: RwLock<Vec<Arc<Segment>>>,
    head: Mutex<TreeHead>,
    durable: watch::Sender<u64>,
    // How much is synced, which is ahead of `durable` while the projection takes it in: who sees it there may read it here.
    synced: AtomicU64,
    closed: watch::Sender<bool>,
    // The frame that was read last: neighbours are often asked for next.
    recent: Mutex<Option<Frame>>,
}

/// A frame whose checksum held.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    pub(super) payload: Bytes,
}

impl Frame {
    /// The stored bytes of its events with their positions, from `from` on.
    pub(super) fn stored(&self, from: u64) -> impl Iterator<Item = Result<(u64, Bytes), ReadError>> + use<> {
        let first = self.header.first;
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let numbered = events(self.payload.clone()).zip(first..).skip(skip);
        numbered.map(|(stored, position)| stored.map(|stored| (position, stored)).ok_or(ReadError::Damaged(position)))
    }

    /// Its events, from `from` on.
    pub(super) fn recorded(&self, from: u64) -> impl Iterator<Item = Result<Recorded, ReadError>> + use<> {
        self.stored(from).map(|stored| stored.and_then(|(position, stored)| decode(position, stored)))
    }
}

impl Log {
    pub(super) fn new(seal: Seal, segments: Vec<Arc<Segment>>, head: TreeHead) -> Self {
        Self {
            seal,
            segments: RwLock::new(segments),
            head: Mutex::new(head),
            durable: watch::Sender::new(head.size),
            synced: AtomicU64::new(head.size),
            closed: watch::Sender::new(false),
            recent: Mutex::default(),
        }
    }

    /// How many events are durable, and a way to wait for more.
    pub(super) fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// Whether the journal is closed, and a way to wait for that.
    pub(super) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Tells everybody that nothing more comes.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// How many events are durable now.
    pub(super) fn size(&self) -> u64 {
        *self.durable.borrow()
    }

    /// The tree over what is durable.
    pub(super) fn head(&self) -> TreeHead {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets events be read one by one up to there: they are synced, and the projection is about to take them in.
    pub(super) fn synced(&self, size: u64) {
        self.synced.store(size, Ordering::Release);
    }

    /// Tells everybody that so much is durable.
    pub(super) fn publish(&self, head: TreeHead) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        self.durable.send_replace(head.size);
    }

    /// Adds the segment that is written next.
    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// The segment that a position lies in.
    pub(super) fn segment_of(&self, position: u64) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.header.first <= position);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// The frame that a position lies in.
    pub(super) fn frame_of(&self, position: u64) -> Result<Frame, ReadError> {
        let end = self.synced.load(Ordering::Acquire);
        if position >= end {
            return Err(ReadError::Beyond(position));
        }
        let holds = |frame: &Frame| (frame.header.first..frame.header.end()).contains(&position);
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(frame) = recent.filter(holds) {
            return Ok(frame);
        }
        let mut cursor = Cursor::at(self, position, end, SHORT_WINDOW_BYTES)?;
        let frame = cursor.frame(self)?.filter(holds).ok_or(ReadError::Damaged(position))?;
        if frame.payload.len() <= RECENT_BYTES_MAX {
            *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.clone());
        }
        Ok(frame)
    }

    /// The stored bytes of one event.
    pub(super) fn stored(&self, position: u64) -> Result<Bytes, ReadError> {
        let frame = self.frame_of(position)?;
        let (_, stored) = frame.stored(position).next().ok_or(ReadError::Damaged(position))??;
        Ok(stored)
    }

    /// One event.
    pub(super) fn read(&self, position: u64) -> Result<Recorded, ReadError> {
        decode(position, self.stored(position)?)
    }
}

/// Reads frames in order, over segments, up to what was durable when it was made.
pub(super) struct Cursor {
    reader: FrameReader,
    window_bytes: usize,
    // INVARIANT: taken before any byte is read. What lies ahead of it may be in the window as zeros or half written, and is
    // not looked at even when it has become durable since.
    end: u64,
}

impl Cursor {
    /// A cursor that begins with the frame that `position` lies in, and reads much at a time.
    pub(super) fn new(log: &Log, position: u64) -> Result<Self, ReadError> {
        Self::at(log, position, log.size(), LONG_WINDOW_BYTES)
    }

    fn at(log: &Log, position: u64, end: u64, window_bytes: usize) -> Result<Self, ReadError> {
        let segment = log.segment_of(position).ok_or(ReadError::Damaged(position))?;
        let mut reader = FrameReader::from(segment, log.seal, position, window_bytes);
        while reader.next() < end {
            let header = reader.header().map_err(ReadError::Io)?.ok_or(ReadError::Damaged(reader.next()))?;
            if header.end() > position {
                break;
            }
            reader.pass(&header);
        }
        Ok(Self { reader, window_bytes, end })
    }

    /// The next frame; `None` at the end.
    pub(super) fn frame(&mut self, log: &Log) -> Result<Option<Frame>, ReadError> {
        let next = self.reader.next();
        if next >= self.end {
            return Ok(None);
        }
        let mut header = self.reader.header().map_err(ReadError::Io)?;
        if header.is_none() {
            // The next segment begins here, if the log holds.
            let segment = log.segment_of(next).filter(|segment| segment.header.first == next);
            let segment = segment.ok_or(ReadError::Damaged(next))?;
            self.reader = FrameReader::new(segment, log.seal, self.window_bytes);
            header = self.reader.header().map_err(ReadError::Io)?;
        }
        let header = header.ok_or(ReadError::Damaged(next))?;
        let payload = self.reader.frame(&header).map_err(ReadError::Io)?.ok_or(ReadError::Damaged(next))?;
        self.reader.pass(&header);
        Ok(Some(Frame { header, payload }))
    }
}

fn decode(position: u64, stored: Bytes) -> Result<Recorded, ReadError> {
    let recorded = Recorded::decode(stored).map_err(|source| ReadError::Event { position, source })?;
    if recorded.position == position { Ok(recorded) } else { Err(ReadError::Damaged(position)) }
}

// What is read at a time to find one event, and to read on from there.
const SHORT_WINDOW_BYTES: usize = 64 << 10;
const LONG_WINDOW_BYTES: usize = 1 << 20;
// Longest frame that is kept.
const RECENT_BYTES_MAX: usize = 4 << 20;
