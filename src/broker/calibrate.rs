//! What other thresholds would have meant: scores as they were recorded, against what people said of decisions afterwards. It reads
//! what stands open in the record, and no words.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::broker::Broker;
use crate::broker::ask::Calibrate;
use crate::broker::caller::Caller;
use crate::broker::drift::{class_of, is_a_question};
use crate::broker::error::BrokerError;
use crate::broker::label::{LABELLED, after, approval_of, before, label, person};
use crate::broker::record::outcome;
use crate::broker::summary::timestamp;
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::id::{ApprovalId, DecisionId, GrantId, TaskId};
use crate::model::label::Label;
use crate::model::limits::{CALIBRATE_LABELS_READ_MAX, PAGE_SIZE_MAX};
use crate::model::risk::Score;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::risk::calibrate::{Bands, LABELS_MIN, NEVER, Row, Sample, Share, settle};

const DAY_MILLIS: f64 = 24.0 * 3600.0 * 1000.0;
/// The shortest span, in days, of which it is said how many alerts a day there would have been: a minute of one that was asked for.
const SPAN_MIN_DAYS: f64 = 1.0 / 1440.0;
/// Decisions that are read at a time: the largest are a megabyte each.
const PAGE_DECISIONS: u32 = 50;
/// Most steps from a decision back to the question that it goes on from: a renewal, its grant, an approval, those before it.
const STEPS_BACK_MAX: usize = 16;
/// What a decision on a credential is called.
const DECIDED: &str = "credential_decided";

/// Somebody's label of a decision.
struct Said {
    person: String,
    label: Label,
    answered_it: bool,
    position: u64,
}

/// A question that was labelled: however often it was decided, it is one, and its score is that of the first time.
struct Question {
    score: Score,
    let_through: bool,
    said: Vec<Said>,
}

/// Labels of decisions in a span, each person's latest of each decision.
#[derive(Default)]
struct Labels {
    said: HashMap<DecisionId, Vec<Said>>,
    stopped_at: Option<Timestamp>,
}

impl Broker {
    /// What thresholds would have meant for the decisions of a class in a span, and which bands its labels speak for. Changes
    /// nothing. It reads for as long as there is something to read, and so blocks.
    ///
    /// # Errors
    /// `RateLimited` when the caller has too much in flight, and when the record cannot be read.
    pub fn calibrate(&self, caller: &Caller, ask: &Calibrate) -> Result<v1::CalibrateResponse, BrokerError> {
        let _place = self.enter_apart(caller)?;
        // A span that ends in days to come is no longer for it.
        let now = self.now(&self.0.known.look());
        let until = ask.until.map_or(now, |until| until.min(now));
        let mut run = Run::new(ask, self.labels_in(ask)?);
        let stopped_at = self.count(&mut run)?;
        if stopped_at.is_some() {
            self.find_the_others(&mut run)?;
        }
        self.settle_labels(&mut run)?;
        let begins = match (stopped_at, ask.from) {
            (Some(at), _) => at,
            (None, Some(from)) => from.max(self.begins()?.unwrap_or(until)),
            (None, None) => run.first.unwrap_or(until),
        };
        let mut answer = run.answer(begins, until, stopped_at.is_some() || ask.from.is_some());
        answer.stopped_at = stopped_at.map(timestamp);
        let state = self.0.known.look();
        let bundle = state.policy.as_ref().and_then(|policy| policy.bundle.as_ref());
        answer.in_force = bundle.and_then(|bundle| bundle.risk().bands(ask.class)).map(thresholds);
        Ok(answer)
    }

    /// Counts decisions, the latest first. Returns the time of the last that was counted when there are more.
    fn count(&self, run: &mut Run<'_>) -> Result<Option<Timestamp>, BrokerError> {
        let mut query = Query {
            kind: Some(DECIDED.to_owned()),
            from: run.ask.from,
            until: run.ask.until,
            newest_first: true,
            page_size: PAGE_DECISIONS,
            ..Query::default()
        };
        let (mut looked_at, mut last) = (0, None);
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in &events {
                if looked_at >= run.ask.decisions_max {
                    return Ok(last);
                }
                run.look_at(recorded);
                looked_at += 1;
                last = Some(recorded.time);
            }
            if next.is_empty() {
                return Ok(None);
            }
            query.page_token = next;
        }
    }

    /// Finds the labelled decisions that counting did not come to: labels are rare, and each counts.
    fn find_the_others(&self, run: &mut Run<'_>) -> Result<(), BrokerError> {
        for (id, said) in std::mem::take(&mut run.labels.said) {
            let found = self.0.journal.find_decision(&id).map_err(BrokerError::unavailable)?;
            if let Some(recorded) = found.filter(|recorded| run.asks_for(recorded.time)) {
                run.label(&recorded, said);
            }
        }
        Ok(())
    }

    /// Every label of a decision of the span, the latest first: each person's latest of each. Labels come later than what they are
    /// about, however much.
    fn labels_in(&self, ask: &Calibrate) -> Result<Labels, BrokerError> {
        let mut query = Query {
            kind: Some(LABELLED.to_owned()),
            from: ask.from,
            newest_first: true,
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        let (mut labels, mut known) = (Labels::default(), HashSet::new());
        let (mut read, mut last) = (0, None);
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in &events {
                if read >= CALIBRATE_LABELS_READ_MAX {
                    labels.stopped_at = Some(recorded.time);
                    return Ok(labels);
                }
                read += 1;
                let Some(Payload::DecisionLabelled(e)) = &recorded.event.payload else { continue };
                let Some((label, id)) = label(e.label).zip(e.decision_id.parse::<DecisionId>().ok()) else { continue };
                let made = id.timestamp();
                let of_span = ask.from.is_none_or(|from| after(made) >= from)
                    && ask.until.is_none_or(|until| before(made) < until);
                let person = person(recorded).to_owned();
                let of = (id, person.clone());
                if !of_span || known.contains(&of) {
                    continue;
                }
                if known.len() >= ask.labels_max {
                    labels.stopped_at = last;
                    return Ok(labels);
                }
                known.insert(of);
                last = Some(recorded.time);
                let one = Said { person, label, answered_it: e.answered_it, position: recorded.position };
                labels.said.entry(id).or_default().push(one);
            }
            if next.is_empty() {
                return Ok(labels);
            }
            query.page_token = next;
        }
    }

    /// Puts what was said of decisions to the questions that they are on.
    fn settle_labels(&self, run: &mut Run<'_>) -> Result<(), BrokerError> {
        for (recorded, mut said) in std::mem::take(&mut run.labelled) {
            let Some(decided) = decided(&recorded) else { continue };
            let answered = self.who_answered(decided)?;
            said.iter_mut().for_each(|one| one.answered_it |= answered.contains(&one.person));
            let first = self.question_of(recorded.clone())?;
            let Some((asked, decision)) = self::decided(&first).and_then(|d| Some((d, d.decision.as_ref()?))) else {
                continue;
            };
            // What was asked before the span is in no count, and not in this one.
            if !run.asks_for(first.time) {
                continue;
            }
            run.bundles.insert(decision.policy_digest.clone());
            let by_people = |grant: &pb::Grant| !grant.break_glass_id.is_empty();
            let let_through =
                approval_of(asked).is_empty() && is_granted(decision) && !asked.grant.as_ref().is_some_and(by_people);
            let fresh = || Question { score: Score::from_points(decision.risk), let_through, said: Vec::new() };
            run.questions.entry(decision.decision_id.clone()).or_insert_with(fresh).said.extend(said);
        }
        Ok(())
    }

    /// The decision with which a question was asked first, from one that goes on from it; itself when that is not to be found.
    fn question_of(&self, mut recorded: Recorded) -> Result<Recorded, BrokerError> {
        for _ in 0..STEPS_BACK_MAX {
            let Some(decided) = decided(&recorded).filter(|decided| !is_a_question(decided)) else { break };
            let grant = decided.grant.as_ref().filter(|grant| !grant.renews_jti.is_empty());
            let names = [
                decided.goes_on_from.as_str(),
                grant.map(|grant| grant.grant_id.as_str()).unwrap_or_default(),
                approval_of(decided),
            ];
            let Some(name) = names.into_iter().find(|name| !name.is_empty()) else { break };
            let found = if let Ok(grant) = name.parse::<GrantId>() {
                self.0.journal.find_grant(&grant).map_err(BrokerError::unavailable)?
            } else if let Ok(decision) = name.parse::<DecisionId>() {
                self.0.journal.find_decision(&decision).map_err(BrokerError::unavailable)?
            } else if let (Ok(approval), Ok(task)) = (name.parse::<ApprovalId>(), decided.task_id.parse::<TaskId>()) {
                self.asked_first(approval, task)?
            } else {
                None
            };
            // Never forward, so that it ends.
            match found.filter(|found| found.position < recorded.position && self::decided(found).is_some()) {
                Some(found) => recorded = found,
                None => break,
            }
        }
        Ok(recorded)
    }

    /// The decision with which people were asked.
    fn asked_first(&self, approval: ApprovalId, task: TaskId) -> Result<Option<Recorded>, BrokerError> {
        let mut query = Query {
            task: Some(task),
            kind: Some(DECIDED.to_owned()),
            from: Some(before(approval.timestamp())),
            until: Some(after(approval.timestamp())),
            ..Query::default()
        };
        let name = approval.to_string();
        let asks = |recorded: &Recorded| {
            decided(recorded).is_some_and(|decided| decided.asked_people.is_some() && decided.approval_id == name)
        };
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            if let Some(found) = events.into_iter().find(asks) {
                return Ok(Some(found));
            }
            if next.is_empty() {
                return Ok(None);
            }
            query.page_token = next;
        }
    }

    /// The time of the first event of the record.
    fn begins(&self) -> Result<Option<Timestamp>, BrokerError> {
        let first = self.0.journal.read_range(0, 1).map_err(BrokerError::unavailable)?;
        Ok(first.first().map(|recorded| recorded.time))
    }
}

/// One run over the record.
struct Run<'a> {
    ask: &'a Calibrate,
    labels: Labels,
    decisions: u64,
    /// When the earliest of them was.
    first: Option<Timestamp>,
    sample: Sample,
    bundles: BTreeSet<String>,
    labelled: Vec<(Recorded, Vec<Said>)>,
    questions: BTreeMap<String, Question>,
}

impl<'a> Run<'a> {
    fn new(ask: &'a Calibrate, labels: Labels) -> Self {
        Self {
            ask,
            labels,
            decisions: 0,
            first: None,
            sample: Sample::default(),
            bundles: BTreeSet::new(),
            labelled: Vec::new(),
            questions: BTreeMap::new(),
        }
    }

    fn asks_for(&self, time: Timestamp) -> bool {
        self.ask.from.is_none_or(|from| time >= from) && self.ask.until.is_none_or(|until| time < until)
    }

    fn look_at(&mut self, recorded: &Recorded) {
        let Some(decided) = decided(recorded) else { return };
        let Some(decision) = decided.decision.as_ref().filter(|_| class_of(&recorded.event) == Some(self.ask.class))
        else {
            return;
        };
        if is_a_question(decided) {
            self.decisions += 1;
            self.first = Some(recorded.time);
            self.sample.decided(Score::from_points(decision.risk));
            if !self.bundles.contains(&decision.policy_digest) {
                self.bundles.insert(decision.policy_digest.clone());
            }
        }
        let id = decision.decision_id.parse().ok();
        if let Some(said) = id.and_then(|id: DecisionId| self.labels.said.remove(&id)) {
            self.label(recorded, said);
        }
    }

    /// Keeps a decision with what was said of it, when it is one of the class.
    fn label(&mut self, recorded: &Recorded, said: Vec<Said>) {
        if class_of(&recorded.event) != Some(self.ask.class) || decided(recorded).is_none() {
            return;
        }
        let mut recorded = recorded.clone();
        recorded.stored = bytes::Bytes::new();
        // The words are the largest part, and nobody reads them here.
        if let Some(Payload::CredentialDecided(decided)) = &mut recorded.event.payload {
            decided.decision.iter_mut().for_each(|decision| decision.sealed.clear());
            decided.grant.iter_mut().for_each(|grant| grant.sealed_claims.clear());
        }
        self.labelled.push((recorded, said));
    }

    fn answer(mut self, begins: Timestamp, until: Timestamp, is_given: bool) -> v1::CalibrateResponse {
        let mut labels = v1::LabelCounts::default();
        for question in self.questions.into_values() {
            let mut latest: BTreeMap<&str, &Said> = BTreeMap::new();
            for said in &question.said {
                let known = latest.entry(&said.person).or_insert(said);
                if said.position > known.position {
                    *known = said;
                }
            }
            let settled = settle(latest.values().map(|said| said.label));
            self.sample.labelled(question.score, settled.label);
            let count = match settled.label {
                Label::Harmful => &mut labels.harmful,
                Label::Benign => &mut labels.benign,
                Label::Unsure => &mut labels.unsure,
            };
            *count += 1;
            labels.contradicted += u64::from(settled.contradicted);
            labels.answered_by_labeller += u64::from(latest.values().all(|said| said.answered_it));
            labels.let_through += u64::from(question.let_through);
            labels.escalated += u64::from(!question.let_through);
        }
        let days = until.since(begins).as_millis() as f64 / DAY_MILLIS;
        // Where nobody said when it begins, a first decision an hour ago says nothing about a day.
        let says_a_day = days >= if is_given { SPAN_MIN_DAYS } else { 1.0 };
        let a_day = |row: &Row| says_a_day.then(|| row.alerts as f64 / days);
        v1::CalibrateResponse {
            class: self.ask.class.to_string(),
            from: Some(timestamp(begins)),
            until: Some(timestamp(until)),
            days,
            decisions: self.decisions,
            labels: Some(labels),
            rows: (1..=NEVER).map(|threshold| self.sample.row(threshold)).map(|r| row(r, a_day(&r))).collect(),
            in_force: None,
            proposed: self.sample.propose().map(thresholds),
            labels_min: LABELS_MIN,
            stopped_at: None,
            bundles: self.bundles.len() as u64,
            labels_stopped_at: self.labels.stopped_at.map(timestamp),
        }
    }
}

/// The decision on a credential that an event holds.
fn decided(recorded: &Recorded) -> Option<&pb::CredentialDecided> {
    match &recorded.event.payload {
        Some(Payload::CredentialDecided(decided)) => Some(decided),
        _ => None,
    }
}

fn is_granted(decision: &pb::Decision) -> bool {
    outcome(decision.outcome).is_some_and(|outcome| outcome.is_grant())
}

fn row(row: Row, alerts_per_day: Option<f64>) -> v1::ThresholdRow {
    v1::ThresholdRow {
        threshold: row.threshold.into(),
        alerts: row.alerts,
        alerts_per_day,
        misses: Some(share(row.misses)),
        false_alarms: Some(share(row.false_alarms)),
    }
}

fn share(share: Share) -> v1::Share {
    let (low, high) = share.interval();
    v1::Share { count: share.count, of: share.of, low, high }
}

fn thresholds(bands: Bands) -> v1::Thresholds {
    v1::Thresholds { elevated: bands.elevated.into(), high: bands.high.into(), critical: bands.critical.into() }
}
