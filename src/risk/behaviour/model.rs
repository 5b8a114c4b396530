//! What is known of one identity, and how a grant changes it. Counted are sessions: a session is what one agent does in one
//! family of tasks, and adds at most one to any number, however long it lasts and whatever it does.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Bounds, Counts, Key};
use super::pace::{Levels, Pace, Window};
use super::{DAYS_ENOUGH, SESSIONS_ENOUGH};
use crate::model::id::{Audience, ToolName};
use crate::model::time::Timestamp;

/// Tools that are counted for one identity and span.
pub const TOOLS_MAX: usize = 128;
/// Pairs of tools: as many as twenty tools have in any order.
pub const PAIRS_MAX: usize = 512;
/// Audiences.
pub const AUDIENCES_MAX: usize = 64;
/// Resources.
pub const RESOURCES_MAX: usize = 256;
/// Tools, pairs, audiences and resources that one session teaches, together. What it does beyond makes numbers less exact, not lower.
pub const TAUGHT_MAX: usize = 256;
/// How long a span lasts at least. What is known is of the span that lasts and the one before, and older things are forgotten.
const SPAN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions of a span that is enough by itself: an identity that is seldom at work is not forgotten for it.
const SPAN_SESSIONS: u32 = 5 * SESSIONS_ENOUGH;

/// What one identity is usually granted. Takes some KiB, and 56 at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub(super) now: Span,
    /// The span before; empty at first.
    pub(super) before: Span,
    minute: Pace,
    hour: Pace,
    /// Number of the day on which the latest session began.
    day: u64,
}

/// What was counted from some time on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// When it began; tells spans apart.
    pub(super) since: Timestamp,
    pub(super) sessions: u32,
    /// Different days on which they began.
    pub(super) days: u32,
    /// Sessions that did more than they may teach.
    uncounted: u32,
    tools: Counts,
    pairs: Counts,
    audiences: Counts,
    /// Resources, and sessions that had one that was new.
    resources: Counts,
    /// Sessions at work within an hour of each hour of the day.
    pub(super) hours: [u32; 24],
    pub(super) weekdays: [u32; 7],
    minutes_paced: Levels,
    hours_paced: Levels,
}

/// What is kept of a session while it lasts: what it has taught, so that it teaches nothing twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// The beginning of the span that it is counted in.
    span: Option<Timestamp>,
    /// The tool that it was granted last.
    pub(super) last: Option<ToolName>,
    taught: BTreeSet<Key>,
    /// True when it did more than it may teach.
    over: bool,
    hours: u32,
    weekdays: u32,
    minutes_raised: u32,
    hours_raised: u32,
}

/// One step of a session: what is asked for, or was granted, at once.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// When.
    pub at: Timestamp,
    /// The audience of the token.
    pub audience: &'a Audience,
    /// The tools, in their order.
    pub tools: &'a [&'a ToolName],
    /// The resources that it names, as digests under a key.
    pub resources: &'a [u64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Pair,
    Audience,
    Resource,
}

impl Model {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        let now = Span { since: at, ..Span::default() };
        Self { now, before: Span::default(), minute: Pace::default(), hour: Pace::default(), day: u64::MAX }
    }

    /// Learns from a step that was granted.
    pub fn learn(&mut self, trail: &mut Trail, step: &Step<'_>) {
        if !self.counts(trail) {
            self.begin(trail, step.at);
        }
        self.keep_pace(trail, step.at);
        // What gave way to others may have been known: it counts as new, so that the busy are not told of.
        let is_new = |digest: &u64| self.seen(Kind::Resource, Key::resource(*digest)).least == 0;
        let fresh = self.knows_enough() && step.resources.iter().any(is_new);
        let Some(span) = [&mut self.now, &mut self.before].into_iter().find(|s| trail.span == Some(s.since)) else {
            return;
        };
        span.be_at_work(trail, step.at);
        span.teach(trail, Kind::Audience, Key::audience(step.audience));
        for tool in step.tools {
            span.teach(trail, Kind::Pair, Key::pair(trail.last.as_ref(), tool));
            span.teach(trail, Kind::Tool, Key::tool(tool));
            if trail.last.as_ref() != Some(tool) {
                trail.last = Some((*tool).clone());
            }
        }
        if fresh {
            span.teach(trail, Kind::Resource, Key::fresh());
        }
        for digest in step.resources {
            span.teach(trail, Kind::Resource, Key::resource(*digest));
        }
    }

    /// Sessions that are counted, and the days on which they began.
    pub(super) const fn extent(&self) -> (u32, u32) {
        let (now, before) = (&self.now, &self.before);
        (now.sessions.saturating_add(before.sessions), now.days.saturating_add(before.days))
    }

    const fn knows_enough(&self) -> bool {
        let (sessions, days) = self.extent();
        sessions >= SESSIONS_ENOUGH && days >= DAYS_ENOUGH
    }

    /// True when the session is among those that are counted.
    pub(super) fn counts(&self, trail: &Trail) -> bool {
        let begun = |span: &Span| span.sessions > 0 && trail.span == Some(span.since);
        begun(&self.now) || begun(&self.before)
    }

    fn begin(&mut self, trail: &mut Trail, at: Timestamp) {
        let whole = self.now.sessions >= SPAN_SESSIONS && self.now.days >= DAYS_ENOUGH;
        if whole && self.now.since.after(SPAN) <= at {
            self.before = std::mem::replace(&mut self.now, Span { since: at, ..Span::default() });
        }
        self.now.sessions = self.now.sessions.saturating_add(1);
        let day = day_of(at);
        if day != self.day {
            self.day = day;
            self.now.days = self.now.days.saturating_add(1);
        }
        *trail = Trail { span: Some(self.now.since), last: trail.last.take(), ..Trail::default() };
    }

    fn keep_pace(&mut self, trail: &mut Trail, at: Timestamp) {
        for window in Window::ALL {
            let known = self.levels(window);
            let (pace, raised, levels) = match window {
                Window::Minute => (&mut self.minute, &mut trail.minutes_raised, &mut self.now.minutes_paced),
                Window::Hour => (&mut self.hour, &mut trail.hours_raised, &mut self.now.hours_paced),
            };
            if let Some(over) = pace.count(window, at, &known, raised) {
                levels.add(over);
            }
        }
    }

    /// How many windows had how many grants.
    pub(super) fn levels(&self, window: Window) -> Levels {
        match window {
            Window::Minute => self.now.minutes_paced.and(&self.before.minutes_paced),
            Window::Hour => self.now.hours_paced.and(&self.before.hours_paced),
        }
    }

    /// Grants within the window of `at`, with one more.
    pub(super) fn with_one_more(&self, window: Window, at: Timestamp) -> u32 {
        match window {
            Window::Minute => self.minute.with_one_more(window, at),
            Window::Hour => self.hour.with_one_more(window, at),
        }
    }

    /// In how many sessions something was seen.
    pub(super) fn seen(&self, kind: Kind, key: Key) -> Bounds {
        let (now, before) = (self.now.seen(kind, key), self.before.seen(kind, key));
        Bounds { least: now.least.saturating_add(before.least), most: now.most.saturating_add(before.most) }
    }

    /// Since when something is known.
    pub(super) const fn since(&self) -> Timestamp {
        if self.before.sessions > 0 { self.before.since } else { self.now.since }
    }

    /// True when no list is longer than it may be.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        let within = |s: &Span| {
            s.tools.len() <= TOOLS_MAX
                && s.pairs.len() <= PAIRS_MAX
                && s.audiences.len() <= AUDIENCES_MAX
                && s.resources.len() <= RESOURCES_MAX
        };
        within(&self.now) && within(&self.before)
    }
}

impl Trail {
    pub(super) fn has_taught(&self, key: Key) -> bool {
        self.taught.contains(&key)
    }

    pub(super) const fn was_at_work(&self, hour: u8) -> bool {
        self.hours & (1 << hour) != 0
    }

    pub(super) const fn was_at_work_on(&self, weekday: u8) -> bool {
        self.weekdays & (1 << weekday) != 0
    }

    #[cfg(test)]
    pub(super) fn taught(&self) -> usize {
        self.taught.len()
    }
}

impl Span {
    fn teach(&mut self, trail: &mut Trail, kind: Kind, key: Key) {
        if trail.taught.contains(&key) {
            return;
        }
        if trail.taught.len() >= TAUGHT_MAX {
            // What it does from here on may be anything, and once.
            self.uncounted = self.uncounted.saturating_add(u32::from(!trail.over));
            trail.over = true;
            return;
        }
        trail.taught.insert(key);
        match kind {
            Kind::Tool => self.tools.add(key, TOOLS_MAX),
            Kind::Pair => self.pairs.add(key, PAIRS_MAX),
            Kind::Audience => self.audiences.add(key, AUDIENCES_MAX),
            Kind::Resource => self.resources.add(key, RESOURCES_MAX),
        }
    }

    fn seen(&self, kind: Kind, key: Key) -> Bounds {
        let counted = match kind {
            Kind::Tool => self.tools.of(key),
            Kind::Pair => self.pairs.of(key),
            Kind::Audience => self.audiences.of(key),
            Kind::Resource => self.resources.of(key),
        };
        Bounds { most: counted.most.saturating_add(self.uncounted), ..counted }
    }

    fn be_at_work(&mut self, trail: &mut Trail, at: Timestamp) {
        let hour = hour_of(at);
        let near = [(hour + 23) % 24, hour, (hour + 1) % 24];
        for hour in near {
            mark(&mut self.hours, &mut trail.hours, hour);
        }
        mark(&mut self.weekdays, &mut trail.weekdays, weekday_of(at));
    }
}

/// Counts a session for a place that it was not counted for before.
fn mark(counts: &mut [u32], marked: &mut u32, place: u8) {
    let bit = 1_u32 << place;
    if *marked & bit == 0
        && let Some(count) = counts.get_mut(usize::from(place))
    {
        *marked |= bit;
        *count = count.saturating_add(1);
    }
}

const DAY_SECONDS: u64 = 24 * 3600;

const fn day_of(at: Timestamp) -> u64 {
    at.as_secs() / DAY_SECONDS
}

/// The hour of the day in UTC.
pub(super) fn hour_of(at: Timestamp) -> u8 {
    u8::try_from(at.as_secs() % DAY_SECONDS / 3600).unwrap_or_default()
}

/// The day of the week in UTC, 0 for Sunday: 1970 began on a Thursday.
pub(super) fn weekday_of(at: Timestamp) -> u8 {
    u8::try_from((day_of(at) + 4) % 7).unwrap_or_default()
}
