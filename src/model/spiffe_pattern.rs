//! Patterns of SPIFFE IDs: an exact one, or one that ends in `/*` (one more segment) or `/**` (one or more). They are compared by
//! whole segments.

use std::fmt;
use std::str::FromStr;

use super::spiffe_id::{ParseSpiffeIdError, SpiffeId};

/// A pattern of SPIFFE IDs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The literal part: the whole, or what stands before the wildcard.
    prefix: SpiffeId,
    reach: Reach,
}

/// How far a pattern reaches beyond its literal part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Not at all.
    Exact,
    /// `/*`: one more segment.
    OneSegment,
    /// `/**`: one or more.
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
    /// The literal part.
    #[must_use]
    pub const fn prefix(&self) -> &SpiffeId {
        &self.prefix
    }

    /// How far it reaches beyond that.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

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
