//! Grants as they are recorded: read back from the journal, because what they cover is not kept in memory.

use crate::broker::Broker;
use crate::broker::answer::GrantView;
use crate::broker::error::BrokerError;
use crate::broker::record::family_of;
use crate::broker::retain::with_signals;
use crate::broker::state::Grant;
use crate::broker::words::{self, Context, DecisionWords, WordsError};
use crate::model::access::Access;
use crate::model::decision::{Decision, EntryDecision};
use crate::model::facts::{EntryFacts, Facts};
use crate::model::id::{DecisionId, GrantId, TaskId};
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// A recorded decision on a request, with its words.
#[derive(Debug)]
pub(in crate::broker) struct RecordedDecision {
    pub(in crate::broker) event: pb::CredentialDecided,
    pub(in crate::broker) decision: pb::Decision,
    pub(in crate::broker) words: DecisionWords,
}

/// What people were asked about, as it is recorded.
#[derive(Debug)]
pub(in crate::broker) enum AskedOfPeople {
    /// A credential.
    Credential(Box<RecordedDecision>),
    /// The amendment of a task.
    Amendment(Box<DecisionWords>),
}

impl AskedOfPeople {
    /// The resource server that it is for; empty for an amendment.
    pub(in crate::broker) fn audience(&self) -> &str {
        match self {
            Self::Credential(recorded) => &recorded.event.audience,
            Self::Amendment(_) => "",
        }
    }

    /// The words of the decision.
    pub(in crate::broker) fn words(self) -> DecisionWords {
        match self {
            Self::Credential(recorded) => recorded.words,
            Self::Amendment(words) => *words,
        }
    }
}

impl Broker {
    /// Does what reads the journal where it may wait for the disk. What else the broker is asked meanwhile does not.
    pub(in crate::broker) async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || read(&this)).await.map_err(BrokerError::internal)?
    }

    /// The grant as it may be shown. Reads the journal.
    pub(in crate::broker) fn grant_view(&self, id: GrantId) -> Result<GrantView, BrokerError> {
        let (grant, root) = {
            let state = self.0.known.look();
            let grant = state.grants.get(&id).cloned().ok_or(BrokerError::NotFound { what: "grant" })?;
            let root = state.tasks.get(&grant.task).map(|t| t.root).ok_or(BrokerError::NotFound { what: "grant" })?;
            (grant, root)
        };
        let recorded = self.recorded_decision(grant.position, root)?;
        Ok(self.view_of(id, &grant, &recorded.words))
    }

    /// The grant as it may be shown, when its words are at hand.
    pub(in crate::broker) fn view_of(&self, id: GrantId, grant: &Grant, words: &DecisionWords) -> GrantView {
        GrantView {
            id,
            task: grant.task,
            jti: grant.jti,
            standing: grant.standing.clone(),
            expired: grant.expires <= self.now(&self.0.known.look()),
            audience: grant.audience.clone(),
            agent: words.facts.task.agent.clone(),
            access: covered(words),
            issued: grant.issued,
            expires: grant.expires,
            decision: grant.decision,
        }
    }

    /// The decision on a request that stands at that position.
    pub(in crate::broker) fn recorded_decision(
        &self,
        position: u64,
        root: TaskId,
    ) -> Result<RecordedDecision, BrokerError> {
        let recorded = self.0.journal.read(position).map_err(BrokerError::unavailable)?;
        let Some(Payload::CredentialDecided(mut event)) = recorded.event.payload else {
            return Err(BrokerError::internal(NotADecisionError(position)));
        };
        let decision = event.decision.take().ok_or_else(|| BrokerError::internal(NotADecisionError(position)))?;
        let words = self.decision_words(root, &decision)?;
        Ok(RecordedDecision { event, decision, words })
    }

    /// What people were asked about, by the event at that position.
    pub(in crate::broker) fn asked_of_people(&self, position: u64, root: TaskId) -> Result<AskedOfPeople, BrokerError> {
        let recorded = self.0.journal.read(position).map_err(BrokerError::unavailable)?;
        match recorded.event.payload {
            Some(Payload::TaskAmended(pb::TaskAmended { decision: Some(decision), .. })) => {
                Ok(AskedOfPeople::Amendment(Box::new(self.decision_words(root, &decision)?)))
            }
            _ => Ok(AskedOfPeople::Credential(Box::new(self.recorded_decision(position, root)?))),
        }
    }

    /// The words of a recorded decision.
    pub(in crate::broker) fn decision_words(
        &self,
        root: TaskId,
        decision: &pb::Decision,
    ) -> Result<DecisionWords, BrokerError> {
        self.opened_decision(root, decision).map_err(BrokerError::unavailable)
    }

    /// The same, and why not.
    fn opened_decision(&self, root: TaskId, decision: &pb::Decision) -> Result<DecisionWords, WordsError> {
        let context = Context { kind: "decision", id: &decision.decision_id };
        words::open(&self.0.sealer, root, context, &decision.sealed)
    }

    /// The words of a decision that stands at that position, with what an event before it holds of them.
    pub(in crate::broker) fn whole_words(
        &self,
        position: u64,
        event: &pb::Event,
        decision: &pb::Decision,
    ) -> Result<DecisionWords, UnreadError> {
        let root = family_of(&event.stream);
        let mut words = self.opened_decision(root, decision)?;
        if let Some(Payload::GrantReconsidered(pb::GrantReconsidered { signals_back: back @ 1.., .. })) = event.payload
        {
            let holder = position.saturating_sub(back.into());
            let recorded = self.0.journal.read(holder).map_err(BrokerError::unavailable)?;
            let Some(Payload::GrantReconsidered(pb::GrantReconsidered { decision: Some(holds), .. })) =
                recorded.event.payload
            else {
                return Err(BrokerError::internal(NotADecisionError(holder)).into());
            };
            with_signals(&mut words, self.opened_decision(root, &holds)?.facts.signals);
        }
        Ok(words)
    }

    /// Seals the words of a decision.
    pub(in crate::broker) fn seal_decision(
        &self,
        root: TaskId,
        id: DecisionId,
        words: &DecisionWords,
    ) -> Result<bytes::Bytes, BrokerError> {
        let context = Context { kind: "decision", id: &id.to_string() };
        Ok(words::seal_decided(&self.0.sealer, root, context, words)?)
    }
}

/// What a decision's grant covers: the entries that are included, with the actions and resources that were granted.
pub(in crate::broker) fn covered(words: &DecisionWords) -> Vec<Access> {
    let pairs = words.access.iter().zip(&words.decision.entries).filter(|(_, d)| d.included);
    pairs
        .map(|(access, decided)| Access {
            actions: decided.actions.clone(),
            resources: decided.resources.clone(),
            ..access.clone()
        })
        .collect()
}

/// True when a live grant that is decided again would cover less than it does.
pub(in crate::broker) fn covers_less(facts: &Facts, decision: &Decision) -> bool {
    let less = |(has, gets): (&EntryFacts, &EntryDecision)| {
        !gets.included || gets.actions.len() < has.actions.len() || gets.resources.len() < has.resources.len()
    };
    decision.grants() && facts.entries.iter().zip(&decision.entries).any(less)
}

/// Why words of the record cannot be told.
#[derive(Debug)]
pub(in crate::broker) enum UnreadError {
    /// They were erased.
    Erased,
    /// They were altered, or their key is damaged: which is not passed off as erased.
    Unread(BrokerError),
}

impl From<WordsError> for UnreadError {
    fn from(error: WordsError) -> Self {
        if error.is_erased() { Self::Erased } else { Self::Unread(BrokerError::internal(error)) }
    }
}

impl From<BrokerError> for UnreadError {
    fn from(error: BrokerError) -> Self {
        Self::Unread(error)
    }
}

/// The record holds something else at that position.
#[derive(Debug, thiserror::Error)]
#[error("position {0} holds no decision on a request")]
struct NotADecisionError(u64);
