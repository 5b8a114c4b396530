//! What agents and initiators were granted of tools whose duties are kept apart beyond one task, so that nobody does in two
//! tasks what may not be done in one.

use std::collections::{BTreeMap, BTreeSet};
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

/// The latest use of each such tool by each agent and initiator: one, however often it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Duties {
    uses: BTreeMap<(Target, ToolName), (Timestamp, u64)>,
    /// The same uses by their time.
    order: BTreeSet<(Timestamp, Target, ToolName)>,
}

impl Duties {
    /// Takes in a grant of `tool`. What the catalogue keeps apart within one task alone is the family's own business. Without a
    /// catalogue, because its bundle no longer loads, nobody can tell what is kept apart: it is taken for everything.
    pub(in crate::broker) fn record(
        &mut self,
        catalogue: Option<&Catalogue>,
        (agent, initiator): (&SpiffeId, &InitiatorName),
        tool: &ToolName,
        (at, position): (Timestamp, u64),
    ) {
        let scopes: BTreeSet<ConflictScope> = match catalogue {
            Some(catalogue) => catalogue.tool(tool).into_iter().flat_map(|t| &t.conflicts).map(|c| c.within).collect(),
            None => BTreeSet::from([ConflictScope::Agent, ConflictScope::Initiator]),
        };
        for who in scopes.into_iter().filter_map(|scope| target(scope, agent, initiator)) {
            if let Some((before, _)) = self.uses.insert((who.clone(), tool.clone()), (at, position)) {
                self.order.remove(&(before, who.clone(), tool.clone()));
            }
            self.order.insert((at, who, tool.clone()));
        }
    }

    /// Lets go of what is older than any window that a catalogue may name: the next bundle may name a longer one.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        while self.order.first().is_some_and(|(at, ..)| at.after(DUTY_RETENTION) <= now) {
            let Some((_, who, tool)) = self.order.pop_first() else { break };
            self.uses.remove(&(who, tool));
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

#[cfg(test)]
mod tests;
