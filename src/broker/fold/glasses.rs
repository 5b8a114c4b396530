//! How events change what is known of break-glass.

use super::{FoldError, Step};
use crate::broker::ask::Target;
use crate::broker::glasses::{Glass, Review};
use crate::model::glass::GlassVerdict;
use crate::model::grant::GrantStanding;
use crate::model::id::{GlassId, TaskId};
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::break_glass_reviewed::Verdict;

impl Step<'_> {
    pub(super) fn glass_opened(
        &mut self,
        e: &pb::BreakGlassOpened,
        actor: Option<&pb::Actor>,
    ) -> Result<(), FoldError> {
        if e.glass_id.is_empty() {
            // Policy refused it.
            return Ok(());
        }
        let task: TaskId = e.task_id.parse()?;
        let Some(root) = self.state.tasks.get(&task).map(|known| known.root) else { return Ok(()) };
        let decision = e.decision.as_ref().ok_or(FoldError::Value("decision"))?;
        let glass = Glass {
            task,
            root,
            agent: e.agent.parse()?,
            initiator: e.initiator.parse()?,
            owners: e.owners.iter().cloned().collect(),
            audience: e.audience.parse()?,
            covers: e.covers.as_ref().try_into().map_err(|_| FoldError::Value("digest"))?,
            by: actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?,
            denied_before: e.denied_before,
            policy_digest: decision.policy_digest.clone(),
            decision: decision.decision_id.parse()?,
            position: self.position,
            opened: self.time,
            until: Timestamp::from_millis(e.until_ms),
            uses_max: e.uses_max,
            grants: Vec::new(),
            closed: None,
            review_by: Timestamp::from_millis(e.review_by_ms),
            review: None,
            overdue_told: false,
        };
        self.state.glasses.insert(e.glass_id.parse()?, glass);
        Ok(())
    }

    pub(super) fn glass_used(&mut self, e: &pb::BreakGlassUsed) -> Result<(), FoldError> {
        let (id, grant) = (e.glass_id.parse()?, e.grant_id.parse()?);
        self.state.glasses.change(id, |glass| glass.grants.push(grant));
        Ok(())
    }

    pub(super) fn glass_closed(&mut self, e: &pb::BreakGlassClosed) -> Result<(), FoldError> {
        self.close_glass(e.glass_id.parse()?);
        Ok(())
    }

    pub(super) fn glass_reviewed(
        &mut self,
        e: &pb::BreakGlassReviewed,
        actor: Option<&pb::Actor>,
    ) -> Result<(), FoldError> {
        let verdict = match e.verdict() {
            Verdict::Justified => GlassVerdict::Justified,
            Verdict::Unjustified => GlassVerdict::Unjustified,
            Verdict::Unspecified => return Err(FoldError::Value("verdict")),
        };
        let by = actor.map(|a| a.id.as_str()).unwrap_or_default().parse()?;
        let review = Review { by, verdict, at: self.time, sealed: e.sealed.to_vec() };
        self.state.glasses.change(e.glass_id.parse()?, |glass| {
            // The first is the one that counts.
            glass.review.get_or_insert(review);
        });
        Ok(())
    }

    pub(super) fn glass_overdue(&mut self, e: &pb::BreakGlassReviewOverdue) -> Result<(), FoldError> {
        self.state.glasses.change(e.glass_id.parse()?, |glass| glass.overdue_told = true);
        Ok(())
    }

    /// What the end of `target` closes, with what was granted through it.
    pub(super) fn close_glasses_under(&mut self, target: &Target) {
        let tasks = self.state.tasks_under(target);
        for id in self.state.glasses.under(target, &tasks) {
            self.close_glass(id);
        }
    }

    fn close_glass(&mut self, id: GlassId) {
        for grant in self.state.glasses.close(id, self.time) {
            self.end_grant(grant, &GrantStanding::Revoked);
        }
    }
}
