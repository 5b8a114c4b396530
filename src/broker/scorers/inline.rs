//! Scorers that are asked before the decision, which waits for them as long as their deadline. A request asks about the facts as it
//! found them; when those have changed by the time that the answer is there, it asks again, a few times.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::approvals::Covers;
use crate::broker::asking::Of;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::record::asked_digest;
use crate::broker::request::Asking;
use crate::broker::scorers::memory::Step;
use crate::broker::scorers::places::Crowded;
use crate::broker::scorers::reply::{self, Absence};
use crate::broker::scorers::told::{effects, told};
use crate::broker::scorers::{Scorer, Trail};
use crate::broker::{Broker, Entered};
use crate::model::access::Effect;
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::Facts;
use crate::model::limits::QUESTION_BYTES_MAX;
use crate::model::risk::{Signal, keep_higher};
use crate::model::time::Ttl;
use crate::pb::v1::ScoreRequest;
use crate::pb::wire::encoded_len;
use crate::seal::sealer::COMMON;

/// How often one request asks, when what it asks about changes meanwhile.
const ASKS_MAX: u32 = 3;

/// What one request knows of scorers, over all its attempts.
pub(in crate::broker) struct Scoring<'a> {
    entered: Entered<'a>,
    /// What was asked about last.
    about: Option<ScoreRequest>,
    asks: u32,
    said: Vec<Signal>,
}

/// What came of inline scorers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Scored {
    /// They were asked just now, which took its time: the request is to look again.
    Asked,
    /// What they said is among the facts.
    Added,
    /// There is nobody to be asked, or nothing to be asked about.
    Nothing,
}

impl<'a> Scoring<'a> {
    pub(in crate::broker) const fn new(entered: Entered<'a>) -> Self {
        Self { entered, about: None, asks: 0, said: Vec::new() }
    }

    /// What was said about that; `None` when it was not asked yet.
    fn said(&self, told: &ScoreRequest) -> Option<&[Signal]> {
        let known = self.asks > ASKS_MAX || self.about.as_ref() == Some(told);
        known.then_some(&self.said)
    }
}

impl Broker {
    /// Adds to the facts what inline scorers say of what is asked. What was decided without them stands when it is a denial already, and
    /// is not granted all the same because policy only observes.
    pub(in crate::broker) async fn with_scores(
        &self,
        asking: &Asking<'_>,
        view: &View,
        facts: &mut Facts,
        decision: &Decision,
        scoring: &mut Scoring<'_>,
    ) -> Result<Scored, BrokerError> {
        let denied = decision.outcome == Outcome::Denied && !decision.grants();
        if self.0.scorers.is_empty() || denied {
            return Ok(Scored::Nothing);
        }
        let effects = effects(view, facts.entries.iter().map(|entry| &entry.tool));
        let scorers = self.0.scorers.inline(&effects);
        if scorers.is_empty() {
            return Ok(Scored::Nothing);
        }
        let told = told(asking, view, facts, decision);
        if let Some(said) = scoring.said(&told) {
            keep_higher(&mut facts.signals, said.iter().cloned());
            return Ok(Scored::Added);
        }
        // Nobody's sync waits for what is asked elsewhere.
        drop(scoring.entered.leave());
        scoring.asks += 1;
        let said = if scoring.asks > ASKS_MAX {
            self.count_unasked(&scorers, Absence::Changed);
            self.silence(&scorers, Absence::Changed, &effects)
        } else {
            let step = (view.root, self.step(view, facts)?);
            self.ask_inline(&scorers, (&told, step), view, &effects).await
        };
        keep_higher(&mut scoring.said, said);
        scoring.about = Some(told);
        scoring.entered.attending = Some(self.0.journal.attend());
        Ok(Scored::Asked)
    }

    fn silence(&self, scorers: &[Arc<Scorer>], absence: Absence, effects: &BTreeSet<Effect>) -> Vec<Signal> {
        let now = self.0.clock.now();
        scorers.iter().filter_map(|scorer| reply::signal(&scorer.options, &Err(absence), effects, now)).collect()
    }

    /// All at a time; none keeps the others waiting. What comes of it is the highest of what is said now and was said lately.
    async fn ask_inline(
        &self,
        scorers: &[Arc<Scorer>],
        (told, step): (&ScoreRequest, Step),
        view: &View,
        effects: &BTreeSet<Effect>,
    ) -> Vec<Signal> {
        if encoded_len(told) > QUESTION_BYTES_MAX {
            self.count_unasked(scorers, Absence::TooLarge);
            let said = self.silence(scorers, Absence::TooLarge, effects);
            return self.0.scorers.memory.take_in(step, self.0.clock.now(), said);
        }
        let put = scorers.iter().map(|scorer| {
            let (deadline, crowded) = (scorer.options.deadline, Crowded::default());
            let put = self.put(scorer, self.question(told), view.agent.clone(), deadline, crowded.clone());
            let (this, asked, effects) = (self.clone(), Arc::clone(scorer), effects.clone());
            // What is said too late for this request is remembered for the next one about the same.
            let remembered = tokio::spawn(async move {
                let outcome = put.await.unwrap_or(Err(Absence::Failed));
                let now = this.0.clock.now();
                let signal = reply::signal(&asked.options, &outcome, &effects, now);
                this.0.scorers.memory.take_in(step, now, signal.iter().cloned().collect());
                signal
            });
            (scorer, crowded, tokio::time::timeout(deadline, remembered))
        });
        // They run by themselves; that they are waited for one after the other takes no longer.
        let mut said = Vec::new();
        let put: Vec<_> = put.collect();
        for (scorer, crowded, answer) in put {
            let absence = match answer.await {
                Ok(Ok(signal)) => {
                    said.extend(signal);
                    continue;
                }
                Ok(Err(_panicked)) => Absence::Failed,
                Err(_elapsed) if crowded.is() => Absence::Crowded,
                Err(_elapsed) => Absence::TimedOut(scorer.options.deadline),
            };
            said.extend(reply::signal(&scorer.options, &Err(absence), effects, self.0.clock.now()));
        }
        self.0.scorers.memory.with_earlier(step, self.0.clock.now(), said)
    }

    /// The question with an id of its own.
    pub(super) fn question(&self, told: &ScoreRequest) -> Arc<ScoreRequest> {
        let id = self.new_decision_id().map(|id| id.to_string().replacen("decision", "question", 1));
        Arc::new(ScoreRequest { question_id: id.unwrap_or_default(), ..told.clone() })
    }

    pub(super) fn count_unasked(&self, scorers: &[Arc<Scorer>], absence: Absence) {
        let Some(metrics) = self.0.scorers.metrics.get() else { return };
        for scorer in scorers {
            metrics.scored(&scorer.options.name, absence.as_str(), std::time::Duration::ZERO);
        }
    }

    /// How the step is known again in its family of tasks: by who asks, for which tools, where it goes, in whatever order.
    fn step(&self, view: &View, facts: &Facts) -> Result<Covers, BrokerError> {
        let audience = facts.audience.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut entries: Vec<_> = facts.entries.iter().collect();
        entries.sort_by_cached_key(|entry| {
            let sinks = entry.sinks.iter().map(|sink| (sink.name.clone(), sink.value.clone()));
            (entry.tool.to_string(), entry.resources.clone(), sinks.collect::<Vec<_>>())
        });
        let mut parts = vec![view.agent.as_str().to_owned(), audience];
        for entry in entries {
            parts.push(entry.tool.to_string());
            parts.push(entry.resources.len().to_string());
            parts.extend(entry.resources.iter().cloned());
            parts.extend(entry.sinks.iter().flat_map(|sink| [sink.name.clone(), sink.value.clone()]));
        }
        let parts: Vec<&[u8]> = [b"step".as_slice()].into_iter().chain(parts.iter().map(String::as_bytes)).collect();
        self.keyed(COMMON, asked_digest(&parts))
    }

    /// What scorers said when people were asked about this, whatever they answered, or denied it elsewhere: whoever asks until a
    /// scorer is mild gains nothing.
    pub(in crate::broker) fn remembered_scores(
        &self,
        asking: &Asking<'_>,
        view: &View,
        facts: &Facts,
    ) -> Result<Vec<Signal>, BrokerError> {
        let mut highest = Vec::new();
        if self.0.scorers.is_empty() {
            return Ok(highest);
        }
        let covers = self.covers(asking, view)?;
        let remembers_denials = {
            let state = self.0.known.look();
            // Whatever became of it: that it was used, taken back or not answered makes no score milder.
            if let Some((_, approval)) = state.approvals.covering(&covers) {
                keep_higher(&mut highest, recorded(&approval.scores, view));
            }
            state.approvals.denials().any()
        };
        if remembers_denials {
            let of = Of { agent: &view.agent, audience: asking.audience, bundle: Some(view.bundle.as_ref()) };
            let shapes = self.all_shapes(of, facts)?;
            let state = self.0.known.look();
            for denial in state.approvals.denials().within(&shapes, view.now) {
                keep_higher(&mut highest, recorded(&denial.scores, view));
            }
        }
        Ok(highest)
    }

    /// The longest life of a token of which trailing scorers have yet to say something.
    pub(in crate::broker) fn trailing_life(&self, asking: &Asking<'_>, view: &View) -> Option<Ttl> {
        if self.0.scorers.is_empty() {
            return None;
        }
        self.0.scorers.life_max(&effects(view, asking.access.iter().map(|access| &access.tool)))
    }

    /// What trailing scorers are to be asked once that is recorded; `None` when nothing.
    pub(in crate::broker) fn trail(
        &self,
        asking: &Asking<'_>,
        view: &View,
        facts: &Facts,
        decision: &Decision,
    ) -> Option<Trail> {
        if self.0.scorers.is_empty() {
            return None;
        }
        let effects = effects(view, facts.entries.iter().map(|entry| &entry.tool));
        let mut scorers = self.0.scorers.trailing(&effects);
        if !decision.grants() {
            // What waits for people because one of them was silent is asked again, so that it does not wait for ever.
            let silent = |name: &str| {
                let source = reply::source(name);
                view.signals.iter().any(|signal| signal.is_absence() && signal.source == source)
            };
            scorers.retain(|scorer| decision.outcome != Outcome::Denied && silent(&scorer.options.name));
        }
        if scorers.is_empty() {
            return None;
        }
        let told = told(asking, view, facts, decision);
        Some(Trail { scorers, told, effects, agent: view.agent.clone(), task: asking.task })
    }
}

fn recorded(scores: &[(String, u32)], view: &View) -> Vec<Signal> {
    let now = view.now;
    let signal = |(source, points): &(String, u32)| {
        Some(Signal {
            name: reply::signal_name()?,
            source: source.clone(),
            scorer: "recorded".to_owned(),
            points: *points,
            explanation: "what counted when this was asked before".to_owned(),
            observed: now,
        })
    };
    scores.iter().filter_map(signal).collect()
}
