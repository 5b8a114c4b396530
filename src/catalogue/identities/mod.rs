//! Which SPIFFE IDs are known, and as what: the most specific pattern that matches decides.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use serde::Deserialize;

use super::network::Network;
use super::{CatalogueError, Problems};
use crate::model::id::{Audience, Owner};
use crate::model::identity::IdentityClass;
use crate::model::limits::{IDENTITIES_MAX, TOOL_LIST_MAX};
use crate::model::spiffe_id::SpiffeId;
use crate::model::spiffe_pattern::{Pattern, Reach};

/// What is known of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The pattern that it was found by.
    pub pattern: Pattern,
    /// Its class; never `human`.
    pub class: IdentityClass,
    /// Who answers for it.
    pub owner: Option<Owner>,
    /// The networks that it calls from; empty when none are declared.
    pub networks: Vec<Network>,
    /// For resource servers: the audiences that are its own.
    pub audiences: Vec<Audience>,
    /// For resource servers: true when it reports for every audience, as a gateway does.
    pub gateway: bool,
}

impl Identity {
    /// False when networks are declared and the address lies in none of them.
    #[must_use]
    pub fn calls_from(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|n| n.contains(address))
    }

    /// True when no networks are declared.
    #[must_use]
    pub const fn calls_from_anywhere(&self) -> bool {
        self.networks.is_empty()
    }

    /// True when that audience is its own.
    #[must_use]
    pub fn serves(&self, audience: &Audience) -> bool {
        self.audiences.contains(audience)
    }
}

/// Every identity that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities {
    by_pattern: HashMap<(Reach, String), Identity>,
}

impl Identities {
    /// Reads `identities.toml`.
    ///
    /// # Errors
    /// When it is not of the documented form, or breaks rules: then every problem is listed.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: IdentitiesText = toml::from_str(text).map_err(|e| CatalogueError::syntax(text, &e))?;
        let mut problems = Problems::default();
        problems.check("", file.identity.len() <= IDENTITIES_MAX, format!("more than {IDENTITIES_MAX} identities"));
        let mut by_pattern = HashMap::new();
        for entry in file.identity {
            let Some(identity) = entry.into_identity(&mut problems) else { continue };
            let key = (identity.pattern.reach(), identity.pattern.prefix().as_str().to_owned());
            match by_pattern.entry(key) {
                Entry::Vacant(place) => drop(place.insert(identity)),
                Entry::Occupied(_) => problems.add(&identity.pattern.to_string(), "the pattern stands twice"),
            }
        }
        problems.finish(Self { by_pattern })
    }

    /// What is known of that identity, by the most specific pattern; `None` when nothing is.
    #[must_use]
    pub fn identify(&self, id: &SpiffeId) -> Option<&Identity> {
        let text = id.as_str();
        if let Some(exact) = self.by_pattern.get(&(Reach::Exact, text.to_owned())) {
            return Some(exact);
        }
        // A SPIFFE ID without a path has no segment for a wildcard to stand for.
        let path_at = text.len().checked_sub(id.path().len()).filter(|at| *at < text.len())?;
        let mut cut = text.rfind('/').filter(|at| *at >= path_at)?;
        let parent = text.get(..cut)?;
        if let Some(found) = self.by_pattern.get(&(Reach::OneSegment, parent.to_owned())) {
            return Some(found);
        }
        loop {
            let ancestor = text.get(..cut)?;
            if let Some(found) = self.by_pattern.get(&(Reach::AnyDepth, ancestor.to_owned())) {
                return Some(found);
            }
            cut = ancestor.rfind('/').filter(|at| *at >= path_at)?;
        }
    }

    /// Every identity, in the order of their patterns.
    #[must_use]
    pub fn all(&self) -> Vec<&Identity> {
        let mut all: Vec<_> = self.by_pattern.values().collect();
        all.sort_by_cached_key(|i| i.pattern.to_string());
        all
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentitiesText {
    #[serde(default)]
    identity: Vec<IdentityText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityText {
    pattern: String,
    class: IdentityClass,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    audiences: Vec<Audience>,
    #[serde(default)]
    gateway: bool,
}

impl IdentityText {
    fn into_identity(self, problems: &mut Problems) -> Option<Identity> {
        let at = &self.pattern;
        let server = self.class == IdentityClass::ResourceServer;
        problems.check(at, self.class != IdentityClass::Human, "an SVID never names a person");
        problems.check(at, server || self.audiences.is_empty(), "only a resource server has audiences");
        problems.check(at, server || !self.gateway, "only a resource server is a gateway");
        for (what, len) in [("networks", self.networks.len()), ("audiences", self.audiences.len())] {
            problems.check(at, len <= TOOL_LIST_MAX, format!("more than {TOOL_LIST_MAX} {what}"));
        }
        let networks = self.networks.iter().filter_map(|n| problems.parse(at, "network", n)).collect();
        Some(Identity {
            pattern: problems.parse(at, "pattern", at)?,
            class: self.class,
            owner: self.owner,
            networks,
            audiences: self.audiences,
            gateway: self.gateway,
        })
    }
}

#[cfg(test)]
mod tests;
