//! The only room that sequences: one verb per file. Each verb takes one look at what is known, judges outside of the lock,
//! and appends with guards on everything that it relied on; when a guard no longer holds, it looks again.

use std::sync::Arc;

use crate::broker::error::BrokerError;
use crate::broker::hours::Hours;
use crate::broker::known::Known;
use crate::broker::limit::{CallerLimits, Limiter, Place};
use crate::broker::refusals::Refusals;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::identity::people::People;
use crate::identity::trust::{Authorities, Trust};
use crate::journal::entry::{Committed, Entry, Record};
use crate::journal::error::AppendError;
use crate::journal::{Attending, Journal};
use crate::mint::ring::KeyRing;
use crate::model::time::Ttl;
use crate::notify::Notifier;
use crate::seal::handle::HandleKey;
use crate::seal::sealer::Sealer;
use crate::token::claims::Issuer;

pub mod activate;
mod aftermath;
pub mod amend;
pub mod amend_asking;
pub mod answer;
pub mod approvals;
pub mod approve;
mod approving;
pub mod ask;
mod asking;
pub mod audit;
mod behaviour;
pub mod break_glass;
mod bundles;
pub mod calibrate;
pub mod caller;
mod changes;
mod denials;
mod draws;
pub mod drift;
mod duties;
pub mod end;
pub mod error;
mod escalate;
mod evidence;
pub mod figures;
mod fitting;
mod fold;
mod forget;
mod gather;
mod glass_after;
mod glass_shown;
mod glass_use;
pub mod glasses;
mod grants;
mod hashes;
mod hidden;
mod hours;
mod known;
pub mod label;
pub mod limit;
pub mod notify;
pub mod observing;
pub mod open;
pub mod open_calls;
pub mod pause;
pub mod pending;
mod plan;
mod principal;
pub mod proposals;
mod propose;
mod put_in_force;
mod question;
pub mod read;
mod reason;
pub mod record;
mod refusals;
pub mod register;
pub mod release;
pub mod renew;
mod repeat;
pub mod report;
pub mod report_key;
pub mod request;
mod retain;
pub mod revoke;
mod rights;
pub mod routing;
mod saved;
pub mod scorers;
mod state;
pub mod summary;
pub mod sweep;
mod take_back;
mod trust;
pub mod watch;
pub mod whatif;
mod whom_asked;
mod words;

/// How often a verb looks again when what it relied on changed under it.
const TRIES_MAX: usize = 64;

/// Decides, mints, revokes and records. Clones share one broker.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

struct Inner {
    settings: Settings,
    clock: Clock,
    hours: Arc<Hours>,
    entropy: Entropy,
    trust: Trust,
    people: Option<People>,
    sealer: Arc<Sealer>,
    handles: HandleKey,
    keys: Arc<KeyRing>,
    known: Arc<Known>,
    journal: Journal,
    notifier: Notifier,
    bundles: bundles::Bundles,
    limiter: Limiter,
    /// Of ends: who asks for too much else can still end it.
    ends: Limiter,
    open_calls: open_calls::OpenCalls,
    open_ends: open_calls::OpenCalls,
    refusals: Refusals,
    repeats: repeat::Repeats,
    scorers: scorers::Scorers,
    /// The key that signs, by algorithm, as it was last seen.
    signing: std::sync::Mutex<std::collections::BTreeMap<String, String>>,
    /// Whom we trusted when it was last held against the record.
    trusted: std::sync::Mutex<Authorities>,
    /// Bytes of a torn last group that were cut off at the start.
    torn_bytes: u64,
}

/// How a broker behaves, apart from policy.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer of tokens: an https URL.
    pub issuer: Issuer,
    /// What each caller may ask for.
    pub limits: CallerLimits,
    /// The life of a token when neither the request nor policy says.
    pub ttl_default: Ttl,
    /// The longest life of any token, whatever policy allows.
    pub ttl_max: Ttl,
    /// How often a receiver of revocations hears that nothing happened.
    pub heartbeat: std::time::Duration,
    /// How people are asked.
    pub approvals: approvals::ApprovalSettings,
    /// Who reviews, and who answers for whom.
    pub directory: routing::Directory,
    /// How break-glass is opened.
    pub glass: glasses::GlassSettings,
    /// What it takes to put a policy bundle in force.
    pub activation: proposals::ActivationSettings,
}

/// A request that was let in and is about to append, for as long as its verb holds this. Those that are on their way share a
/// sync.
struct Entered<'a> {
    _place: Place<'a>,
    attending: Option<Attending>,
}

impl Entered<'_> {
    /// Has nobody's sync wait any longer than what comes back lives: what is still to be done takes its time.
    const fn leave(&mut self) -> Option<Attending> {
        self.attending.take()
    }
}

impl Broker {
    /// Takes a place among the caller's requests.
    fn enter(&self, caller: &caller::Caller) -> Result<Entered<'_>, BrokerError> {
        Ok(self.attend(self.enter_apart(caller)?))
    }

    /// The same for a request that appends nothing, or only after long work. No sync waits for it.
    fn enter_apart(&self, caller: &caller::Caller) -> Result<Place<'_>, BrokerError> {
        self.enter_at(&self.0.limiter, caller)
    }

    /// Takes a place among the caller's ends, which whatever else it asks for does not use up.
    fn enter_to_end(&self, caller: &caller::Caller) -> Result<Entered<'_>, BrokerError> {
        Ok(self.attend(self.enter_at(&self.0.ends, caller)?))
    }

    fn enter_at<'a>(&self, limiter: &'a Limiter, caller: &caller::Caller) -> Result<Place<'a>, BrokerError> {
        let now = self.0.clock.now();
        match caller {
            caller::Caller::Workload(w) => limiter.enter(w.peer.spiffe_id().as_str(), now),
            caller::Caller::Person(_) => limiter.enter(&caller.id(), now),
            caller::Caller::Operator { .. } => limiter.enter("operator", now),
        }
    }

    // Not before a request has its place: who has yet to send its message could keep everybody waiting.
    fn attend<'a>(&self, place: Place<'a>) -> Entered<'a> {
        Entered { _place: place, attending: Some(self.0.journal.attend()) }
    }

    /// Appends what relied on guards. `Ok(None)` when a guard no longer held; what is known has caught up by then, and the verb
    /// looks again.
    async fn append<R: Record>(&self, record: R) -> Result<Option<Committed<R>>, BrokerError> {
        match self.0.journal.append(record).await {
            Ok(committed) => Ok(Some(committed)),
            Err(AppendError::Conflict { at, .. }) => {
                self.caught_up(at).await?;
                Ok(None)
            }
            Err(AppendError::Full) => Err(BrokerError::StorageFull),
            Err(error) => Err(BrokerError::unavailable(error)),
        }
    }

    /// Waits until everything before `next` is known.
    async fn caught_up(&self, next: u64) -> Result<(), BrokerError> {
        let mut durable = self.0.journal.durable();
        durable.wait_for(|size| *size >= next).await.map_err(BrokerError::unavailable)?;
        Ok(())
    }

    /// Repeats a verb's look, judgement and append until the append holds.
    async fn settle<R, F>(&self, mut attempt: F) -> Result<Committed<R>, BrokerError>
    where
        R: Record,
        F: FnMut() -> Result<R, BrokerError>,
    {
        for _ in 0..TRIES_MAX {
            if let Some(committed) = self.append(attempt()?).await? {
                return Ok(committed);
            }
        }
        Err(BrokerError::Conflict)
    }

    /// The same for what may have nothing to append any more; `None` when that is so.
    async fn settle_if_due<R, F>(&self, mut attempt: F) -> Result<Option<Committed<R>>, BrokerError>
    where
        R: Record,
        F: FnMut() -> Option<R>,
    {
        for _ in 0..TRIES_MAX {
            let Some(record) = attempt() else { return Ok(None) };
            if let Some(committed) = self.append(record).await? {
                return Ok(Some(committed));
            }
        }
        Err(BrokerError::Conflict)
    }

    /// What the event at that position did to grants.
    fn tally(&self, position: u64) -> state::Tally {
        let state = self.0.known.look();
        state.tallies.iter().rev().find(|(at, _)| *at == position).map(|(_, tally)| *tally).unwrap_or_default()
    }
}

/// A single event that ends something: it may use what is left of the disk.
fn ending(event: crate::pb::journal::Event, expects: Vec<crate::journal::guards::Expect>) -> Entry {
    Entry { events: vec![event], expects, class: crate::journal::entry::EntryClass::End }
}

/// A single event of the ordinary kind.
fn ordinary(event: crate::pb::journal::Event, expects: Vec<crate::journal::guards::Expect>) -> Entry {
    Entry { events: vec![event], expects, class: crate::journal::entry::EntryClass::Ordinary }
}
