//! Who an agent is while it is not at hand.

use crate::broker::gather::View;
use crate::model::facts::PrincipalFacts;
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::spiffe_id::SpiffeId;
use crate::policy::bundle::PolicyBundle;

/// An agent that did not come itself, as the bundle knows it: how it proves itself is looked at when it asks.
pub(in crate::broker) fn absent(bundle: &PolicyBundle, id: &SpiffeId) -> PrincipalFacts {
    let identity = bundle.identities().identify(id);
    PrincipalFacts {
        id: id.clone(),
        known: identity.is_some(),
        class: identity.map_or(IdentityClass::AiAgent, |identity| identity.class),
        owner: identity.and_then(|identity| identity.owner.clone()),
        authentication: Authentication::X509Svid,
        svid_age_s: 0,
        network_declared: true,
        profile_changes: Vec::new(),
    }
}

impl View {
    /// Who a principal of an earlier decision is now. How it proved itself then stands.
    pub(in crate::broker) fn principal_now(&self, then: &PrincipalFacts) -> PrincipalFacts {
        let mut now = then.clone();
        match self.bundle.identities().identify(&then.id) {
            Some(identity) => (now.class, now.owner) = (identity.class, identity.owner.clone()),
            None => now.known = false,
        }
        now
    }
}
