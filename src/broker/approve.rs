//! People answer: they approve or deny what they were shown. Nothing is granted here; the next try of who asked finds the answer.

use std::collections::BTreeSet;

use crate::broker::amend_asking::Side;
use crate::broker::approvals::{About, Approval, ApprovalStanding};
use crate::broker::approving::{PolicyWord, refused_by_policy};
use crate::broker::ask::AnswerApproval;
use crate::broker::asking::Of;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::denials::RecordedShape;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::grants::AskedOfPeople;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::routing::{self, Directory};
use crate::broker::state::{State, Task};
use crate::broker::words::{self, Context};
use crate::broker::{Broker, ordinary};
use crate::identity::people::VerifiedPerson;
use crate::journal::entry::Entry;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::decision::Outcome;
use crate::model::id::{ApprovalId, InitiatorName, TaskId};
use crate::model::limits::REASON_BYTES_MAX;
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::approval_answered::Verdict as Said;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

const ANSWER: &str = "AnswerApproval";

impl Broker {
    /// Approves or denies what was shown. Returns the approval as it stands then, and the position of the event.
    ///
    /// # Errors
    /// `NotFound` when it is not for the caller; `NotPermitted` when somebody else must answer; `Unauthenticated` when the login is
    /// too old; `Precondition` when it was answered, or is not what was shown any more.
    pub async fn answer_approval(
        &self,
        caller: &Caller,
        ask: AnswerApproval,
    ) -> Result<(v1::Approval, u64), BrokerError> {
        let _place = self.enter(caller)?;
        check_reason(&ask.reason)?;
        let root = self.sought(caller, ask.id, ANSWER)?.root;
        let shapes = match ask.verdict {
            Verdict::Denied => self.sealed_shapes(ask.id).await?,
            Verdict::Approved | Verdict::Unanswered => bytes::Bytes::new(),
        };
        let context = Context { kind: "answer", id: &ask.id.to_string() };
        let sealed = self.seal_reason(&family_stream(root), context, &ask.reason);
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                let (approval, _) = visible(&state, caller, ask.id).ok_or(NO_SUCH)?;
                let now = self.now(&state);
                let directory = &self.0.settings.directory;
                let refused = match may_answer((&state, directory), caller, approval, ask.verdict) {
                    Err(code) => Some(BrokerError::NotPermitted { code }),
                    Ok(person) if is_stale(person, approval, (ask.verdict, now)) => {
                        Some(BrokerError::Unauthenticated { code: ReasonCode::AuthenticationStale })
                    }
                    Ok(_) => None,
                };
                if let Some(error) = refused {
                    self.note_refused(caller, ANSWER, error.code(), Some(approval.task));
                    return Err(error);
                }
                if !approval.waits(now) {
                    return Err(closed(over(&state, approval), approval));
                }
                if approval.decision != ask.decision {
                    return Err(closed(ReasonCode::ApprovalChanged, approval));
                }
                let settles = ask.verdict == Verdict::Denied || settled_by((&state, directory), caller, approval);
                let settings = &self.0.settings.approvals;
                let lasts = if ask.verdict == Verdict::Denied { settings.denial_stands } else { settings.use_within };
                let payload = pb::ApprovalAnswered {
                    approval_id: ask.id.to_string(),
                    task_id: approval.task.to_string(),
                    decision_id: approval.decision.to_string(),
                    verdict: said(ask.verdict).into(),
                    settles,
                    until_ms: if settles { now.after(lasts).as_millis() } else { 0 },
                    sealed: sealed.clone(),
                    sealed_shapes: shapes.clone(),
                };
                let payload = Payload::ApprovalAnswered(payload);
                let event = event(family_stream(root), caller.actor(), &no_context(), payload);
                let mut expects = expects(&state, caller, approval.task, root);
                expects.extend(routing::expects(&state, directory, approval));
                Ok(ordinary(event, expects))
            })
            .await?;
        let position = committed.last();
        Ok((self.approval(caller, ask.id).await?, position))
    }

    /// Records that nobody answered in time.
    pub(in crate::broker) async fn record_unanswered(&self, id: ApprovalId) -> Result<(), BrokerError> {
        let due = || -> Option<Entry> {
            let state = self.0.known.look();
            let now = self.now(&state);
            let overdue =
                |approval: &&Approval| approval.standing == ApprovalStanding::Pending && approval.until <= now;
            let approval = state.approvals.find(id).filter(overdue);
            approval.and_then(|approval| {
                let root = state.tasks.get(&approval.task)?.root;
                let payload = pb::ApprovalAnswered {
                    approval_id: id.to_string(),
                    task_id: approval.task.to_string(),
                    decision_id: approval.decision.to_string(),
                    verdict: Said::Unanswered.into(),
                    settles: true,
                    until_ms: approval.until.after(self.0.settings.approvals.denial_stands).as_millis(),
                    ..pb::ApprovalAnswered::default()
                };
                let payload = Payload::ApprovalAnswered(payload);
                let event = event(family_stream(root), broker_actor(), &no_context(), payload);
                Some(ordinary(event, vec![expect_family(&state, root)]))
            })
        };
        self.settle_if_due(due).await.map(drop)
    }

    /// Where the approval that is sought stands, when the caller may see it.
    pub(in crate::broker) fn sought(
        &self,
        caller: &Caller,
        id: ApprovalId,
        rpc: &'static str,
    ) -> Result<Place, BrokerError> {
        let state = self.0.known.look();
        if let Some((approval, task)) = visible(&state, caller, id) {
            return Ok(Place { root: task.root, position: approval.position, approval: approval.clone() });
        }
        match state.approvals.find(id).map(|approval| approval.task) {
            Some(task) => Err(self.not_yours(caller, task, Sought { rpc, what: "approval" })),
            None => Err(NO_SUCH),
        }
    }

    /// By what is known again, in other tasks, what is denied, sealed.
    async fn sealed_shapes(&self, id: ApprovalId) -> Result<bytes::Bytes, BrokerError> {
        let (root, position) = {
            let state = self.0.known.look();
            let approval = state.approvals.find(id).ok_or(NO_SUCH)?;
            let task = state.tasks.get(&approval.task).ok_or(NO_SUCH)?;
            (task.root, approval.position)
        };
        self.reading(move |this| {
            let bundle = this.0.known.look().policy.as_ref().and_then(|policy| policy.bundle.clone());
            let shapes = match this.asked_of_people(position, root)? {
                AskedOfPeople::Credential(recorded) => {
                    let audience = recorded.event.audience.parse().map_err(BrokerError::internal)?;
                    let agent = recorded.event.agent.parse().map_err(BrokerError::internal)?;
                    let (words, bundle) = (&recorded.words, bundle.as_deref());
                    let of = Of { agent: &agent, audience: &audience, bundle };
                    this.denied_shapes(of, &words.facts, &words.decision)?
                }
                AskedOfPeople::Amendment(words) => {
                    this.all_amendment_shapes(bundle.as_deref(), &words.facts, Side::Denied)?
                }
            };
            let context = Context { kind: "denied", id: &id.to_string() };
            let shapes: Vec<RecordedShape> = shapes.into_iter().map(RecordedShape::from).collect();
            Ok(words::seal(&this.0.sealer, root, context, &shapes)?)
        })
        .await
    }
}

/// Where an approval stands that somebody asked for.
pub(in crate::broker) struct Place {
    pub(in crate::broker) root: TaskId,
    /// Of the decision that is shown.
    pub(in crate::broker) position: u64,
    pub(in crate::broker) approval: Approval,
}

/// The approval with its task, when the caller may see it: the operator, who reads all, reviewers, and the verified initiator.
pub(in crate::broker) fn visible<'s>(
    state: &'s State,
    caller: &Caller,
    id: ApprovalId,
) -> Option<(&'s Approval, &'s Task)> {
    let approval = state.approvals.find(id)?;
    let task = state.tasks.get(&approval.task)?;
    let sees = caller.has(Right::Approve) || caller.has(Right::Read) || caller.initiated(task);
    sees.then_some((approval, task))
}

/// What a denial says to the next who ask for the same.
pub(in crate::broker) fn denial_facts(id: ApprovalId, approval: &Approval) -> ApprovalFacts {
    ApprovalFacts {
        id,
        verdict: Verdict::Denied,
        by: approval.votes.iter().map(|(person, ..)| person.clone()).collect(),
        policy_digest: approval.policy_digest.clone(),
        band: approval.band,
        cures: Vec::new(),
        until: approval.until,
        used: false,
    }
}

/// The person who answers so, when that is one who may, however long ago it authenticated.
fn may_answer<'c>(
    (state, directory): (&State, &Directory),
    caller: &'c Caller,
    approval: &Approval,
    verdict: Verdict,
) -> Result<&'c VerifiedPerson, ReasonCode> {
    let person = may_answer_but_for_policy((state, directory), caller, approval, verdict)?;
    let unwanted = policy_word((state, directory), person, approval, verdict).and_then(|word| word.refusal());
    unwanted.map_or(Ok(person), Err)
}

/// The same as far as it holds whatever policy says.
pub(in crate::broker) fn may_answer_but_for_policy<'c>(
    (state, directory): (&State, &Directory),
    caller: &'c Caller,
    approval: &Approval,
    verdict: Verdict,
) -> Result<&'c VerifiedPerson, ReasonCode> {
    let Caller::Person(person) = caller else { return Err(ReasonCode::MethodNotAllowed) };
    let shut_out = state.is_shut_out(caller).then_some(ReasonCode::Blocked);
    let wrong = || wrong_person((state, directory), caller, person, approval, verdict);
    shut_out.or_else(wrong).map_or(Ok(person.as_ref()), Err)
}

/// Why this person is not the one to answer so. A no is anybody's who was asked; a yes to a step-up is the initiator's alone, and
/// to a review it is of somebody independent who has not said it yet, and for whom or for whose tool there is a place. People are told
/// apart as persons, not by their accounts.
fn wrong_person(
    (state, directory): (&State, &Directory),
    caller: &Caller,
    person: &VerifiedPerson,
    approval: &Approval,
    verdict: Verdict,
) -> Option<ReasonCode> {
    let initiated = state.tasks.get(&approval.task).is_some_and(|task| caller.initiated(task));
    let reviewer = person.may(Right::Approve);
    match (approval.asks(), verdict) {
        (_, Verdict::Denied) if initiated || reviewer => None,
        (Outcome::StepUp, Verdict::Approved) if initiated => None,
        (Outcome::StepUp, _) => Some(ReasonCode::NotInitiator),
        _ if !reviewer => Some(ReasonCode::RightMissing),
        // Whoever is named as initiator, verified or not.
        _ if approval.initiator == *person.name() => Some(ReasonCode::NotIndependent),
        _ if approval.votes.iter().any(|(voter, ..)| voter == person.name()) => Some(ReasonCode::NotIndependent),
        _ if !routing::has_place_for(state, directory, approval, person.name()) => Some(ReasonCode::NotOwner),
        _ => None,
    }
}

/// What is to be asked of policy, which has a word in a yes and in nothing else.
pub(in crate::broker) fn policy_word(
    state_and_directory: (&State, &Directory),
    person: &VerifiedPerson,
    approval: &Approval,
    verdict: Verdict,
) -> Option<PolicyWord> {
    if verdict != Verdict::Approved {
        return None;
    }
    PolicyWord::about(state_and_directory, person.name(), approval, false)
}

/// True when this approval of the caller's is the last that it takes, and those are among them for whom it is. Those who answer for the
/// agents at work are not alone enough, however many they are; of an amendment, for those who work below it as well, and for who asks.
/// Policy may say that it is not enough; that it is, it cannot.
fn settled_by((state, directory): (&State, &Directory), caller: &Caller, approval: &Approval) -> bool {
    let Caller::Person(person) = caller else { return false };
    let mut approvers: BTreeSet<&InitiatorName> = routing::approvers(directory, approval).collect();
    approvers.insert(person.name());
    let enough = u32::try_from(approvers.len()).is_ok_and(|many| many >= approval.needed);
    // Without a bundle nobody knows whose agents they are.
    let independent = || {
        let Some(owners) = agent_owners(state, approval) else { return false };
        let answers_for_agent = |approver: &&InitiatorName| owners.iter().any(|owner| directory.is_of(approver, owner));
        routing::missing(state, directory, approval, &approvers).is_empty() && !approvers.iter().all(answers_for_agent)
    };
    enough
        && (approval.asks() == Outcome::StepUp || independent())
        && refused_by_policy((state, directory), person.name(), approval, true).is_none()
}

/// Who answers for the agents at work: on the task and on those above it; of an amendment, for who asks and those below it as well.
pub(in crate::broker) fn agent_owners(state: &State, approval: &Approval) -> Option<BTreeSet<String>> {
    let mut owners = owners(state, approval.task)?;
    if let About::Amendment(by) = &approval.about {
        owners.extend(owner_of(state, by));
        owners.extend(owners_below(state, approval.task));
    }
    Some(owners)
}

/// Who answers for the agents that work on the task and on those above it.
pub(in crate::broker) fn owners(state: &State, task: TaskId) -> Option<BTreeSet<String>> {
    state.policy.as_ref()?.bundle.as_ref()?;
    let agents = state.lineage(task).into_iter().map(|(_, task)| &task.agent);
    Some(agents.filter_map(|agent| owner_of(state, agent)).collect())
}

/// Who answers for the agents that work below the task: what it may do they may, as far as their own ceilings go.
fn owners_below(state: &State, task: TaskId) -> impl Iterator<Item = String> {
    let open = state.subtree(task).into_iter().filter_map(|id| state.tasks.get(&id)).filter(|t| !t.state.is_ended());
    open.filter_map(|task| owner_of(state, &task.agent))
}

fn owner_of(state: &State, id: &SpiffeId) -> Option<String> {
    let bundle = state.policy.as_ref()?.bundle.as_ref()?;
    bundle.identities().identify(id).and_then(|identity| identity.owner.as_ref()).map(ToString::to_string)
}

/// True when who answers must authenticate anew: who confirms a step-up, after it was asked.
fn is_stale(person: &VerifiedPerson, approval: &Approval, (verdict, now): (Verdict, Timestamp)) -> bool {
    let confirms = approval.asks() == Outcome::StepUp && verdict == Verdict::Approved;
    let since = person.evidence().authenticated.is_some_and(|at| at > approval.asked);
    !person.is_fresh(now) || (confirms && !since)
}

pub(in crate::broker) fn expect_family(state: &State, root: TaskId) -> Expect {
    let key = GuardKey::usage(&root);
    Expect { key, at: state.marks.at(&key) }
}

/// What an answer relies on: what the family was told, how its task stands, whose agents they are, and that nobody blocks who answers.
fn expects(state: &State, caller: &Caller, task: TaskId, root: TaskId) -> Vec<Expect> {
    let mut keys = vec![GuardKey::usage(&root), GuardKey::task(&task), GuardKey::policy(), GuardKey::everything()];
    if let Caller::Person(person) = caller {
        keys.push(GuardKey::initiator(person.name()));
    }
    keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }).collect()
}

/// Why it waits for no answer: who looked at it under another policy bundle is told that, and not that somebody was faster.
fn over(state: &State, approval: &Approval) -> ReasonCode {
    let other = state.policy.as_ref().is_some_and(|policy| policy.digest != approval.policy_digest);
    match approval.standing {
        ApprovalStanding::Closed if other => ReasonCode::ApprovalChanged,
        _ => ReasonCode::ApprovalClosed,
    }
}

pub(in crate::broker) fn closed(code: ReasonCode, approval: &Approval) -> BrokerError {
    BrokerError::Precondition { code, decision: Some(approval.decision) }
}

pub(in crate::broker) fn check_reason(reason: &str) -> Result<(), BrokerError> {
    if reason.len() > REASON_BYTES_MAX {
        return Err(BrokerError::above_limit("reason", format!("longer than {REASON_BYTES_MAX} bytes")));
    }
    Ok(())
}

const fn said(verdict: Verdict) -> Said {
    match verdict {
        Verdict::Approved => Said::Approved,
        Verdict::Denied => Said::Denied,
        Verdict::Unanswered => Said::Unanswered,
    }
}

/// There is none that the caller may see.
pub(in crate::broker) const NO_SUCH: BrokerError = BrokerError::NotFound { what: "approval" };
