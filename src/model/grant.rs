//! Where a grant stands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Why a grant is suspended. Removing one cause leaves the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionCause {
    /// Its task or a task above is paused.
    Paused,
    /// A later decision on it was worse than `granted`.
    Drift,
    /// The trust domain of its agent is no longer trusted.
    TrustWithdrawn,
}

/// Where a grant stands, apart from its expiry, which the clock decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStanding {
    /// Its token may be used, unless it is suspended for a cause.
    Open(BTreeSet<SuspensionCause>),
    /// Ended by a revocation or by the end of its task.
    Revoked,
    /// Given back by its agent.
    Released,
}

impl GrantStanding {
    /// True when its token may be used.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Open(causes) if causes.is_empty())
    }

    /// True when its token will never be used again.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Revoked | Self::Released)
    }
}
