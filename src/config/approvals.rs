//! How people are asked: how long they have, how long their answer is good for, and how much may wait for them.

use std::time::Duration;

use crate::config::file::Approvals;
use crate::config::people::PeopleSettings;
use crate::config::quantity::Span;
use crate::config::settings::{Check, TOLD_CHARS_MAX};
use crate::model::approval::{
    ANSWER_WITHIN_DEFAULT, DENIAL_STANDS_DEFAULT, ESCALATE_AFTER_PART, PENDING_PER_AGENT_DEFAULT,
    PENDING_PER_INITIATOR_DEFAULT, USE_WITHIN_DEFAULT,
};
use crate::model::id::Owner;
use crate::model::limits::ANSWER_SECONDS_MAX;

/// How people are asked what policy does not decide alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// How long a request waits for an answer. Unanswered, it is denied.
    pub answer_within: Duration,
    /// The same for tasks that nobody attends.
    pub unattended_answer_within: Duration,
    /// How long an approval can be used once it was given.
    pub use_within: Duration,
    /// How long a denial, or that nobody answered, stands for the same access of the same agent.
    pub denial_stands: Duration,
    /// How long it waits until more people are told, and may answer; `None` when that never is.
    pub escalate_after: Option<Duration>,
    /// True when reviewers answer from then on for an initiator who did not.
    pub escalate_step_up: bool,
    /// Persons and groups whom notices of it name.
    pub escalate_to: Vec<Owner>,
    /// Most requests of one agent, and amendments by one orchestrator, that wait at a time.
    pub pending_per_agent_max: u32,
    /// Most requests on behalf of one initiator that wait at a time.
    pub pending_per_initiator_max: u32,
}

/// Most whom a notice names.
const ESCALATE_TO_MAX: usize = 16;
/// Most that may be configured: each is kept in memory and looked at by eye.
const PENDING_MAX: u32 = 1024;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(ANSWER_SECONDS_MAX);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn approvals(check: &mut Check, written: &Approvals, people: Option<&PeopleSettings>) -> ApprovalSettings {
    let mut span = |setting, value: Option<Span>, default, max| {
        check.within(setting, value.unwrap_or(Span(default)), Span(SECOND)..=Span(max)).0
    };
    let answer_within =
        span("approvals.answer_within", written.answer_within, ANSWER_WITHIN_DEFAULT, ANSWER_WITHIN_MAX);
    let unattended = written.unattended_answer_within;
    let unattended_answer_within = span("approvals.unattended_answer_within", unattended, answer_within, answer_within);
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
    let escalate_after = written.escalate_after.map_or(answer_within / ESCALATE_AFTER_PART, |Span(after)| after);
    if escalate_after >= answer_within && !answer_within.is_zero() {
        check.problem(
            "approvals.escalate_after",
            "is not below `answer_within`: it would be denied before anybody is told",
        );
    }
    let escalate_after = Some(escalate_after).filter(|after| !after.is_zero());
    let escalate_step_up = written.escalate_step_up.unwrap_or(false);
    if escalate_step_up && escalate_after.is_none() {
        check.problem("approvals.escalate_step_up", "means nothing where `escalate_after` is \"0s\"");
    }
    ApprovalSettings {
        escalate_after,
        escalate_step_up,
        escalate_to: escalate_to(check, &written.escalate_to, people),
        answer_within,
        unattended_answer_within,
        use_within,
        denial_stands,
        pending_per_agent_max: agent,
        pending_per_initiator_max: initiator,
    }
}

/// Whom notices name: persons and groups that the file knows.
fn escalate_to(check: &mut Check, written: &[String], people: Option<&PeopleSettings>) -> Vec<Owner> {
    const SETTING: &str = "approvals.escalate_to";
    if written.len() > ESCALATE_TO_MAX {
        check.problem(SETTING, format!("names more than {ESCALATE_TO_MAX}"));
    }
    let mut known = Vec::new();
    for name in written {
        let shown: String = name.chars().take(TOLD_CHARS_MAX).collect();
        match name.parse::<Owner>() {
            // Without the people there is nothing to hold it against; what is wrong with them is told for itself.
            Ok(owner) if people.is_none_or(|people| people.knows(&owner)) => known.push(owner),
            Ok(_) => check.problem(SETTING, format!("`{shown}` is neither a person nor a group of `people`")),
            Err(error) => check.problem(SETTING, format!("`{shown}`: {error}")),
        }
    }
    known
}
