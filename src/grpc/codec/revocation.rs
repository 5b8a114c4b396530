//! Targets of revocations and blocks, and the messages of a watch.

use crate::broker::answer::{BlockView, WatchEvent};
use crate::broker::ask::Target;
use crate::broker::error::BrokerError;
use crate::grpc::codec::answer::{grant_state, time};
use crate::grpc::codec::field;
use crate::pb::v1;
use crate::pb::v1::target::Target as Kind;
use crate::pb::v1::watch_response::Body;

/// What a revocation is about.
pub(in crate::grpc) fn target(target: Option<v1::Target>) -> Result<Target, BrokerError> {
    let kind = target.and_then(|t| t.target).ok_or_else(|| BrokerError::invalid("target", "missing"))?;
    Ok(match kind {
        Kind::GrantId(id) => Target::Grant(field::id("target.grant_id", &id)?),
        Kind::TaskId(id) => Target::Task(field::id("target.task_id", &id)?),
        Kind::Agent(id) => Target::Agent(field::spiffe_id("target.agent", &id)?),
        Kind::Initiator(name) => Target::Initiator(field::id("target.initiator", &name)?),
        Kind::Audience(name) => Target::Audience(field::id("target.audience", &name)?),
        Kind::Everything(v1::Everything {}) => Target::Everything,
    })
}

fn target_shown(target: &Target) -> v1::Target {
    let kind = match target {
        Target::Grant(id) => Kind::GrantId(id.to_string()),
        Target::Task(id) => Kind::TaskId(id.to_string()),
        Target::Agent(id) => Kind::Agent(id.to_string()),
        Target::Initiator(name) => Kind::Initiator(name.to_string()),
        Target::Audience(name) => Kind::Audience(name.to_string()),
        Target::Everything => Kind::Everything(v1::Everything {}),
    };
    v1::Target { target: Some(kind) }
}

/// A block that stands.
pub(in crate::grpc) fn block(block: BlockView) -> v1::Block {
    v1::Block {
        target: Some(target_shown(&block.target)),
        reason: block.reason,
        since: Some(time(block.since)),
        position: block.position,
    }
}

/// One message of a watch.
pub(in crate::grpc) fn watched(event: WatchEvent) -> v1::WatchResponse {
    let (position, at, body) = match event {
        WatchEvent::Heartbeat { position, time } => (position, time, Body::Heartbeat(v1::Heartbeat {})),
        WatchEvent::Reset { time } => (0, time, Body::Reset(v1::Reset {})),
        WatchEvent::Change { told, change } => {
            let body = Body::Change(v1::GrantChange {
                jti: change.jti.to_string(),
                grant_id: change.grant.to_string(),
                task_id: change.task.to_string(),
                state: grant_state(&change.standing, false).into(),
                expires: Some(time(change.expires)),
                position: change.position,
            });
            (told, change.time, body)
        }
    };
    v1::WatchResponse { position, time: Some(time(at)), body: Some(body) }
}
