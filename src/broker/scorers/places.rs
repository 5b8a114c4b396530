//! How many questions are put to a scorer at once, and who may have them: those who come later wait in turn, and one agent holds
//! only a part, so that it cannot keep the scorer from the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::spiffe_id::SpiffeId;

/// Questions to one scorer that wait or are under way: each is kept in memory, and what waits longer than a token lives is late.
pub(super) const QUESTIONS_MAX: usize = 1024;
/// Of them, those of one agent.
const QUESTIONS_PER_AGENT_MAX: usize = QUESTIONS_MAX / 4;

/// The places of one scorer.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_agent: usize,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    count: usize,
    agents: HashMap<SpiffeId, OfAgent>,
}

#[derive(Debug)]
struct OfAgent {
    places: Arc<Semaphore>,
    count: usize,
}

/// Why there is no turn: as many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Of the agent's own.
    OfAgent,
    /// Of everybody's.
    OfAll,
}

/// Whether a question had to wait for others of the same agent, for whoever waits for its answer to see.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowded(Arc<AtomicBool>);

impl Crowded {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn begins(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A question that waits or is under way, for as long as this is held.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Arc<Mutex<Queue>>,
    agent: SpiffeId,
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A place, for as long as it is held.
#[derive(Debug)]
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _turn: Turn,
}

impl Places {
    pub(super) fn new(at_once: usize) -> Self {
        // Half, so that two who ask for all that they can get leave each other something.
        let per_agent = at_once.div_ceil(2).max(1);
        Self { all: Arc::new(Semaphore::new(at_once)), per_agent, queue: Arc::default() }
    }

    /// A turn among those who wait, unless too many do.
    pub(super) fn turn(&self, agent: &SpiffeId) -> Result<Turn, Full> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let of_agent = queue.agents.get(agent).map_or(0, |own| own.count);
        if of_agent >= QUESTIONS_PER_AGENT_MAX {
            return Err(Full::OfAgent);
        }
        if queue.count >= QUESTIONS_MAX {
            return Err(Full::OfAll);
        }
        queue.count += 1;
        let new = || OfAgent { places: Arc::new(Semaphore::new(self.per_agent)), count: 0 };
        let own = queue.agents.entry(agent.clone()).or_insert_with(new);
        own.count += 1;
        let own = Arc::clone(&own.places);
        Ok(Turn { queue: Arc::clone(&self.queue), agent: agent.clone(), own, all: Arc::clone(&self.all) })
    }
}

impl Turn {
    /// Waits for a place. Who came first has it first. Says when it is the agent's own questions that it waits for.
    pub(super) async fn place(self, crowded: &Crowded) -> Option<Place> {
        // INVARIANT: neither is ever closed.
        let own = match Arc::clone(&self.own).try_acquire_owned() {
            Ok(own) => own,
            Err(_taken) => {
                crowded.begins();
                Arc::clone(&self.own).acquire_owned().await.ok()?
            }
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _all: all, _own: own, _turn: self })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.count -= 1;
        if let Some(own) = queue.agents.get_mut(&self.agent) {
            own.count -= 1;
            if own.count == 0 {
                queue.agents.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests;
