//! Following revocations: what is in force first, then what happens, with heartbeats in between so that a receiver knows
//! how fresh its view is.

use std::iter;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::broker::Broker;
use crate::broker::answer::{GrantChange, WatchEvent};
use crate::broker::caller::Caller;
use crate::broker::changes::Followed;
use crate::broker::error::BrokerError;
use crate::model::id::Audience;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;

const RPC: &str = "Watch";
/// Messages that wait for a slow receiver. When it is full, the receiver is waited for; it falls behind and may be reset.
const QUEUE_MAX: usize = 256;

impl Broker {
    /// Follows the standing of the tokens of `audiences` (all of the caller's own when empty, a gateway's being all there are)
    /// from the event after `after`. With 0, or when what lies between is no longer held, the stream begins with a reset and
    /// what is in force.
    ///
    /// # Errors
    /// `NotFound` for an audience that is not the caller's, `NotPermitted` when it has none.
    pub fn watch(
        &self,
        caller: &Caller,
        after: u64,
        audiences: Vec<Audience>,
    ) -> Result<ReceiverStream<WatchEvent>, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let follower = caller.workload()?;
        let followed = match (audiences.is_empty(), follower.gateway) {
            (true, true) => Followed::All,
            (true, false) => Followed::These(follower.audiences.clone()),
            (false, gateway) => {
                if !gateway && !audiences.iter().all(|a| follower.audiences.contains(a)) {
                    self.note_refused(caller, RPC, ReasonCode::NotFound, None);
                    return Err(BrokerError::NotFound { what: "audience" });
                }
                Followed::These(audiences)
            }
        };
        if followed.is_nothing() {
            self.note_refused(caller, RPC, ReasonCode::MethodNotAllowed, None);
            return Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed });
        }
        let (send, receive) = mpsc::channel(QUEUE_MAX);
        let follower = Follower { broker: self.clone(), followed, next: after.saturating_add(1), begun: after > 0 };
        tokio::spawn(follower.run(send));
        Ok(ReceiverStream::new(receive))
    }
}

struct Follower {
    broker: Broker,
    followed: Followed,
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
            if self.begun && self.next <= state.next { state.changes.since(self.next, &self.followed) } else { None };
        let news = match told {
            Some(changes) => in_order(changes),
            None => whole(state.standing_refusals(&self.followed), state.next, now),
        };
        self.begun = true;
        self.next = state.next;
        news
    }
}

/// One event may change many tokens. Until the last of them is told, only what lies before the event has been told, so that a
/// receiver whose stream breaks in between is told all of them again.
fn in_order(changes: Vec<GrantChange>) -> Vec<WatchEvent> {
    let following = changes.iter().skip(1).map(|change| Some(change.position)).chain(iter::once(None));
    let following: Vec<Option<u64>> = following.collect();
    let message = |(change, following): (GrantChange, Option<u64>)| {
        let is_last = following != Some(change.position);
        let told = if is_last { change.position } else { change.position.saturating_sub(1) };
        WatchEvent::Change { told, change }
    };
    changes.into_iter().zip(following).map(message).collect()
}

/// What is in force, after which the receiver's view is whole; before, nothing is.
fn whole(refusals: Vec<GrantChange>, next: u64, time: Timestamp) -> Vec<WatchEvent> {
    let mut all = vec![WatchEvent::Reset { time }];
    all.extend(refusals.into_iter().map(|change| WatchEvent::Change { told: 0, change }));
    all.push(WatchEvent::Heartbeat { position: next.saturating_sub(1), time });
    all
}
