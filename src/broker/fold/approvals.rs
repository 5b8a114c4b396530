//! How events change what is known of approvals.

use super::{FoldError, Step, answer};
use crate::broker::approvals::{About, Approval, ApprovalStanding, Escalated};
use crate::broker::approve::denial_facts;
use crate::broker::ask::Target;
use crate::broker::denials::{Denial, RecordedShape, Shape};
use crate::broker::record;
use crate::broker::words::{self, Context};
use crate::model::approval::{Cure, Verdict};
use crate::model::grant::GrantStanding;
use crate::model::id::{ApprovalId, GrantId, TaskId};
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::approval_answered::Verdict as Said;

/// What an event says of what people are asked about.
pub(super) struct Question<'a> {
    pub(super) about: About,
    pub(super) approval_id: &'a str,
    pub(super) task_id: &'a str,
    pub(super) decision: Option<&'a pb::Decision>,
    pub(super) asked_digest: &'a [u8],
    pub(super) agent: &'a str,
    pub(super) initiator: &'a str,
}

impl<'a> Question<'a> {
    /// About a credential.
    pub(super) fn of_credential(e: &'a pb::CredentialDecided) -> Self {
        Self {
            about: About::Credential,
            approval_id: &e.approval_id,
            task_id: &e.task_id,
            decision: e.decision.as_ref(),
            asked_digest: &e.asked_digest,
            agent: &e.agent,
            initiator: &e.initiator,
        }
    }
}

impl Step<'_> {
    /// People are asked about something from now on.
    pub(super) fn asked_people(&mut self, e: &Question<'_>, asked: &pb::AskedPeople) -> Result<(), FoldError> {
        let id: ApprovalId = e.approval_id.parse()?;
        let task: TaskId = e.task_id.parse()?;
        let decision = e.decision.ok_or(FoldError::Value("decision"))?;
        let shown = answer(self.position, Some(decision), e.asked_digest)?;
        if let Some(replaced) = optional::<ApprovalId>(&asked.replaces)? {
            let closed = |approval: &mut Approval| {
                if approval.is_open() {
                    approval.standing = ApprovalStanding::Closed;
                }
            };
            self.state.approvals.change(replaced, self.position, closed);
        }
        let Some(known) = self.state.tasks.get(&task) else { return Ok(()) };
        let (root, verified) = (known.root, known.initiator.verified);
        let first = self.state.tasks.get(&root).filter(|_| !verified);
        let on_the_word_of = first.map(|first| first.orchestrator.clone());
        // Without words there is nothing to cure.
        let context = Context { kind: "doubts", id: e.approval_id };
        let doubts = match words::open::<Vec<Cure>>(&self.means.sealer, root, context, &asked.sealed_doubts) {
            Ok(doubts) => doubts,
            Err(error) if error.is_erased() => Vec::new(),
            Err(error) => return Err(FoldError::Words(error)),
        };
        let approval = Approval {
            about: e.about.clone(),
            task,
            on_the_word_of,
            agent: e.agent.parse()?,
            initiator: e.initiator.parse()?,
            covers: asked.covers.as_ref().try_into().map_err(|_| FoldError::Value("digest"))?,
            outcome: shown.outcome,
            needed: decision.approvals_needed,
            decision: shown.decision.ok_or(FoldError::Value("decision"))?,
            position: self.position,
            policy_digest: decision.policy_digest.clone(),
            band: record::band(decision.band).ok_or(FoldError::Value("band"))?,
            doubts,
            scores: asked.scores.iter().map(|score| (score.source.clone(), score.points)).collect(),
            asked: self.time,
            standing: ApprovalStanding::Pending,
            until: Timestamp::from_millis(asked.answer_by_ms),
            owners: asked.owners.iter().cloned().collect(),
            escalated: None,
            votes: Vec::new(),
            changed: self.position,
        };
        self.state.approvals.insert(id, approval);
        Ok(())
    }

    /// An approval was used up by a grant.
    pub(super) fn approval_used(&mut self, approval: &str, grant: GrantId) -> Result<(), FoldError> {
        if let Some(id) = optional::<ApprovalId>(approval)? {
            let used = |approval: &mut Approval| approval.standing = ApprovalStanding::Used(grant);
            self.state.approvals.change(id, self.position, used);
        }
        Ok(())
    }

    /// An approval was used up by an amendment, or by none.
    pub(super) fn approval_extended(&mut self, approval: &str) -> Result<(), FoldError> {
        if let Some(id) = optional::<ApprovalId>(approval)? {
            let position = self.position;
            let used = |approval: &mut Approval| approval.standing = ApprovalStanding::Extended(position);
            self.state.approvals.change(id, position, used);
        }
        Ok(())
    }

    pub(super) fn approval_answered(
        &mut self,
        e: &pb::ApprovalAnswered,
        actor: Option<&pb::Actor>,
    ) -> Result<(), FoldError> {
        let id: ApprovalId = e.approval_id.parse()?;
        let verdict = match e.verdict() {
            Said::Approved => Verdict::Approved,
            Said::Denied => Verdict::Denied,
            Said::Unanswered => Verdict::Unanswered,
            Said::Unspecified => return Err(FoldError::Value("verdict")),
        };
        let person = match verdict {
            Verdict::Unanswered => None,
            Verdict::Approved | Verdict::Denied => Some(actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?),
        };
        let (time, until) = (self.time, Timestamp::from_millis(e.until_ms));
        self.state.approvals.change(id, self.position, |approval| {
            if approval.standing != ApprovalStanding::Pending {
                return;
            }
            approval.votes.extend(person.map(|person| (person, verdict, time)));
            if e.settles {
                approval.standing = ApprovalStanding::Answered(verdict);
                approval.until = until;
            }
        });
        self.denial(id, e)
    }

    /// Remembers a denial for the same access in other tasks.
    fn denial(&mut self, id: ApprovalId, e: &pb::ApprovalAnswered) -> Result<(), FoldError> {
        let Some(approval) = self.state.approvals.find(id).filter(|_| !e.sealed_shapes.is_empty()) else {
            return Ok(());
        };
        let Some(root) = self.state.tasks.get(&approval.task).map(|task| task.root) else { return Ok(()) };
        let (facts, scores) = (denial_facts(id, approval), approval.scores.clone());
        let context = Context { kind: "denied", id: &e.approval_id };
        match words::open::<Vec<RecordedShape>>(&self.means.sealer, root, context, &e.sealed_shapes) {
            Ok(shapes) => {
                let denials = self.state.approvals.denials_mut();
                for shape in shapes.into_iter().map(Shape::from) {
                    let (at, facts, scores) = (self.time, facts.clone(), scores.clone());
                    denials.remember(Denial { root, shape, at, facts, scores });
                }
            }
            Err(error) if error.is_erased() => {}
            Err(error) => return Err(FoldError::Words(error)),
        }
        Ok(())
    }

    /// From now on more people may answer.
    pub(super) fn approval_escalated(&mut self, e: &pb::ApprovalEscalated) -> Result<(), FoldError> {
        let id: ApprovalId = e.approval_id.parse()?;
        let escalated = Escalated { at: self.time, position: self.position, as_review: e.as_review };
        self.state.approvals.change(id, self.position, |approval| approval.escalated = Some(escalated));
        Ok(())
    }

    /// What somebody said who is blocked now counts no more, nor is it to come back when the block is lifted.
    pub(super) fn unsaid_under(&mut self, target: &Target) {
        if let Target::Initiator(name) = target {
            self.state.approvals.unsay(name, self.position);
            self.state.proposals.unsay(name);
        }
    }

    pub(super) fn approval_withdrawn(&mut self, e: &pb::ApprovalWithdrawn) -> Result<(), FoldError> {
        let id: ApprovalId = e.approval_id.parse()?;
        let withdrawn = |approval: &mut Approval| approval.standing = ApprovalStanding::Withdrawn;
        self.state.approvals.change(id, self.position, withdrawn);
        if let Some(grant) = optional::<GrantId>(&e.grant_id)? {
            self.end_grant(grant, &GrantStanding::Revoked);
        }
        Ok(())
    }
}

fn optional<T: std::str::FromStr<Err = crate::model::id::ParseIdError>>(text: &str) -> Result<Option<T>, FoldError> {
    if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }
}
