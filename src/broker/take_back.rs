//! Taking an approval back. What was granted by it is revoked. What an amendment by it added is the task's no more, and whatever was
//! granted to the task, and to those below it, since then is revoked: it was decided with that in mind.

use crate::broker::approvals::ApprovalStanding;
use crate::broker::approve::{NO_SUCH, check_reason, closed, expect_family, visible};
use crate::broker::ask::WithdrawApproval;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{event, family_stream};
use crate::broker::state::{State, Task};
use crate::broker::words::{self, AmendWords, Context, TaskWords};
use crate::broker::{Broker, ending};
use crate::intent::compare;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::approval::Verdict;
use crate::model::ceiling::Ceiling;
use crate::model::facts::{AmendFacts, Facts};
use crate::model::id::{ApprovalId, GrantId, TaskId};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

const WITHDRAW: &str = "WithdrawApproval";

/// An amendment that used an approval up.
struct Extension {
    /// Position of its event.
    at: u64,
    /// What the task had before; `None` when the words were erased, and with them those of the task.
    before: Option<AmendFacts>,
    /// The ceiling that it put in place; `None` when it was about the deadline alone, or changed nothing of the ceiling.
    asked: Option<Ceiling>,
}

impl Broker {
    /// Takes back an approval that was given, or is being given; what was granted by it is revoked, and what an amendment by it added is
    /// taken back. Returns the approval, how many grants were revoked, and the position of the last event.
    ///
    /// # Errors
    /// `NotFound` when it is not for the caller; `NotPermitted` for who is blocked; `Precondition` when there is nothing to take
    /// back.
    pub async fn withdraw_approval(
        &self,
        caller: &Caller,
        ask: WithdrawApproval,
    ) -> Result<(v1::Approval, u32, u64), BrokerError> {
        let mut entered = self.enter_to_end(caller)?;
        check_reason(&ask.reason)?;
        let root = self.sought(caller, ask.id, WITHDRAW)?.root;
        let context = Context { kind: "withdrawn", id: &ask.id.to_string() };
        let sealed = self.seal_reason(&family_stream(root), context, &ask.reason);
        // Once it was used it stays used, so a second look is the last that may find something else.
        let mut extension = None;
        let (extended, position) = loop {
            let withdrawn = pb::ApprovalWithdrawn {
                approval_id: ask.id.to_string(),
                sealed: sealed.clone(),
                ..pb::ApprovalWithdrawn::default()
            };
            let looked = self.settle(|| self.withdrawal(caller, ask.id, &withdrawn, extension.as_ref())).await;
            match looked {
                Ok(committed) => break (extension.is_some(), committed.last()),
                Err(BrokerError::Conflict) if extension.is_none() => {
                    // It reads the journal.
                    drop(entered.leave());
                    extension = self.extension_by(ask.id, root).await?;
                    if extension.is_none() {
                        return Err(BrokerError::Conflict);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        let mut revoked = self.tally(position).revoked;
        if extended {
            drop(entered.leave());
            let (this, actor) = (self.clone(), caller.actor());
            // Goes on when the caller goes away.
            let again = tokio::spawn(async move { this.reconsider(root, position, &actor).await });
            revoked = revoked.saturating_add(again.await.map_err(BrokerError::internal)??.revoked);
        }
        Ok((self.approval(caller, ask.id).await?, revoked, position))
    }

    /// What takes it back, as it stands now. `Conflict` when it was used by an amendment that was not looked at yet.
    fn withdrawal(
        &self,
        caller: &Caller,
        id: ApprovalId,
        withdrawn: &pb::ApprovalWithdrawn,
        extension: Option<&Extension>,
    ) -> Result<crate::journal::entry::Entry, BrokerError> {
        let state = self.0.known.look();
        let (approval, task) = visible(&state, caller, id).ok_or(NO_SUCH)?;
        self.may_withdraw(&state, caller, task)?;
        let mut taken_back = None;
        let grant = match approval.standing {
            ApprovalStanding::Used(grant) => Some(grant),
            ApprovalStanding::Answered(Verdict::Approved) => None,
            ApprovalStanding::Pending if !approval.votes.is_empty() => None,
            ApprovalStanding::Extended(at) => {
                taken_back = Some(extension.filter(|known| known.at == at).ok_or(BrokerError::Conflict)?);
                None
            }
            _ => return Err(closed(ReasonCode::ApprovalClosed, approval)),
        };
        // Of a task that has ended nothing is left to take back.
        let taken_back = taken_back.filter(|_| !task.state.is_ended());
        let ended = taken_back.map(|extension| state.granted_since(approval.task, extension.at).len());
        let payload = pb::ApprovalWithdrawn {
            task_id: approval.task.to_string(),
            grant_id: grant.map(|id: GrantId| id.to_string()).unwrap_or_default(),
            extended_at: taken_back.map(|extension| extension.at).unwrap_or_default(),
            grants_revoked: ended.and_then(|ended| u32::try_from(ended).ok()).unwrap_or_default(),
            ..withdrawn.clone()
        };
        let stream = family_stream(task.root);
        let withdrawal = event(stream.clone(), caller.actor(), &no_context(), Payload::ApprovalWithdrawn(payload));
        let mut entry = ending(withdrawal, vec![expect_family(&state, task.root)]);
        let Some(extension) = taken_back else { return Ok(entry) };
        let key = GuardKey::task(&approval.task);
        entry.expects.push(Expect { key, at: state.marks.at(&key) });
        let (task_id, task) = (approval.task, task.clone());
        drop(state);
        let payload = self.taken_back(id, task_id, &task, extension)?;
        let payload = Payload::ExtensionTakenBack(payload);
        entry.events.push(event(stream, caller.actor(), &no_context(), payload));
        Ok(entry)
    }

    /// What the task has from then on: of its ceiling what both it and the one before allow, of the deadlines the earlier.
    fn taken_back(
        &self,
        id: ApprovalId,
        task_id: TaskId,
        task: &Task,
        extension: &Extension,
    ) -> Result<pb::ExtensionTakenBack, BrokerError> {
        let mut payload = pb::ExtensionTakenBack {
            task_id: task_id.to_string(),
            approval_id: id.to_string(),
            extended_at: extension.at,
            ..pb::ExtensionTakenBack::default()
        };
        let Some(before) = &extension.before else { return Ok(payload) };
        if before.deadline > before.deadline_before && before.deadline_before < task.deadline {
            payload.deadline_ms = before.deadline_before.as_millis();
        }
        let (Some(words), Some(asked)) = (&task.words, &extension.asked) else { return Ok(payload) };
        if let Some(left) = left_of(words, before, asked, task.parent.is_none()) {
            let context = Context { kind: "taken-back", id: &id.to_string() };
            payload.sealed = words::seal(&self.0.sealer, task.root, context, &left)?;
        }
        Ok(payload)
    }

    /// The amendment that used it up; `None` when none did.
    async fn extension_by(&self, id: ApprovalId, root: TaskId) -> Result<Option<Extension>, BrokerError> {
        let standing = self.0.known.look().approvals.find(id).map(|approval| approval.standing);
        let Some(ApprovalStanding::Extended(at)) = standing else { return Ok(None) };
        if self.0.sealer.is_erased(root) {
            return Ok(Some(Extension { at, before: None, asked: None }));
        }
        let (facts, of_ceiling) = self.reading(move |this| this.amendment_at(at, root)).await?;
        let known = facts.registration.and_then(|asked| Some((asked.amends?, asked.ceiling)));
        let (before, ceiling) = known.ok_or_else(|| BrokerError::internal(NoAmendmentError(at)))?;
        let whole = before.declared_before && before.grounds_before.is_none();
        let changes = |asked: &Ceiling| before.ceiling_before.as_ref() != Some(asked) || !whole;
        let asked = ceiling.filter(|asked| of_ceiling && changes(asked));
        Ok(Some(Extension { at, before: Some(before), asked }))
    }

    /// What an amendment was decided by, and whether a ceiling came with it: the facts name one either way.
    fn amendment_at(&self, at: u64, root: TaskId) -> Result<(Facts, bool), BrokerError> {
        let recorded = self.0.journal.read(at).map_err(BrokerError::unavailable)?;
        let Some(Payload::TaskAmended(pb::TaskAmended { decision: Some(decision), sealed, .. })) =
            recorded.event.payload
        else {
            return Err(BrokerError::internal(NoAmendmentError(at)));
        };
        Ok((self.decision_words(root, &decision)?.facts, !sealed.is_empty()))
    }

    fn may_withdraw(&self, state: &State, caller: &Caller, task: &Task) -> Result<(), BrokerError> {
        let concerned = caller.initiated(task) || caller.has(Right::Approve);
        let code = match caller {
            Caller::Person(_) if state.is_shut_out(caller) => ReasonCode::Blocked,
            Caller::Person(_) if concerned => return Ok(()),
            Caller::Person(_) => ReasonCode::RightMissing,
            Caller::Workload(_) | Caller::Operator { .. } => ReasonCode::MethodNotAllowed,
        };
        self.note_refused(caller, WITHDRAW, code, None);
        Err(BrokerError::NotPermitted { code })
    }
}

/// What is left of the task's ceiling, and of that what is ground; `None` when nothing changes. All that limits the task now goes on doing
/// so, whoever added it since; what was no ground before the extension, or without a ceiling before all of it, is none any more.
fn left_of(words: &TaskWords, before: &AmendFacts, asked: &Ceiling, is_root: bool) -> Option<AmendWords> {
    let now = words.ceiling.as_ref()?;
    let (ceiling, ground) = match &before.ceiling_before {
        None => (now.clone(), None),
        Some(had) => {
            let left = compare::taken_back(now, had);
            let ground_before = before.grounds_before.as_ref().unwrap_or(had);
            let ground = words.declared().filter(|_| before.declared_before);
            let ground = ground.map(|ground| compare::still_ground(&left, ground, ground_before));
            (left, ground)
        }
    };
    let by_orchestrator = ground.is_some();
    // Only a root's ceiling was ground.
    let named = [Some(asked), words.declared()].into_iter().flatten().filter(|_| is_root);
    let named_no_more = compare::named_no_more(named, ground.as_ref());
    let grounds = ground.filter(|ground| !compare::grounds(&ceiling, Some(ground)).is_empty());
    let changes = ceiling != *now || by_orchestrator != words.by_orchestrator || grounds != words.grounds;
    let gone = !named_no_more.is_empty();
    (changes || gone).then_some(AmendWords { ceiling, by_orchestrator, grounds, named_no_more })
}

/// The record holds something else at that position.
#[derive(Debug, thiserror::Error)]
#[error("position {0} holds no amendment that says what the task had before")]
struct NoAmendmentError(u64);
