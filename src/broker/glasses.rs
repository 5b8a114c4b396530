//! What people opened by break-glass, as the broker knows it: what it is good for, what became of it, and whether somebody has
//! reviewed it. A fold of the journal like everything that is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::approvals::Covers;
use crate::broker::ask::Target;
use crate::model::glass::{self, GlassFacts, GlassVerdict};
use crate::model::id::{Audience, DecisionId, GlassId, GrantId, InitiatorName, TaskId};
use crate::model::limits::GLASS_SECONDS_MAX;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::{Timestamp, Ttl};

/// How break-glass is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlassSettings {
    /// How long one stands open when who opens it does not say.
    pub life_default: Duration,
    /// How long one may stand open.
    pub life_max: Duration,
    /// The longest life of a token that was granted through one.
    pub ttl_max: Ttl,
    /// How long after its time a post-review is overdue.
    pub review_within: Duration,
}

impl GlassSettings {
    /// As `deploy/config/carnet.toml` has them.
    pub const DEFAULT: Self = Self {
        life_default: glass::LIFE_DEFAULT,
        life_max: Duration::from_secs(GLASS_SECONDS_MAX),
        ttl_max: Ttl::DEFAULT,
        review_within: glass::REVIEW_WITHIN_DEFAULT,
    };
}

impl Default for GlassSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How long a glass is still known after its review. One that nobody has reviewed is known for as long.
const REVIEWED_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a person opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Glass {
    pub(in crate::broker) task: TaskId,
    /// The family under whose key its words are sealed: the task itself is forgotten before its review may be.
    pub(in crate::broker) root: TaskId,
    pub(in crate::broker) agent: SpiffeId,
    /// Whom the task runs for, and those who answer for its agents, are not those who review it.
    pub(in crate::broker) initiator: InitiatorName,
    /// Those who answered for the agents of the task and of those above it when it was opened.
    pub(in crate::broker) owners: BTreeSet<String>,
    pub(in crate::broker) audience: Audience,
    pub(in crate::broker) covers: Covers,
    pub(in crate::broker) by: InitiatorName,
    /// A person's denial of the same stood when it was opened.
    pub(in crate::broker) denied_before: bool,
    pub(in crate::broker) policy_digest: String,
    pub(in crate::broker) decision: DecisionId,
    /// Position of the event that holds it.
    pub(in crate::broker) position: u64,
    pub(in crate::broker) opened: Timestamp,
    pub(in crate::broker) until: Timestamp,
    pub(in crate::broker) uses_max: u32,
    /// What was granted through it, in order: one for each use.
    pub(in crate::broker) grants: Vec<GrantId>,
    /// Set by what ended it before its time.
    pub(in crate::broker) closed: Option<Timestamp>,
    pub(in crate::broker) review_by: Timestamp,
    pub(in crate::broker) review: Option<Review>,
    /// That nobody reviewed it in time is on record.
    pub(in crate::broker) overdue_told: bool,
}

/// How somebody closed a post-review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Review {
    pub(in crate::broker) by: InitiatorName,
    pub(in crate::broker) verdict: GlassVerdict,
    pub(in crate::broker) at: Timestamp,
    /// The note, as it stands in the event.
    pub(in crate::broker) sealed: Vec<u8>,
}

impl Glass {
    /// How many grants were made through it.
    pub(in crate::broker) fn uses(&self) -> u32 {
        u32::try_from(self.grants.len()).unwrap_or(u32::MAX)
    }

    /// True while it is good for the grants that were made through it.
    pub(in crate::broker) fn is_open(&self, now: Timestamp) -> bool {
        self.closed.is_none() && now < self.until
    }

    /// True while another grant may be made through it.
    pub(in crate::broker) fn has_uses(&self, now: Timestamp) -> bool {
        self.is_open(now) && self.uses() < self.uses_max
    }

    /// True when the post-review is overdue.
    pub(in crate::broker) fn is_overdue(&self, now: Timestamp) -> bool {
        self.review.is_none() && self.review_by <= now
    }

    /// As a decision knows it.
    pub(in crate::broker) fn facts(&self, id: GlassId) -> GlassFacts {
        GlassFacts { id, by: self.by.clone(), policy_digest: self.policy_digest.clone(), until: self.until }
    }
}

/// All of them, with ways to find one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Glasses {
    all: BTreeMap<GlassId, Glass>,
    /// Those that no event has closed, by what they are good for.
    unclosed: BTreeSet<(Covers, GlassId)>,
    of_task: HashMap<TaskId, BTreeSet<GlassId>>,
    /// Those that were reviewed, by when.
    reviewed: BTreeSet<(Timestamp, GlassId)>,
}

impl Glasses {
    pub(in crate::broker) fn find(&self, id: GlassId) -> Option<&Glass> {
        self.all.get(&id)
    }

    /// The latest that is good for that.
    pub(in crate::broker) fn covering(&self, covers: &Covers) -> Option<(GlassId, &Glass)> {
        let all = (*covers, GlassId::from_bytes([0; 16]))..=(*covers, GlassId::from_bytes([u8::MAX; 16]));
        let (_, id) = self.unclosed.range(all).next_back()?;
        self.all.get(id).map(|glass| (*id, glass))
    }

    /// True when some glass of the task is not closed: most tasks have none, and need not look for what covers a request.
    pub(in crate::broker) fn any_of(&self, task: TaskId) -> bool {
        self.of_task.get(&task).into_iter().flatten().any(|id| self.all.get(id).is_some_and(|g| g.closed.is_none()))
    }

    /// How many there are of a task, whatever became of them.
    pub(in crate::broker) fn count_of(&self, task: TaskId) -> usize {
        self.of_task.get(&task).map_or(0, BTreeSet::len)
    }

    /// All, newest first, from the one before `below`.
    pub(in crate::broker) fn listed(&self, below: Option<GlassId>) -> impl Iterator<Item = (GlassId, &Glass)> {
        use std::ops::Bound;
        let older = (Bound::Unbounded, below.map_or(Bound::Unbounded, Bound::Excluded));
        self.all.range(older).rev().map(|(id, glass)| (*id, glass))
    }

    /// Those that no event has closed and that the end of `target` ends: of its tasks, which are given, of its audience, or opened
    /// by that person.
    pub(in crate::broker) fn under(&self, target: &Target, tasks: &BTreeSet<TaskId>) -> Vec<GlassId> {
        let ends = |glass: &Glass| match target {
            Target::Initiator(name) => glass.by == *name || tasks.contains(&glass.task),
            Target::Audience(audience) => glass.audience == *audience,
            Target::Everything => true,
            Target::Agent(_) | Target::Task(_) | Target::Grant(_) => tasks.contains(&glass.task),
        };
        let unclosed = self.unclosed.iter().map(|(_, id)| *id);
        unclosed.filter(|id| self.all.get(id).is_some_and(ends)).collect()
    }

    /// Puts one there, or another in its place.
    pub(in crate::broker) fn insert(&mut self, id: GlassId, glass: Glass) {
        self.take_out(id);
        if glass.closed.is_none() {
            self.unclosed.insert((glass.covers, id));
        }
        self.of_task.entry(glass.task).or_default().insert(id);
        self.reviewed.extend(glass.review.as_ref().map(|review| (review.at, id)));
        self.all.insert(id, glass);
    }

    /// Changes one; nothing happens when there is none of that id.
    pub(in crate::broker) fn change(&mut self, id: GlassId, change: impl FnOnce(&mut Glass)) {
        let Some(mut glass) = self.all.get(&id).cloned() else { return };
        change(&mut glass);
        self.insert(id, glass);
    }

    /// Closes it, if nothing has before; what was granted through it.
    pub(in crate::broker) fn close(&mut self, id: GlassId, at: Timestamp) -> Vec<GrantId> {
        self.change(id, |glass| glass.closed = glass.closed.or(Some(at)));
        self.all.get(&id).map(|glass| glass.grants.clone()).unwrap_or_default()
    }

    /// Closes those of a task that has ended.
    pub(in crate::broker) fn close_of(&mut self, task: TaskId, at: Timestamp) {
        for id in self.of_task.get(&task).cloned().unwrap_or_default() {
            self.close(id, at);
        }
    }

    /// Lets go of what was reviewed long ago.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        while let Some(&(at, id)) = self.reviewed.first()
            && at.after(REVIEWED_RETENTION) <= now
        {
            self.reviewed.pop_first();
            self.take_out(id);
        }
    }

    /// Those whose post-review is overdue, which is not on record.
    pub(in crate::broker) fn overdue_untold(&self, now: Timestamp) -> impl Iterator<Item = GlassId> {
        let untold = move |(_, glass): &(&GlassId, &Glass)| !glass.overdue_told && glass.is_overdue(now);
        self.all.iter().filter(untold).map(|(id, _)| *id)
    }

    /// How many stand open, wait for their post-review, and have waited too long.
    pub(in crate::broker) fn counts(&self, now: Timestamp) -> (u64, u64, u64) {
        let mut counts = (0, 0, 0);
        for glass in self.all.values() {
            counts.0 += u64::from(glass.is_open(now));
            counts.1 += u64::from(glass.review.is_none());
            counts.2 += u64::from(glass.is_overdue(now));
        }
        counts
    }

    /// For snapshots.
    pub(in crate::broker) fn saved(&self) -> Vec<(GlassId, Glass)> {
        self.all.iter().map(|(id, glass)| (*id, glass.clone())).collect()
    }

    /// From a snapshot.
    pub(in crate::broker) fn from_saved(saved: Vec<(GlassId, Glass)>) -> Self {
        let mut glasses = Self::default();
        for (id, glass) in saved {
            glasses.insert(id, glass);
        }
        glasses
    }

    fn take_out(&mut self, id: GlassId) {
        let Some(old) = self.all.remove(&id) else { return };
        self.unclosed.remove(&(old.covers, id));
        if let Some(review) = &old.review {
            self.reviewed.remove(&(review.at, id));
        }
        if let Some(of_task) = self.of_task.get_mut(&old.task) {
            of_task.remove(&id);
            if of_task.is_empty() {
                self.of_task.remove(&old.task);
            }
        }
    }
}
