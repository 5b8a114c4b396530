//! Telling a receiver: one event at a time, in order; what it does not take waits and is tried again beside what is new.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::clock::Stopwatch;
use crate::identity::get::GetError;
use crate::identity::web::post::PostAnswer;
use crate::journal::Journal;
use crate::journal::error::ReadError;
use crate::model::notice::NoticeType;
use crate::model::time::Timestamp;
use crate::notify::ahead::{self, Ahead, READ_AGAIN};
use crate::notify::deliveries::{Delivery, DeliveryOutcome, DeliveryProblem};
use crate::notify::endpoint::Endpoint;
use crate::notify::kept::{Step, Waiting};
use crate::notify::notices::{self, Notice};
use crate::notify::schedule::{AGE_MAX, REFUSED_TRIES_MAX, TRIES_MAX, retry_after, wait_after};

/// Events that concern nobody and are passed over before it is kept that they were: so many are read again after a restart.
const PASSED_MAX: u64 = 1000;
/// Notices that were settled before it is kept that they were, at most: so many are told twice after a crash.
const SETTLED_MAX: u32 = 32;
/// How long it may take until it is kept, unless a receiver is slow.
const KEPT_WITHIN: Duration = Duration::from_secs(1);
/// How often the clock is looked at while something waits for a point in time: it may have been set back.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What happened since it was kept how far the receiver was told.
struct Unkept {
    next: u64,
    settled: u32,
    /// True when somebody waits for what happened.
    at_once: bool,
    since: Stopwatch,
}

impl Unkept {
    fn new(next: u64) -> Self {
        Self { next, settled: 0, at_once: false, since: Stopwatch::start() }
    }

    fn note(&mut self, outcome: DeliveryOutcome) {
        if self.settled == 0 {
            self.since = Stopwatch::start();
        }
        self.settled = self.settled.saturating_add(1);
        self.at_once |= matches!(outcome, DeliveryOutcome::TriedAgain | DeliveryOutcome::SwitchedOff);
    }

    /// True when it is time to keep it; `rests` when there is nothing else to do.
    fn is_due(&self, next: u64, rests: bool) -> bool {
        let waited = self.settled > 0 && (rests || self.since.elapsed() >= KEPT_WITHIN);
        waited || self.at_once || self.settled >= SETTLED_MAX || next.saturating_sub(self.next) >= PASSED_MAX
    }
}

/// What an answer, or none, comes to.
struct Judged {
    outcome: DeliveryOutcome,
    problem: Option<DeliveryProblem>,
    status: Option<u16>,
    /// True when the notice was refused for what it is.
    refused: bool,
    /// How long the receiver asks to be left alone.
    quiet: Option<Duration>,
}

impl Endpoint {
    /// Tells what happens, until the journal is closed, the receiver wants no more, or the future is dropped.
    pub(in crate::notify) async fn run(self: Arc<Self>, journal: Journal) {
        let durable = journal.durable();
        let mut ahead = Ahead::new(self.kept().next());
        let mut follower = journal.follow(ahead.end());
        let mut unkept = Unkept::new(ahead.end());
        loop {
            let now = self.clock.now();
            let is_more = ahead.end() < *durable.borrow();
            if is_more && ahead.is_empty() && ahead.rests(now).is_none() {
                self.look(&journal, &mut ahead).await;
                follower = journal.follow(ahead.end());
            }
            if ahead.is_empty() {
                self.kept().reached(ahead.end());
            }
            let step = self.kept().step(now, !ahead.is_empty());
            let next = self.kept().next();
            if unkept.is_due(next, matches!(step, Step::Wait(_) | Step::End)) {
                self.keep().await;
                unkept = Unkept::new(next);
            }
            let told = match step {
                Step::End => return,
                Step::Again(waiting) => self.tell(&journal, waiting).await,
                Step::Take => match ahead.take() {
                    Some(waiting) => self.tell(&journal, waiting).await,
                    None => None,
                },
                Step::Wait(until) => {
                    let rests = ahead.rests(now);
                    let (reads, until) = (ahead.is_empty() && rests.is_none(), until.into_iter().chain(rests).min());
                    tokio::select! {
                        more = follower.ready(), if reads => {
                            if !more {
                                return;
                            }
                        }
                        () = self.clock.reach(until.unwrap_or(Timestamp::MAX)), if until.is_some() => {}
                        () = tokio::time::sleep(LOOK_AGAIN), if until.is_some() => {}
                        else => return,
                    }
                    None
                }
            };
            if let Some(outcome) = told {
                unkept.note(outcome);
            }
        }
    }

    /// Looks through the next events.
    async fn look(&self, journal: &Journal, ahead: &mut Ahead) {
        let (from, types) = (ahead.end(), self.options.types.clone());
        let read = move |journal: &Journal| ahead::look(|at, most| journal.read_range(at, most), from, &types);
        match apart(journal, read).await {
            Ok(stretch) => ahead.looked(stretch),
            Err(error) => {
                tracing::error!(webhook = %self.name(), position = from, error = &error as &dyn std::error::Error, "an event cannot be read");
                let now = self.clock.now();
                if let Some(position) = ahead.failed(&error, now) {
                    self.give_up(
                        DeliveryProblem::Unreadable,
                        String::new(),
                        Waiting::new(position, NoticeType::Test),
                        now,
                    );
                }
            }
        }
    }

    /// Tells an event, for the first time or once more; what came of it, when anything did.
    async fn tell(&self, journal: &Journal, waiting: Waiting) -> Option<DeliveryOutcome> {
        let position = waiting.position;
        let recorded = match apart(journal, move |journal| journal.read(position)).await {
            Ok(recorded) => recorded,
            Err(error) => return Some(self.unread(waiting, &error)),
        };
        let kind = notices::kind_of(&recorded.event).filter(|kind| self.options.types.contains(kind));
        let now = self.clock.now();
        if kind.is_some() && now.since(recorded.time) > AGE_MAX {
            let id = notices::id_of(self.name(), &recorded);
            return Some(self.give_up(DeliveryProblem::TooOld, id, waiting, now));
        }
        let notice = kind.and_then(|_| notices::notice(self.name(), &recorded, self.options.link_base.as_deref()));
        // It may be large, and the receiver slow.
        drop(recorded);
        match notice {
            Some(notice) => {
                let (judged, took) = self.post(&notice).await;
                Some(self.settle(&notice, &judged, waiting, (now, took)))
            }
            // It is configured otherwise now.
            None => {
                self.kept().done(position);
                None
            }
        }
    }

    /// An event that is to be told could not be read.
    fn unread(&self, waiting: Waiting, error: &ReadError) -> DeliveryOutcome {
        let (position, now) = (waiting.position, self.clock.now());
        tracing::error!(webhook = %self.name(), position, error = error as &dyn std::error::Error, "an event that is to be told cannot be read");
        if matches!(error, ReadError::Io(_)) {
            let is_displaced = self.kept().later(Waiting { due: now.after(READ_AGAIN), ..waiting }, now);
            if is_displaced {
                self.displaced();
            }
            return DeliveryOutcome::TriedAgain;
        }
        self.give_up(DeliveryProblem::Unreadable, String::new(), waiting, now)
    }

    /// An event is not told, and not tried.
    fn give_up(&self, problem: DeliveryProblem, id: String, waiting: Waiting, now: Timestamp) -> DeliveryOutcome {
        let mut kept = self.kept();
        kept.log_given_up(problem, (id, waiting.kind, waiting.position), now);
        kept.done(waiting.position);
        drop(kept);
        self.count(DeliveryOutcome::GivenUp);
        DeliveryOutcome::GivenUp
    }

    /// Room was made for something that waits.
    fn displaced(&self) {
        tracing::warn!(webhook = %self.name(), "too much waits to be tried again, and the oldest notice is given up");
        self.count(DeliveryOutcome::GivenUp);
    }

    /// Notes what came of a try.
    fn settle(
        &self,
        notice: &Notice,
        judged: &Judged,
        waiting: Waiting,
        (began, took): (Timestamp, Duration),
    ) -> DeliveryOutcome {
        let (position, attempt, now) = (waiting.position, waiting.tries.saturating_add(1), self.clock.now());
        let tries_max = if judged.refused { REFUSED_TRIES_MAX } else { TRIES_MAX };
        let outcome = match judged.outcome {
            DeliveryOutcome::TriedAgain if attempt >= tries_max => DeliveryOutcome::GivenUp,
            outcome => outcome,
        };
        let delivery = Delivery { position: Some(position), attempt, outcome, ..tried(notice, judged, began, took) };
        let mut kept = self.kept();
        kept.log(delivery);
        let mut is_displaced = false;
        match outcome {
            DeliveryOutcome::Delivered => kept.taken(position, now),
            DeliveryOutcome::GivenUp => kept.done(position),
            DeliveryOutcome::TriedAgain => {
                let wait = wait_after(attempt, self.entropy.bytes().unwrap_or_default());
                let due = now.after(wait.max(judged.quiet.unwrap_or_default()));
                is_displaced = kept.later(Waiting { tries: attempt, due, ..waiting }, now);
            }
            DeliveryOutcome::SwitchedOff => {
                kept.done(position);
                kept.switch_off();
            }
        }
        if let Some(quiet) = judged.quiet {
            kept.quiet(now.after(quiet));
        }
        drop(kept);
        if is_displaced {
            self.displaced();
        }
        self.count(outcome);
        let (id, status, problem) = (&notice.id, judged.status, judged.problem.map(DeliveryProblem::as_str));
        match outcome {
            DeliveryOutcome::Delivered => tracing::debug!(webhook = %self.name(), id, attempt, "a notice was taken"),
            _ => {
                tracing::warn!(webhook = %self.name(), id, attempt, status, problem, outcome = outcome.as_str(), "a notice was not taken");
            }
        }
        outcome
    }

    /// Sends a notice of the type `test`, once; `None` when that is being done already.
    pub(in crate::notify) async fn try_out(&self) -> Option<Delivery> {
        let _alone = self.trying.try_lock().ok()?;
        let random: [u8; 16] = self.entropy.bytes().ok()?;
        let began = self.clock.now();
        let notice = notices::test(notices::written_id(&random), self.name(), began);
        let (judged, took) = self.post(&notice).await;
        // It is not tried again, and a receiver is switched off by what happens, not by who tries it.
        let outcome = match judged.outcome {
            DeliveryOutcome::Delivered => DeliveryOutcome::Delivered,
            _ => DeliveryOutcome::GivenUp,
        };
        let delivery = Delivery { outcome, ..tried(&notice, &judged, began, took) };
        self.kept().log(delivery.clone());
        self.count(outcome);
        self.keep().await;
        Some(delivery)
    }

    async fn post(&self, notice: &Notice) -> (Judged, Duration) {
        let now = self.clock.now();
        let timestamp = now.as_secs();
        let headers = [
            ("webhook-id", notice.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.options.secrets.sign(&notice.id, timestamp, &notice.body)),
            ("user-agent", concat!("carnet/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        let took = Stopwatch::start();
        let answer = self.options.poster.post(&headers, notice.body.clone(), self.options.deadline).await;
        (judged(answer, now), took.elapsed())
    }

    fn count(&self, outcome: DeliveryOutcome) {
        if let Some(metrics) = self.metrics.get() {
            metrics.webhook_tried(self.name().as_str(), outcome.as_str());
        }
    }
}

fn judged(answer: Result<PostAnswer, GetError>, now: Timestamp) -> Judged {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let timed_out = matches!(error, GetError::TimedOut(_));
            let problem = if timed_out { DeliveryProblem::TimedOut } else { DeliveryProblem::Unreachable };
            return Judged {
                outcome: DeliveryOutcome::TriedAgain,
                problem: Some(problem),
                status: None,
                refused: false,
                quiet: None,
            };
        }
    };
    let outcome = match answer.status {
        200..=299 => DeliveryOutcome::Delivered,
        GONE => DeliveryOutcome::SwitchedOff,
        _ => DeliveryOutcome::TriedAgain,
    };
    let asks = matches!(answer.status, TOO_MANY | UNAVAILABLE);
    let quiet = answer.retry_after.filter(|_| asks).and_then(|text| retry_after(&text, now));
    let problem = (outcome != DeliveryOutcome::Delivered).then_some(DeliveryProblem::Status);
    let refused = matches!(answer.status, 400..=499) && !matches!(answer.status, TIMED_OUT | TOO_EARLY | TOO_MANY);
    Judged { outcome, problem, status: Some(answer.status), refused, quiet }
}

fn tried(notice: &Notice, judged: &Judged, began: Timestamp, took: Duration) -> Delivery {
    Delivery {
        id: notice.id.clone(),
        kind: notice.kind,
        position: None,
        attempt: 1,
        time: began,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        outcome: judged.outcome,
        problem: judged.problem,
        status: judged.status,
        events: 1,
    }
}

/// Reads the journal where that holds nobody up.
async fn apart<T: Send + 'static>(
    journal: &Journal,
    read: impl FnOnce(&Journal) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let journal = journal.clone();
    let read = spawn_blocking(move || read(&journal)).await;
    read.unwrap_or_else(|died| Err(ReadError::Io(io::Error::other(died))))
}

/// Statuses that mean something beside success and failure (RFC 9110 §15.5.9, §15.5.11, RFC 8470 §5.2, RFC 6585 §4, RFC 9110 §15.6.4).
const TIMED_OUT: u16 = 408;
const GONE: u16 = 410;
const TOO_EARLY: u16 = 425;
const TOO_MANY: u16 = 429;
const UNAVAILABLE: u16 = 503;
