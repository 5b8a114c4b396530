use std::sync::Mutex as StdMutex;

use super::entry::{Entry, EntryClass};
use super::projection::LoadError;
use super::*;
use crate::audit::note::SignerKey;
use crate::model::time::Timestamp;
use crate::pb::journal::event::Payload;
use crate::pb::journal::{Event, TaskPaused};

/// Remembers the positions that it was given.
#[derive(Default)]
struct Positions(StdMutex<Vec<u64>>);

impl Projection for Positions {
    fn format(&self) -> u32 {
        1
    }

    fn apply(&self, recorded: &Recorded) {
        self.0.lock().unwrap().push(recorded.position);
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&*self.0.lock().unwrap()).unwrap()
    }

    fn load(&self, saved: &[u8]) -> Result<(), LoadError> {
        *self.0.lock().unwrap() = postcard::from_bytes(saved).map_err(|error| LoadError(Box::new(error)))?;
        Ok(())
    }

    fn fresh(&self) -> Arc<dyn Projection> {
        Arc::new(Self::default())
    }
}

fn options(dir: &tempfile::TempDir) -> Options {
    let signer = Arc::new(SignerKey::from_seed("carnet.test", &[1; 32]).unwrap());
    let now = Arc::new(|| Timestamp::from_millis(1_000_000));
    Options { reserve_bytes: 0, ..Options::new(dir.path().join("journal"), now, signer, [3; 16]) }
}

fn paused(task: &str) -> Event {
    let payload = Payload::TaskPaused(TaskPaused { task_id: task.into(), ..TaskPaused::default() });
    Event { stream: format!("task/{task}"), payload: Some(payload), ..Event::default() }
}

fn entry(events: Vec<Event>) -> Entry {
    Entry { events, expects: Vec::new(), class: EntryClass::Ordinary }
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Positions::default());
    let (journal, report) = Journal::open(options(&dir), seen.clone()).unwrap();
    assert_eq!(report.size, 0);
    let one = journal.append(entry(vec![paused("a"), paused("b")])).await.unwrap();
    let two = journal.append(entry(vec![paused("a")])).await.unwrap();
    assert_eq!((one.first(), one.last(), two.first()), (0, 1, 2));
    assert_eq!(*seen.0.lock().unwrap(), [0, 1, 2]);
    assert_eq!(two.recorded()[0].stream_version, 2);
    assert_eq!(journal.read(2).unwrap().stored, two.recorded()[0].stored);
    assert!(matches!(journal.read(3), Err(ReadError::Beyond(3))));
    let head = journal.tree_head();
    journal.close().await;

    let seen = Arc::new(Positions::default());
    let (journal, report) = Journal::open(options(&dir), seen.clone()).unwrap();
    assert_eq!((report.size, report.torn_bytes), (3, 0));
    assert_eq!(*seen.0.lock().unwrap(), [0, 1, 2]);
    assert_eq!(journal.tree_head(), head);
    assert_eq!(journal.read(1).unwrap().event, paused("b"));
    let three = journal.append(entry(vec![paused("a")])).await.unwrap();
    assert_eq!((three.first(), three.recorded()[0].stream_version), (3, 3));
    journal.close().await;
}
