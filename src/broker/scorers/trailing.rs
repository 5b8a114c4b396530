//! Scorers that are asked after the decision. What they say, and their silence, is recorded as any signal is, and live grants are
//! decided again with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::caller::broker_actor;
use crate::broker::error::BrokerError;
use crate::broker::evidence::take_in;
use crate::broker::gather::no_context;
use crate::broker::record::{event, family_stream};
use crate::broker::report::{Looked, look};
use crate::broker::scorers::places::Crowded;
use crate::broker::scorers::reply::{self, Absence};
use crate::broker::scorers::{Scorer, ScorerMode};
use crate::broker::words::Sentence;
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::GuardKey;
use crate::model::access::Effect;
use crate::model::id::{DecisionId, RequestId, TaskId};
use crate::model::limits::QUESTION_BYTES_MAX;
use crate::model::risk::Signal;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1::ScoreRequest;
use crate::pb::wire::encoded_len;

/// What is to be asked after a decision.
#[derive(Debug)]
pub(in crate::broker) struct Trail {
    pub(super) scorers: Vec<Arc<Scorer>>,
    pub(super) told: ScoreRequest,
    pub(super) effects: BTreeSet<Effect>,
    pub(super) agent: SpiffeId,
    pub(super) task: TaskId,
}

impl Broker {
    /// Asks; does not wait for the answers.
    pub(in crate::broker) fn ask_trailing(&self, trail: Trail, after: DecisionId) {
        let Trail { scorers, told, effects, agent, task } = trail;
        let too_large = encoded_len(&told) > QUESTION_BYTES_MAX;
        if too_large {
            self.count_unasked(&scorers, Absence::TooLarge);
        }
        for scorer in scorers {
            let ScorerMode::Trailing { life_max } = scorer.options.mode else { continue };
            let put = (!too_large).then(|| {
                let waits = Duration::from_secs(life_max.as_secs());
                self.put(&scorer, self.question(&told), agent.clone(), waits, Crowded::default())
            });
            let (this, effects) = (self.clone(), effects.clone());
            tokio::spawn(async move {
                let outcome = match put {
                    Some(put) => put.await.unwrap_or(Err(Absence::Failed)),
                    None => Err(Absence::TooLarge),
                };
                // A broker that ends records nothing more: the token does not outlive `life_max`.
                if *this.0.scorers.ending.borrow() {
                    return;
                }
                let Some(signal) = reply::signal(&scorer.options, &outcome, &effects, this.0.clock.now()) else {
                    return;
                };
                if let Err(error) = this.record_score(task, after, signal).await {
                    let (error, name) = (&error as &dyn std::error::Error, &scorer.options.name);
                    tracing::error!(%task, scorer = name, error, "what a scorer said could not be recorded");
                }
            });
        }
    }

    async fn record_score(&self, task: TaskId, after: DecisionId, signal: Signal) -> Result<(), BrokerError> {
        let actor = broker_actor();
        let request = format!("{after} {}", signal.source);
        let request: RequestId = request.parse().map_err(BrokerError::internal)?;
        let key = GuardKey::report(&task, &actor.id, &request);
        let mut class = EntryClass::Ordinary;
        for _ in 0..crate::broker::TRIES_MAX {
            let (root, looked) = {
                let state = self.0.known.look();
                match look(&state, task, (key, &actor.id)) {
                    // It is long over.
                    Err(BrokerError::NotFound { .. }) => return Ok(()),
                    looked => looked?,
                }
            };
            let Looked::New(expect, mut signals) = looked else { return Ok(()) };
            // A silence that counts for no more than what is known says nothing new.
            let same = |known: &Signal| known.source == signal.source && known.points >= signal.points;
            if signal.is_absence() && signals.iter().any(same) {
                return Ok(());
            }
            let sentence = Sentence { text: signal.explanation.clone() };
            let payload = pb::SignalReported {
                task_id: task.to_string(),
                request_id: request.to_string(),
                name: signal.name.to_string(),
                source: signal.source.clone(),
                scorer: signal.scorer.clone(),
                points: signal.points,
                observed_ms: signal.observed.as_millis(),
                sealed: self.seal_report(root, "signal", key, &sentence)?,
            };
            let event = event(family_stream(root), actor.clone(), &no_context(), Payload::SignalReported(payload));
            let entry = Entry { events: vec![event], expects: vec![expect], class };
            match self.record_cause(root, entry, actor.clone(), None).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                // What is held back is for what ends or suspends something.
                Err(BrokerError::StorageFull) if class == EntryClass::Ordinary => {
                    take_in(Arc::make_mut(&mut signals), signal.clone());
                    class = self.class_on_a_full_disk(root, move |view| view.signals.clone_from(&signals)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(BrokerError::Conflict)
    }
}
