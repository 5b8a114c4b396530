//! What became of a grant: what was done under it, and what ended it, be it an event about the grant itself, about its task or
//! one above, or about everybody of a kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::ask::Target;
use crate::broker::error::BrokerError;
use crate::broker::record::{SYSTEM_STREAM, parse_target};
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::id::{GrantId, TaskId};
use crate::model::limits::DELEGATION_DEPTH_MAX;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::pb::v1;

/// Events that are told of what became of one grant, at most; its end is told beyond that.
const AFTERMATH_MAX: usize = 200;

/// Events by position.
type Found = BTreeMap<u64, Recorded>;

/// A grant, with all that an end may name it by.
struct Life {
    grant: GrantId,
    audience: String,
    initiator: String,
    /// Who opened the break-glass that it was made through.
    opener: Option<String>,
    /// Its task and those above, with their agents.
    line: Vec<(TaskId, String)>,
    born: u64,
    /// Where its tokens were made: when it was granted, and whenever it was renewed.
    made: BTreeSet<u64>,
    from: Timestamp,
    /// The end of its last token.
    until: Timestamp,
}

impl Broker {
    /// What happened to the grant after `position`, in order: up to its end, and what was reported of its use also after that.
    pub(in crate::broker) fn aftermath(
        &self,
        grant: GrantId,
        position: u64,
    ) -> Result<Vec<v1::EventSummary>, BrokerError> {
        let Some(life) = self.life_of(grant)? else { return Ok(Vec::new()) };
        let mut own = self.found(Query { grant: Some(grant), ..Query::default() })?;
        for kind in ["grant_reconsidered", "grant_released", "approval_withdrawn", "break_glass_closed", "revoked"] {
            own.extend(self.found(Query { grant: Some(grant), kind: Some(kind.to_owned()), ..Query::default() })?);
        }
        let mut all = own.clone();
        for query in life.queries() {
            let found = self.found(query)?.into_iter();
            all.extend(found.filter(|(_, recorded)| life.is_concerned_by(recorded)));
        }
        let end = all.iter().find(|(at, recorded)| **at > life.born && life.is_ended_by(recorded));
        let end = end.map(|(at, _)| *at);
        // What has ended is not ended again.
        all.retain(|at, _| *at > position && end.is_none_or(|end| *at <= end || own.contains_key(at)));
        let told = all.iter().enumerate().filter(|(n, (at, _))| *n < AFTERMATH_MAX || Some(**at) == end);
        Ok(told.map(|(_, (_, recorded))| self.told(recorded)).collect())
    }

    /// `None` when the record holds no such grant.
    fn life_of(&self, grant: GrantId) -> Result<Option<Life>, BrokerError> {
        let born = self.0.journal.find_grant(&grant).map_err(BrokerError::unavailable)?;
        let Some((born, granted)) = born.and_then(|born| Some((born.clone(), granted(&born.event)?.clone()))) else {
            return Ok(None);
        };
        let renewed = Query {
            grant: Some(grant),
            kind: Some("credential_decided".to_owned()),
            newest_first: true,
            page_size: 1,
            ..Query::default()
        };
        let mut made = self.found(Query { newest_first: false, page_size: 0, ..renewed.clone() })?;
        made.extend(self.found(renewed)?);
        let last = made.values().next_back().unwrap_or(&born);
        let expires = self::granted(&last.event).and_then(|e| e.grant.as_ref()).map(|g| g.expires_s);
        let mut line = Vec::new();
        let mut above = granted.task_id.parse::<TaskId>().ok();
        while let Some(id) = above.filter(|_| line.len() <= DELEGATION_DEPTH_MAX as usize) {
            let Some((_, task)) = self.registration_of(id)? else { break };
            line.push((id, task.agent));
            above = task.parent_task_id.parse().ok();
        }
        Ok(Some(Life {
            grant,
            audience: granted.audience,
            initiator: granted.initiator,
            opener: granted.grant.map(|grant| grant.break_glass_by).filter(|by| !by.is_empty()),
            line,
            born: born.position,
            made: made.keys().copied().chain([born.position]).collect(),
            from: born.time,
            // Times of tokens are whole seconds.
            until: Timestamp::from_secs(expires.unwrap_or_default()).after(Duration::from_secs(1)),
        }))
    }

    /// How a task was registered, as it stands in the record; `None` when no such task is in it.
    pub(in crate::broker) fn registration_of(
        &self,
        id: TaskId,
    ) -> Result<Option<(Recorded, pb::RegisteredTask)>, BrokerError> {
        let query = Query { task: Some(id), kind: Some("task_decided".to_owned()), page_size: 1, ..Query::default() };
        let found = self.found(query)?.into_values().next();
        Ok(found.and_then(|recorded| {
            let task = match &recorded.event.payload {
                Some(Payload::TaskDecided(e)) => e.task.clone()?,
                _ => return None,
            };
            Some((recorded, task))
        }))
    }

    /// The first events that a query finds, as many as it wants or as are told at most.
    fn found(&self, mut query: Query) -> Result<Found, BrokerError> {
        let wanted = if query.page_size == 0 { AFTERMATH_MAX } else { 1 };
        let mut found = Found::new();
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            let room = wanted - found.len();
            found.extend(events.into_iter().take(room).map(|recorded| (recorded.position, recorded)));
            if next.is_empty() || found.len() >= wanted {
                return Ok(found);
            }
            query.page_token = next;
        }
    }
}

impl Life {
    /// What may have concerned it without naming it.
    fn queries(&self) -> Vec<Query> {
        let any = || Query { from: Some(self.from), until: Some(self.until), ..Query::default() };
        let of = |kind: &str| Query { kind: Some(kind.to_owned()), ..any() };
        let mut queries = Vec::new();
        for (task, agent) in &self.line {
            for kind in ["task_ended", "task_paused", "task_resumed", "revoked", "extension_taken_back"] {
                queries.push(Query { task: Some(*task), ..of(kind) });
            }
            queries.push(Query { agent: Some(agent.clone()), ..of("revoked") });
        }
        for person in [Some(&self.initiator), self.opener.as_ref()].into_iter().flatten() {
            queries.push(Query { initiator: Some(person.clone()), ..of("revoked") });
        }
        // Of an audience, or of everything.
        queries.push(Query { stream: Some(SYSTEM_STREAM.to_owned()), ..of("revoked") });
        queries
    }

    fn is_concerned_by(&self, recorded: &Recorded) -> bool {
        match &recorded.event.payload {
            Some(Payload::Revoked(_) | Payload::TaskEnded(_) | Payload::ExtensionTakenBack(_)) => {
                self.is_ended_by(recorded)
            }
            Some(Payload::TaskPaused(e)) => self.is_below(&e.task_id),
            Some(Payload::TaskResumed(e)) => self.is_below(&e.task_id),
            _ => false,
        }
    }

    fn is_ended_by(&self, recorded: &Recorded) -> bool {
        match &recorded.event.payload {
            Some(Payload::GrantReleased(e)) => e.grant_id == self.grant.to_string(),
            Some(Payload::ApprovalWithdrawn(e)) => e.grant_id == self.grant.to_string(),
            Some(Payload::BreakGlassClosed(e)) => e.grant_ids.contains(&self.grant.to_string()),
            Some(Payload::GrantReconsidered(e)) => {
                e.effect() == Effect::Revoked && e.grant_id == self.grant.to_string()
            }
            Some(Payload::TaskEnded(e)) => self.is_below(&e.task_id),
            Some(Payload::ExtensionTakenBack(e)) => {
                let made_before = self.made.range(..recorded.position).next_back();
                self.is_below(&e.task_id) && made_before.is_some_and(|made| *made > e.extended_at)
            }
            Some(Payload::Revoked(e)) => match parse_target(&e.target_kind, &e.target) {
                Ok(Target::Grant(grant)) => grant == self.grant,
                Ok(Target::Task(task)) => self.line.iter().any(|(id, _)| *id == task),
                Ok(Target::Agent(agent)) => self.line.iter().any(|(_, of)| of == agent.as_str()),
                Ok(Target::Initiator(name)) => {
                    self.initiator == name.as_str() || self.opener.as_deref() == Some(name.as_str())
                }
                Ok(Target::Audience(audience)) => self.audience == audience.as_str(),
                Ok(Target::Everything) => true,
                Err(_) => false,
            },
            _ => false,
        }
    }

    fn is_below(&self, task: &str) -> bool {
        self.line.iter().any(|(id, _)| id.to_string() == task)
    }
}

fn granted(event: &pb::Event) -> Option<&pb::CredentialDecided> {
    match &event.payload {
        Some(Payload::CredentialDecided(e)) => Some(e),
        _ => None,
    }
}
