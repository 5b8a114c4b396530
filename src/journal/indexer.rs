//! The thread that fills the index, block by block. In steady state the writer feeds it the terms, so that no event is read
//! again; after a start, or when it fell behind, it reads the log.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::engine::Engine;
use super::error::ReadError;
use super::frame::LogId;
use super::index::{BLOCK_EVENTS, Index, IndexError};
use super::log::Cursor;
use super::signal::{Heard, Signal};
use super::terms::{Term, terms};
use crate::audit::tree::TreeHash;

/// The index, and what is on its way there.
pub(super) struct Indexing {
    /// Where it lies; `None` when there is none.
    pub(super) dir: Option<PathBuf>,
    /// As soon as it is open.
    pub(super) index: RwLock<Option<Arc<Index>>>,
    pub(super) signal: Signal<()>,
    // Set by a search that found it damaged.
    damaged: AtomicBool,
    feed: Mutex<Feed>,
}

// The terms of the newest events, in order.
struct Feed {
    first: u64,
    terms: VecDeque<Box<[Term]>>,
}

impl Indexing {
    pub(super) fn new(dir: Option<PathBuf>, size: u64) -> Self {
        let feed = Feed { first: size, terms: VecDeque::new() };
        let (index, damaged) = (RwLock::new(None), AtomicBool::new(false));
        Self { dir, index, signal: Signal::new(), damaged, feed: Mutex::new(feed) }
    }

    /// Takes in the terms of events that have become durable, from position `first` on.
    pub(super) fn feed(&self, first: u64, terms: impl ExactSizeIterator<Item = Box<[Term]>>) {
        if self.dir.is_none() {
            return;
        }
        let end = first + terms.len() as u64;
        let mut feed = self.lock();
        if feed.terms.len() >= FEED_EVENTS_MAX {
            // Whoever is so far behind reads the log.
            *feed = Feed { first, terms: VecDeque::new() };
        }
        feed.terms.extend(terms);
        drop(feed);
        if first / BLOCK_EVENTS != end / BLOCK_EVENTS {
            self.signal.say(());
        }
    }

    /// The positions within a range of the events that may have every one of these terms, if their terms are at hand.
    pub(super) fn fed(&self, range: std::ops::Range<u64>, wanted: &[Term]) -> Option<Vec<u64>> {
        let feed = self.lock();
        let skip = usize::try_from(range.start.checked_sub(feed.first)?).ok()?;
        let count = usize::try_from(range.end - range.start).ok()?;
        if feed.terms.len() < skip + count {
            return None;
        }
        let has_all = |terms: &[Term]| wanted.iter().all(|term| terms.binary_search(term).is_ok());
        let inside = feed.terms.iter().skip(skip).zip(range);
        Some(inside.filter(|(terms, _)| has_all(terms)).map(|(_, position)| position).collect())
    }

    /// Has the index made again.
    pub(super) fn throw_away(&self) {
        self.damaged.store(true, Ordering::SeqCst);
        self.signal.say(());
    }

    /// The index, if it is open and believed to be sound.
    pub(super) fn index(&self) -> Option<Arc<Index>> {
        if self.damaged.load(Ordering::SeqCst) {
            return None;
        }
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    // The terms of a whole block, if they are at hand; what came before it is let go.
    fn take_block(&self, first: u64) -> Option<Vec<Box<[Term]>>> {
        let mut feed = self.lock();
        while feed.first < first && feed.terms.pop_front().is_some() {
            feed.first += 1;
        }
        let count = usize::try_from(BLOCK_EVENTS).unwrap_or(usize::MAX);
        if feed.first != first || feed.terms.len() < count {
            return None;
        }
        Some(feed.terms.iter().take(count).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills the index until it is told to stop. Whatever goes wrong with it is no reason to stop the journal.
pub(super) fn run(shared: &Engine, log: LogId) {
    let Some(dir) = shared.indexing.dir.as_deref() else { return };
    loop {
        let filled = catch_unwind(AssertUnwindSafe(|| fill(shared, log, dir)));
        if let Ok(Err(error)) = &filled {
            tracing::warn!(error = error as &dyn std::error::Error, "the search index is made again");
        }
        if !matches!(filled, Ok(Ok(()))) {
            shared.indexing.throw_away();
        }
        // Not at once when it goes wrong again and again.
        let wait = if matches!(filled, Ok(Ok(()))) { IDLE } else { RETRY };
        if shared.indexing.signal.hear(wait) == Heard::Stop {
            return;
        }
    }
}

/// Why the index is not filled.
#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Index(IndexError),
    #[error("the log could not be read")]
    Read(#[source] ReadError),
}

// The terms of a block's events, and the leaf hash of its last.
type Block = (Vec<Box<[Term]>>, TreeHash);

// Indexes every whole block that is durable.
fn fill(shared: &Engine, log: LogId, dir: &Path) -> Result<(), FillError> {
    // A log that fits a block needs no index.
    if shared.events.size() < BLOCK_EVENTS {
        return Ok(());
    }
    let index = open(shared, log, dir).map_err(FillError::Index)?;
    loop {
        let first = index.blocks() * BLOCK_EVENTS;
        let end = first + BLOCK_EVENTS;
        if shared.events.size() < end || shared.indexing.signal.is_stopped() {
            return Ok(());
        }
        let (terms, leaf) = match shared.indexing.take_block(first) {
            Some(terms) => (terms, leaf_at(shared, end - 1).map_err(FillError::Read)?),
            None => read_block(shared, first, end).map_err(FillError::Read)?,
        };
        index.add(&terms, leaf).map_err(FillError::Index)?;
    }
}

fn open(shared: &Engine, log: LogId, dir: &Path) -> Result<Arc<Index>, IndexError> {
    let indexing = &shared.indexing;
    let damaged = indexing.damaged.load(Ordering::SeqCst);
    let mut place = indexing.index.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = place.as_ref().filter(|_| !damaged) {
        return Ok(Arc::clone(index));
    }
    // The last to hold the old one closes it; a search that still does makes this fail, and it is tried again.
    *place = None;
    let index = if damaged {
        Index::begin(dir, log)?
    } else {
        Index::open(dir, log, |position| leaf_at(shared, position).ok())?
    };
    *place = Some(Arc::clone(&index));
    indexing.damaged.store(false, Ordering::SeqCst);
    Ok(index)
}

fn leaf_at(shared: &Engine, position: u64) -> Result<TreeHash, ReadError> {
    shared.events.stored(position).map(|stored| TreeHash::leaf(&stored))
}

fn read_block(shared: &Engine, first: u64, end: u64) -> Result<Block, ReadError> {
    let mut block = Vec::new();
    let mut leaf = TreeHash::empty();
    let mut cursor = Cursor::new(&shared.events, first)?;
    while first + (block.len() as u64) < end {
        let next = first + block.len() as u64;
        let frame = cursor.frame(&shared.events)?.ok_or(ReadError::Beyond(next))?;
        for recorded in frame.recorded(next) {
            let recorded = recorded?;
            if recorded.position < end {
                leaf = TreeHash::leaf(&recorded.stored);
                block.push(terms(&recorded.event));
            }
        }
    }
    Ok((block, leaf))
}

// A backlog of this many events is dropped, and read from the log instead.
const FEED_EVENTS_MAX: usize = 64 << 10;
// It is woken when there is something to do.
const IDLE: Duration = Duration::from_secs(3600);
const RETRY: Duration = Duration::from_secs(5);
