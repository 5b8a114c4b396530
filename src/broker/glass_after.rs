//! What people do about break-glass once it was opened: close it before its time, and close its post-review.

use crate::broker::approve::owners;
use crate::broker::ask::{CloseBreakGlass, ReviewBreakGlass};
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::glasses::Glass;
use crate::broker::record::{event, family_stream};
use crate::broker::routing::Directory;
use crate::broker::state::State;
use crate::broker::words::{self, Context, Sentence};
use crate::broker::{Broker, ending, ordinary};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::glass::GlassVerdict;
use crate::model::id::{GlassId, InitiatorName, TaskId};
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::break_glass_reviewed::Verdict;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::seal::sealer::COMMON;

const CLOSE: &str = "CloseBreakGlass";
const REVIEW: &str = "ReviewBreakGlass";
/// Most overdue reviews that are told in one sweep.
const OVERDUE_MAX: usize = 256;

impl Broker {
    /// Closes a glass before its time; what was granted through it is revoked. Returns it, how many grants were revoked, and the
    /// position of the event.
    ///
    /// # Errors
    /// `NotFound` for who may see none; `NotPermitted` for anybody but who opened it and who may revoke; `Precondition` when it is
    /// over.
    pub async fn close_break_glass(
        &self,
        caller: &Caller,
        ask: CloseBreakGlass,
    ) -> Result<(v1::BreakGlass, u32, u64), BrokerError> {
        let _place = self.enter_to_end(caller)?;
        check_text("reason", &ask.reason)?;
        let root = self.root_of_glass(caller, ask.id)?;
        let context = Context { kind: "glass-closed", id: &ask.id.to_string() };
        let sealed = self.seal_reason(&family_stream(root), context, &ask.reason);
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                let glass = state.glasses.find(ask.id).ok_or(NO_SUCH)?;
                let code = match caller {
                    Caller::Person(_) if state.is_shut_out(caller) => Some(ReasonCode::Blocked),
                    Caller::Person(person) if glass.by == *person.name() || person.may(Right::Revoke) => None,
                    Caller::Person(_) => Some(ReasonCode::RightMissing),
                    Caller::Workload(_) | Caller::Operator { .. } => Some(ReasonCode::MethodNotAllowed),
                };
                if let Some(code) = code {
                    self.note_refused(caller, CLOSE, code, Some(glass.task));
                    return Err(BrokerError::NotPermitted { code });
                }
                if !glass.is_open(self.now(&state)) {
                    return Err(over(ReasonCode::BreakGlassClosed, glass));
                }
                let payload = pb::BreakGlassClosed {
                    glass_id: ask.id.to_string(),
                    task_id: glass.task.to_string(),
                    grant_ids: glass.grants.iter().map(ToString::to_string).collect(),
                    sealed: sealed.clone(),
                };
                let payload = Payload::BreakGlassClosed(payload);
                let event = event(family_stream(root), caller.actor(), &no_context(), payload);
                Ok(ending(event, expects(&state, [GuardKey::glass(&ask.id)])))
            })
            .await?;
        let position = committed.last();
        tracing::warn!(glass = %ask.id, by = %caller.id(), "break-glass was closed");
        Ok((self.shown_glass(ask.id).await?, self.tally(position).revoked, position))
    }

    /// Closes the post-review of a glass that is over. Returns it and the position of the event.
    ///
    /// # Errors
    /// `NotPermitted` for who may not approve, opened it, initiated its task or answers for its agent; `Unauthenticated` for a stale
    /// login; `Precondition` while it is open, and when it was reviewed.
    pub async fn review_break_glass(
        &self,
        caller: &Caller,
        ask: ReviewBreakGlass,
    ) -> Result<(v1::BreakGlass, u64), BrokerError> {
        let _place = self.enter(caller)?;
        check_text("note", &ask.note)?;
        if ask.note.trim().is_empty() {
            return Err(BrokerError::invalid("note", "missing"));
        }
        let root = self.root_of_glass(caller, ask.id)?;
        let context = Context { kind: "glass-reviewed", id: &ask.id.to_string() };
        let note = Sentence { text: ask.note.clone() };
        // The words of the task may be erased with their key before somebody reviews it. Without its note a review is none.
        let sealed = words::seal(&self.0.sealer, root, context, &note)
            .or_else(|_| words::seal(&self.0.sealer, COMMON, context, &note))?;
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                let glass = state.glasses.find(ask.id).ok_or(NO_SUCH)?;
                let Caller::Person(person) = caller else {
                    return Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed });
                };
                self.may_change(&state, caller, (REVIEW, Right::Approve))?;
                if !is_independent((&state, &self.0.settings.directory), person.name(), glass) {
                    let code = ReasonCode::NotIndependent;
                    self.note_refused(caller, REVIEW, code, Some(glass.task));
                    return Err(BrokerError::NotPermitted { code });
                }
                if glass.review.is_some() {
                    return Err(over(ReasonCode::BreakGlassReviewed, glass));
                }
                if glass.is_open(self.now(&state)) {
                    return Err(over(ReasonCode::BreakGlassOpen, glass));
                }
                let verdict = match ask.verdict {
                    GlassVerdict::Justified => Verdict::Justified,
                    GlassVerdict::Unjustified => Verdict::Unjustified,
                };
                let payload = pb::BreakGlassReviewed {
                    glass_id: ask.id.to_string(),
                    task_id: glass.task.to_string(),
                    verdict: verdict.into(),
                    sealed: sealed.clone(),
                };
                let payload = Payload::BreakGlassReviewed(payload);
                let event = event(family_stream(root), caller.actor(), &no_context(), payload);
                let keys = [GuardKey::glass(&ask.id), GuardKey::policy(), GuardKey::initiator(person.name())];
                Ok(ordinary(event, expects(&state, keys)))
            })
            .await?;
        tracing::warn!(glass = %ask.id, by = %caller.id(), found = ask.verdict.as_str(), "break-glass was reviewed");
        Ok((self.shown_glass(ask.id).await?, committed.last()))
    }

    /// Records which post-reviews nobody has closed in time, each once.
    pub(in crate::broker) async fn record_overdue_reviews(&self, now: Timestamp) -> Result<(), BrokerError> {
        let overdue: Vec<GlassId> = self.0.known.look().glasses.overdue_untold(now).take(OVERDUE_MAX).collect();
        for id in overdue {
            let entry = {
                let state = self.0.known.look();
                let glass = state.glasses.find(id).filter(|glass| !glass.overdue_told && glass.is_overdue(now));
                let Some(glass) = glass else { continue };
                let payload = pb::BreakGlassReviewOverdue {
                    glass_id: id.to_string(),
                    task_id: glass.task.to_string(),
                    review_by_ms: glass.review_by.as_millis(),
                };
                let payload = Payload::BreakGlassReviewOverdue(payload);
                let event = event(family_stream(glass.root), broker_actor(), &no_context(), payload);
                ordinary(event, expects(&state, [GuardKey::glass(&id)]))
            };
            // Who reviews it at this moment was in time after all; otherwise the next sweep looks again.
            if self.append(entry).await?.is_some() {
                tracing::warn!(glass = %id, "the post-review of break-glass is overdue");
            }
        }
        Ok(())
    }

    /// The family whose key seals what is said of it, when the caller may see it.
    fn root_of_glass(&self, caller: &Caller, id: GlassId) -> Result<TaskId, BrokerError> {
        let state = self.0.known.look();
        // Who opened it ends it, whatever became of his rights since.
        let own = |glass: &Glass| matches!(caller, Caller::Person(person) if glass.by == *person.name());
        let glass = state.glasses.find(id).filter(|glass| sees_glasses(caller) || own(glass));
        glass.map(|glass| glass.root).ok_or(NO_SUCH)
    }
}

/// True for who may see what was opened: who reads, and all who may have something to do about it.
pub(in crate::broker) fn sees_glasses(caller: &Caller) -> bool {
    [Right::Read, Right::Revoke, Right::Approve, Right::BreakGlass].into_iter().any(|right| caller.has(right))
}

/// True when that person neither opened it, nor is whom the task runs for, nor answers for those who work on it. Without a bundle
/// nobody knows who does.
fn is_independent((state, directory): (&State, &Directory), person: &InitiatorName, glass: &Glass) -> bool {
    let Some(owners) = owners(state, glass.task) else { return false };
    let bundle = state.policy.as_ref().and_then(|policy| policy.bundle.as_ref());
    // The task may be forgotten by now, with those above it; its agent is not, nor who answered for them then.
    let owner = bundle.and_then(|bundle| bundle.identities().identify(&glass.agent)?.owner.clone());
    let mut all =
        glass.owners.iter().chain(&owners).map(String::as_str).chain(owner.iter().map(|owner| owner.as_str()));
    glass.by != *person && glass.initiator != *person && !all.any(|owner| directory.is_of(person, owner))
}

fn expects<const N: usize>(state: &State, keys: [GuardKey; N]) -> Vec<Expect> {
    keys.map(|key| Expect { key, at: state.marks.at(&key) }).to_vec()
}

fn over(code: ReasonCode, glass: &Glass) -> BrokerError {
    BrokerError::Precondition { code, decision: Some(glass.decision) }
}

fn check_text(field: &'static str, text: &str) -> Result<(), BrokerError> {
    if text.len() > REASON_BYTES_MAX {
        return Err(BrokerError::above_limit(field, format!("longer than {REASON_BYTES_MAX} bytes")));
    }
    Ok(())
}

pub(in crate::broker) const NO_SUCH: BrokerError = BrokerError::NotFound { what: "break-glass" };
