//! SPIFFE IDs and trust domains, by the SPIFFE-ID standard. Upper case is refused rather than folded, so that one identity
//! has one spelling in policies, records and tokens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::{SPIFFE_ID_BYTES_MAX, TRUST_DOMAIN_BYTES_MAX};

/// Why a string is no SPIFFE ID: one variant per rule of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpiffeIdError {
    /// SPIFFE-ID §2.3.
    #[error("longer than {SPIFFE_ID_BYTES_MAX} bytes")]
    TooLong,
    /// SPIFFE-ID §2: the scheme is `spiffe`.
    #[error("scheme is not `spiffe`")]
    Scheme,
    /// SPIFFE-ID §2.1.
    #[error("trust domain is empty")]
    TrustDomainEmpty,
    /// SPIFFE-ID §2.1.
    #[error("trust domain is longer than {TRUST_DOMAIN_BYTES_MAX} bytes")]
    TrustDomainTooLong,
    /// SPIFFE-ID §2.1: lower-case letters, digits, dot, dash and underscore; no port, no user.
    #[error("trust domain holds a character outside `a-z 0-9 . - _`")]
    TrustDomainCharacter,
    /// SPIFFE-ID §2.2.
    #[error("path has an empty segment or ends with a slash")]
    PathEmptySegment,
    /// SPIFFE-ID §2.2.
    #[error("path has a segment `.` or `..`")]
    PathDotSegment,
    /// SPIFFE-ID §2.2: letters, digits, dot, dash and underscore; no query, fragment or percent-encoding.
    #[error("path holds a character outside `a-z A-Z 0-9 . - _`")]
    PathCharacter,
}

/// The name of a trust domain.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name, e.g. `example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = ParseSpiffeIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.is_empty() {
            return Err(ParseSpiffeIdError::TrustDomainEmpty);
        }
        if s.len() > TRUST_DOMAIN_BYTES_MAX {
            return Err(ParseSpiffeIdError::TrustDomainTooLong);
        }
        if !s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')) {
            return Err(ParseSpiffeIdError::TrustDomainCharacter);
        }
        Ok(Self(s.into()))
    }
}

/// A SPIFFE ID. One without a path names the trust domain itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    text: Arc<str>,
    path_at: usize,
}

impl SpiffeId {
    /// The whole, e.g. `spiffe://example.org/agent`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path with its leading slash; empty when there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// The name of its trust domain.
    #[must_use]
    pub fn trust_domain_name(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_at).unwrap_or_default()
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(self.trust_domain_name().into())
    }
}

impl FromStr for SpiffeId {
    type Err = ParseSpiffeIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.len() > SPIFFE_ID_BYTES_MAX {
            return Err(ParseSpiffeIdError::TooLong);
        }
        let rest = s.strip_prefix(SCHEME).ok_or(ParseSpiffeIdError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            None => (rest, None),
            Some((domain, path)) => (domain, Some(path)),
        };
        let _checked: TrustDomain = domain.parse()?;
        for segment in path.iter().flat_map(|p| p.split('/')) {
            if segment.is_empty() {
                return Err(ParseSpiffeIdError::PathEmptySegment);
            }
            if segment == "." || segment == ".." {
                return Err(ParseSpiffeIdError::PathDotSegment);
            }
            if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
                return Err(ParseSpiffeIdError::PathCharacter);
            }
        }
        Ok(Self { text: s.into(), path_at: SCHEME.len() + domain.len() })
    }
}

const SCHEME: &str = "spiffe://";

macro_rules! as_text {
    ($name:ident, $field:tt) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.$field)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.$field)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseSpiffeIdError;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.$field.as_ref().to_owned()
            }
        }
    };
}
as_text!(TrustDomain, 0);
as_text!(SpiffeId, text);

#[cfg(test)]
mod tests;
