//! Which SPIFFE IDs are known, and as what. A pattern is an exact SPIFFE ID, or ends in `/*` (one more segment) or
//! `/**` (one or more); it is compared by whole segments, and the most specific one that matches decides.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use super::network::Network;
use super::{CatalogueError, Problems};
use crate::model::id::{Audience, Owner};
use crate::model::identity::IdentityClass;
use crate::model::limits::{IDENTITIES_MAX, TOOL_LIST_MAX};
use crate::model::spiffe_id::{ParseSpiffeIdError, SpiffeId};

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

    /// True when that audience is its own.
    #[must_use]
    pub fn serves(&self, audience: &Audience) -> bool {
        self.audiences.contains(audience)
    }
}

/// A pattern of SPIFFE IDs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The literal part: the whole, or what stands before the wildcard.
    prefix: SpiffeId,
    reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reach {
    Exact,
    OneSegment,
    AnyDepth,
}

/// Why a string is no pattern of SPIFFE IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    /// What stands before the wildcard, or the whole, is no SPIFFE ID. A `*` elsewhere than at the end lands here.
    #[error("{0}")]
    Prefix(ParseSpiffeIdError),
    /// A SPIFFE ID without a path names a trust domain and no workload (X509-SVID §5.2).
    #[error("names a trust domain and no workload")]
    NoPath,
}

impl Pattern {
    /// True when that SPIFFE ID matches.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        let rest = id.as_str().strip_prefix(self.prefix.as_str());
        match (self.reach, rest) {
            (_, None) => false,
            (Reach::Exact, Some(rest)) => rest.is_empty(),
            (Reach::OneSegment, Some(rest)) => rest.strip_prefix('/').is_some_and(|r| !r.contains('/')),
            (Reach::AnyDepth, Some(rest)) => rest.starts_with('/'),
        }
    }
}

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (prefix, reach) = if let Some(prefix) = s.strip_suffix("/**") {
            (prefix, Reach::AnyDepth)
        } else if let Some(prefix) = s.strip_suffix("/*") {
            (prefix, Reach::OneSegment)
        } else {
            (s, Reach::Exact)
        };
        let prefix: SpiffeId = prefix.parse().map_err(ParsePatternError::Prefix)?;
        if reach == Reach::Exact && prefix.path().is_empty() {
            return Err(ParsePatternError::NoPath);
        }
        Ok(Self { prefix, reach })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.reach {
            Reach::Exact => "",
            Reach::OneSegment => "/*",
            Reach::AnyDepth => "/**",
        };
        write!(f, "{}{suffix}", self.prefix)
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
            let key = (identity.pattern.reach, identity.pattern.prefix.as_str().to_owned());
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
