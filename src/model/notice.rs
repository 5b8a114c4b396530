//! What people's own systems are told of, and the name by which a receiver is known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type of a notice, as receivers read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeType {
    /// People are asked about a request.
    #[serde(rename = "approval.pending")]
    ApprovalPending,
    /// Not answered in time: more people may answer.
    #[serde(rename = "approval.escalated")]
    ApprovalEscalated,
    /// It was approved or denied.
    #[serde(rename = "approval.decided")]
    ApprovalDecided,
    /// Nobody answered in time.
    #[serde(rename = "approval.expired")]
    ApprovalExpired,
    /// An approval was taken back.
    #[serde(rename = "approval.withdrawn")]
    ApprovalWithdrawn,
    /// A live grant was decided again, and is suspended.
    #[serde(rename = "grant.suspended")]
    GrantSuspended,
    /// It was decided again, and is live again.
    #[serde(rename = "grant.restored")]
    GrantRestored,
    /// It was decided again, and is over.
    #[serde(rename = "grant.revoked")]
    GrantRevoked,
    /// A task is over, and with it whatever of it waited for people.
    #[serde(rename = "task.ended")]
    TaskEnded,
    /// More than one grant was revoked: a task, an agent, an initiator, an audience, or everything.
    #[serde(rename = "access.revoked")]
    AccessRevoked,
    /// A trust domain is no longer trusted, and the grants of its agents are suspended.
    #[serde(rename = "trust.withdrawn")]
    TrustWithdrawn,
    /// It is trusted again.
    #[serde(rename = "trust.restored")]
    TrustRestored,
    /// Another policy bundle is in force.
    #[serde(rename = "policy.activated")]
    PolicyActivated,
    /// A person would activate a policy bundle, and another one must.
    #[serde(rename = "policy.proposed")]
    PolicyProposed,
    /// What is decided for a class of identities is no longer as it was.
    #[serde(rename = "drift.detected")]
    DriftDetected,
    /// It is again.
    #[serde(rename = "drift.ended")]
    DriftEnded,
    /// A person opened break-glass.
    #[serde(rename = "break_glass.opened")]
    BreakGlassOpened,
    /// A grant was made through it.
    #[serde(rename = "break_glass.used")]
    BreakGlassUsed,
    /// Nobody has reviewed it in time.
    #[serde(rename = "break_glass.review_overdue")]
    BreakGlassReviewOverdue,
    /// Somebody tries whether it arrives.
    #[serde(rename = "test")]
    Test,
}

/// A text that names no type of notices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is none of {}", NoticeType::ALL.map(NoticeType::as_str).join(", "))]
pub struct UnknownNoticeError;

impl NoticeType {
    /// All that events bring about; a test comes by request alone.
    pub const ALL: [Self; 19] = [
        Self::ApprovalPending,
        Self::ApprovalEscalated,
        Self::ApprovalDecided,
        Self::ApprovalExpired,
        Self::ApprovalWithdrawn,
        Self::GrantSuspended,
        Self::GrantRestored,
        Self::GrantRevoked,
        Self::TaskEnded,
        Self::AccessRevoked,
        Self::TrustWithdrawn,
        Self::TrustRestored,
        Self::PolicyActivated,
        Self::PolicyProposed,
        Self::DriftDetected,
        Self::DriftEnded,
        Self::BreakGlassOpened,
        Self::BreakGlassUsed,
        Self::BreakGlassReviewOverdue,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApprovalPending => "approval.pending",
            Self::ApprovalEscalated => "approval.escalated",
            Self::ApprovalDecided => "approval.decided",
            Self::ApprovalExpired => "approval.expired",
            Self::ApprovalWithdrawn => "approval.withdrawn",
            Self::GrantSuspended => "grant.suspended",
            Self::GrantRestored => "grant.restored",
            Self::GrantRevoked => "grant.revoked",
            Self::TaskEnded => "task.ended",
            Self::AccessRevoked => "access.revoked",
            Self::TrustWithdrawn => "trust.withdrawn",
            Self::TrustRestored => "trust.restored",
            Self::PolicyActivated => "policy.activated",
            Self::PolicyProposed => "policy.proposed",
            Self::DriftDetected => "drift.detected",
            Self::DriftEnded => "drift.ended",
            Self::BreakGlassOpened => "break_glass.opened",
            Self::BreakGlassUsed => "break_glass.used",
            Self::BreakGlassReviewOverdue => "break_glass.review_overdue",
            Self::Test => "test",
        }
    }

    /// True when it is about an approval: somebody waits for an answer.
    #[must_use]
    pub const fn is_of_approval(self) -> bool {
        match self {
            Self::ApprovalPending
            | Self::ApprovalEscalated
            | Self::ApprovalDecided
            | Self::ApprovalExpired
            | Self::ApprovalWithdrawn => true,
            Self::GrantSuspended
            | Self::GrantRestored
            | Self::GrantRevoked
            | Self::TaskEnded
            | Self::AccessRevoked
            | Self::TrustWithdrawn
            | Self::TrustRestored
            | Self::PolicyActivated
            | Self::PolicyProposed
            | Self::DriftDetected
            | Self::DriftEnded
            | Self::BreakGlassOpened
            | Self::BreakGlassUsed
            | Self::BreakGlassReviewOverdue
            | Self::Test => false,
        }
    }
}

impl FromStr for NoticeType {
    type Err = UnknownNoticeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|each| each.as_str() == text).ok_or(UnknownNoticeError)
    }
}

/// The name of a receiver: a file and figures are named by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookName(String);

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not 1 to {} of a-z, 0-9 and `-`", NAME_CHARS_MAX)]
pub struct ParseWebhookNameError;

/// Longest name of a receiver.
const NAME_CHARS_MAX: usize = 32;

impl WebhookName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookName {
    type Err = ParseWebhookNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(known);
        if fits { Ok(Self(text.to_owned())) } else { Err(ParseWebhookNameError) }
    }
}

impl fmt::Display for WebhookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
