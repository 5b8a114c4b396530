//! The state behind its lock, as the journal's projection.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::broker::figures;
use crate::broker::fold::{Means, fold};
use crate::broker::saved;
use crate::broker::state::State;
use crate::journal::projection::{ApplyError, LoadError, Projection, Recorded, SaveError};
use crate::metrics::Metrics;

/// What the broker knows. It is locked for moments, never across an await.
#[derive(Debug)]
pub(in crate::broker) struct Known {
    state: Mutex<State>,
    means: Means,
    /// Told of every event once the broker is open.
    metrics: OnceLock<Metrics>,
}

impl Known {
    pub(in crate::broker) fn new(means: Means) -> Self {
        Self { state: Mutex::default(), means, metrics: OnceLock::new() }
    }

    /// Counts from now on. Only the first call does something.
    pub(in crate::broker) fn count_into(&self, metrics: Metrics) {
        self.metrics.get_or_init(|| metrics);
    }

    /// The state, for a moment. A panic elsewhere cannot have left it half changed in a way that matters: only `fold` writes,
    /// and when it cannot finish the journal is out of service.
    pub(in crate::broker) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projection for Known {
    fn format(&self) -> u32 {
        saved::FORMAT
    }

    fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError> {
        fold(&mut self.look(), recorded, &self.means).map_err(|e| ApplyError(Box::new(e)))?;
        if let Some(metrics) = self.metrics.get() {
            figures::count(metrics, recorded);
        }
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, SaveError> {
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
