//! Labels: people say of recorded decisions on credentials what they were about, as it turned out. They stand in the record and
//! nowhere else; nothing is decided by them.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::ask::{LabelDecision, ListLabels};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{event, family_of};
use crate::broker::state::State;
use crate::broker::summary::timestamp;
use crate::broker::words::{self, Context, Sentence};
use crate::broker::{Broker, ordinary};
use crate::journal::error::ReadError;
use crate::journal::guards::{Expect, GuardKey};
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::id::{DecisionId, InitiatorName, LabelId};
use crate::model::label::Label;
use crate::model::limits::{LABELS_PER_DECISION_MAX, PAGE_SIZE_MAX};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

const RPC: &str = "LabelDecision";
/// The name of the event.
pub(in crate::broker) const LABELLED: &str = "decision_labelled";

/// What is to be known of a decision before it is labelled.
struct Labelled {
    stream: String,
    task_id: String,
    answered_it: bool,
}

impl Broker {
    /// Records what a person says of a decision on a credential. What the same person said of it before stays on record, and no
    /// longer counts.
    ///
    /// # Errors
    /// `NotPermitted` and `Unauthenticated` as for whatever takes a right and a fresh login; `NotFound` when there is no such
    /// decision; `Invalid` when it is none on a credential, has as many labels as it may, or a note cannot be kept.
    pub async fn label_decision(&self, caller: &Caller, ask: LabelDecision) -> Result<v1::DecisionLabel, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let Caller::Person(person) = caller else {
            return Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed });
        };
        self.may_label(&self.0.known.look(), caller)?;
        // How many there are stands in the record alone, so nobody else adds one until this has been added.
        let _alone = self.0.labelling.lock().await;
        let (decision, name) = (ask.decision, person.name().clone());
        let found = self.reading(move |this| this.to_be_labelled(decision, &name)).await?;
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        let id = LabelId::new(self.0.clock.now(), random);
        let payload = pb::DecisionLabelled {
            label_id: id.to_string(),
            decision_id: ask.decision.to_string(),
            task_id: found.task_id,
            label: wire(ask.label).into(),
            sealed: self.seal_note(&found.stream, id, &ask.note)?,
            answered_it: found.answered_it,
        };
        let event = event(found.stream, caller.actor(), &no_context(), Payload::DecisionLabelled(payload));
        let key = GuardKey::initiator(person.name());
        let committed = self
            .settle(|| {
                let state = self.0.known.look();
                self.may_label(&state, caller)?;
                Ok(ordinary(event.clone(), vec![Expect { key, at: state.marks.at(&key) }]))
            })
            .await?;
        let shown = committed.recorded().first().and_then(|recorded| Some(self.shown(recorded)?.1));
        shown.ok_or_else(|| BrokerError::internal(NoLabelError))
    }

    /// Whoever may label, or approves what agents ask for, and is neither blocked nor stale.
    fn may_label(&self, state: &State, caller: &Caller) -> Result<(), BrokerError> {
        let right = if caller.has(Right::Approve) { Right::Approve } else { Right::Label };
        self.may_change(state, caller, (RPC, right))
    }

    fn to_be_labelled(&self, id: DecisionId, person: &InitiatorName) -> Result<Labelled, BrokerError> {
        let found = self.0.journal.find_decision(&id).map_err(BrokerError::unavailable)?;
        let recorded = found.ok_or(BrokerError::NotFound { what: "decision" })?;
        let Some(Payload::CredentialDecided(decided)) = &recorded.event.payload else {
            return Err(BrokerError::invalid("decision_id", "is no decision on a credential"));
        };
        if self.labels_of(id)?.len() >= LABELS_PER_DECISION_MAX {
            let problem = format!("was labelled {LABELS_PER_DECISION_MAX} times, and it can be no more");
            return Err(BrokerError::above_limit("decision_id", problem));
        }
        let answered_it = self.has_answered(decided, person)?;
        Ok(Labelled { stream: recorded.event.stream, task_id: decided.task_id.clone(), answered_it })
    }

    /// True when that person answered the approval that the request waited for, or was granted by.
    fn has_answered(&self, decided: &pb::CredentialDecided, person: &InitiatorName) -> Result<bool, BrokerError> {
        let approval = approval_of(decided);
        if approval.is_empty() {
            return Ok(false);
        }
        let task = decided.task_id.parse().map_err(BrokerError::internal)?;
        let mut query = Query {
            task: Some(task),
            actor: Some(person.to_string()),
            kind: Some("approval_answered".to_owned()),
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            let is_it = |e: &Recorded| matches!(&e.event.payload, Some(Payload::ApprovalAnswered(a)) if a.approval_id == approval);
            if events.iter().any(is_it) {
                return Ok(true);
            }
            if next.is_empty() {
                return Ok(false);
            }
            query.page_token = next;
        }
    }

    /// Every label of a decision, oldest first.
    fn labels_of(&self, id: DecisionId) -> Result<Vec<Recorded>, BrokerError> {
        let mut query = Query { decision: Some(id), kind: Some(LABELLED.to_owned()), ..Query::default() };
        let mut found = Vec::new();
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            found.extend(events);
            if next.is_empty() || found.len() >= LABELS_PER_DECISION_MAX {
                return Ok(found);
            }
            query.page_token = next;
        }
    }

    /// Labels, oldest first, and the token of the next page; empty when there is none.
    ///
    /// # Errors
    /// `Invalid` for a page token that was not given; `Unavailable` when the record cannot be read.
    pub fn list_labels(
        &self,
        caller: &Caller,
        ask: &ListLabels,
    ) -> Result<(Vec<v1::DecisionLabel>, String), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let query = Query {
            decision: ask.decision,
            kind: Some(LABELLED.to_owned()),
            from: ask.from,
            until: ask.until,
            page_size: ask.page_size,
            page_token: ask.page_token.clone(),
            ..Query::default()
        };
        let Page { events, next } = self.0.journal.search(&query).map_err(|e| match e {
            ReadError::PageToken => BrokerError::invalid("page_token", "was not given by a listing"),
            other => BrokerError::unavailable(other),
        })?;
        let mut standing = BTreeMap::new();
        let mut labels = Vec::new();
        for recorded in &events {
            let Some((decision, mut shown)) = self.shown(recorded) else { continue };
            let standing = match standing.entry(decision) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => place.insert(self.standing(decision)?),
            };
            shown.replaced = !standing.contains(&recorded.position);
            labels.push(shown);
        }
        Ok((labels, next))
    }

    /// The positions of those labels of a decision that no later one of the same person replaced.
    fn standing(&self, id: DecisionId) -> Result<BTreeSet<u64>, BrokerError> {
        let labels = self.labels_of(id)?;
        let by_person = labels.iter().map(|recorded| (person(recorded).to_owned(), recorded.position));
        // The latest of each comes last, and stays.
        Ok(by_person.collect::<BTreeMap<_, _>>().into_values().collect())
    }

    /// A label as it is told; `None` for another event.
    fn shown(&self, recorded: &Recorded) -> Option<(DecisionId, v1::DecisionLabel)> {
        let Some(Payload::DecisionLabelled(e)) = &recorded.event.payload else { return None };
        let context = Context { kind: "label", id: &e.label_id };
        let (note, note_erased) = match self.open_reason(&recorded.event.stream, context, &e.sealed) {
            Ok(note) => (note, false),
            Err(error) if error.is_erased() => (String::new(), true),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(position = recorded.position, error, "the note of a label does not open");
                ("(it does not open)".to_owned(), false)
            }
        };
        let shown = v1::DecisionLabel {
            label_id: e.label_id.clone(),
            decision_id: e.decision_id.clone(),
            task_id: e.task_id.clone(),
            person: person(recorded).to_owned(),
            label: e.label,
            note,
            note_erased,
            answered_it: e.answered_it,
            replaced: false,
            time: Some(timestamp(recorded.time)),
            position: recorded.position,
        };
        Some((e.decision_id.parse().ok()?, shown))
    }

    /// A note is kept or the label is refused: who wrote one wants it to be read.
    fn seal_note(&self, stream: &str, id: LabelId, note: &str) -> Result<bytes::Bytes, BrokerError> {
        if note.is_empty() {
            return Ok(bytes::Bytes::new());
        }
        let context = Context { kind: "label", id: &id.to_string() };
        let sentence = Sentence { text: note.to_owned() };
        words::seal(&self.0.sealer, family_of(stream), context, &sentence).map_err(|error| match error.is_erased() {
            true => BrokerError::invalid("note", "cannot be kept: the words of the task were erased"),
            false => error.into(),
        })
    }
}

/// Who labelled.
pub(in crate::broker) fn person(recorded: &Recorded) -> &str {
    recorded.event.actor.as_ref().map(|actor| actor.id.as_str()).unwrap_or_default()
}

/// The approval that a request waited for, or was granted by; empty when people were not asked.
pub(in crate::broker) fn approval_of(decided: &pb::CredentialDecided) -> &str {
    let used = decided.grant.as_ref().map(|grant| grant.approval_id.as_str()).unwrap_or_default();
    if used.is_empty() { &decided.approval_id } else { used }
}

/// The label that a number of an event stands for.
#[must_use]
pub fn label(number: i32) -> Option<Label> {
    Some(match v1::Label::try_from(number).ok()? {
        v1::Label::Benign => Label::Benign,
        v1::Label::Harmful => Label::Harmful,
        v1::Label::Unsure => Label::Unsure,
        v1::Label::Unspecified => return None,
    })
}

const fn wire(label: Label) -> v1::Label {
    match label {
        Label::Benign => v1::Label::Benign,
        Label::Harmful => v1::Label::Harmful,
        Label::Unsure => v1::Label::Unsure,
    }
}

/// What was appended is not what was to be.
#[derive(Debug, thiserror::Error)]
#[error("the event of a label holds none")]
struct NoLabelError;
