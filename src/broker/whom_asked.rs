//! Whom the question was for that a recorded decision waited on, whether it was escalated, and whether anybody attends its task: for
//! who reads the record later.

use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::broker::summary::timestamp;
use crate::journal::search::{Page, Query};
use crate::model::id::{ApprovalId, TaskId};
use crate::model::limits::DELEGATION_DEPTH_MAX;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

impl Broker {
    /// True when nobody attends the task, or one above it.
    pub(in crate::broker) fn is_unattended(&self, task: pb::RegisteredTask) -> Result<bool, BrokerError> {
        let mut at = Some(task);
        for _ in 0..=DELEGATION_DEPTH_MAX {
            let Some(task) = at else { return Ok(false) };
            if task.unattended {
                return Ok(true);
            }
            let above: Option<TaskId> = task.parent_task_id.parse().ok();
            at = above.map(|above| self.registration_of(above)).transpose()?.flatten().map(|(_, task)| task);
        }
        Ok(false)
    }

    /// Fills in for whom it was, where people were asked about it.
    pub(in crate::broker) fn whom_asked(
        &self,
        record: &mut v1::DecisionRecord,
        event: &pb::Event,
    ) -> Result<(), BrokerError> {
        let asked = match &event.payload {
            Some(Payload::CredentialDecided(e)) => e.asked_people.as_ref(),
            Some(Payload::TaskAmended(e)) => e.asked_people.as_ref(),
            _ => None,
        };
        if let Some(asked) = asked {
            record.owners.clone_from(&asked.owners);
            record.owners_absent.clone_from(&asked.owners_absent);
            record.answer_by = Some(timestamp(Timestamp::from_millis(asked.answer_by_ms)));
        } else if let Ok(approval) = record.approval_id.parse::<ApprovalId>() {
            // It goes on from what was asked before.
            let state = self.0.known.look();
            let owners = state.approvals.find(approval).map(|approval| approval.owners.iter().cloned().collect());
            record.owners = owners.unwrap_or_default();
        }
        if let Some((at, escalated)) = self.escalation_of(record)? {
            record.escalated_at = Some(timestamp(at));
            record.escalated_to = escalated.tell;
        }
        Ok(())
    }

    /// That its approval was escalated, as the record has it.
    fn escalation_of(
        &self,
        record: &v1::DecisionRecord,
    ) -> Result<Option<(Timestamp, pb::ApprovalEscalated)>, BrokerError> {
        let (false, Ok(task)) = (record.approval_id.is_empty(), record.task_id.parse::<TaskId>()) else {
            return Ok(None);
        };
        let kind = Some("approval_escalated".to_owned());
        let mut query = Query { task: Some(task), kind, ..Query::default() };
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in events {
                if let Some(Payload::ApprovalEscalated(escalated)) = recorded.event.payload
                    && escalated.approval_id == record.approval_id
                {
                    return Ok(Some((recorded.time, escalated)));
                }
            }
            if next.is_empty() {
                return Ok(None);
            }
            query.page_token = next;
        }
    }
}
