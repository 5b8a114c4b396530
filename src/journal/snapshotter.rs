//! The thread that makes snapshots: it takes the last one, folds what came since beside the running broker, and writes the
//! next, so that nobody waits.

use std::io;
use std::time::Duration;

use super::engine::{Engine, SNAPSHOTS};
use super::error::ReadError;
use super::fold::Fold;
use super::frame::LogId;
use super::log::Cursor;
use super::projection::{ApplyError, Projection, SaveError};
use super::signal::Heard;
use super::snapshot::{self, Snapshot};

/// Why no snapshot was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error("the log could not be read")]
    Read(#[source] ReadError),
    #[error("the event at position {0} does not follow")]
    OutOfPlace(u64),
    #[error(transparent)]
    Fold(ApplyError),
    #[error(transparent)]
    Save(SaveError),
    #[error("the snapshot could not be written")]
    Io(#[source] io::Error),
}

/// Makes a snapshot whenever asked, until it is told to stop.
pub(super) fn run(shared: &Engine, log: LogId) {
    loop {
        match shared.snapshotter.hear(IDLE) {
            Heard::Stop => return,
            Heard::Nothing => {}
            Heard::Word(()) => match make(shared, log) {
                Ok(Some(size)) => tracing::debug!(size, "made a snapshot"),
                Ok(None) => {}
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no snapshot was made"),
            },
        }
    }
}

// Folds up to what is durable now. `None` when it was told to stop meanwhile.
fn make(shared: &Engine, log: LogId) -> Result<Option<u64>, SnapshotError> {
    let size = shared.events.size();
    let dir = shared.options.dir.join(SNAPSHOTS);
    let disk = &*shared.options.disk;
    let projection = shared.projection.fresh();
    let mut fold = Fold::default();
    for snapshot in snapshot::load(disk, &dir).map_err(SnapshotError::Io)?.into_iter().flatten() {
        if let Some(taken) = take_up(snapshot, log, &*projection) {
            fold = taken;
            break;
        }
    }
    if fold.next() >= size {
        return Ok(Some(fold.next()));
    }
    let mut cursor = Cursor::new(&shared.events, fold.next()).map_err(SnapshotError::Read)?;
    while fold.next() < size {
        if shared.snapshotter.is_stopped() {
            return Ok(None);
        }
        let Some(frame) = cursor.frame(&shared.events).map_err(SnapshotError::Read)? else { break };
        for recorded in frame.recorded(fold.next()) {
            let recorded = recorded.map_err(SnapshotError::Read)?;
            if !fold.apply(&recorded) {
                return Err(SnapshotError::OutOfPlace(recorded.position));
            }
            projection.apply(&recorded).map_err(SnapshotError::Fold)?;
        }
        if frame.header.end() >= size && fold.tree.root() != frame.header.root {
            return Err(SnapshotError::OutOfPlace(frame.header.first));
        }
    }
    let size = fold.next();
    let saved = projection.save().map_err(SnapshotError::Save)?;
    let snapshot = Snapshot { log, projection_format: projection.format(), fold, projection: saved };
    snapshot.save(disk, &dir).map_err(SnapshotError::Io)?;
    Ok(Some(size))
}

/// Loads a snapshot into the projection, if it is one of this log and of this form.
pub(super) fn take_up(snapshot: Snapshot, log: LogId, projection: &dyn Projection) -> Option<Fold> {
    let fits = snapshot.log == log && snapshot.projection_format == projection.format();
    (fits && projection.load(&snapshot.projection).is_ok()).then_some(snapshot.fold)
}

/// Saves what the writer and the projection hold when both have come to rest.
pub(super) fn save_at_rest(shared: &Engine, log: LogId, fold: Fold) -> Result<(), SnapshotError> {
    let projection = &shared.projection;
    let saved = projection.save().map_err(SnapshotError::Save)?;
    let snapshot = Snapshot { log, projection_format: projection.format(), fold, projection: saved };
    snapshot.save(&*shared.options.disk, &shared.options.dir.join(SNAPSHOTS)).map_err(SnapshotError::Io)
}

// It is woken when there is something to do.
const IDLE: Duration = Duration::from_secs(3600);
