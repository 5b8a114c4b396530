//! What other thresholds would have meant: scores as they were recorded, against what people said of decisions afterwards. It reads
//! what stands open in the record, and no words.

use std::collections::{BTreeMap, HashMap};

use crate::broker::Broker;
use crate::broker::ask::Calibrate;
use crate::broker::caller::Caller;
use crate::broker::drift::{class_of, is_a_question};
use crate::broker::error::BrokerError;
use crate::broker::label::{LABELLED, approval_of, label, person};
use crate::broker::record::outcome;
use crate::broker::summary::timestamp;
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::label::Label;
use crate::model::limits::{CALIBRATE_DECISIONS_MAX, CALIBRATE_LABELS_MAX, PAGE_SIZE_MAX};
use crate::model::risk::Score;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::risk::calibrate::{Bands, LABELS_MIN, NEVER, Row, Sample, Share, settle};

const DAY_MILLIS: f64 = 24.0 * 3600.0 * 1000.0;

/// Somebody's label of a decision.
struct Said {
    person: String,
    label: Label,
    answered_it: bool,
    position: u64,
}

/// A question that was labelled: however often it was decided, it is one.
struct Question {
    score: Score,
    let_through: bool,
    said: Vec<Said>,
}

impl Broker {
    /// What thresholds would have meant for the decisions of a class in a span, and which bands its labels speak for. Changes
    /// nothing. It reads for as long as there is something to read, and so blocks.
    ///
    /// # Errors
    /// `RateLimited` when the caller has too much in flight, `Invalid` when there are more labels than one run takes, and when the
    /// record cannot be read.
    pub fn calibrate(&self, caller: &Caller, ask: &Calibrate) -> Result<v1::CalibrateResponse, BrokerError> {
        let _place = self.enter_apart(caller)?;
        // A span that ends in days to come is no longer for it.
        let now = self.now(&self.0.known.look());
        let until = ask.until.map_or(now, |until| until.min(now));
        let mut run = Run::new(ask, self.labels_since(ask.from)?);
        let mut query = Query {
            kind: Some("credential_decided".to_owned()),
            from: ask.from,
            until: ask.until,
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        let size = self.size();
        let mut stopped_at = None;
        'pages: loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in events.iter().take_while(|recorded| recorded.position < size) {
                if run.looked_at >= CALIBRATE_DECISIONS_MAX {
                    stopped_at = Some(recorded.time);
                    break 'pages;
                }
                run.look_at(recorded);
            }
            if next.is_empty() {
                break;
            }
            query.page_token = next;
        }
        let mut answer = run.answer(stopped_at.unwrap_or(until));
        answer.stopped_at = stopped_at.map(timestamp);
        let state = self.0.known.look();
        let bundle = state.policy.as_ref().and_then(|policy| policy.bundle.as_ref());
        answer.in_force = bundle.and_then(|bundle| bundle.risk().bands(ask.class)).map(thresholds);
        Ok(answer)
    }

    /// Every label since, by decision: a label comes after what it is about.
    fn labels_since(&self, from: Option<Timestamp>) -> Result<HashMap<String, Vec<Said>>, BrokerError> {
        let mut query = Query { kind: Some(LABELLED.to_owned()), from, page_size: PAGE_SIZE_MAX, ..Query::default() };
        let (mut said, mut count): (HashMap<String, Vec<Said>>, usize) = (HashMap::new(), 0);
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in &events {
                let Some(Payload::DecisionLabelled(e)) = &recorded.event.payload else { continue };
                let Some(label) = label(e.label) else { continue };
                let person = person(recorded).to_owned();
                let one = Said { person, label, answered_it: e.answered_it, position: recorded.position };
                said.entry(e.decision_id.clone()).or_default().push(one);
                count += 1;
            }
            if count > CALIBRATE_LABELS_MAX {
                let problem = format!("there are more than {CALIBRATE_LABELS_MAX} labels since: begin later");
                return Err(BrokerError::above_limit("from", problem));
            }
            if next.is_empty() {
                return Ok(said);
            }
            query.page_token = next;
        }
    }
}

/// One run over the record.
struct Run<'a> {
    ask: &'a Calibrate,
    said: HashMap<String, Vec<Said>>,
    looked_at: u64,
    decisions: u64,
    first: Option<Timestamp>,
    sample: Sample,
    questions: BTreeMap<String, Question>,
}

impl<'a> Run<'a> {
    fn new(ask: &'a Calibrate, said: HashMap<String, Vec<Said>>) -> Self {
        let (sample, questions) = (Sample::default(), BTreeMap::new());
        Self { ask, said, looked_at: 0, decisions: 0, first: None, sample, questions }
    }

    fn look_at(&mut self, recorded: &Recorded) {
        self.looked_at += 1;
        let Some(Payload::CredentialDecided(decided)) = &recorded.event.payload else { return };
        let Some(decision) = decided.decision.as_ref().filter(|_| class_of(&recorded.event) == Some(self.ask.class))
        else {
            return;
        };
        let score = Score::from_points(decision.risk);
        if is_a_question(decided) {
            self.decisions += 1;
            self.first = self.first.or(Some(recorded.time));
            self.sample.decided(score);
        }
        let Some(said) = self.said.remove(&decision.decision_id) else { return };
        let approval = approval_of(decided);
        // What waited and then was granted is one question, and so is a grant with its renewals.
        let grant = decided.grant.as_ref().map(|grant| grant.grant_id.as_str()).unwrap_or_default();
        let names = [approval, grant, &decision.decision_id];
        let key = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let let_through = approval.is_empty() && is_granted(decision);
        let fresh = || Question { score, let_through, said: Vec::new() };
        self.questions.entry(key.to_owned()).or_insert_with(fresh).said.extend(said);
    }

    fn answer(mut self, until: Timestamp) -> v1::CalibrateResponse {
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
        let first = self.first.unwrap_or(until);
        let days = (until.since(first).as_millis() as f64 / DAY_MILLIS).max(1.0);
        v1::CalibrateResponse {
            class: self.ask.class.to_string(),
            from: Some(timestamp(first)),
            until: Some(timestamp(until)),
            days,
            decisions: self.decisions,
            labels: Some(labels),
            rows: (1..=NEVER).map(|threshold| row(self.sample.row(threshold), days)).collect(),
            in_force: None,
            proposed: self.sample.propose().map(thresholds),
            labels_min: LABELS_MIN,
            stopped_at: None,
        }
    }
}

fn is_granted(decision: &pb::Decision) -> bool {
    outcome(decision.outcome).is_some_and(|outcome| outcome.is_grant())
}

fn row(row: Row, days: f64) -> v1::ThresholdRow {
    v1::ThresholdRow {
        threshold: row.threshold.into(),
        alerts: row.alerts,
        alerts_per_day: row.alerts as f64 / days,
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
