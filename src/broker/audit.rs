//! Reading the record: search, one decision with everything that is known of it, export, checkpoint. What is shown is the
//! wire's messages, because there is nothing between the record and its reader.

use base64::Engine as _;

use crate::audit::checkpoint::Checkpoint as SignedHead;
use crate::audit::tree::Frontier;
use crate::broker::Broker;
use crate::broker::amend_asking::wire_amendment;
use crate::broker::ask::SearchEvents;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::grants::{UnreadError, covered};
use crate::broker::record::family_of;
use crate::broker::summary::{timestamp, wire_context};
use crate::broker::words::{self, Context, DecisionWords, TaskWords};
use crate::journal::error::JournalError;
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::access::Access;
use crate::model::decision::Decision;
use crate::model::facts::{EntryFacts, Facts};
use crate::model::id::{DecisionId, TaskId};
use crate::model::provenance::{Evidence, Seen};
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

/// A signed tree head, and how to check it.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The signed note.
    pub note: String,
    /// Events under it.
    pub size: u64,
    /// Root of the tree.
    pub root: [u8; 32],
    /// The key that verifies it.
    pub verifier_key: String,
}

impl Broker {
    /// Events that match, and the token of the next page; empty when there is none.
    ///
    /// # Errors
    /// `Invalid` for a page token that was not given.
    pub fn search_events(
        &self,
        caller: &Caller,
        ask: &SearchEvents,
    ) -> Result<(Vec<v1::EventSummary>, String), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let Page { events, next } = self.0.journal.search(&query(ask)).map_err(|e| match e {
            crate::journal::error::ReadError::PageToken => {
                BrokerError::invalid("page_token", "was not given by a search")
            }
            other => BrokerError::unavailable(other),
        })?;
        Ok((events.iter().map(|recorded| self.told(recorded)).collect(), next))
    }

    /// Everything that is known of one decision.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub fn decision_record(&self, caller: &Caller, id: DecisionId) -> Result<v1::DecisionRecord, BrokerError> {
        let _place = self.enter_apart(caller)?;
        self.record_of(id)
    }

    /// The same, for whoever may read it.
    pub(in crate::broker) fn record_of(&self, id: DecisionId) -> Result<v1::DecisionRecord, BrokerError> {
        let found = self.0.journal.find_decision(&id).map_err(BrokerError::unavailable)?;
        let recorded = found.ok_or(BrokerError::NotFound { what: "decision" })?;
        let mut record = v1::DecisionRecord {
            decision_id: id.to_string(),
            position: recorded.position,
            time: Some(timestamp(recorded.time)),
            code_version: recorded.event.code_version.clone(),
            context: Some(wire_context(&recorded.event)),
            ..v1::DecisionRecord::default()
        };
        let (decision, task) = place(&mut record, &recorded.event).ok_or(BrokerError::NotFound { what: "decision" })?;
        describe(&mut record, decision);
        match self.whole_words(recorded.position, &recorded.event, decision) {
            Ok(words) => tell(&mut record, &words),
            Err(UnreadError::Erased) => record.erased = true,
            Err(UnreadError::Unread(error)) => return Err(error),
        }
        if let Some((recorded, registered)) = task.map(|task| self.registration_of(task)).transpose()?.flatten() {
            match self.intent_of(&recorded, &registered) {
                Ok(intent) => record.intent = intent,
                Err(UnreadError::Erased) => record.erased = true,
                Err(UnreadError::Unread(error)) => return Err(error),
            }
            record.initiator_evidence = self.evidence_of(recorded, &registered)?;
            record.unattended = self.is_unattended(registered)?;
        }
        self.whom_asked(&mut record, &recorded.event)?;
        if let Ok(grant) = record.grant_id.parse() {
            record.aftermath = self.aftermath(grant, recorded.position)?;
        }
        Ok(record)
    }

    /// The intent of a task as it was registered: memory forgets a task some time after its end, the record does not.
    fn intent_of(&self, recorded: &Recorded, registered: &pb::RegisteredTask) -> Result<String, UnreadError> {
        let context = Context { kind: "task", id: &registered.task_id };
        let words: TaskWords =
            words::open(&self.0.sealer, family_of(&recorded.event.stream), context, &registered.sealed)?;
        Ok(words.intent.into())
    }

    /// What the issuer said of a verified initiator: it stands with the registration of the root.
    fn evidence_of(
        &self,
        recorded: Recorded,
        registered: &pb::RegisteredTask,
    ) -> Result<Option<v1::PersonEvidence>, BrokerError> {
        if !registered.initiator_verified {
            return Ok(None);
        }
        let of_root = if registered.parent_task_id.is_empty() {
            Some(recorded)
        } else {
            let root: TaskId = registered.root_task_id.parse().map_err(BrokerError::internal)?;
            self.registration_of(root)?.map(|(recorded, _)| recorded)
        };
        Ok(of_root.and_then(|recorded| match recorded.event.payload {
            Some(Payload::TaskDecided(registration)) => registration.initiator_evidence.as_ref().map(evidence),
            _ => None,
        }))
    }

    /// How many events are durable.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.0.journal.durable().borrow()
    }

    /// The stored bytes of events from `from` on, `max` at most: position and bytes. For exports, page by page.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stored(&self, from: u64, max: usize) -> Result<Vec<(u64, bytes::Bytes)>, BrokerError> {
        let events = self.0.journal.read_range(from, max).map_err(BrokerError::unavailable)?;
        Ok(events.into_iter().map(|r| (r.position, r.stored)).collect())
    }

    /// A checkpoint over everything that is durable now.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn checkpoint(&self) -> Result<Checkpoint, BrokerError> {
        self.signed(self.0.journal.checkpoint())
    }

    /// A checkpoint over the first `size` events.
    ///
    /// # Errors
    /// When there are not so many, or it cannot be signed.
    pub fn checkpoint_of(&self, size: u64) -> Result<Checkpoint, BrokerError> {
        self.signed(self.0.journal.checkpoint_of(size))
    }

    /// What stands for the first `size` events in an export of what follows.
    ///
    /// # Errors
    /// When there are not so many, or the journal cannot be read.
    pub fn frontier(&self, size: u64) -> Result<Frontier, BrokerError> {
        self.0.journal.frontier(size).map_err(BrokerError::unavailable)
    }

    fn signed(&self, note: Result<String, JournalError>) -> Result<Checkpoint, BrokerError> {
        let note = note.map_err(BrokerError::unavailable)?;
        let key = self.0.journal.verifier_key();
        let signed = SignedHead::verify(&note, &key).map_err(BrokerError::internal)?;
        Ok(Checkpoint {
            size: signed.head().size,
            root: *signed.head().root.as_bytes(),
            verifier_key: key.to_string(),
            note,
        })
    }
}

/// What is looked for, as the journal indexes it.
fn query(ask: &SearchEvents) -> Query {
    Query {
        task: ask.task,
        agent: ask.agent.as_ref().map(ToString::to_string),
        initiator: ask.initiator.as_ref().map(ToString::to_string),
        tool: ask.tool.as_ref().map(ToString::to_string),
        outcome: ask.outcome.map(|o| o.as_str().to_owned()),
        reason: ask.reason.map(|r| r.as_str().to_owned()),
        kind: ask.kind.clone(),
        trace_id: ask.trace_id.clone(),
        from: ask.from,
        until: ask.until,
        newest_first: true,
        page_size: ask.page_size,
        page_token: ask.page_token.clone(),
        ..Query::default()
    }
}

/// Fills in what the event says, and finds its decision and task.
fn place<'a>(record: &mut v1::DecisionRecord, event: &'a pb::Event) -> Option<(&'a pb::Decision, Option<TaskId>)> {
    let actor = event.actor.as_ref();
    match event.payload.as_ref()? {
        Payload::CredentialDecided(e) => {
            record.request_id.clone_from(&e.request_id);
            record.task_id.clone_from(&e.task_id);
            record.audience.clone_from(&e.audience);
            record.agent.clone_from(&e.agent);
            record.initiator.clone_from(&e.initiator);
            record.approval_id.clone_from(&e.approval_id);
            if let Some(grant) = &e.grant {
                record.approval_id.clone_from(&grant.approval_id);
                record.break_glass_id.clone_from(&grant.break_glass_id);
                record.break_glass_by.clone_from(&grant.break_glass_by);
                record.grant_id.clone_from(&grant.grant_id);
                record.jti.clone_from(&grant.jti);
                record.expires = Some(timestamp(crate::model::time::Timestamp::from_secs(grant.expires_s)));
            }
            Some((e.decision.as_ref()?, e.task_id.parse().ok()))
        }
        Payload::GrantReconsidered(e) => {
            record.task_id.clone_from(&e.task_id);
            record.grant_id.clone_from(&e.grant_id);
            record.jti.clone_from(&e.jti);
            Some((e.decision.as_ref()?, e.task_id.parse().ok()))
        }
        Payload::TaskDecided(e) => {
            record.request_id.clone_from(&e.request_id);
            record.orchestrator = actor.map(|a| a.id.clone()).unwrap_or_default();
            record.initiator_evidence = e.initiator_evidence.as_ref().map(evidence);
            let task = e.task.as_ref();
            record.task_id = task.map(|t| t.task_id.clone()).unwrap_or_default();
            Some((e.decision.as_ref()?, task.and_then(|t| t.task_id.parse().ok())))
        }
        Payload::BreakGlassOpened(e) => {
            record.task_id.clone_from(&e.task_id);
            record.audience.clone_from(&e.audience);
            record.break_glass_id.clone_from(&e.glass_id);
            record.break_glass_by = actor.map(|a| a.id.clone()).unwrap_or_default();
            Some((e.decision.as_ref()?, e.task_id.parse().ok()))
        }
        Payload::TaskAmended(e) => {
            record.request_id.clone_from(&e.request_id);
            record.task_id.clone_from(&e.task_id);
            record.agent.clone_from(&e.agent);
            record.initiator.clone_from(&e.initiator);
            record.approval_id.clone_from(&e.approval_id);
            Some((e.decision.as_ref()?, e.task_id.parse().ok()))
        }
        _ => None,
    }
}

/// Fills in what stands in the open part of a decision.
fn describe(record: &mut v1::DecisionRecord, decision: &pb::Decision) {
    record.outcome = decision.outcome;
    (record.observed_only, record.instead) = (decision.instead != 0, decision.instead);
    record.question.clone_from(&decision.question);
    record.policies.clone_from(&decision.policies);
    record.policy_digest.clone_from(&decision.policy_digest);
    record.policy_revision = decision.policy_revision;
    record.risk = decision.risk;
    record.band = decision.band;
    record.reasons = decision.reasons.iter().map(reason).collect();
    record.contributions = decision
        .contributions
        .iter()
        .map(|c| v1::Contribution {
            signal: c.signal.clone(),
            source: c.source.clone(),
            points: c.points,
            counted: c.counted,
            explanation: String::new(),
        })
        .collect();
    record.access = decision
        .conclusions
        .iter()
        .map(|c| v1::RecordedAccess {
            access: Some(v1::Access { tool: c.tool.clone(), ..v1::Access::default() }),
            effect: c.effect.clone(),
            ceiling: c.ceiling.clone(),
            intent_fit: c.intent_fit.clone(),
            sinks: c.sinks.iter().map(open_sink).collect(),
        })
        .collect();
}

fn reason(reason: &pb::Reason) -> v1::RecordedReason {
    let code = reason.code.parse::<crate::model::reason::ReasonCode>();
    v1::RecordedReason {
        code: reason.code.clone(),
        message: code.map(|c| c.for_reviewer().to_owned()).unwrap_or_default(),
        access: reason.access,
        policy: reason.policy.clone(),
        controls: Vec::new(),
    }
}

fn open_sink(sink: &pb::SinkConclusion) -> v1::RecordedSink {
    v1::RecordedSink {
        name: sink.name.clone(),
        provenance: sink.provenance,
        evidence_position: sink.evidence_position,
        ..v1::RecordedSink::default()
    }
}

/// Fills in what only the words say.
fn tell(record: &mut v1::DecisionRecord, words: &DecisionWords) {
    let facts = &words.facts;
    record.agent = facts.task.agent.to_string();
    record.agent_class = facts.principal.class.to_string();
    record.agent_owner = facts.principal.owner.as_ref().map(ToString::to_string).unwrap_or_default();
    record.orchestrator = facts.task.orchestrator.to_string();
    record.initiator = facts.initiator.name.to_string();
    record.initiator_verified = facts.initiator.verified;
    record.purpose.clone_from(&words.purpose);
    record.facts_json = facts_json(facts);
    record.amendment = wire_amendment(facts);
    let used = facts.approval.as_ref().filter(|approval| words.decision.approval == Some(approval.id));
    record.approved_by = used.iter().flat_map(|approval| &approval.by).map(ToString::to_string).collect();
    details(record, &words.decision);
    let asked = if words.access.is_empty() { &[][..] } else { words.access.as_slice() };
    for (i, (shown, entry)) in record.access.iter_mut().zip(&facts.entries).enumerate() {
        shown.access = Some(asked.get(i).map_or_else(|| bare(entry), wire_access));
        shown.sinks = entry
            .sinks
            .iter()
            .zip(&shown.sinks)
            .map(|(sink, open)| v1::RecordedSink {
                value: sink.value.clone(),
                evidence: sink.evidence.as_ref().map(in_words).unwrap_or_default(),
                ..open.clone()
            })
            .collect();
    }
    debug_assert!(covered(words).len() <= words.decision.entries.len(), "a grant covers what was decided");
}

fn details(record: &mut v1::DecisionRecord, decision: &Decision) {
    for (shown, reason) in record.reasons.iter_mut().zip(&decision.reasons) {
        if !reason.detail.is_empty() {
            shown.message = reason.in_words();
        }
    }
    for (shown, contribution) in record.contributions.iter_mut().zip(&decision.risk.contributions) {
        shown.explanation.clone_from(&contribution.explanation);
    }
}

fn facts_json(facts: &Facts) -> String {
    serde_json::to_string(facts).unwrap_or_default()
}

fn bare(entry: &EntryFacts) -> v1::Access {
    v1::Access {
        tool: entry.tool.to_string(),
        actions: entry.actions.clone(),
        resources: entry.resources.clone(),
        ..v1::Access::default()
    }
}

/// An access on the wire.
#[must_use]
pub fn wire_access(access: &Access) -> v1::Access {
    v1::Access {
        tool: access.tool.to_string(),
        actions: access.actions.clone(),
        resources: access.resources.clone(),
        arguments_json: access.arguments.to_text(),
        data_classes: access.data_classes.iter().map(ToString::to_string).collect(),
    }
}

fn evidence(said: &pb::PersonEvidence) -> v1::PersonEvidence {
    v1::PersonEvidence {
        issuer: said.issuer.clone(),
        subject: said.subject.clone(),
        acr: said.acr.clone(),
        amr: said.amr.clone(),
        authenticated: said.auth_time_s.map(|secs| timestamp(crate::model::time::Timestamp::from_secs(secs))),
        token: said.token.clone(),
        client: said.client.clone(),
        token_digest: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&said.token_digest),
    }
}

fn in_words(evidence: &Evidence) -> String {
    let field = if evidence.field.is_empty() { String::new() } else { format!("`{}` of ", evidence.field) };
    match evidence.call {
        None if evidence.seen == Some(Seen::Refused) => "named in the intent as what shall not be".to_owned(),
        Some(call) => format!("{field}call {} of {}", call.saturating_add(1), evidence.tool_in_words()),
        None => format!("`{}`", evidence.field),
    }
}
