//! Following revocations: what is in force first, then what happens, with heartbeats in between so that a receiver knows
//! how fresh its view is.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::broker::Broker;
use crate::broker::answer::{GrantChange, WatchEvent};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::model::id::Audience;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;

/// Messages that wait for a slow receiver. When it is full, the receiver is waited for; it falls behind and may be reset.
const QUEUE_MAX: usize = 256;

impl Broker {
    /// Follows the standing of the tokens of `audiences` (all of the caller's own when empty) from the event after `after`. With
    /// 0, or when what lies between is no longer held, the stream begins with a reset and what is in force.
    ///
    /// # Errors
    /// `NotFound` for an audience that is not the caller's, `NotPermitted` when it has none.
    pub fn watch(
        &self,
        caller: &Caller,
        after: u64,
        audiences: Vec<Audience>,
    ) -> Result<ReceiverStream<WatchEvent>, BrokerError> {
        let own = &caller.workload()?.audiences;
        if own.is_empty() {
            return Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed });
        }
        if !audiences.iter().all(|a| own.contains(a)) {
            return Err(BrokerError::NotFound { what: "audience" });
        }
        let audiences = if audiences.is_empty() { own.clone() } else { audiences };
        let (send, receive) = mpsc::channel(QUEUE_MAX);
        let follower = Follower { broker: self.clone(), audiences, next: after.saturating_add(1), begun: after > 0 };
        tokio::spawn(follower.run(send));
        Ok(ReceiverStream::new(receive))
    }
}

struct Follower {
    broker: Broker,
    audiences: Vec<Audience>,
    /// The position from which on nothing was told yet.
    next: u64,
    /// False until the whole was told once.
    begun: bool,
}

impl Follower {
    async fn run(mut self, send: mpsc::Sender<WatchEvent>) {
        let mut durable = self.broker.0.journal.durable();
        // The beat is the receiver's measure of freshness, so it goes on however much happens that does not concern it.
        let mut beat = tokio::time::interval(self.broker.0.settings.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            durable.borrow_and_update();
            for event in self.news() {
                if send.send(event).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = durable.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = beat.tick() => {
                    let beat = WatchEvent::Heartbeat { position: self.next.saturating_sub(1), time: self.broker.0.clock.now() };
                    if send.send(beat).await.is_err() {
                        return;
                    }
                }
                () = send.closed() => return,
            }
        }
    }

    /// What was not told yet.
    fn news(&mut self) -> Vec<WatchEvent> {
        let state = self.broker.0.known.look();
        let now = self.broker.now(&state);
        let told =
            if self.begun && self.next <= state.next { state.changes.since(self.next, &self.audiences) } else { None };
        let news = match told {
            Some(changes) => changes.into_iter().map(WatchEvent::Change).collect(),
            None => self.whole(state.standing_refusals(&self.audiences), state.next, now),
        };
        self.begun = true;
        self.next = state.next;
        news
    }

    fn whole(&self, refusals: Vec<GrantChange>, next: u64, time: Timestamp) -> Vec<WatchEvent> {
        let position = next.saturating_sub(1);
        let mut all = vec![WatchEvent::Reset { position, time }];
        all.extend(refusals.into_iter().map(WatchEvent::Change));
        // The receiver's view is whole from here on.
        all.push(WatchEvent::Heartbeat { position, time });
        all
    }
}
