//! What tasks, grants and decisions look like on the wire.

use crate::broker::amend_asking::wire_ceiling;
use crate::broker::answer::{Decided, Difference, GrantView, TaskView, causes};
use crate::broker::record::{wire_band, wire_outcome};
use crate::grpc::codec::access::access_shown;
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::v1;

/// A point in time.
pub(in crate::grpc) fn time(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// A decision, as its caller may see it.
pub(in crate::grpc) fn decision(decided: Decided) -> v1::Decision {
    let reasons = decided.reasons.into_iter().map(|(code, access)| v1::Reason {
        code: code.as_str().to_owned(),
        message: code.for_agent().to_owned(),
        access,
    });
    v1::Decision {
        decision_id: decided.id.to_string(),
        outcome: wire_outcome(decided.outcome).into(),
        reasons: reasons.collect(),
        differences: decided.differences.into_iter().map(difference).collect(),
        band: wire_band(decided.band).into(),
        approvals_needed: decided.approvals_needed,
        approval_id: decided.approval.map(|id| id.to_string()).unwrap_or_default(),
        break_glass_id: decided.glass.map(|id| id.to_string()).unwrap_or_default(),
        observed_only: decided.would_be.is_some(),
        would_be: decided.would_be.map_or(0, |outcome| wire_outcome(outcome).into()),
    }
}

fn difference(difference: Difference) -> v1::Difference {
    v1::Difference {
        what: difference.what,
        access: difference.entry,
        asked: difference.asked,
        granted: difference.granted,
    }
}

/// A task.
pub(in crate::grpc) fn task(task: TaskView) -> v1::Task {
    v1::Task {
        task_id: task.id.to_string(),
        state: task_state(task.state).into(),
        agent: task.agent.to_string(),
        orchestrator: task.orchestrator.to_string(),
        initiator: task.initiator.name.to_string(),
        initiator_verified: task.initiator.verified,
        parent_task_id: task.parent.map(|id| id.to_string()).unwrap_or_default(),
        intent: task.intent,
        ceiling: task.ceiling.as_ref().map(wire_ceiling),
        created: Some(time(task.created)),
        deadline: Some(time(task.deadline)),
        depth: task.depth,
        open_grants: task.open_grants,
        unattended: task.unattended,
    }
}

const fn task_state(state: TaskState) -> v1::TaskState {
    match state {
        TaskState::Active => v1::TaskState::Active,
        TaskState::Paused => v1::TaskState::Paused,
        TaskState::Completed => v1::TaskState::Completed,
        TaskState::Cancelled => v1::TaskState::Cancelled,
        TaskState::Expired => v1::TaskState::Expired,
    }
}

/// A grant.
pub(in crate::grpc) fn grant(grant: GrantView) -> v1::Grant {
    v1::Grant {
        grant_id: grant.id.to_string(),
        task_id: grant.task.to_string(),
        jti: grant.jti.to_string(),
        state: grant_state(&grant.standing, grant.expired).into(),
        causes: causes(&grant.standing).into_iter().map(|c| suspension_cause(c).into()).collect(),
        audience: grant.audience.to_string(),
        agent: grant.agent.to_string(),
        access: grant.access.into_iter().map(access_shown).collect(),
        issued: Some(time(grant.issued)),
        expires: Some(time(grant.expires)),
        decision_id: grant.decision.to_string(),
    }
}

/// Where a grant stands: what ended it comes first, then its expiry, then what suspends it.
pub(in crate::grpc) fn grant_state(standing: &GrantStanding, expired: bool) -> v1::GrantState {
    match standing {
        GrantStanding::Revoked => v1::GrantState::Revoked,
        GrantStanding::Released => v1::GrantState::Released,
        GrantStanding::Open(_) if expired => v1::GrantState::Expired,
        GrantStanding::Open(causes) if causes.is_empty() => v1::GrantState::Live,
        GrantStanding::Open(_) => v1::GrantState::Suspended,
    }
}

const fn suspension_cause(cause: SuspensionCause) -> v1::SuspensionCause {
    match cause {
        SuspensionCause::Paused => v1::SuspensionCause::Paused,
        SuspensionCause::Drift => v1::SuspensionCause::Drift,
        SuspensionCause::TrustWithdrawn => v1::SuspensionCause::TrustWithdrawn,
    }
}
