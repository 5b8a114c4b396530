//! The one writer: drains what waits, checks guards, assigns places, writes one frame, syncs, applies, acknowledges. Nobody
//! learns of an event before it is durable; when a write or a sync fails, nobody learns anything more.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::Lock;
use super::engine::{Engine, create_segment};
use super::entry::{EntryClass, Receipt};
use super::error::{AppendError, JournalError};
use super::fold::{Fold, TILE_LEVEL};
use super::frame::{FrameBuilder, LogId, SEGMENT_HEADER, SegmentHeader};
use super::guards::{GuardKey, Touch};
use super::options::{Options, Stage};
use super::projection::Recorded;
use super::queue::Submission;
use super::recovery::io_error;
use super::segment::Segment;
use super::stream::Streams;
use super::terms::Term;
use super::watermark::Watermark;
use crate::audit::event::Place;
use crate::audit::tree::{Frontier, TreeHash};
use crate::model::time::Timestamp;

/// What the writer alone knows.
pub(super) struct Writer {
    pub(super) shared: Arc<Engine>,
    pub(super) log: LogId,
    pub(super) segment: Arc<Segment>,
    /// Where the next frame goes, and where the segment is full.
    pub(super) offset: u64,
    pub(super) capacity: u64,
    pub(super) time: Timestamp,
    pub(super) tree: Frontier,
    pub(super) root: TreeHash,
    pub(super) streams: Streams,
    pub(super) watermark: Watermark,
    /// How far the last snapshot goes.
    pub(super) snapshot: u64,
    /// The next segment was asked for.
    pub(super) asked: bool,
    /// The hold on the folder.
    pub(super) _lock: Lock,
}

// Entries that are committed together.
struct Group {
    frame: FrameBuilder,
    first: u64,
    time: Timestamp,
    events: Vec<(Place, std::ops::Range<usize>, crate::pb::journal::Event)>,
    touches: Vec<Vec<Touch>>,
    terms: Vec<Box<[Term]>>,
    // What earlier entries of the group have touched.
    touched: HashMap<GuardKey, u64>,
    tiles: Vec<TreeHash>,
    replies: Vec<(oneshot::Sender<Result<Receipt, AppendError>>, usize)>,
}

impl Writer {
    /// Commits groups until the queue is closed and drained, or the disk fails. Gives itself back when all is well.
    pub(super) fn run(mut self) -> Option<Self> {
        let alarm = Alarm(Arc::clone(&self.shared));
        while let Some(mut waiting) = self.shared.queue.take() {
            self.shared.queue.linger(&mut waiting, self.shared.options.linger);
            while !waiting.is_empty() {
                if let Err(error) = self.commit(&mut waiting) {
                    self.shared.fail(&error);
                    return None;
                }
            }
        }
        drop(alarm);
        Some(self)
    }

    /// Makes the watermark durable: nothing more will be written.
    pub(super) fn rest(mut self) -> Fold {
        let noted = self.watermark.note(self.tree.size()).and_then(|()| self.watermark.sync());
        if let Err(error) = noted {
            tracing::warn!(error = &error as &dyn std::error::Error, "the watermark was not written");
        }
        let guards = self.shared.guards.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tiles = self.shared.tiles.read().unwrap_or_else(PoisonError::into_inner).clone();
        Fold { time: self.time, tree: self.tree, tiles, streams: self.streams, guards }
    }

    fn commit(&mut self, waiting: &mut VecDeque<Submission>) -> Result<(), JournalError> {
        let Some(group) = self.gather(waiting)? else { return Ok(()) };
        self.shared.probe(Stage::Placed);
        let Group { frame, first, time, events, touches, terms, tiles, replies, .. } = group;
        let root = self.tree.root();
        let bytes = frame.finish(first, time, &root, self.log.seal());
        self.write(&bytes, first)?;
        self.root = root;
        let recorded = |(place, range, event): (Place, _, _)| {
            let Place { position, stream_version, time } = place;
            Recorded { position, stream_version, time, event, stored: bytes.slice(range) }
        };
        let recorded: Vec<_> = events.into_iter().map(recorded).collect();
        for recorded in &recorded {
            let applied = self.shared.projection.apply(recorded);
            applied.map_err(|source| JournalError::Fold { position: recorded.position, source })?;
        }
        self.publish(first, time, &touches, tiles);
        self.shared.probe(Stage::Applied);
        acknowledge(replies, recorded, time);
        self.shared.probe(Stage::Acknowledged);
        self.shared.indexing.feed(first, terms.into_iter());
        self.follow_up();
        Ok(())
    }

    // What nobody waits for.
    fn follow_up(&mut self) {
        if !self.asked && self.offset > self.capacity / 2 {
            self.asked = true;
            self.shared.keeper.say(self.next_capacity());
        }
        if self.tree.size() - self.snapshot >= self.shared.options.snapshot_every {
            self.snapshot = self.tree.size();
            self.shared.snapshotter.say(());
        }
    }

    // Segments begin small, so that a small log takes up little.
    fn next_capacity(&self) -> u64 {
        self.capacity.saturating_mul(SEGMENT_GROWTH).min(self.shared.options.segment_bytes)
    }

    // Takes entries in until the group is full, and answers at once those that cannot be. `None` when none could.
    fn gather(&mut self, waiting: &mut VecDeque<Submission>) -> Result<Option<Group>, JournalError> {
        let free = self.shared.free_bytes();
        let free = free.map_err(|source| io_error("read the free space of", &self.shared.options.dir, source))?;
        let capacity = waiting.iter().map(|submission| submission.bytes).sum::<usize>().min(GROUP_BYTES_MAX);
        self.time = self.time.max((self.shared.options.now)());
        let mut group = Group {
            frame: FrameBuilder::new(capacity),
            first: self.tree.size(),
            time: self.time,
            events: Vec::with_capacity(waiting.len()),
            touches: Vec::with_capacity(waiting.len()),
            terms: Vec::with_capacity(waiting.len()),
            touched: HashMap::new(),
            tiles: Vec::new(),
            replies: Vec::with_capacity(waiting.len()),
        };
        while let Some(submission) = waiting.pop_front() {
            let len = group.frame.payload_len() + submission.bytes;
            if !group.frame.is_empty() && len > GROUP_BYTES_MAX {
                waiting.push_front(submission);
                break;
            }
            match self.admit(&submission, &group, free, len as u64) {
                Ok(()) => self.place(submission, &mut group),
                Err(refusal) => drop(submission.reply.send(Err(refusal))),
            }
        }
        Ok((!group.frame.is_empty()).then_some(group))
    }

    // Whether there is room for the entry, and what it relied on still stands.
    fn admit(&self, submission: &Submission, group: &Group, free: u64, needed: u64) -> Result<(), AppendError> {
        let Options { space_floor_bytes, total_bytes_max, .. } = &self.shared.options;
        let held_back = submission.class == EntryClass::Ordinary && free < *space_floor_bytes;
        if held_back || (total_bytes_max.is_some() && free < needed) {
            return Err(AppendError::Full);
        }
        let guards = self.shared.guards.read().unwrap_or_else(PoisonError::into_inner);
        for expect in &submission.expects {
            let at = group.touched.get(&expect.key).copied().unwrap_or_else(|| guards.at(&expect.key));
            if at != expect.at {
                return Err(AppendError::Conflict { key: expect.key, at });
            }
        }
        Ok(())
    }

    fn place(&mut self, submission: Submission, group: &mut Group) {
        let count = submission.events.len();
        for prepared in submission.events {
            let position = self.tree.size();
            let place = Place { position, stream_version: self.streams.next(prepared.stream), time: group.time };
            let (range, leaf) = group.frame.push(|out| prepared.unplaced.place(place, out));
            let tiles = &mut group.tiles;
            self.tree.push_observed(leaf, |level, hash| {
                if level == TILE_LEVEL {
                    tiles.push(*hash);
                }
            });
            for touch in &prepared.touches {
                if let Touch::Bump { key, .. } = touch {
                    group.touched.insert(*key, position + 1);
                }
            }
            group.touches.push(prepared.touches);
            group.terms.push(prepared.terms);
            group.events.push((place, range, prepared.event));
        }
        group.replies.push((submission.reply, count));
    }

    fn write(&mut self, frame: &[u8], first: u64) -> Result<(), JournalError> {
        let written = match self.write_frame(frame, first) {
            // What is held back is there for this. Nothing of the frame is acknowledged, so it may be written again.
            Err(error) if error.is_storage_full() && self.shared.release_reserve() => self.write_frame(frame, first),
            written => written,
        };
        written?;
        self.shared.probe(Stage::Written);
        let Segment { file, path, .. } = &*self.segment;
        file.sync().map_err(|source| io_error("sync", path, source))?;
        self.shared.probe(Stage::Synced);
        self.segment.mark(first, self.offset);
        let len = frame.len() as u64;
        self.offset += len;
        self.shared.total_bytes.fetch_add(len, Ordering::SeqCst);
        // Before anybody is told: what was acknowledged is then known to have been durable, whenever the process ends.
        if let Err(error) = self.watermark.note(self.tree.size()) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the watermark was not written");
        }
        self.shared.events.synced(self.tree.size());
        Ok(())
    }

    fn write_frame(&mut self, frame: &[u8], first: u64) -> Result<(), JournalError> {
        if self.offset + frame.len() as u64 > self.capacity && self.offset > SEGMENT_HEADER as u64 {
            self.next_segment(first)?;
        }
        let Segment { file, path, .. } = &*self.segment;
        file.write_at(frame, self.offset).map_err(|source| io_error("write", path, source))
    }

    fn next_segment(&mut self, first: u64) -> Result<(), JournalError> {
        let header = SegmentHeader { log: self.log, first, root: self.root };
        let prepared = self.shared.prepared.lock().unwrap_or_else(PoisonError::into_inner).take();
        let capacity = prepared.as_ref().map_or_else(|| self.next_capacity(), |prepared| prepared.bytes);
        let segment = Arc::new(create_segment(&self.shared.options, header, prepared)?);
        self.capacity = capacity;
        self.offset = SEGMENT_HEADER as u64;
        self.asked = false;
        self.segment = Arc::clone(&segment);
        self.shared.events.add_segment(segment);
        Ok(())
    }

    // Guards are told after the projection: who reads a guard first and facts then never holds facts older than the guard.
    fn publish(&self, first: u64, time: Timestamp, touches: &[Vec<Touch>], tiles: Vec<TreeHash>) {
        let mut guards = self.shared.guards.write().unwrap_or_else(PoisonError::into_inner);
        for (touches, position) in touches.iter().zip(first..) {
            guards.apply(touches, position, time);
        }
        drop(guards);
        if !tiles.is_empty() {
            self.shared.tiles.write().unwrap_or_else(PoisonError::into_inner).extend(tiles);
        }
        self.shared.events.publish(crate::audit::tree::TreeHead { size: self.tree.size(), root: self.root });
    }
}

fn acknowledge(
    replies: Vec<(oneshot::Sender<Result<Receipt, AppendError>>, usize)>,
    recorded: Vec<Recorded>,
    time: Timestamp,
) {
    let mut recorded = recorded.into_iter();
    for (reply, count) in replies {
        let recorded: Vec<_> = recorded.by_ref().take(count).collect();
        let (Some(first), Some(last)) = (recorded.first(), recorded.last()) else { continue };
        let receipt = Receipt { first: first.position, last: last.position, time, recorded };
        // A caller that went away takes nothing back: the entry stands.
        drop(reply.send(Ok(receipt)));
    }
}

// A writer that dies of a panic leaves nothing certain, like a failed sync.
struct Alarm(Arc<Engine>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(&JournalError::Thread(io::Error::other("the writer panicked")));
        }
    }
}

// How much larger the next segment is.
const SEGMENT_GROWTH: u64 = 4;
// Most bytes of a group of several entries.
const GROUP_BYTES_MAX: usize = 4 << 20;
