//! Journals for tests: settings, events, and a projection that remembers everything.

use std::path::Path;
use std::sync::{Arc, Mutex};

use carnet::audit::note::SignerKey;
use carnet::journal::entry::{Entry, EntryClass};
use carnet::journal::guards::Expect;
use carnet::journal::options::{IndexPlace, Options};
use carnet::journal::projection::{ApplyError, LoadError, Projection, Recorded, SaveError};
use carnet::model::id::{DecisionId, GrantId, TaskId};
use carnet::model::time::Timestamp;
use carnet::pb::journal::event::Payload;
use carnet::pb::journal::{
    Actor, Conclusion, CredentialDecided, Decision, Event, Grant, Reason, RegisteredTask, TaskDecided, TaskEnded,
    TaskPaused,
};
use carnet::pb::v1::Outcome;

/// The key that test journals sign with.
pub fn signer() -> SignerKey {
    SignerKey::from_seed("carnet.test", &[1; 32]).unwrap()
}

/// Settings for a folder, without an index, on a clock that stands still.
pub fn options(dir: &Path) -> Options {
    let now = Arc::new(|| Timestamp::from_millis(1_700_000_000_000));
    let options = Options::new(dir.to_owned(), now, Arc::new(signer()), [3; 16]);
    Options { reserve_bytes: 0, space_floor_bytes: 0, index: IndexPlace::None, ..options }
}

/// The task of that number.
pub fn task(n: u64) -> TaskId {
    let [.., a, b, c, d] = n.to_be_bytes();
    TaskId::new(Timestamp::from_millis(1_700_000_000_000), [0, 0, 0, 0, 0, 0, a, b, c, d])
}

/// An event in the stream of a task that touches the task's guard; the label tells it from others.
pub fn paused(task: TaskId, label: &str) -> Event {
    let payload = Payload::TaskPaused(TaskPaused { task_id: task.to_string(), ..TaskPaused::default() });
    event(task, label, payload)
}

/// An event in the stream of a task.
pub fn event(task: TaskId, label: &str, payload: Payload) -> Event {
    Event { stream: format!("task/{task}"), prompt_id: label.into(), payload: Some(payload), ..Event::default() }
}

/// A task comes to be.
pub fn registration(id: TaskId) -> Event {
    let registered = RegisteredTask { task_id: id.to_string(), ..RegisteredTask::default() };
    event(id, "registered", Payload::TaskDecided(TaskDecided { task: Some(registered), ..TaskDecided::default() }))
}

/// A task ends.
pub fn ended(id: TaskId) -> Event {
    event(id, "ended", Payload::TaskEnded(TaskEnded { task_id: id.to_string(), ..TaskEnded::default() }))
}

/// The decision of that number.
pub fn decision_id(n: u64) -> DecisionId {
    let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
    DecisionId::new(Timestamp::from_millis(1_700_000_000_000 + n), [a, b, c, d, e, f, g, h, 0, 0])
}

/// The grant of that number.
pub fn grant_id(n: u64) -> GrantId {
    let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
    GrantId::new(Timestamp::from_millis(1_700_000_000_000 + n), [a, b, c, d, e, f, g, h, 0, 0])
}

/// A decision on a request of that number: every fifth agent, every seventh tool.
pub fn credential(id: TaskId, n: u64, outcome: Outcome) -> Event {
    let denied = outcome == Outcome::Denied;
    let reason = Reason { code: "NO_PERMIT".into(), ..Reason::default() };
    let agent = format!("spiffe://td/agent/{}", n % 5);
    let decision = Decision {
        decision_id: decision_id(n).to_string(),
        outcome: outcome.into(),
        reasons: if denied { vec![reason] } else { vec![] },
        ..Decision::default()
    };
    let grant = Grant { grant_id: grant_id(n).to_string(), ..Grant::default() };
    let conclusion = Conclusion { tool: format!("tool {}", n % 7), ..Default::default() };
    let decided = CredentialDecided {
        task_id: id.to_string(),
        request_id: format!("r{n}"),
        agent: agent.clone(),
        initiator: "ann".into(),
        decision: Some(Decision { conclusions: vec![conclusion], ..decision }),
        grant: (!denied).then_some(grant),
        ..CredentialDecided::default()
    };
    let actor = Some(Actor { id: agent, ..Actor::default() });
    let traceparent = format!("00-{n:032x}-{n:016x}-01");
    Event { actor, traceparent, ..event(id, &n.to_string(), Payload::CredentialDecided(decided)) }
}

/// An ordinary entry.
pub fn entry(events: Vec<Event>, expects: Vec<Expect>) -> Entry {
    Entry { events, expects, class: EntryClass::Ordinary }
}

/// Remembers position and label of every event.
#[derive(Default)]
pub struct Seen(Mutex<Vec<(u64, String)>>);

impl Seen {
    pub fn all(&self) -> Vec<(u64, String)> {
        self.0.lock().unwrap().clone()
    }

    pub fn has(&self, label: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(_, seen)| seen == label)
    }
}

impl Projection for Seen {
    fn format(&self) -> u32 {
        1
    }

    fn apply(&self, recorded: &Recorded) -> Result<(), ApplyError> {
        self.0.lock().unwrap().push((recorded.position, recorded.event.prompt_id.clone()));
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, SaveError> {
        Ok(postcard::to_stdvec(&*self.0.lock().unwrap()).unwrap())
    }

    fn load(&self, saved: &[u8]) -> Result<(), LoadError> {
        let loaded = postcard::from_bytes(saved).map_err(|error| LoadError(Box::new(error)));
        *self.0.lock().unwrap() = loaded.as_ref().cloned().unwrap_or_default();
        loaded.map(drop)
    }

    fn fresh(&self) -> Arc<dyn Projection> {
        Arc::new(Self::default())
    }
}
