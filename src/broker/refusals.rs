//! Refusals that say something about an identity. The first of a kind is written at once; repeats are counted and written
//! together, so that nobody can fill the record by being refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::broker::caller::{Refusal, broker_actor};
use crate::broker::gather::no_context;
use crate::broker::record::event;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// Kinds of refusal that are told apart at a time; more are counted together.
const KINDS_MAX: usize = 4096;
/// How long repeats are counted before they are written.
const WINDOW: Duration = Duration::from_secs(60);

/// What was refused and is not yet written.
#[derive(Debug, Default)]
pub(in crate::broker) struct Refusals(Mutex<HashMap<Kind, Count>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    subject: String,
    rpc: &'static str,
    code: &'static str,
    address: String,
    task: String,
}

#[derive(Debug)]
struct Count {
    unwritten: u64,
    /// `None` until the first was written.
    written: Option<Timestamp>,
}

impl Refusals {
    /// Counts one. True when it is the first of its kind, and so should be written soon.
    pub(in crate::broker) fn note(&self, refusal: &Refusal) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = Kind {
            subject: refusal.subject.clone(),
            rpc: refusal.rpc,
            code: refusal.code.as_str(),
            // A port says nothing and would make every connection a kind of its own.
            address: refusal.peer_address.map(|a| a.ip().to_string()).unwrap_or_default(),
            task: refusal.task.map(|t| t.to_string()).unwrap_or_default(),
        };
        if kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind) {
            kind = Kind { subject: "others".to_owned(), address: String::new(), task: String::new(), ..kind };
        }
        let count = kinds.entry(kind).or_insert(Count { unwritten: 0, written: None });
        count.unwritten += 1;
        count.written.is_none() && count.unwritten == 1
    }

    /// The events that are due: first refusals at once, repeats after their window.
    pub(in crate::broker) fn due(&self, now: Timestamp) -> Vec<pb::Event> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        kinds.retain(|kind, count| {
            let over = count.written.is_none_or(|at| now.since(at) >= WINDOW);
            if over && count.unwritten > 0 {
                events.push(refused(kind, count.unwritten));
                *count = Count { unwritten: 0, written: Some(now) };
            }
            !over || count.written == Some(now)
        });
        events
    }
}

fn refused(kind: &Kind, count: u64) -> pb::Event {
    let payload = pb::Refused {
        subject: kind.subject.clone(),
        rpc: kind.rpc.to_owned(),
        code: kind.code.to_owned(),
        count,
        peer_address: kind.address.clone(),
        task_id: kind.task.clone(),
    };
    event(format!("identity/{}", kind.subject), broker_actor(), &no_context(), Payload::Refused(payload))
}
