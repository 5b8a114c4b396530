//! What receivers of revocations are told: the latest changes of token standing, bounded. A receiver that fell behind
//! further than that is given the whole again.

use std::collections::VecDeque;

use crate::broker::answer::GrantChange;
use crate::broker::state::State;
use crate::model::id::Audience;

/// Changes that are kept: a receiver may lag so many behind before it starts over.
pub(in crate::broker) const CHANGES_MAX: usize = 1 << 16;

/// What a receiver follows.
#[derive(Debug)]
pub(in crate::broker) enum Followed {
    /// Every audience: a gateway stands before all of them.
    All,
    /// These.
    These(Vec<Audience>),
}

impl Followed {
    pub(in crate::broker) fn is_nothing(&self) -> bool {
        matches!(self, Self::These(audiences) if audiences.is_empty())
    }

    fn concerns(&self, audience: &Audience) -> bool {
        match self {
            Self::All => true,
            Self::These(audiences) => audiences.contains(audience),
        }
    }
}

/// The latest changes, in the order of their positions.
#[derive(Debug, Default)]
pub(in crate::broker) struct Changes {
    ring: VecDeque<GrantChange>,
    /// Changes at positions below this were dropped.
    complete_from: u64,
}

impl Changes {
    /// Adds one; the oldest gives way.
    pub(in crate::broker) fn push(&mut self, change: GrantChange) {
        if self.ring.len() >= CHANGES_MAX
            && let Some(dropped) = self.ring.pop_front()
        {
            self.complete_from = dropped.position + 1;
        }
        self.ring.push_back(change);
    }

    /// Says that nothing is known of what lies below `position`, as after a snapshot was loaded.
    pub(in crate::broker) fn begin_at(&mut self, position: u64) {
        self.ring.clear();
        self.complete_from = position;
    }

    /// The changes at positions of at least `from` for those audiences; `None` when some of them were dropped.
    pub(in crate::broker) fn since(&self, from: u64, followed: &Followed) -> Option<Vec<GrantChange>> {
        if from < self.complete_from {
            return None;
        }
        let start = self.ring.partition_point(|c| c.position < from);
        Some(self.ring.iter().skip(start).filter(|c| followed.concerns(&c.audience)).cloned().collect())
    }
}

impl State {
    /// Every token of those audiences that could still be shown and must not be accepted now. One whose end has come by our clock
    /// is told too while it is known: the receiver's may be behind.
    pub(in crate::broker) fn standing_refusals(&self, followed: &Followed) -> Vec<GrantChange> {
        let grants = self.by.grants_of_audience.iter().filter(|(a, _)| followed.concerns(a)).flat_map(|(_, ids)| ids);
        let grants = grants.filter_map(|id| self.grants.get(id).map(|grant| (*id, grant)));
        let refused = grants.filter(|(_, g)| !g.standing.is_live());
        let change = |(id, g): (_, &crate::broker::state::Grant)| GrantChange {
            position: self.next.saturating_sub(1),
            time: self.time,
            jti: g.jti,
            grant: id,
            task: g.task,
            audience: g.audience.clone(),
            standing: g.standing.clone(),
            expires: g.expires,
        };
        let retired = self.retired.iter().filter(|r| followed.concerns(&r.audience)).cloned();
        refused.map(change).chain(retired).collect()
    }
}
