//! Refusals that say something about an identity. The first of a kind is written at once; repeats are counted and written
//! together, so that nobody can fill the record by being refused.

use std::collections::HashMap;
use std::mem;
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
/// Most events at a time; the others wait for the next.
const EVENTS_MAX: usize = 256;
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

#[derive(Debug, Default)]
struct Count {
    unwritten: u64,
    /// Those that are being recorded.
    writing: u64,
    /// `None` until the first was written.
    written: Option<Timestamp>,
}

/// What is to be recorded now. Whoever took it says what became of it.
#[derive(Debug)]
pub(in crate::broker) struct Due {
    pub(in crate::broker) events: Vec<pb::Event>,
    kinds: Vec<Kind>,
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
        let count = kinds.entry(kind).or_default();
        count.unwritten += 1;
        count.written.is_none() && count.unwritten == 1
    }

    /// What is due: first refusals at once, repeats after their window, and everything when it is the last time.
    pub(in crate::broker) fn due(&self, now: Timestamp, last: bool) -> Due {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Due { events: Vec::new(), kinds: Vec::new() };
        kinds.retain(|kind, count| {
            let over = last || count.written.is_none_or(|at| now.since(at) >= WINDOW);
            if over && count.unwritten > 0 && count.writing == 0 && due.events.len() < EVENTS_MAX {
                due.events.push(refused(kind, count.unwritten));
                due.kinds.push(kind.clone());
                count.writing = mem::take(&mut count.unwritten);
            }
            !over || count.unwritten > 0 || count.writing > 0
        });
        due
    }

    /// They were written then, or not at all: what was not is counted on.
    pub(in crate::broker) fn settle(&self, due: &Due, written: Option<Timestamp>) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in &due.kinds {
            let Some(count) = kinds.get_mut(kind) else { continue };
            let writing = mem::take(&mut count.writing);
            match written {
                Some(_) => count.written = written,
                None => count.unwritten += writing,
            }
        }
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

#[cfg(test)]
mod tests;
