//! What this verifier knows of revocations: a fold over the issuer's `Watch` stream. It is as good as its age: told nothing
//! for too long, it lets nothing pass.
//!
//! On a new stream (and after a `Reset`) the issuer first tells what is in force; its first heartbeat says that this was
//! all. Until then what was known before stays in force, and does not get younger.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::refusal::Refusal;
use crate::clock::Clock;
use crate::model::id::Jti;
use crate::model::limits::TTL_SECONDS_MAX;
use crate::model::time::Timestamp;
use crate::pb::v1::watch_response::Body;
use crate::pb::v1::{GrantChange, GrantState, WatchResponse};

/// The view of revocations.
pub struct RevocationView {
    state: RwLock<State>,
    age_max: Duration,
    skew: Duration,
    clock: Clock,
}

#[derive(Default)]
struct State {
    standings: HashMap<Jti, Told>,
    /// What is being told anew, until it is whole.
    rebuilding: Option<HashMap<Jti, Told>>,
    /// Everything up to here is in `standings`.
    position: u64,
    /// The issuer's time when it was first heard: what it granted later, nobody can have used before.
    heard_since: Option<Timestamp>,
    fresh_at: Option<Timestamp>,
    swept: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    standing: Standing,
    forget_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Suspended,
    Revoked,
    Released,
}

/// A message that can't be understood. The stream is given up, and the view grows old until another one makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of the revocation stream can't be understood")]
pub struct UnknownMessageError;

impl RevocationView {
    /// A view that knows nothing, and so lets nothing pass.
    #[must_use]
    pub fn new(age_max: Duration, skew: Duration, clock: Clock) -> Self {
        Self { state: RwLock::default(), age_max, skew, clock }
    }

    /// A stream begins; returns the position after which it should.
    pub fn begin(&self) -> u64 {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.rebuilding = (state.position == 0).then(HashMap::new);
        state.position
    }

    /// Takes in the next message of the stream.
    ///
    /// # Errors
    /// When it can't be understood.
    pub fn apply(&self, message: &WatchResponse) -> Result<(), UnknownMessageError> {
        let now = self.clock.now();
        // A message that lay in a buffer while this process slept says how things were when it was sent.
        let sent = message.time.as_ref().map(|t| timestamp(t.seconds, t.nanos)).ok_or(UnknownMessageError)?;
        let fresh_at = now.min(sent.after(self.skew));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let body = message.body.as_ref().ok_or(UnknownMessageError)?;
        // A change bears the time of its event, which may be long past; the others say what time it is.
        if !matches!(body, Body::Change(_)) {
            state.heard_since.get_or_insert(sent);
        }
        match body {
            Body::Heartbeat(_) => {
                if let Some(rebuilt) = state.rebuilding.take() {
                    state.standings = rebuilt;
                }
                state.told(message.position, fresh_at);
                state.sweep(now);
            }
            Body::Reset(_) => {
                state.rebuilding = Some(HashMap::new());
                state.position = 0;
            }
            Body::Change(change) => {
                state.change(change, now)?;
                if state.rebuilding.is_none() {
                    state.told(message.position, fresh_at);
                }
            }
        }
        Ok(())
    }

    /// How old the view is; `None` when it was never whole, or when the clock went back behind it.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let fresh_at = self.state.read().unwrap_or_else(PoisonError::into_inner).fresh_at?;
        let now = self.clock.now();
        (fresh_at <= now).then(|| now.since(fresh_at))
    }

    /// The issuer's time when this view first heard of it, by the issuer's own clock; `None` before.
    pub(super) fn heard_since(&self) -> Option<Timestamp> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).heard_since
    }

    /// How many tokens it knows to be dead or asleep.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).standings.len()
    }

    /// True when it knows of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn check(&self, jti: &Jti) -> Result<(), Refusal> {
        if self.age().is_none_or(|age| age > self.age_max) {
            return Err(Refusal::ViewStale);
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match state.standings.get(jti).map(|told| told.standing) {
            None => Ok(()),
            Some(Standing::Suspended) => Err(Refusal::Suspended),
            Some(Standing::Revoked) => Err(Refusal::Revoked),
            Some(Standing::Released) => Err(Refusal::Released),
        }
    }
}

impl State {
    fn told(&mut self, position: u64, fresh_at: Timestamp) {
        self.position = self.position.max(position);
        self.fresh_at = self.fresh_at.max(Some(fresh_at));
    }

    fn change(&mut self, change: &GrantChange, now: Timestamp) -> Result<(), UnknownMessageError> {
        let jti: Jti = change.jti.parse().map_err(|_| UnknownMessageError)?;
        let standing = match GrantState::try_from(change.state).map_err(|_| UnknownMessageError)? {
            GrantState::Unspecified => return Err(UnknownMessageError),
            GrantState::Live => None,
            GrantState::Suspended => Some(Standing::Suspended),
            GrantState::Released => Some(Standing::Released),
            // An expired grant is as dead as a revoked one.
            GrantState::Revoked | GrantState::Expired => Some(Standing::Revoked),
        };
        let Some(standing) = standing else {
            // What a rebuilt view will say is not anticipated: a token comes back when the view is whole.
            match &mut self.rebuilding {
                Some(rebuilding) => rebuilding.remove(&jti),
                None => self.standings.remove(&jti),
            };
            return Ok(());
        };
        // Kept a little longer than the token can live, so that clocks that differ don't bring it back.
        let dead = change.expires.as_ref().map_or_else(|| now.after(LIFE_MAX), |t| timestamp(t.seconds, t.nanos));
        let told = Told { standing, forget_at: dead.after(FORGET_AFTER) };
        if let Some(rebuilding) = &mut self.rebuilding {
            rebuilding.insert(jti, told);
        }
        self.standings.insert(jti, told);
        Ok(())
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.swept.after(SWEEP_PAUSE) <= now || now < self.swept {
            self.standings.retain(|_, told| told.forget_at > now);
            self.swept = now;
        }
    }
}

fn timestamp(seconds: i64, nanos: i32) -> Timestamp {
    let secs = u64::try_from(seconds).unwrap_or(0);
    let millis = u64::try_from(nanos).unwrap_or(0) / 1_000_000;
    Timestamp::from_millis(secs.saturating_mul(1000).saturating_add(millis))
}

const LIFE_MAX: Duration = Duration::from_secs(TTL_SECONDS_MAX);
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Going through all standings is not for every heartbeat.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
