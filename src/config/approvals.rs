//! How people are asked: how long they have, how long their answer is good for, and how much may wait for them.

use std::time::Duration;

use crate::config::file::Approvals;
use crate::config::quantity::Span;
use crate::config::settings::Check;
use crate::model::limits::ANSWER_SECONDS_MAX;

/// How people are asked what policy does not decide alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// How long a request waits for an answer. Unanswered, it is denied.
    pub answer_within: Duration,
    /// How long an approval can be used once it was given.
    pub use_within: Duration,
    /// How long a denial, or that nobody answered, stands for the same access of the same agent.
    pub denial_stands: Duration,
    /// Most requests of one agent that wait at a time.
    pub pending_per_agent_max: u32,
    /// Most requests on behalf of one initiator that wait at a time.
    pub pending_per_initiator_max: u32,
}

/// Time to be found, to look, and to ask back, when the file does not say.
pub const ANSWER_WITHIN_DEFAULT: Duration = Duration::from_secs(3600);
/// As long as an agent that asks again now and then may take, when the file does not say.
pub const USE_WITHIN_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// Long enough that nobody is worn down by the same question, when the file does not say.
pub const DENIAL_STANDS_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// As many questions of one agent as a person can look at in one go, when the file does not say.
pub const PENDING_PER_AGENT_DEFAULT: u32 = 8;
/// Those of a few agents that work for the same person, when the file does not say.
pub const PENDING_PER_INITIATOR_DEFAULT: u32 = 32;
/// Most that may be configured: each is kept in memory and looked at by eye.
const PENDING_MAX: u32 = 1024;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(ANSWER_SECONDS_MAX);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn approvals(check: &mut Check, written: &Approvals) -> ApprovalSettings {
    let mut span = |setting, value: Option<Span>, default, max| {
        check.within(setting, value.unwrap_or(Span(default)), Span(SECOND)..=Span(max)).0
    };
    let answer_within =
        span("approvals.answer_within", written.answer_within, ANSWER_WITHIN_DEFAULT, ANSWER_WITHIN_MAX);
    let use_within = span("approvals.use_within", written.use_within, USE_WITHIN_DEFAULT, DAY);
    let denial_stands = span("approvals.denial_stands", written.denial_stands, DENIAL_STANDS_DEFAULT, DAY * 7);
    let mut most =
        |setting, value: Option<u32>, default| check.within(setting, value.unwrap_or(default), 1..=PENDING_MAX);
    let agent = most("approvals.pending_per_agent", written.pending_per_agent, PENDING_PER_AGENT_DEFAULT);
    let initiator =
        most("approvals.pending_per_initiator", written.pending_per_initiator, PENDING_PER_INITIATOR_DEFAULT);
    if initiator < agent {
        check.problem(
            "approvals.pending_per_initiator",
            "is below `pending_per_agent`: one agent could shut out the others",
        );
    }
    ApprovalSettings {
        answer_within,
        use_within,
        denial_stands,
        pending_per_agent_max: agent,
        pending_per_initiator_max: initiator,
    }
}
