//! What is known around the policy bundle in force: which were in force before, so that none comes back unnoticed, and what people
//! proposed and another person has yet to put in force. A fold of the journal like everything that is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::id::{InitiatorName, PolicyProposalId};
use crate::model::limits::POLICIES_REMEMBERED_MAX;
use crate::model::signer::Signer;
use crate::model::time::Timestamp;
use crate::policy::signers::Signers;

/// What it takes to put a bundle in force.
#[derive(Debug, Clone)]
pub struct ActivationSettings {
    /// Whose signatures a bundle must have; `None` when it need not be signed.
    pub signers: Option<Arc<Signers>>,
    /// How many persons.
    pub persons: Persons,
    /// How long a proposal waits for the second.
    pub proposal_stands: Duration,
}

/// How many persons it takes to put a bundle in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persons {
    /// One, or the operator.
    One,
    /// Two different ones, and nobody else.
    Two,
}

impl Persons {
    /// The number.
    #[must_use]
    pub const fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

impl Default for ActivationSettings {
    /// As `deploy/config/carnet.toml` has them.
    fn default() -> Self {
        Self { signers: None, persons: Persons::One, proposal_stands: Duration::from_secs(3600) }
    }
}

/// When files were in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// As which revision.
    pub revision: u64,
    /// Position of the event.
    pub position: u64,
}

/// An activation that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Digest of the bundle, hexadecimal.
    pub digest: String,
    /// The revision that it would have.
    pub revision: u64,
    /// Who answers for it, as its manifest says.
    pub owner: String,
    /// Whose signatures held.
    pub signed_by: Vec<Signer>,
    /// When the same files were in force before.
    pub returns_to: Option<Before>,
    /// The person who proposed it.
    pub by: InitiatorName,
    /// Position of the event that holds it.
    pub position: u64,
    /// When it was recorded.
    pub proposed: Timestamp,
    /// When it lapses.
    pub until: Timestamp,
}

/// What waits for a second person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Proposals(BTreeMap<PolicyProposalId, Proposal>);

impl Proposals {
    /// Those that have not lapsed, oldest first.
    pub(in crate::broker) fn open(&self, now: Timestamp) -> impl Iterator<Item = (PolicyProposalId, &Proposal)> {
        self.0.iter().filter(move |(_, proposal)| now < proposal.until).map(|(id, proposal)| (*id, proposal))
    }

    pub(in crate::broker) fn insert(&mut self, id: PolicyProposalId, proposal: Proposal) {
        self.0.insert(id, proposal);
    }

    pub(in crate::broker) fn remove(&mut self, id: PolicyProposalId) {
        self.0.remove(&id);
    }

    /// Those of that person are void.
    pub(in crate::broker) fn unsay(&mut self, person: &InitiatorName) {
        self.0.retain(|_, proposal| proposal.by != *person);
    }

    /// All are void: each was made with the bundle in mind that was in force then.
    pub(in crate::broker) fn clear(&mut self) {
        self.0.clear();
    }

    /// Lets go of what has lapsed.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, proposal| now < proposal.until);
    }
}

/// Bundles that were in force, each with when it last was: the latest, so many as are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broker) struct PoliciesBefore {
    by_digest: HashMap<String, Before>,
    by_position: BTreeMap<u64, String>,
}

impl PoliciesBefore {
    pub(in crate::broker) fn find(&self, digest: &str) -> Option<Before> {
        self.by_digest.get(digest).copied()
    }

    /// From then on those files are in force.
    pub(in crate::broker) fn insert(&mut self, digest: &str, before: Before) {
        if let Some(earlier) = self.by_digest.insert(digest.to_owned(), before) {
            self.by_position.remove(&earlier.position);
        }
        self.by_position.insert(before.position, digest.to_owned());
        while self.by_position.len() > POLICIES_REMEMBERED_MAX {
            let Some((_, digest)) = self.by_position.pop_first() else { break };
            self.by_digest.remove(&digest);
        }
    }

    /// For snapshots.
    pub(in crate::broker) fn saved(&self) -> Vec<(String, Before)> {
        let known = |digest: &String| Some((digest.clone(), self.find(digest)?));
        self.by_position.values().filter_map(known).collect()
    }

    /// From a snapshot.
    pub(in crate::broker) fn from_saved(saved: Vec<(String, Before)>) -> Self {
        let mut all = Self::default();
        for (digest, before) in saved {
            all.insert(&digest, before);
        }
        all
    }
}

#[cfg(test)]
mod tests;
