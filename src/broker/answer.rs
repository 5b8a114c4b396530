//! What the broker answers, before an edge encodes it.

use crate::broker::ask::Target;
use crate::broker::observing::Observing;
use crate::broker::proposals::Before;
use crate::mint::token::Token;
use crate::model::access::Access;
use crate::model::ceiling::Ceiling;
use crate::model::decision::{Decision, Outcome};
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::id::{ApprovalId, Audience, DecisionId, GlassId, GrantId, Jti, TaskId};
use crate::model::identity::Initiator;
use crate::model::reason::ReasonCode;
use crate::model::risk::Band;
use crate::model::signer::Signer;
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::TaskState;
use crate::model::time::Timestamp;

/// A decision with its id, as an edge may tell it.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its id in the record.
    pub id: DecisionId,
    /// The answer.
    pub outcome: Outcome,
    /// Why: code, and which access it concerns.
    pub reasons: Vec<(ReasonCode, Option<u32>)>,
    /// What was granted of what was asked.
    pub differences: Vec<Difference>,
    /// The band of risk that it was decided at.
    pub band: Band,
    /// Approvals that would cure it.
    pub approvals_needed: u32,
    /// The approval that it waits for, or that it was granted by.
    pub approval: Option<ApprovalId>,
    /// The break-glass that it was granted through.
    pub glass: Option<GlassId>,
    /// What policy answered, where that was only observed and `outcome` is what was done instead.
    pub would_be: Option<Outcome>,
}

impl Decided {
    /// What may be told of `decision`.
    #[must_use]
    pub fn new(id: DecisionId, decision: &Decision, differences: Vec<Difference>) -> Self {
        Self {
            id,
            outcome: decision.in_force(),
            reasons: decision.reasons.iter().map(|r| (r.code, r.entry)).collect(),
            differences,
            band: decision.risk.band,
            // Nobody is asked about what is granted.
            approvals_needed: if decision.observed_only() { 0 } else { decision.approvals_needed },
            approval: decision.approval,
            glass: decision.glass,
            would_be: decision.observed_only().then_some(decision.outcome),
        }
    }
}

/// A difference between what was asked and what was granted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// `access`, `actions`, `resources` or `ttl`.
    pub what: String,
    /// Which entry, from 0.
    pub entry: Option<u32>,
    /// What was asked.
    pub asked: String,
    /// What was granted; empty for nothing.
    pub granted: String,
}

/// A task, as its orchestrator and its agent see it.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// Who works on it.
    pub agent: SpiffeId,
    /// Who registered it.
    pub orchestrator: SpiffeId,
    /// On whose behalf.
    pub initiator: Initiator,
    /// The task above.
    pub parent: Option<TaskId>,
    /// What it is for; empty when it was erased.
    pub intent: String,
    /// Its ceiling.
    pub ceiling: Option<Ceiling>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// Levels above it.
    pub depth: u32,
    /// Live and suspended grants.
    pub open_grants: u32,
    /// Nobody attends it, or a task above it.
    pub unattended: bool,
}

/// A grant, never its token.
#[derive(Debug, Clone)]
pub struct GrantView {
    /// The grant.
    pub id: GrantId,
    /// Its task.
    pub task: TaskId,
    /// The token that is current.
    pub jti: Jti,
    /// Where it stands.
    pub standing: GrantStanding,
    /// True when the clock has ended it.
    pub expired: bool,
    /// The resource server.
    pub audience: Audience,
    /// The agent.
    pub agent: SpiffeId,
    /// What it covers.
    pub access: Vec<Access>,
    /// When its current token was issued.
    pub issued: Timestamp,
    /// When its current token dies.
    pub expires: Timestamp,
    /// The decision that granted it.
    pub decision: DecisionId,
}

/// The answer to a registration.
#[derive(Debug)]
pub struct Registered {
    /// What was decided.
    pub decided: Decided,
    /// The task and its handle; `None` unless granted.
    pub task: Option<(TaskView, crate::seal::handle::TaskHandle)>,
}

/// The answer to an amendment.
#[derive(Debug)]
pub struct Amended {
    /// What was decided.
    pub decided: Decided,
    /// The task as it stands now.
    pub task: TaskView,
}

/// The answer to a request or a renewal.
#[derive(Debug)]
pub struct Answered {
    /// What was decided.
    pub decided: Decided,
    /// The grant and its token; `None` unless granted or narrowed.
    pub grant: Option<(GrantView, Token)>,
    /// Position of the event that holds the decision.
    pub position: u64,
}

/// The answer to an end.
#[derive(Debug)]
pub struct Ended {
    /// The task as it stands now.
    pub task: TaskView,
    /// Grants that were revoked by it, sub-tasks included.
    pub grants_revoked: u32,
    /// Position of the event.
    pub position: u64,
}

/// The answer to a revocation.
#[derive(Debug, Clone, Copy)]
pub struct RevokedCount {
    /// Grants that were revoked by it.
    pub grants_revoked: u32,
    /// Position of the event; of the block that stands, or 0, when there was nothing left to revoke.
    pub position: u64,
    /// True when a block stands from now on.
    pub blocked: bool,
}

/// The answer to a report.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    /// Position of the event.
    pub position: u64,
    /// Risk of the task after it, 0 to 100.
    pub risk: u8,
    /// Its band.
    pub band: Band,
    /// Live grants that were suspended by it.
    pub grants_suspended: u32,
    /// Live grants that were revoked by it.
    pub grants_revoked: u32,
}

/// The answer to an activation.
#[derive(Debug, Clone)]
pub struct Activated {
    /// Digest of the bundle, hexadecimal.
    pub digest: String,
    /// Its revision.
    pub revision: u64,
    /// Position of the event.
    pub position: u64,
    /// Live grants that were suspended by it.
    pub grants_suspended: u32,
    /// Live grants that were revoked by it.
    pub grants_revoked: u32,
    /// Families whose live grants could not be decided again yet.
    pub families_owed: u32,
    /// For whom the bundle only observes; `None` when it is enforced.
    pub observing: Option<Observing>,
    /// Who answers for the bundle, as its manifest says.
    pub owner: String,
    /// Whose signatures held.
    pub signed_by: Vec<Signer>,
    /// The person who had proposed it; empty unless two were needed.
    pub proposed_by: String,
    /// When the same files had been in force before others were.
    pub returns_to: Option<Before>,
}

/// A block that stands.
#[derive(Debug, Clone)]
pub struct BlockView {
    /// What it is about.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Position of the event.
    pub position: u64,
}

/// One message of a watch.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// Nothing happened up to that position; the view is fresh.
    Heartbeat {
        /// Everything up to here has been told.
        position: u64,
        /// When.
        time: Timestamp,
    },
    /// What was told before is void; what follows is the whole.
    Reset {
        /// When.
        time: Timestamp,
    },
    /// A token's standing changed.
    Change {
        /// Everything up to here has been told. The position of the event itself with the last of its changes only.
        told: u64,
        /// The change.
        change: GrantChange,
    },
}

/// A token's standing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantChange {
    /// Position of the event that changed it.
    pub position: u64,
    /// When.
    pub time: Timestamp,
    /// The token.
    pub jti: Jti,
    /// Its grant.
    pub grant: GrantId,
    /// Its task.
    pub task: TaskId,
    /// The resource server.
    pub audience: Audience,
    /// Where it stands now.
    pub standing: GrantStanding,
    /// When the token dies anyway.
    pub expires: Timestamp,
}

/// The causes of a standing, for edges.
#[must_use]
pub fn causes(standing: &GrantStanding) -> Vec<SuspensionCause> {
    match standing {
        GrantStanding::Open(causes) => causes.iter().copied().collect(),
        GrantStanding::Revoked | GrantStanding::Released => Vec::new(),
    }
}
