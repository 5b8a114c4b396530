//! The state behind its lock, as the journal's projection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::broker::fold::{Means, fold};
use crate::broker::saved;
use crate::broker::state::State;
use crate::journal::projection::{LoadError, Projection, Recorded};

/// What the broker knows. It is locked for moments, never across an await.
#[derive(Debug)]
pub(in crate::broker) struct Known {
    state: Mutex<State>,
    means: Means,
}

impl Known {
    pub(in crate::broker) fn new(means: Means) -> Self {
        Self { state: Mutex::default(), means }
    }

    /// The state, for a moment. A panic elsewhere cannot have left it half changed in a way that matters: only `fold` writes,
    /// and what it could not finish it reports.
    pub(in crate::broker) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projection for Known {
    fn format(&self) -> u32 {
        saved::FORMAT
    }

    fn apply(&self, recorded: &Recorded) {
        fold(&mut self.look(), recorded, &self.means);
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.look(), &self.means)
    }

    fn load(&self, bytes: &[u8]) -> Result<(), LoadError> {
        let state = saved::load(bytes, &self.means)?;
        *self.look() = state;
        Ok(())
    }

    fn fresh(&self) -> Arc<dyn Projection> {
        Arc::new(Self::new(self.means.clone()))
    }
}
