//! What agents and initiators were granted of tools whose duties are kept apart beyond one task, so that nobody does in two
//! tasks what may not be done in one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::ask::Target;
use crate::catalogue::tool::{Catalogue, ConflictScope, DUTY_WINDOW_SECONDS_MAX};
use crate::intent::judge::PastUse;
use crate::journal::guards::GuardKey;
use crate::model::access::Access;
use crate::model::id::{InitiatorName, ToolName};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// How long a use is remembered: as long as the longest window.
const DUTY_RETENTION: Duration = Duration::from_secs(DUTY_WINDOW_SECONDS_MAX);

/// The latest use of each such tool by each agent and initiator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Duties {
    uses: BTreeMap<(Target, ToolName), (Timestamp, u64)>,
    order: VecDeque<(Timestamp, Target, ToolName)>,
}

impl Duties {
    /// Takes in a grant of `tool`. What the catalogue keeps apart within one task alone is the family's own business.
    pub(in crate::broker) fn record(
        &mut self,
        catalogue: &Catalogue,
        (agent, initiator): (&SpiffeId, &InitiatorName),
        tool: &ToolName,
        (at, position): (Timestamp, u64),
    ) {
        let scopes = catalogue.tool(tool).into_iter().flat_map(|t| &t.conflicts).map(|c| c.within);
        let mut of: Vec<Target> = scopes.filter_map(|scope| target(scope, agent, initiator)).collect();
        of.sort();
        of.dedup();
        for who in of {
            self.uses.insert((who.clone(), tool.clone()), (at, position));
            self.order.push_back((at, who, tool.clone()));
        }
    }

    /// Lets go of what is older than any window.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(at, ..)| at.after(DUTY_RETENTION) <= now) {
            let Some((at, who, tool)) = self.order.pop_front() else { break };
            if let std::collections::btree_map::Entry::Occupied(entry) = self.uses.entry((who, tool))
                && entry.get().0 == at
            {
                entry.remove();
            }
        }
    }

    /// What that agent and that initiator used, in whichever task, of the tools that one of `access` may not be combined with.
    pub(in crate::broker) fn of(
        &self,
        catalogue: &Catalogue,
        (agent, initiator): (&SpiffeId, &InitiatorName),
        access: &[Access],
    ) -> Vec<PastUse> {
        let mut out = Vec::new();
        for conflict in conflicts(catalogue, access) {
            let Some(who) = target(conflict.within, agent, initiator) else { continue };
            if let Some((at, position)) = self.uses.get(&(who, conflict.with.clone())) {
                let (tool, within) = (conflict.with.clone(), conflict.within);
                out.push(PastUse { tool, within, at: *at, position: *position });
            }
        }
        out
    }
}

/// The guards of what must not be granted meanwhile, in whichever task.
pub(in crate::broker) fn guards(
    catalogue: &Catalogue,
    (agent, initiator): (&SpiffeId, &InitiatorName),
    access: &[Access],
) -> Vec<GuardKey> {
    let key = |c: &crate::catalogue::tool::Conflict| match c.within {
        ConflictScope::Task => None,
        ConflictScope::Agent => Some(GuardKey::agent_duty(agent, &c.with)),
        ConflictScope::Initiator => Some(GuardKey::initiator_duty(initiator, &c.with)),
    };
    conflicts(catalogue, access).filter_map(key).collect()
}

fn conflicts<'a>(
    catalogue: &'a Catalogue,
    access: &'a [Access],
) -> impl Iterator<Item = &'a crate::catalogue::tool::Conflict> {
    access.iter().filter_map(|one| catalogue.tool(&one.tool)).flat_map(|tool| &tool.conflicts)
}

fn target(scope: ConflictScope, agent: &SpiffeId, initiator: &InitiatorName) -> Option<Target> {
    match scope {
        ConflictScope::Task => None,
        ConflictScope::Agent => Some(Target::Agent(agent.clone())),
        ConflictScope::Initiator => Some(Target::Initiator(initiator.clone())),
    }
}
