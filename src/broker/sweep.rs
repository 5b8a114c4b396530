//! What time brings about without anybody asking: tasks past their deadline end, grants that drifted and were not lifted are
//! revoked, what nobody answered is escalated and then denied, what nobody reviewed is told, what was left half decided is decided, counted refusals are written,
//! that policy no longer only observes, and that decisions are no longer what they were. Whom we trust changes by itself too.

use std::mem;
use std::sync::PoisonError;
use std::time::Duration;

use crate::broker::caller::{Refusal, UnprovenRefusal, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::escalate::due;
use crate::broker::gather::no_context;
use crate::broker::record::{SYSTEM_STREAM, event, family_stream};
use crate::broker::{Broker, ending};
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::Expect;
use crate::journal::guards::GuardKey;
use crate::model::id::{ApprovalId, GrantId, TaskId};
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// How often time is looked at. A token's own expiry does not wait for it.
const INTERVAL: Duration = Duration::from_millis(500);
/// Most ends of one kind in one sweep, so that a sweep does not stand in the way of requests.
const SWEEP_MAX: usize = 256;

impl Broker {
    /// Counts something that was refused and says something about an identity. The first of a kind is recorded with the next
    /// sweep, repeats are counted and recorded together. Never blocks.
    pub fn note_refusal(&self, refusal: Refusal) {
        self.0.refusals.note(&refusal);
    }

    /// Counts a handshake that was refused and proved nothing. Never blocks.
    pub fn note_unproven(&self, refusal: &UnprovenRefusal) {
        self.0.refusals.note_unproven(refusal);
    }

    /// Sweeps, and finishes what was left half decided, until the future is dropped.
    pub async fn run_sweeps(self) {
        // Deadlines do not wait for grants, of which there may be very many.
        tokio::join!(self.sweep_on(), self.resume_on());
    }

    async fn sweep_on(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a sweep did not finish");
            }
        }
    }

    async fn resume_on(&self) {
        self.resume_reconsidering(true).await;
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.resume_reconsidering(false).await;
        }
    }

    /// Does what is due now. What fails does not keep the rest from being done.
    ///
    /// # Errors
    /// The last, when something could not be recorded.
    pub async fn sweep(&self) -> Result<(), BrokerError> {
        let mut failed = self.record_trust(false).await.err();
        let (now, late, drifted, [overdue, unheard]): (_, Vec<TaskId>, Vec<GrantId>, [Vec<ApprovalId>; 2]) = {
            let state = self.0.known.look();
            let now = self.now(&state);
            let after = state.policy.as_ref().and_then(|p| p.bundle.as_ref());
            let after = after.map_or(Duration::ZERO, |b| b.risk().drift_unanswered_after());
            let late = state.by.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
            let drifted = state.by.drifting.iter().take_while(|(since, _)| since.after(after) <= now);
            // What has expired meanwhile is passed over, or it would stand in the way of what has not.
            let drifted = drifted.filter(|(_, id)| state.grants.get(id).is_some_and(|g| g.is_open(now)));
            let (late, drifted) = (late.take(SWEEP_MAX), drifted.take(SWEEP_MAX));
            let overdue = state.approvals.overdue(now).take(SWEEP_MAX).collect();
            let unheard = due(&state, &self.0.settings.approvals, now).take(SWEEP_MAX).collect();
            let of_people = [overdue, unheard];
            (now, late.map(|(_, id)| *id).collect(), drifted.map(|(_, id)| *id).collect(), of_people)
        };
        for id in late {
            failed = self.expire(id).await.err().or(failed);
        }
        for id in drifted {
            failed = self.unanswered(id).await.err().or(failed);
        }
        for id in overdue {
            failed = self.record_unanswered(id).await.err().or(failed);
        }
        for id in unheard {
            failed = self.escalate(id).await.err().or(failed);
        }
        failed = self.record_overdue_reviews(now).await.err().or(failed);
        failed = self.end_observing().await.err().or(failed);
        failed = self.record_drift().await.err().or(failed);
        failed = self.watch_keys(now).await.err().or(failed);
        failed = self.record_refusals(now, false).await.err().or(failed);
        failed.map_or(Ok(()), Err)
    }

    /// Records what was refused and is due; at the end, as much as an entry holds. False when nothing was. What cannot be
    /// recorded is kept and counted on.
    pub(in crate::broker) async fn record_refusals(&self, now: Timestamp, last: bool) -> Result<bool, BrokerError> {
        let turn = self.0.refusals.turn().await;
        let mut due = self.0.refusals.due(now, last);
        if due.events.is_empty() {
            return Ok(false);
        }
        let this = self.clone();
        // Whoever waits for it may go away; what was taken out is settled all the same.
        let recorded = tokio::spawn(async move {
            let events = mem::take(&mut due.events);
            let recorded = this.append(Entry { events, expects: Vec::new(), class: EntryClass::Ordinary }).await;
            this.0.refusals.settle(&due, recorded.is_ok().then_some(now));
            drop(turn);
            recorded
        });
        match recorded.await.map_err(BrokerError::internal)? {
            Ok(_) => Ok(true),
            // It is no news, and the operator is told of it elsewhere.
            Err(BrokerError::StorageFull) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes up keys that were rotated in the folder, and records when another one signs.
    async fn watch_keys(&self, now: Timestamp) -> Result<(), BrokerError> {
        let keys = self.0.keys.clone();
        let reloaded = tokio::task::spawn_blocking(move || keys.reload()).await.map_err(BrokerError::internal)?;
        if let Err(error) = reloaded {
            // The keys in memory go on; what is wrong with the folder is the operator's to see.
            tracing::error!(error = &error as &dyn std::error::Error, "the key folder cannot be read");
        }
        let mut events = Vec::new();
        for algorithm in self.0.keys.algorithms() {
            let Some(kid) = self.0.keys.current(algorithm, now) else { continue };
            let mut signing = self.0.signing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(previous) = signing.insert(algorithm.to_string(), kid.to_string())
                && previous != kid.to_string()
            {
                let rotated =
                    pb::KeyRotated { kid: kid.to_string(), previous_kid: previous, signs_from_ms: now.as_millis() };
                let payload = Payload::KeyRotated(rotated);
                events.push(event(SYSTEM_STREAM.to_owned(), broker_actor(), &no_context(), payload));
            }
        }
        if !events.is_empty() {
            self.append(Entry { events, expects: Vec::new(), class: EntryClass::End }).await?;
        }
        Ok(())
    }

    /// Revokes a grant that drifted and that nobody lifted in the configured time.
    async fn unanswered(&self, id: GrantId) -> Result<(), BrokerError> {
        let entry = {
            let state = self.0.known.look();
            let Some(grant) = state.grants.get(&id) else { return Ok(()) };
            if !grant.is_open(self.now(&state)) {
                return Ok(());
            }
            let Some(root) = state.tasks.get(&grant.task).map(|t| t.root) else { return Ok(()) };
            let payload = pb::GrantReconsidered {
                task_id: grant.task.to_string(),
                grant_id: id.to_string(),
                jti: grant.jti.to_string(),
                decision: None,
                effect: pb::grant_reconsidered::Effect::Revoked.into(),
                trigger: "drift_unanswered".to_owned(),
                signals_back: 0,
            };
            let payload = Payload::GrantReconsidered(payload);
            let key = GuardKey::grant(&id);
            let expects = vec![Expect { key, at: state.marks.at(&key) }];
            ending(event(family_stream(root), broker_actor(), &no_context(), payload), expects)
        };
        self.append(entry).await.map(|_| ())
    }
}
