//! What agents were granted of late, as far as it tells what is usual for each: folded from the decisions that granted, and
//! looked at when another request comes. It relies on no guard: it advises, and what is a moment old advises as well. Holds
//! digests of the tools and audiences that stand open in events, and digests under the broker's own key of the resources that agents
//! named: no words of people or agents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::request::Asking;
use crate::broker::state::State;
use crate::model::access::Access;
use crate::model::behaviour::BehaviourFacts;
use crate::model::digest::of_names;
use crate::model::id::{Audience, TaskId, ToolName};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;
use crate::risk::behaviour::model::{Model, Step, Trail};
use crate::seal::sealer::COMMON;

/// Identities of which something is known at a time, 56 KiB each at most. One more takes the place of that which was granted
/// nothing for the longest; that one begins anew, which its decisions tell.
const IDENTITIES_KNOWN_MAX: usize = 4096;

/// What is known of every identity, and the sessions that last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Behaviour {
    known: BTreeMap<SpiffeId, Known>,
    /// The same identities by when they were granted something last.
    order: BTreeSet<(Timestamp, SpiffeId)>,
    /// Of each family what its agents did in it; boxed, because a map has room for several and most families have one agent.
    trails: BTreeMap<TaskId, BTreeMap<SpiffeId, Box<Trail>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    model: Model,
    last: Timestamp,
}

impl Behaviour {
    /// Takes in what an agent was granted in a family. What is refused is never learned: nobody makes a thing usual by asking.
    pub(in crate::broker) fn learn(
        &mut self,
        (agent, root): (&SpiffeId, TaskId),
        (audience, tools, resources): (&Audience, &[ToolName], &[u64]),
        at: Timestamp,
    ) {
        if !self.known.contains_key(agent)
            && self.known.len() >= IDENTITIES_KNOWN_MAX
            && let Some((_, longest)) = self.order.pop_first()
        {
            self.known.remove(&longest);
        }
        let trail = self.trails.entry(root).or_default().entry(agent.clone()).or_default();
        let fresh = || Known { model: Model::new(at), last: at };
        let known = self.known.entry(agent.clone()).or_insert_with(fresh);
        known.model.learn(trail, &Step { at, audience, tools: &tools.iter().collect::<Vec<_>>(), resources });
        let before = std::mem::replace(&mut known.last, at);
        if before != at {
            self.order.remove(&(before, agent.clone()));
        }
        self.order.insert((at, agent.clone()));
    }

    /// What is known of an agent, and how a step in that family fits it.
    pub(in crate::broker) fn look(&self, agent: &SpiffeId, root: TaskId, step: &Step<'_>) -> BehaviourFacts {
        let trail = self.trails.get(&root).and_then(|agents| agents.get(agent)).map(Box::as_ref);
        self.known.get(agent).map(|known| known.model.look(trail, step)).unwrap_or_default()
    }

    /// Lets go of the sessions of a family that is over. What they taught stays.
    pub(in crate::broker) fn forget(&mut self, root: TaskId) {
        self.trails.remove(&root);
    }
}

impl View {
    /// Adds what agents and initiator did before: duties that must be kept apart, and what is usual. A renewal is no step, so
    /// what was concluded when the grant was made stands.
    pub(in crate::broker) fn look_back(&mut self, state: &State, asking: &Asking<'_>, resources: &[u64]) {
        self.look_at_duties(state, asking.access);
        self.behaviour = match asking.renews {
            Some(_) => asking.behaviour.cloned(),
            None => {
                let tools: Vec<_> = asking.access.iter().map(|access| &access.tool).collect();
                let step = Step { at: self.now, audience: asking.audience, tools: &tools, resources };
                Some(state.behaviour.look(&self.agent, self.root, &step))
            }
        };
    }
}

impl Broker {
    /// The resources that an agent names, each once, as digests that say nothing to whoever lacks the broker's key, and not even
    /// that two agents named the same. They outlive the task, whose erasure takes the names.
    ///
    /// # Errors
    /// When the broker's key can't be used.
    pub(in crate::broker) fn resources_of(&self, agent: &SpiffeId, access: &[Access]) -> Result<Vec<u64>, BrokerError> {
        let named: BTreeSet<&str> = access.iter().flat_map(|one| &one.resources).map(String::as_str).collect();
        let digest = |resource: &&str| {
            let both = of_names::<32>(RESOURCE, &[agent.as_str(), resource]);
            let [a, b, c, d, e, f, g, h, ..] =
                self.0.sealer.digest(COMMON, "resource", &both).map_err(BrokerError::unavailable)?;
            Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        };
        named.iter().take(RESOURCES_LOOKED_AT_MAX).map(digest).collect()
    }
}

/// Resources of one request that are learned and looked at, in the order of their names.
const RESOURCES_LOOKED_AT_MAX: usize = 64;
/// Kind of what is digested.
const RESOURCE: u8 = 1;

#[cfg(test)]
mod tests;
