//! `carnet approval`: what agents and orchestrators asked for and policy would not decide alone, for the people who are asked.

mod answer;
mod get;
mod list;
mod watch;
mod withdraw;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown::{amendment, band, outcome, time};
use crate::cli::way::Way;
use crate::pb::v1;
use crate::pb::v1::approval_service_client::ApprovalServiceClient;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List what waits for an answer.
    List(list::Args),
    /// Show one as it is to be judged: who asks, for whom, why, and where each value comes from.
    Get(get::Args),
    /// Approve it. The next try of whoever asked finds the approval.
    Approve(answer::Args),
    /// Deny it. The same is not asked again for a while.
    Deny(answer::Args),
    /// Take an approval back; what was granted by it is revoked, and what an amendment by it added is the task's no more.
    Withdraw(withdraw::Args),
    /// Follow what waits, and what becomes of it.
    Watch(watch::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::List(args) => list::run(args, out).await,
        Command::Get(args) => get::run(args, out).await,
        Command::Approve(args) => answer::run(args, v1::Verdict::Approve, out).await,
        Command::Deny(args) => answer::run(args, v1::Verdict::Deny, out).await,
        Command::Withdraw(args) => withdraw::run(args, out).await,
        Command::Watch(args) => watch::run(args, out).await,
    }
}

/// Largest answer that is taken, from a broker that is trusted: more than the longest words of one approval come to.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A client that takes whatever an approval may hold.
async fn client(door: &OperatorFirst) -> Result<ApprovalServiceClient<Way>, CliError> {
    Ok(ApprovalServiceClient::new(door.channel().await?).max_decoding_message_size(ANSWER_BYTES_MAX))
}

/// The name of a state.
fn state(number: i32) -> &'static str {
    match v1::ApprovalState::try_from(number) {
        Ok(v1::ApprovalState::Pending) => "pending",
        Ok(v1::ApprovalState::Approved) => "approved",
        Ok(v1::ApprovalState::Denied) => "denied",
        Ok(v1::ApprovalState::Unanswered) => "unanswered",
        Ok(v1::ApprovalState::Used) => "used",
        Ok(v1::ApprovalState::Lapsed) => "lapsed",
        Ok(v1::ApprovalState::Withdrawn) => "withdrawn",
        Ok(v1::ApprovalState::Closed) => "closed",
        Ok(v1::ApprovalState::Unspecified) | Err(_) => "",
    }
}

/// The state of that name.
fn state_named(name: &str) -> Result<v1::ApprovalState, String> {
    let known = ["pending", "approved", "denied", "unanswered", "used", "lapsed", "withdrawn", "closed"];
    let numbers = 1..=i32::try_from(known.len()).unwrap_or_default();
    let found = numbers.filter_map(|number| v1::ApprovalState::try_from(number).ok());
    let mut found = found.filter(|each| state(*each as i32) == name);
    found.next().ok_or_else(|| format!("`{name}` is none of {}", known.join(", ")))
}

/// Whose yes it takes.
fn whom(approval: &v1::Approval) -> String {
    match approval.route() {
        v1::ApprovalRoute::Initiator => "initiator".to_owned(),
        v1::ApprovalRoute::Owners => format!("owner {}", approval.owners.join(", ")),
        v1::ApprovalRoute::Reviewers => "reviewers".to_owned(),
        v1::ApprovalRoute::Unspecified => String::new(),
    }
}

/// An approval, all of it.
fn shown(approval: &v1::Approval) -> Value {
    let vote = |vote: &v1::Vote| {
        let verdict = match vote.verdict() {
            v1::Verdict::Approve => "approved",
            v1::Verdict::Deny => "denied",
            v1::Verdict::Unspecified => "",
        };
        Value::Fields(vec![
            ("person", vote.person.as_str().into()),
            ("verdict", verdict.into()),
            ("lapsed", vote.lapsed.into()),
            ("time", time(vote.time)),
        ])
    };
    Value::Fields(vec![
        ("approval_id", approval.approval_id.as_str().into()),
        ("state", state(approval.state).into()),
        ("needs", outcome(approval.outcome).into()),
        ("approvals_needed", approval.approvals_needed.into()),
        ("for", whom(approval).into()),
        ("owners", approval.owners.iter().map(String::as_str).collect()),
        ("route_note", Value::text_if_any(&approval.route_note)),
        ("escalated_at", time(approval.escalated_at)),
        ("agent", approval.agent.as_str().into()),
        ("initiator", approval.initiator.as_str().into()),
        ("initiator_verified", approval.initiator_verified.into()),
        ("task_id", approval.task_id.as_str().into()),
        ("audience", approval.audience.as_str().into()),
        ("tools", approval.tools.iter().map(String::as_str).collect()),
        ("amends", approval.amendment.as_ref().map_or(Value::Nothing, amendment::in_short)),
        ("doubts", approval.doubts.iter().map(String::as_str).collect()),
        ("band", band(approval.band).into()),
        ("decision_id", approval.decision_id.as_str().into()),
        ("asked", time(approval.asked)),
        ("until", time(approval.until)),
        ("votes", approval.votes.iter().map(vote).collect()),
        ("may_approve", approval.may_approve.into()),
        ("may_deny", approval.may_deny.into()),
        ("grant_id", Value::text_if_any(&approval.grant_id)),
        ("position", approval.position.into()),
    ])
}

/// The approval inside of an answer.
fn found(approval: Option<v1::Approval>) -> Result<v1::Approval, CliError> {
    approval.ok_or_else(|| CliError::remote("the broker's answer holds no approval", "it is of another version"))
}
