//! Telling a receiver: one event at a time, in order; what it does not take waits and is tried again beside what is new.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::identity::get::GetError;
use crate::identity::web::post::PostAnswer;
use crate::journal::Journal;
use crate::journal::projection::Recorded;
use crate::model::time::Timestamp;
use crate::notify::deliveries::{Delivery, DeliveryOutcome, DeliveryProblem};
use crate::notify::endpoint::Endpoint;
use crate::notify::kept::{Step, Waiting};
use crate::notify::notices::{self, Notice};
use crate::notify::schedule::{AGE_MAX, TRIES_MAX, retry_after, wait_after};

/// Events that are read at a time.
const READ_MAX: usize = 64;
/// Events that concern nobody and are passed over before it is kept that they were: so many are read again after a restart.
const PASSED_MAX: u64 = 1000;
/// How long to wait before events are read again that could not be.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// How often the clock is looked at while something waits for a point in time: it may have been set back.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What an answer, or none, comes to.
struct Judged {
    outcome: DeliveryOutcome,
    problem: Option<DeliveryProblem>,
    status: Option<u16>,
    /// How long the receiver asks to be left alone.
    quiet: Option<Duration>,
}

impl Endpoint {
    /// Tells what happens, until the journal is closed, the receiver wants no more, or the future is dropped.
    pub(in crate::notify) async fn run(self: Arc<Self>, journal: Journal) {
        let mut follower = journal.follow(self.kept().next());
        let (mut read, mut saved): (VecDeque<Recorded>, u64) = (VecDeque::new(), follower.next());
        loop {
            let step = self.kept().step(self.clock.now(), !read.is_empty());
            match step {
                Step::End => return,
                Step::Again(waiting) => self.again(&journal, waiting).await,
                Step::Take => {
                    let Some(recorded) = read.pop_front() else { continue };
                    let kept = self.take(&recorded).await;
                    if kept || recorded.position.saturating_sub(saved) >= PASSED_MAX {
                        saved = recorded.position;
                        self.keep().await;
                    }
                }
                Step::Wait { until, reads } => {
                    tokio::select! {
                        news = follower.read(READ_MAX), if reads => match news {
                            Ok(Some(events)) => read.extend(events),
                            Ok(None) => return,
                            Err(error) => {
                                tracing::error!(webhook = %self.name(), error = &error as &dyn std::error::Error, "events cannot be read");
                                tokio::time::sleep(READ_AGAIN).await;
                            }
                        },
                        () = self.clock.reach(until.unwrap_or(Timestamp::MAX)), if until.is_some() => {}
                        () = tokio::time::sleep(LOOK_AGAIN), if until.is_some() => {}
                        else => return,
                    }
                }
            }
        }
    }

    /// Looks at the next event, and tells it when it is to be told; true when something came of it that is to be kept.
    async fn take(&self, recorded: &Recorded) -> bool {
        let kind = notices::kind_of(&recorded.event).filter(|kind| self.tells(*kind));
        let Some(kind) = kind else {
            self.kept().passed(recorded.position);
            return false;
        };
        let now = self.clock.now();
        if now.since(recorded.time) > AGE_MAX {
            let id = notices::id_of(self.name(), recorded);
            let mut kept = self.kept();
            kept.log_too_old(id, kind, recorded.position, now);
            kept.passed(recorded.position);
            drop(kept);
            self.count(DeliveryOutcome::GivenUp);
            // There may be very many, and they would be given up again.
            return false;
        }
        self.tell(recorded, 1).await;
        true
    }

    /// Tells once more what was not taken.
    async fn again(&self, journal: &Journal, waiting: Waiting) {
        let now = self.clock.now();
        match journal.read(waiting.position) {
            Ok(recorded) if now.since(recorded.time) <= AGE_MAX => {
                self.tell(&recorded, waiting.tries.saturating_add(1)).await;
            }
            Ok(recorded) => {
                let id = notices::id_of(self.name(), &recorded);
                let kind = notices::kind_of(&recorded.event);
                let mut kept = self.kept();
                if let Some(kind) = kind {
                    kept.log_too_old(id, kind, waiting.position, now);
                }
                kept.done(waiting.position);
                drop(kept);
                self.count(DeliveryOutcome::GivenUp);
            }
            Err(error) => {
                tracing::error!(webhook = %self.name(), error = &error as &dyn std::error::Error, "an event that is to be told cannot be read");
                let mut kept = self.kept();
                kept.log_lost(now);
                kept.done(waiting.position);
                drop(kept);
                self.count(DeliveryOutcome::GivenUp);
            }
        }
        self.keep().await;
    }

    async fn tell(&self, recorded: &Recorded, attempt: u32) {
        let position = recorded.position;
        let notice = notices::notice(self.name(), recorded, self.options.link_base.as_deref());
        let Some(notice) = notice else { return self.kept().done(position) };
        let (began, (judged, took)) = (self.clock.now(), self.post(&notice).await);
        let now = self.clock.now();
        let outcome = match judged.outcome {
            DeliveryOutcome::TriedAgain if attempt >= TRIES_MAX => DeliveryOutcome::GivenUp,
            outcome => outcome,
        };
        let tried = tried(&notice, &judged, began, took);
        let delivery = Delivery { position: Some(position), attempt, outcome, ..tried };
        let mut kept = self.kept();
        kept.log(delivery);
        match outcome {
            DeliveryOutcome::Delivered | DeliveryOutcome::GivenUp => kept.done(position),
            DeliveryOutcome::TriedAgain => {
                let wait = wait_after(attempt, self.entropy.bytes().unwrap_or_default());
                let due = now.after(wait.max(judged.quiet.unwrap_or_default()));
                kept.later(Waiting { position, tries: attempt, due });
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
        self.count(outcome);
        let (id, status, problem) = (&notice.id, judged.status, judged.problem.map(DeliveryProblem::as_str));
        match outcome {
            DeliveryOutcome::Delivered => tracing::debug!(webhook = %self.name(), id, attempt, "a notice was taken"),
            _ => {
                tracing::warn!(webhook = %self.name(), id, attempt, status, problem, outcome = outcome.as_str(), "a notice was not taken");
            }
        }
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
            return Judged { outcome: DeliveryOutcome::TriedAgain, problem: Some(problem), status: None, quiet: None };
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
    Judged { outcome, problem, status: Some(answer.status), quiet }
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

/// Statuses that mean something beside success and failure (RFC 9110 §15.5.11, RFC 6585 §4, RFC 9110 §15.6.4).
const GONE: u16 = 410;
const TOO_MANY: u16 = 429;
const UNAVAILABLE: u16 = 503;
