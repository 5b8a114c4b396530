//! The log of deliveries: each try, what came of it, and how a receiver stands. It holds ids and outcomes; no URL, no payload, no
//! word of an answer.

use serde::{Deserialize, Serialize};

use crate::model::notice::{NoticeType, WebhookName};
use crate::model::time::Timestamp;

/// Tries of one receiver that are kept; older ones go. A few days of a busy one.
pub const DELIVERIES_KEPT_MAX: usize = 200;

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// It was taken.
    Delivered,
    /// It was not, and is tried again.
    TriedAgain,
    /// It was not, and is not tried again.
    GivenUp,
    /// The receiver wants no more: it is told nothing until it is configured otherwise.
    SwitchedOff,
}

/// Why it was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryProblem {
    /// The receiver cannot be reached, is not who it should be, or hung up.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// It answered with another status than 2xx.
    Status,
    /// What happened is too long ago to be told.
    TooOld,
    /// Too much waits to be tried again: it made room.
    Overflow,
    /// The record of it, or of how far the receiver was told, could not be read.
    Unreadable,
}

/// One try, or several events that were given up together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The `webhook-id`; the same for each try of one event.
    pub id: String,
    /// The type of the notice.
    pub kind: NoticeType,
    /// Position of the event; `None` for a test.
    pub position: Option<u64>,
    /// Which try it was, from 1; 0 when it was given up without one.
    pub attempt: u32,
    /// When it began.
    pub time: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came of it.
    pub outcome: DeliveryOutcome,
    /// Why, unless it was delivered.
    pub problem: Option<DeliveryProblem>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How many events are meant: more than one where they were too old, and told together.
    pub events: u64,
}

/// How a receiver stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookStanding {
    /// Its name.
    pub name: WebhookName,
    /// What it is told of.
    pub types: Vec<NoticeType>,
    /// True when it wants no more.
    pub switched_off: bool,
    /// Events that wait to be tried again.
    pub waiting: u64,
    /// Events of the journal that were not looked at yet.
    pub unread: u64,
}

impl DeliveryOutcome {
    /// Its name in figures and listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::TriedAgain => "tried_again",
            Self::GivenUp => "given_up",
            Self::SwitchedOff => "switched_off",
        }
    }
}

impl DeliveryProblem {
    /// Its name in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Status => "status",
            Self::TooOld => "too_old",
            Self::Overflow => "overflow",
            Self::Unreadable => "unreadable",
        }
    }
}
