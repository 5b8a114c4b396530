//! What is folded from the log: recorded events go in, in order and each once; snapshots spare the start the whole history.

use std::sync::Arc;

use bytes::Bytes;

use crate::audit::event::{self, DecodeEventError};
use crate::model::time::Timestamp;
use crate::pb::journal::Event;

/// An event with its place in the log.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its position, from 0 without gaps.
    pub position: u64,
    /// Its version within its stream, from 1.
    pub stream_version: u64,
    /// When it was written; never decreasing.
    pub time: Timestamp,
    /// The event.
    pub event: Event,
    /// Its bytes as stored: the leaf of the tree.
    pub stored: Bytes,
}

impl Recorded {
    pub(super) fn decode(stored: Bytes) -> Result<Self, DecodeEventError> {
        let (place, event) = event::decode(stored.clone())?;
        let event::Place { position, stream_version, time } = place;
        Ok(Self { position, stream_version, time, event, stored })
    }
}

/// A fold over the log. `apply` is called by one thread at a time and must not wait for whoever waits for the journal.
pub trait Projection: Send + Sync + 'static {
    /// Number of the form of [`Projection::save`]: snapshots of another are passed over.
    fn format(&self) -> u32;

    /// Takes in the next event. It is durable.
    ///
    /// # Errors
    /// When it is not understood: whoever folds on without it may take for live what it has ended.
    fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError>;

    /// Everything that was folded, as bytes.
    ///
    /// # Errors
    /// When not all of it can be written: a part of it is no snapshot.
    fn save(&self) -> Result<Vec<u8>, SaveError>;

    /// Becomes what was saved; whatever was folded before is gone, also when this fails: it is then as new.
    ///
    /// # Errors
    /// When the bytes are none that `save` made.
    fn load(&self, saved: &[u8]) -> Result<(), LoadError>;

    /// A new one of the same kind, to be folded beside this one.
    fn fresh(&self) -> Arc<dyn Projection>;
}

/// An event that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("an event cannot be folded")]
pub struct ApplyError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A projection that cannot be saved.
#[derive(Debug, thiserror::Error)]
#[error("a projection cannot be saved")]
pub struct SaveError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A snapshot that cannot be taken up.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot of a projection cannot be read")]
pub struct LoadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Folds nothing: for those who only need the log.
#[derive(Debug, Default)]
pub struct NoProjection;

impl Projection for NoProjection {
    fn format(&self) -> u32 {
        0
    }

    fn apply(&self, _: &Recorded) -> Result<(), ApplyError> {
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, SaveError> {
        Ok(Vec::new())
    }

    fn load(&self, _: &[u8]) -> Result<(), LoadError> {
        Ok(())
    }

    fn fresh(&self) -> Arc<dyn Projection> {
        Arc::new(Self)
    }
}
