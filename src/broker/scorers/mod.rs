//! Scorers outside of Carnet that say how suspicious a step is. What they say adds points, up to a cap of their own; so does their
//! silence. They are asked outside of every lock, and each question goes on whether or not its asker waits for it: somebody who
//! hangs up leaves nothing uncounted.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::broker::scorers::breaker::Breaker;
use crate::broker::scorers::places::{Crowded, Full, Places};
use crate::broker::scorers::reply::{Absence, Said};
use crate::clock::{Clock, Stopwatch};
use crate::metrics::Metrics;
use crate::model::access::Effect;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Ttl;
use crate::pb::v1::{ScoreRequest, ScoreResponse};

mod breaker;
mod inline;
mod memory;
mod places;
mod reply;
mod told;
mod trailing;

pub(in crate::broker) use inline::{Scored, Scoring};
pub(in crate::broker) use trailing::Trail;

/// What is asked how suspicious a step is. What it answers is not believed but looked at.
pub trait RiskScorer: Send + Sync + fmt::Debug {
    /// Asks, and gives the answer as it came.
    fn score<'a>(&'a self, asked: &'a ScoreRequest, within: Duration) -> Answering<'a>;
}

/// An answer that is on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<ScoreResponse, ScorerFault>> + Send + 'a>>;

/// Why there is no answer. It holds none of the words of the other side.
#[derive(Debug, thiserror::Error)]
pub enum ScorerFault {
    /// It cannot be reached, or is not who it should be.
    #[error("the scorer cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered with an error.
    #[error("the scorer answered with {0}")]
    Refused(String),
    /// What is to be judged does not fit into a question.
    #[error("the question is too large")]
    TooLarge,
    /// What it answered is no answer, or says that it does not take the question: that may be for what is in it.
    #[error("the scorer's answer is none: {0}")]
    Form(&'static str),
}

/// When a scorer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScorerMode {
    /// Before the decision, which waits for it.
    Inline,
    /// After the decision: the token lives no longer than that, and its grant is decided again when the answer comes.
    Trailing {
        /// The longest life of a token that the scorer has not said anything about.
        life_max: Ttl,
    },
}

/// How a scorer is asked, and what it counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorerOptions {
    /// Its name in records, logs and metrics.
    pub name: String,
    /// When it is asked.
    pub mode: ScorerMode,
    /// How long it may take.
    pub deadline: Duration,
    /// What it counts for at most: that much for a score of 1.
    pub points: u32,
    /// What its silence counts for.
    pub absent: u32,
    /// The same where every effect that is asked for is reading.
    pub absent_reading: u32,
    /// The effects that it is asked about.
    pub effects: BTreeSet<Effect>,
    /// Most questions at a time.
    pub at_once: usize,
    /// So many failures in a row begin a pause.
    pub failures_max: u32,
    /// How long it is left alone then.
    pub pause: Duration,
}

/// A scorer as the broker is given it.
#[derive(Debug, Clone)]
pub struct ScorerPart {
    /// How it is asked.
    pub options: ScorerOptions,
    /// Who asks it.
    pub client: Arc<dyn RiskScorer>,
}

/// The scorers of a broker.
#[derive(Debug)]
pub(in crate::broker) struct Scorers {
    all: Vec<Arc<Scorer>>,
    memory: memory::Memory,
    metrics: OnceLock<Metrics>,
    ending: watch::Sender<bool>,
}

/// One of them.
#[derive(Debug)]
struct Scorer {
    options: ScorerOptions,
    client: Arc<dyn RiskScorer>,
    places: Places,
    breaker: Breaker,
}

impl Scorers {
    pub(in crate::broker) fn new(parts: Vec<ScorerPart>) -> Self {
        let scorer = |ScorerPart { options, client }| {
            let (places, breaker) = (Places::new(options.at_once), Breaker::new(options.failures_max, options.pause));
            Arc::new(Scorer { options, client, places, breaker })
        };
        let all = parts.into_iter().map(scorer).collect();
        Self { all, memory: memory::Memory::default(), metrics: OnceLock::new(), ending: watch::Sender::new(false) }
    }

    /// True when there is none.
    pub(in crate::broker) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells these metrics what is asked. The first to be told are told for good.
    pub(in crate::broker) fn count_into(&self, metrics: Metrics) {
        let _told_already = self.metrics.set(metrics);
    }

    /// Nothing is asked any more.
    pub(in crate::broker) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// The names of those that are left alone for a while.
    pub(in crate::broker) fn paused(&self, clock: &Clock) -> Vec<&str> {
        let now = clock.now();
        let paused = self.all.iter().filter(|scorer| scorer.breaker.is_paused(now));
        paused.map(|scorer| scorer.options.name.as_str()).collect()
    }

    /// The names of all.
    pub(in crate::broker) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|scorer| scorer.options.name.as_str())
    }

    fn inline(&self, effects: &BTreeSet<Effect>) -> Vec<Arc<Scorer>> {
        self.concerned(effects, |mode| mode == ScorerMode::Inline)
    }

    fn trailing(&self, effects: &BTreeSet<Effect>) -> Vec<Arc<Scorer>> {
        self.concerned(effects, |mode| mode != ScorerMode::Inline)
    }

    fn concerned(&self, effects: &BTreeSet<Effect>, wanted: impl Fn(ScorerMode) -> bool) -> Vec<Arc<Scorer>> {
        let concerned = |s: &&Arc<Scorer>| wanted(s.options.mode) && !s.options.effects.is_disjoint(effects);
        self.all.iter().filter(concerned).map(Arc::clone).collect()
    }

    /// The longest life of a token that those have yet to say something about who are asked later. Whether one of them is left alone
    /// for a while makes no difference.
    fn life_max(&self, effects: &BTreeSet<Effect>) -> Option<Ttl> {
        let lives =
            self.all.iter().filter(|s| !s.options.effects.is_disjoint(effects)).filter_map(|s| match s.options.mode {
                ScorerMode::Inline => None,
                ScorerMode::Trailing { life_max } => Some(life_max),
            });
        lives.min()
    }
}

impl Broker {
    /// Puts a question to a scorer, which may wait so long for a place. It goes on when nobody waits for its answer; `crowded` says
    /// then what kept it.
    fn put(
        &self,
        scorer: &Arc<Scorer>,
        asked: Arc<ScoreRequest>,
        agent: SpiffeId,
        waits: Duration,
        crowded: Crowded,
    ) -> JoinHandle<Result<Said, Absence>> {
        let (this, scorer) = (self.clone(), Arc::clone(scorer));
        tokio::spawn(async move {
            let scorers = &this.0.scorers;
            let (mut ending, began) = (scorers.ending.subscribe(), Stopwatch::start());
            let outcome = tokio::select! {
                outcome = scorer.question(&asked, &agent, (waits, &crowded), &this.0.clock) => outcome,
                () = async { drop(ending.wait_for(|ending| *ending).await) } => Err(Absence::Failed),
            };
            if let Some(metrics) = scorers.metrics.get() {
                let result = outcome.as_ref().map_or_else(|absence| absence.as_str(), |_| "answered");
                metrics.scored(&scorer.options.name, result, began.elapsed());
            }
            outcome
        })
    }
}

impl Scorer {
    async fn question(
        &self,
        asked: &ScoreRequest,
        agent: &SpiffeId,
        (waits, crowded): (Duration, &Crowded),
        clock: &Clock,
    ) -> Result<Said, Absence> {
        if self.breaker.is_paused(clock.now()) {
            return Err(Absence::Paused);
        }
        let turn = self.places.turn(agent).map_err(|full| match full {
            Full::OfAgent => Absence::Crowded,
            Full::OfAll => Absence::Busy,
        })?;
        let place = tokio::time::timeout(waits, turn.place(crowded)).await;
        let Ok(Some(_place)) = place else {
            return Err(if crowded.is() { Absence::Crowded } else { Absence::Busy });
        };
        let leave = self.breaker.try_ask(clock.now()).ok_or(Absence::Paused)?;
        let deadline = self.options.deadline;
        let outcome = match tokio::time::timeout(deadline, self.client.score(asked, deadline)).await {
            Err(_elapsed) => Err(Absence::TimedOut(deadline)),
            // That is no failure of the scorer's.
            Ok(Err(ScorerFault::TooLarge)) => {
                self.breaker.not_asked(leave, clock.now());
                return Err(Absence::TooLarge);
            }
            Ok(Err(ScorerFault::Form(problem))) => Err(Absence::Form(problem)),
            Ok(Err(fault)) => {
                tracing::warn!(scorer = self.options.name, question = asked.question_id, %fault, "a scorer was not asked");
                Err(Absence::Failed)
            }
            Ok(Ok(answer)) => Said::read(&answer),
        };
        match &outcome {
            // What is out of form may be so for what an agent wrote: no agent has a scorer left alone for everybody.
            Ok(_) | Err(Absence::Form(_)) => self.breaker.answered(),
            Err(absence) => {
                let was_paused = self.breaker.is_paused(clock.now());
                self.breaker.failed(clock.now());
                if !was_paused && self.breaker.is_paused(clock.now()) {
                    let (name, why) = (&self.options.name, absence.as_str());
                    tracing::warn!(scorer = name, why, "a scorer is left alone for a while: it counts as absent");
                }
            }
        }
        outcome
    }
}
