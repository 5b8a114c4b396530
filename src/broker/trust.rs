//! Whom the broker trusts, held against the record: a trust domain that is no longer trusted is recorded, which suspends the
//! grants of its agents, and so is its return. While the Workload API has taken everything back nothing is concluded: nobody
//! is let in then, and nobody can tell who is to be trusted later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use crate::broker::Broker;
use crate::broker::caller::broker_actor;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::event;
use crate::identity::trust::Authorities;
use crate::journal::entry::{Entry, EntryClass};
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::TrustDomain;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

impl Broker {
    /// Records trust domains that are no longer trusted, or are again.
    ///
    /// # Errors
    /// When the journal cannot be written; what was not recorded is found again the next time.
    pub(in crate::broker) async fn record_trust(&self, at_start: bool) -> Result<(), BrokerError> {
        let Some(trusted) = self.0.trust.authorities() else { return Ok(()) };
        let events = self.changes_of_trust(&trusted, at_start);
        if !events.is_empty() {
            // What suspends must not wait for disk space, nor for what it follows from.
            self.append(Entry { events, expects: Vec::new(), class: EntryClass::End }).await?;
        }
        *self.0.trusted.lock().unwrap_or_else(PoisonError::into_inner) = trusted;
        Ok(())
    }

    fn changes_of_trust(&self, trusted: &Authorities, at_start: bool) -> Vec<pb::Event> {
        let state = self.0.known.look();
        let mut gone: BTreeMap<TrustDomain, BTreeSet<[u8; 32]>> = BTreeMap::new();
        {
            let before = self.0.trusted.lock().unwrap_or_else(PoisonError::into_inner);
            gone.extend(before.iter().map(|(name, authorities)| (name.clone(), authorities.as_ref().clone())));
        }
        if at_start {
            // Which authorities they had is not known any more.
            gone.extend(state.by.tasks_of_agent.keys().map(|agent| (agent.trust_domain(), BTreeSet::new())));
        }
        gone.retain(|name, _| !trusted.contains_key(name) && !state.withdrawn.contains_key(name));
        let withdrawn = gone.into_iter().map(|(name, authorities)| {
            tracing::warn!(trust_domain = %name, "no longer trusted: the grants of its agents are suspended");
            let payload = pb::TrustWithdrawn {
                trust_domain: name.to_string(),
                code: ReasonCode::TrustWithdrawn.as_str().to_owned(),
                authorities: authorities.iter().map(|digest| digest.to_vec().into()).collect(),
            };
            of_domain(&name, Payload::TrustWithdrawn(payload))
        });
        let back =
            state.withdrawn.iter().filter_map(|(name, gone)| Some((name, &gone.authorities, trusted.get(name)?)));
        let restored = back.map(|(name, had, has)| {
            let is_back = |digest: &Vec<u8>| has.iter().any(|now| now.as_slice() == digest);
            let lifts = !had.is_empty() && had.iter().all(is_back);
            tracing::info!(trust_domain = %name, lifts, "trusted again");
            let payload = pb::TrustRestored { trust_domain: name.to_string(), lifts };
            of_domain(name, Payload::TrustRestored(payload))
        });
        withdrawn.chain(restored).collect()
    }
}

fn of_domain(name: &TrustDomain, payload: Payload) -> pb::Event {
    event(format!("identity/spiffe://{name}"), broker_actor(), &no_context(), payload)
}
