//! Labels: people say of recorded decisions on credentials what they were about, as it turned out. They stand in the record and
//! nowhere else; nothing is decided by them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::broker::ask::{LabelDecision, ListLabels};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{event, family_of};
use crate::broker::state::State;
use crate::broker::summary::timestamp;
use crate::broker::words::{self, Context, Sentence};
use crate::broker::{Broker, TRIES_MAX, ordinary};
use crate::journal::error::ReadError;
use crate::journal::guards::{Expect, GuardKey};
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::id::{ApprovalId, DecisionId, InitiatorName, LabelId};
use crate::model::label::Label;
use crate::model::limits::{
    ANSWER_SECONDS_MAX, LABELLERS_PER_DECISION_MAX, LABELS_AHEAD_MAX, LABELS_PER_PERSON_MAX, PAGE_SIZE_MAX,
};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
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
    /// longer counts. Who says the same again is told of what stands.
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
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        let id = LabelId::new(self.0.clock.now(), random);
        let (decision, name, note) = (ask.decision, person.name().clone(), ask.note.clone());
        let read = move |this: &Self| {
            let found = this.to_be_labelled(decision, &name)?;
            let sealed = this.seal_note(&found.stream, id, &note)?;
            Ok((found, sealed))
        };
        let (found, sealed) = self.reading(read).await?;
        let labels = GuardKey::labels(&ask.decision);
        for _ in 0..TRIES_MAX {
            // How many there are stands in the record alone; the guard says that it is as it was read.
            let at = self.0.known.look().marks.at(&labels);
            let (again, name) = (ask.clone(), person.name().clone());
            if let Some(stands) = self.reading(move |this| this.room_for(&again, &name)).await? {
                return Ok(stands);
            }
            let payload = pb::DecisionLabelled {
                label_id: id.to_string(),
                decision_id: ask.decision.to_string(),
                task_id: found.task_id.clone(),
                label: wire(ask.label).into(),
                sealed: sealed.clone(),
                answered_it: found.answered_it,
            };
            let payload = Payload::DecisionLabelled(payload);
            let event = event(found.stream.clone(), caller.actor(), &no_context(), payload);
            let entry = {
                let state = self.0.known.look();
                self.may_label(&state, caller)?;
                let person = GuardKey::initiator(person.name());
                let block = Expect { key: person, at: state.marks.at(&person) };
                ordinary(event, vec![block, Expect { key: labels, at }])
            };
            let Some(committed) = self.append(entry).await? else { continue };
            let appended = committed.recorded().first().cloned();
            let shown = self.reading(move |this| Ok(appended.and_then(|recorded| this.shown(&recorded)))).await?;
            return shown.map(|(_, shown)| shown).ok_or_else(|| BrokerError::internal(NoLabelError));
        }
        Err(BrokerError::Conflict)
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
        let answered_it = self.who_answered(decided)?.contains(person.as_str());
        Ok(Labelled { stream: recorded.event.stream, task_id: decided.task_id.clone(), answered_it })
    }

    /// Makes sure that the person may say more of the decision. Returns what it said last when that is the same.
    fn room_for(&self, ask: &LabelDecision, name: &InitiatorName) -> Result<Option<v1::DecisionLabel>, BrokerError> {
        let labels = self.labels_of(ask.decision)?;
        let own: Vec<&Recorded> = labels.iter().filter(|recorded| person(recorded) == name.as_str()).collect();
        if let Some((_, stands)) = own.last().and_then(|recorded| self.shown(recorded)) {
            let is_same = stands.label() == wire(ask.label) && (ask.note.is_empty() || ask.note == stands.note);
            if is_same {
                return Ok(Some(stands));
            }
        }
        if own.len() >= LABELS_PER_PERSON_MAX {
            let problem = format!("was labelled {LABELS_PER_PERSON_MAX} times by you, and it can be no more");
            return Err(BrokerError::above_limit("decision_id", problem));
        }
        let persons: BTreeSet<&str> = labels.iter().map(person).collect();
        if own.is_empty() && persons.len() >= LABELLERS_PER_DECISION_MAX {
            let problem = format!("was labelled by {LABELLERS_PER_DECISION_MAX} persons, and it can be by no more");
            return Err(BrokerError::above_limit("decision_id", problem));
        }
        Ok(None)
    }

    /// The persons, as records name them, who answered the approval that the request waited for, was granted by or was denied by,
    /// before or after; and who opened the break-glass that it was granted through.
    pub(in crate::broker) fn who_answered(
        &self,
        decided: &pb::CredentialDecided,
    ) -> Result<BTreeSet<String>, BrokerError> {
        let glass = decided.grant.iter().map(|grant| &grant.break_glass_by).filter(|by| !by.is_empty());
        let names = decided.answered_by.iter().chain(glass);
        let mut persons: BTreeSet<String> = names.cloned().collect();
        let approval: Option<ApprovalId> = approval_of(decided).parse().ok();
        let Some(approval) = approval.filter(|_| decided.answered_by.is_empty()) else { return Ok(persons) };
        let mut query = Query {
            task: Some(decided.task_id.parse().map_err(BrokerError::internal)?),
            kind: Some("approval_answered".to_owned()),
            from: Some(before(approval.timestamp())),
            // Answers come within so long.
            until: Some(approval.timestamp().after(Duration::from_secs(ANSWER_SECONDS_MAX + SLACK_SECONDS))),
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        let approval = approval.to_string();
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in &events {
                let Some(Payload::ApprovalAnswered(answer)) = &recorded.event.payload else { continue };
                if answer.approval_id != approval {
                    continue;
                }
                persons.insert(person(recorded).to_owned());
                if answer.settles {
                    return Ok(persons);
                }
            }
            if next.is_empty() {
                return Ok(persons);
            }
            query.page_token = next;
        }
    }

    /// Every label of a decision, oldest first.
    fn labels_of(&self, id: DecisionId) -> Result<Vec<Recorded>, BrokerError> {
        let mut query =
            Query { decision: Some(id), kind: Some(LABELLED.to_owned()), page_size: PAGE_SIZE_MAX, ..Query::default() };
        let mut found = Vec::new();
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            found.extend(events);
            if next.is_empty() {
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
        let latest = self.latest_of(&events, ask.decision)?;
        let mut answered: HashMap<DecisionId, BTreeSet<String>> = HashMap::new();
        let mut labels = Vec::new();
        for recorded in &events {
            let Some((decision, mut shown)) = self.shown(recorded) else { continue };
            let latest = latest.get(&(shown.decision_id.clone(), shown.person.clone()));
            shown.replaced = latest.is_some_and(|position| *position > recorded.position);
            let answered = match answered.entry(decision) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.who_answered_of(decision)?),
            };
            shown.answered_it |= answered.contains(&shown.person);
            labels.push(shown);
        }
        Ok((labels, next))
    }

    fn who_answered_of(&self, decision: DecisionId) -> Result<BTreeSet<String>, BrokerError> {
        let found = self.0.journal.find_decision(&decision).map_err(BrokerError::unavailable)?;
        match found.map(|recorded| recorded.event.payload) {
            Some(Some(Payload::CredentialDecided(decided))) => self.who_answered(&decided),
            _ => Ok(BTreeSet::new()),
        }
    }

    /// The positions of the last labels of each decision of a page by each person: from the page on, all in one go.
    fn latest_of(
        &self,
        page: &[Recorded],
        decision: Option<DecisionId>,
    ) -> Result<HashMap<(String, String), u64>, BrokerError> {
        let key = |recorded: &Recorded| match &recorded.event.payload {
            Some(Payload::DecisionLabelled(e)) => Some((e.decision_id.clone(), person(recorded).to_owned())),
            _ => None,
        };
        let mut latest: HashMap<(String, String), u64> = HashMap::new();
        latest.extend(page.iter().filter_map(|recorded| Some((key(recorded)?, recorded.position))));
        let Some(last) = page.last() else { return Ok(latest) };
        let mut query = Query {
            decision,
            kind: Some(LABELLED.to_owned()),
            from: Some(last.time),
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        let mut ahead = 0;
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            ahead += events.len();
            for recorded in &events {
                if let Some(known) = key(recorded).and_then(|key| latest.get_mut(&key)) {
                    *known = recorded.position.max(*known);
                }
            }
            if next.is_empty() || ahead >= LABELS_AHEAD_MAX {
                return Ok(latest);
            }
            query.page_token = next;
        }
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

/// How far the time in an id and that of its event may lie apart: ids are made first, and clocks are not perfect.
const SLACK_SECONDS: u64 = 60;

/// A time before whatever is recorded of an id of that time.
pub(in crate::broker) fn before(made: Timestamp) -> Timestamp {
    Timestamp::from_millis(made.as_millis().saturating_sub(SLACK_SECONDS * 1000))
}

/// A time after what is recorded first of an id of that time.
pub(in crate::broker) fn after(made: Timestamp) -> Timestamp {
    made.after(Duration::from_secs(SLACK_SECONDS))
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
