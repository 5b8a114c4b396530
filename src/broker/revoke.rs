//! Revoke, lift a block, list blocks.

use crate::broker::answer::{BlockView, RevokedCount};
use crate::broker::ask::Target;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::hidden::Sought;
use crate::broker::record::{SYSTEM_STREAM, event, family_stream};
use crate::broker::state::{Block, State};
use crate::broker::words::Context;
use crate::broker::{Broker, ending, ordinary};
use crate::model::id::TaskId;
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// Most approvals that the block of a person names: who has given more is looked up in the queue.
const UNSAID_MAX: usize = 64;
/// What refusals name.
const RPC: &str = "Revoke";

impl Broker {
    /// Revokes what `target` names, with everything below it; returns when that is durable and published. Revoking an agent,
    /// an initiator, an audience or everything leaves a block until it is lifted. Revoking what is revoked changes nothing: it
    /// is answered with what stands, and does not take of what is held back for ends.
    ///
    /// # Errors
    /// `NotFound` when the grant or task is not the caller's; `NotPermitted` when the caller may not revoke such a target.
    pub async fn revoke(&self, caller: &Caller, target: Target, reason: String) -> Result<RevokedCount, BrokerError> {
        let _place = self.enter_to_end(caller)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("reason", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        let stream = {
            let state = self.0.known.look();
            let task = self.may_revoke(&state, caller, &target)?;
            if let Some(position) = state.is_revoked(&target) {
                return Ok(RevokedCount { grants_revoked: 0, position, blocked: target.blocks() });
            }
            let root = task.and_then(|id| state.tasks.get(&id)).map(|t| t.root);
            root.map_or_else(|| stream_of(&target), family_stream)
        };
        let payload = pb::Revoked {
            target_kind: target.kind().to_owned(),
            target: target.name(),
            sealed: self.seal_reason(&stream, Context { kind: "revoked", id: &target.name() }, &reason),
            blocks: target.blocks(),
            ..self.unsaid_under(&target)
        };
        let event = event(stream, caller.actor(), &no_context(), Payload::Revoked(payload));
        let committed = self.settle(|| Ok(ending(event.clone(), Vec::new()))).await?;
        let position = committed.last();
        Ok(RevokedCount { grants_revoked: self.tally(position).revoked, position, blocked: target.blocks() })
    }

    /// Lifts a block. What it revoked stays revoked. Returns the position of the event.
    ///
    /// # Errors
    /// `NotFound` when no such block stands; `NotPermitted` or `Unauthenticated` for anybody but the operator and a person who may
    /// revoke, is not blocked and authenticated freshly.
    pub async fn lift_block(&self, caller: &Caller, target: Target, reason: String) -> Result<u64, BrokerError> {
        let _place = self.enter(caller)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(BrokerError::above_limit("reason", format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        {
            let state = self.0.known.look();
            self.may_change(&state, caller, ("LiftBlock", Right::Revoke))?;
            if !state.blocks.contains_key(&target) {
                return Err(BrokerError::NotFound { what: "block" });
            }
        }
        let stream = stream_of(&target);
        let sealed = self.seal_reason(&stream, Context { kind: "lifted", id: &target.name() }, &reason);
        let payload = pb::BlockLifted { target_kind: target.kind().to_owned(), target: target.name(), sealed };
        let event = event(stream, caller.actor(), &no_context(), Payload::BlockLifted(payload));
        let committed = self.settle(|| Ok(ordinary(event.clone(), Vec::new()))).await?;
        Ok(committed.last())
    }

    /// The blocks that stand.
    ///
    /// # Errors
    /// When the reason of one does not open.
    pub fn list_blocks(&self, _caller: &Caller) -> Result<Vec<BlockView>, BrokerError> {
        let blocks = self.0.known.look().blocks.clone();
        let view = |(target, block): (Target, Block)| {
            let context = Context { kind: "revoked", id: &target.name() };
            let reason = self.open_reason(&stream_of(&target), context, &block.sealed_reason);
            Ok(BlockView {
                reason: reason.map_err(BrokerError::unavailable)?,
                since: block.since,
                position: block.position,
                target,
            })
        };
        blocks.into_iter().map(view).collect()
    }

    /// The approvals to which a person said yes who is blocked now: so that those are told who wait for them.
    fn unsaid_under(&self, target: &Target) -> pb::Revoked {
        let Target::Initiator(person) = target else { return pb::Revoked::default() };
        let said = self.0.known.look().approvals.said_by(person);
        pb::Revoked {
            unsaid: said.iter().take(UNSAID_MAX).map(ToString::to_string).collect(),
            unsaid_count: u32::try_from(said.len()).unwrap_or(u32::MAX),
            ..pb::Revoked::default()
        }
    }

    /// The task that the target belongs to, when the caller may revoke it.
    fn may_revoke(&self, state: &State, caller: &Caller, target: &Target) -> Result<Option<TaskId>, BrokerError> {
        let (task, what) = match target {
            Target::Grant(id) => (state.grants.get(id).map(|grant| grant.task), "grant"),
            Target::Task(id) => (state.tasks.contains_key(id).then_some(*id), "task"),
            Target::Agent(_) | Target::Initiator(_) | Target::Audience(_) | Target::Everything => {
                // It leaves a block, which stays until somebody lifts it.
                return self.may_change(state, caller, (RPC, Right::Revoke)).map(|()| None);
            }
        };
        let task = task.ok_or(BrokerError::NotFound { what })?;
        if !caller.has(Right::Revoke) && !self.may_see(state, caller, task, None) {
            return Err(self.hidden(state, caller, task, Sought { rpc: RPC, what }));
        }
        // To see it is not to end it, for a person.
        let own = state.tasks.get(&task).is_some_and(|task| caller.initiated(task));
        let code = match caller {
            Caller::Person(_) if !own && !caller.has(Right::Revoke) => ReasonCode::RightMissing,
            Caller::Person(_) if state.is_shut_out(caller) => ReasonCode::Blocked,
            _ => return Ok(Some(task)),
        };
        self.note_refused(caller, RPC, code, Some(task));
        Err(BrokerError::NotPermitted { code })
    }
}

impl State {
    /// When nothing of it is left to revoke: the position of the block that stands for it, 0 where none is due. What is only
    /// past its end by the clock is not revoked: another clock may not have come so far.
    fn is_revoked(&self, target: &Target) -> Option<u64> {
        if target.blocks() {
            let block = self.blocks.get(target)?;
            return self.grants_under(target).is_empty().then_some(block.position);
        }
        let ended = match target {
            Target::Task(id) => self.tasks.get(id).is_some_and(|task| task.state.is_ended()),
            _ => true,
        };
        (ended && self.grants_under(target).is_empty()).then_some(0)
    }
}

fn stream_of(target: &Target) -> String {
    match target {
        Target::Agent(_) | Target::Initiator(_) => format!("identity/{}", target.name()),
        _ => SYSTEM_STREAM.to_owned(),
    }
}
