//! Refusals, counted and written together, so that nobody can fill the record by being refused. Those that say something about
//! an identity are told apart by it. A handshake or a token that proved nothing says only where it came from: anybody can make
//! any number of them, so those are told apart by reason and network alone, in few kinds, with samples of what was shown.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::broker::caller::{Refusal, UnprovenRefusal, broker_actor};
use crate::broker::gather::no_context;
use crate::broker::record::event;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

/// Kinds of refusal that are told apart at a time; more are counted together.
const KINDS_MAX: usize = 4096;
/// Kinds of one identity: it could name any number of tasks.
const KINDS_OF_SUBJECT_MAX: usize = 32;
/// How long repeats are counted before they are written.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds of what proved nothing. Each leaves at most one event in its window, whoever comes from wherever.
const ORIGINS_MAX: usize = 32;
/// The window of what proved nothing: with [`ORIGINS_MAX`] it bounds what strangers can write to some MiB a day.
const UNPROVEN_WINDOW: Duration = Duration::from_secs(300);
/// Samples of what was shown, in one event.
const SHOWN_MAX: usize = 4;
/// Longest sample, in characters.
const SHOWN_CHARS_MAX: usize = 256;
/// Most events at a time; the others wait for the next.
const EVENTS_MAX: usize = 256;

/// What was refused and is not yet written.
#[derive(Debug, Default)]
pub(in crate::broker) struct Refusals {
    kinds: Mutex<Kinds>,
    turn: Arc<AsyncMutex<()>>,
}

#[derive(Debug, Default)]
struct Kinds {
    proven: HashMap<Kind, Count>,
    unproven: HashMap<Origin, Count>,
}

/// A refusal of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    subject: String,
    rpc: &'static str,
    code: &'static str,
    address: String,
    task: String,
}

/// A refusal of nobody in particular.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    code: &'static str,
    /// Empty where there are too many to be told apart.
    network: String,
}

#[derive(Debug, Default)]
struct Count {
    unwritten: u64,
    /// Those that are being recorded.
    writing: u64,
    /// What it was tried for: no part of what tells kinds apart, or one party could fill all of them.
    rpcs: BTreeSet<&'static str>,
    shown: BTreeSet<String>,
    /// Those that are being recorded.
    showing: BTreeSet<String>,
    /// `None` until the first was written.
    written: Option<Timestamp>,
}

/// What is to be recorded now. Whoever took it says what became of it.
#[derive(Debug)]
pub(in crate::broker) struct Due {
    pub(in crate::broker) events: Vec<pb::Event>,
    proven: Vec<Kind>,
    unproven: Vec<Origin>,
}

impl Refusals {
    /// Counts one that says something about an identity.
    pub(in crate::broker) fn note(&self, refusal: &Refusal) {
        let kinds = &mut self.kinds.lock().unwrap_or_else(PoisonError::into_inner).proven;
        let mut kind = Kind {
            subject: refusal.subject.clone(),
            rpc: refusal.rpc,
            code: refusal.code.as_str(),
            // A port says nothing and would make every connection a kind of its own.
            address: refusal.peer_address.map(|a| a.ip().to_string()).unwrap_or_default(),
            task: refusal.task.map(|t| t.to_string()).unwrap_or_default(),
        };
        if !kinds.contains_key(&kind) {
            let of_subject = kinds.keys().filter(|k| k.subject == kind.subject).count();
            if of_subject >= KINDS_OF_SUBJECT_MAX {
                kind = Kind { address: String::new(), task: String::new(), ..kind };
            }
            if kinds.len() >= KINDS_MAX {
                kind = Kind { subject: OTHERS.to_owned(), address: String::new(), task: String::new(), ..kind };
            }
        }
        kinds.entry(kind).or_default().unwritten += 1;
    }

    /// Counts one of somebody who proved nothing.
    pub(in crate::broker) fn note_unproven(&self, refusal: &UnprovenRefusal) {
        let kinds = &mut self.kinds.lock().unwrap_or_else(PoisonError::into_inner).unproven;
        let mut origin = Origin {
            code: refusal.code.as_str(),
            network: refusal.peer_address.map(|a| network(a.ip())).unwrap_or_default(),
        };
        if kinds.len() >= ORIGINS_MAX && !kinds.contains_key(&origin) {
            origin.network = String::new();
        }
        let count = kinds.entry(origin).or_default();
        count.unwritten += 1;
        count.rpcs.insert(refusal.rpc);
        if let Some(shown) = &refusal.shown
            && count.shown.len() < SHOWN_MAX
        {
            count.shown.insert(shown.chars().take(SHOWN_CHARS_MAX).collect());
        }
    }

    /// Waits until nobody writes. Whoever takes what is due holds it until that is settled: what was counted meanwhile would not be
    /// due, and the last to write would pass it over.
    pub(in crate::broker) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// What is due: the first of each kind, repeats after their window, and everything when it is the last time.
    pub(in crate::broker) fn due(&self, now: Timestamp, last: bool) -> Due {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        let is_over = |count: &Count, window| last || count.written.is_none_or(|at| now.since(at) >= window);
        // First those of which there are few kinds, or the others could put them off for ever.
        let unproven = take(
            &mut kinds.unproven,
            |count| is_over(count, UNPROVEN_WINDOW),
            &mut events,
            |origin, count| pb::Refused {
                subject: UNPROVEN.to_owned(),
                rpc: one_or_several(&count.rpcs).to_owned(),
                code: origin.code.to_owned(),
                count: count.unwritten,
                peer_address: origin.network.clone(),
                task_id: String::new(),
                shown: count.shown.iter().cloned().collect(),
            },
        );
        let proven = take(
            &mut kinds.proven,
            |count| is_over(count, WINDOW),
            &mut events,
            |kind, count| pb::Refused {
                subject: kind.subject.clone(),
                rpc: kind.rpc.to_owned(),
                code: kind.code.to_owned(),
                count: count.unwritten,
                peer_address: kind.address.clone(),
                task_id: kind.task.clone(),
                shown: Vec::new(),
            },
        );
        Due { events, proven, unproven }
    }

    /// They were written then, or not at all: what was not is counted on.
    pub(in crate::broker) fn settle(&self, due: &Due, written: Option<Timestamp>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        settle(&mut kinds.proven, &due.proven, written);
        settle(&mut kinds.unproven, &due.unproven, written);
    }
}

/// Takes out what is due. A kind is told apart until its window is over without a repeat.
fn take<K: Clone + Eq + Hash>(
    kinds: &mut HashMap<K, Count>,
    is_over: impl Fn(&Count) -> bool,
    events: &mut Vec<pb::Event>,
    refused: impl Fn(&K, &Count) -> pb::Refused,
) -> Vec<K> {
    let mut taken = Vec::new();
    kinds.retain(|kind, count| {
        let is_over = is_over(count);
        if is_over && count.unwritten > 0 && count.writing == 0 && events.len() < EVENTS_MAX {
            let payload = refused(kind, count);
            let stream = format!("identity/{}", payload.subject);
            events.push(event(stream, broker_actor(), &no_context(), Payload::Refused(payload)));
            taken.push(kind.clone());
            count.writing = mem::take(&mut count.unwritten);
            count.showing = mem::take(&mut count.shown);
            count.rpcs.clear();
        }
        !is_over || count.unwritten > 0 || count.writing > 0
    });
    taken
}

fn settle<K: Eq + Hash>(kinds: &mut HashMap<K, Count>, taken: &[K], written: Option<Timestamp>) {
    for kind in taken {
        let Some(count) = kinds.get_mut(kind) else { continue };
        let (writing, showing) = (mem::take(&mut count.writing), mem::take(&mut count.showing));
        if written.is_some() {
            count.written = written;
        } else {
            count.unwritten += writing;
            count.shown = showing.into_iter().chain(mem::take(&mut count.shown)).take(SHOWN_MAX).collect();
        }
    }
}

/// The method that all of them were tried for, if it is one.
fn one_or_several<'a>(rpcs: &BTreeSet<&'a str>) -> &'a str {
    match (rpcs.first(), rpcs.len()) {
        (Some(rpc), 1) => rpc,
        _ => SEVERAL,
    }
}

/// The network of an address: what one party commonly has in its hands.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8))),
        IpAddr::V6(v6) => format!("{}/48", Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80))),
    }
}

/// The subject of what is no longer told apart.
const OTHERS: &str = "others";
/// The method of what was tried for more than one.
const SEVERAL: &str = "several";
/// The subject of what proved nothing.
const UNPROVEN: &str = "unverified";

#[cfg(test)]
mod tests;
