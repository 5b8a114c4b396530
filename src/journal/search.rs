//! Searching the log: by terms, all of which an event must have, and by time; page by page, with tokens that stay good while
//! the log grows.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::engine::Engine;
use super::error::ReadError;
use super::index::BLOCK_EVENTS;
use super::projection::Recorded;
use super::terms::{Term, TermKind, has_all};
use crate::model::id::{DecisionId, GrantId, TaskId};
use crate::model::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::model::time::Timestamp;

/// What is looked for. Every member that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// A task.
    pub task: Option<TaskId>,
    /// The SPIFFE ID of an agent.
    pub agent: Option<String>,
    /// Whoever caused the event.
    pub actor: Option<String>,
    /// An initiator.
    pub initiator: Option<String>,
    /// A tool.
    pub tool: Option<String>,
    /// The name of an outcome, e.g. `denied`.
    pub outcome: Option<String>,
    /// The name of a reason code.
    pub reason: Option<String>,
    /// The name of what happened, e.g. `credential_decided`.
    pub kind: Option<String>,
    /// A W3C trace id: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// A stream.
    pub stream: Option<String>,
    /// A decision.
    pub decision: Option<DecisionId>,
    /// A grant.
    pub grant: Option<GrantId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
    /// Most events of a page; 0 for the usual.
    pub page_size: u32,
    /// Where the page before ended; empty for the first.
    pub page_token: String,
}

/// Some of what was found.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events, in the order asked for.
    pub events: Vec<Recorded>,
    /// For the next page; empty when there is none. A page may be short, even empty, and yet have a next: only so much of the
    /// log is read at a time.
    pub next: String,
}

/// Searches what is durable now.
pub(super) fn search(shared: &Engine, query: &Query) -> Result<Page, ReadError> {
    let wanted = wanted(query);
    let mut range = positions(shared, query)?;
    let mark = crc32c::crc32c(format!("{wanted:?}{:?}{:?}{}", query.from, query.until, query.newest_first).as_bytes());
    if !query.page_token.is_empty() {
        let at = parse_token(&query.page_token, mark)?;
        range = if query.newest_first { range.start..range.end.min(at) } else { range.start.max(at)..range.end };
    }
    let page_size = if query.page_size == 0 { PAGE_SIZE_DEFAULT } else { query.page_size.min(PAGE_SIZE_MAX) };
    let mut walk = Walk {
        shared,
        terms: wanted.iter().map(|(kind, text)| Term::of(*kind, text)).collect(),
        wanted,
        newest_first: query.newest_first,
        room: usize::try_from(page_size).unwrap_or(usize::MAX),
        budget: READ_EVENTS_MAX,
        found: Vec::new(),
    };
    let next = walk.run(range)?;
    let next = next.map(|position| format!("{position:x}-{mark:08x}")).unwrap_or_default();
    Ok(Page { events: walk.found, next })
}

/// The positions of a stream's events, oldest first, so many at most.
pub(super) fn stream(shared: &Engine, name: &str, events_max: usize) -> Result<Vec<u64>, ReadError> {
    let task = name.strip_prefix("task/").and_then(|id| id.parse::<TaskId>().ok());
    let from = task.map(|task| born(task.timestamp()));
    let mut query = Query { stream: Some(name.to_owned()), from, page_size: PAGE_SIZE_MAX, ..Query::default() };
    let mut found = Vec::new();
    loop {
        let page = search(shared, &query)?;
        found.extend(page.events.iter().map(|recorded| recorded.position));
        if page.next.is_empty() || found.len() >= events_max {
            found.truncate(events_max);
            return Ok(found);
        }
        query.page_token = page.next;
    }
}

/// The first event that a query finds.
pub(super) fn first(shared: &Engine, mut query: Query) -> Result<Option<Recorded>, ReadError> {
    query.page_size = 1;
    loop {
        let page = search(shared, &query)?;
        if let Some(recorded) = page.events.into_iter().next() {
            return Ok(Some(recorded));
        }
        if page.next.is_empty() {
            return Ok(None);
        }
        query.page_token = page.next;
    }
}

// In the order in which they narrow the search most.
fn wanted(query: &Query) -> Vec<(TermKind, String)> {
    let id = |id: &dyn ToString| id.to_string();
    let mut wanted: Vec<(TermKind, String)> = [
        (TermKind::Decision, query.decision.as_ref().map(|decision| id(decision))),
        (TermKind::Grant, query.grant.as_ref().map(|grant| id(grant))),
        (TermKind::Trace, query.trace_id.clone()),
        (TermKind::Task, query.task.as_ref().map(|task| id(task))),
        (TermKind::Stream, query.stream.clone()),
        (TermKind::Agent, query.agent.clone()),
        (TermKind::Actor, query.actor.clone()),
        (TermKind::Initiator, query.initiator.clone()),
        (TermKind::Tool, query.tool.clone()),
        (TermKind::Reason, query.reason.clone()),
        (TermKind::Kind, query.kind.clone()),
        (TermKind::Outcome, query.outcome.clone()),
    ]
    .into_iter()
    .filter_map(|(kind, text)| Some((kind, text?)))
    .collect();
    wanted.sort();
    wanted
}

// The positions that the query's times and ids leave: nothing is recorded of an id before it was made.
fn positions(shared: &Engine, query: &Query) -> Result<Range<u64>, ReadError> {
    let ids = [
        query.task.map(|id| id.timestamp()),
        query.decision.map(|id| id.timestamp()),
        query.grant.map(|id| id.timestamp()),
    ];
    let born = ids.into_iter().flatten().map(born).max();
    let size = shared.events.size();
    let start = match query.from.max(born) {
        None => 0,
        Some(from) => position_at(shared, from, size)?,
    };
    let end = match query.until {
        None => size,
        Some(until) => position_at(shared, until, size)?,
    };
    Ok(start..end.max(start))
}

// Ids are made before their events are written, and clocks are not perfect.
fn born(made: Timestamp) -> Timestamp {
    Timestamp::from_millis(made.as_millis().saturating_sub(60_000))
}

// The first position whose event was written at that time or later.
fn position_at(shared: &Engine, time: Timestamp, size: u64) -> Result<u64, ReadError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let frame = shared.events.frame_of(low + (high - low) / 2)?;
        if frame.header.time < time {
            low = frame.header.end();
        } else {
            high = frame.header.first;
        }
    }
    Ok(low)
}

fn parse_token(token: &str, mark: u32) -> Result<u64, ReadError> {
    let parse = |(position, of): (&str, &str)| {
        let same = u32::from_str_radix(of, 16) == Ok(mark);
        u64::from_str_radix(position, 16).ok().filter(|_| same)
    };
    token.split_once('-').and_then(parse).ok_or(ReadError::PageToken)
}

// A walk over the blocks of a range.
struct Walk<'a> {
    shared: &'a Engine,
    wanted: Vec<(TermKind, String)>,
    terms: Vec<Term>,
    newest_first: bool,
    room: usize,
    budget: u64,
    found: Vec<Recorded>,
}

impl Walk<'_> {
    // Where the next page begins (newest first: ends), if there may be one.
    fn run(&mut self, range: Range<u64>) -> Result<Option<u64>, ReadError> {
        let mut left = range;
        while !left.is_empty() {
            if self.budget == 0 {
                return Ok(Some(if self.newest_first { left.end } else { left.start }));
            }
            let block = if self.newest_first { (left.end - 1) / BLOCK_EVENTS } else { left.start / BLOCK_EVENTS };
            let part = left.start.max(block * BLOCK_EVENTS)..left.end.min((block + 1) * BLOCK_EVENTS);
            let mut candidates = self.candidates(block, part.clone());
            if self.newest_first {
                candidates.reverse();
                left.end = part.start;
            } else {
                left.start = part.end;
            }
            self.budget = self.budget.saturating_sub(1);
            if let Some(stopped) = self.take(&candidates)? {
                return Ok(Some(stopped));
            }
        }
        Ok(None)
    }

    // Reads candidates in turn; where the next page begins when there is one more than fits.
    fn take(&mut self, candidates: &[u64]) -> Result<Option<u64>, ReadError> {
        for position in candidates {
            let recorded = self.shared.events.read(*position)?;
            self.budget = self.budget.saturating_sub(1);
            if !has_all(&recorded.event, &self.wanted) {
                continue;
            }
            if self.found.len() == self.room {
                return Ok(Some(if self.newest_first { position + 1 } else { *position }));
            }
            self.found.push(recorded);
        }
        Ok(None)
    }

    // The positions of a part of a block that are worth reading, in order. All of them where nothing is known.
    fn candidates(&self, block: u64, part: Range<u64>) -> Vec<u64> {
        if self.terms.is_empty() {
            return part.collect();
        }
        let indexing = &self.shared.indexing;
        if let Some(index) = indexing.index().filter(|index| block < index.blocks()) {
            // What a damaged index makes of itself is not known.
            if let Ok(Ok(places)) = catch_unwind(AssertUnwindSafe(|| index.find(block, &self.terms))) {
                let positions = places.into_iter().map(|place| block * BLOCK_EVENTS + u64::from(place));
                return positions.filter(|position| part.contains(position)).collect();
            }
            indexing.throw_away();
        }
        indexing.fed(part.clone(), &self.terms).unwrap_or_else(|| part.collect())
    }
}

// Most events that are read, and blocks that are looked through, for one page: a second or so.
const READ_EVENTS_MAX: u64 = 100_000;
