//! `carnet break-glass`: what people open for an agent in an emergency, and its review afterwards.

mod close;
mod get;
mod list;
mod open;
mod review;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown::{access, time};
use crate::pb::v1;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Open one access of one task to its agent, for a short time. Its next try finds it.
    Open(Box<open::Args>),
    /// List what was opened, newest first.
    List(list::Args),
    /// Show one: who opened it, why, for what, and what it was used for.
    Get(get::Args),
    /// Close one before its time; what was granted through it is revoked.
    Close(close::Args),
    /// Close the review of one that is over. Who opened it does not.
    Review(review::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Open(args) => open::run(*args, out).await,
        Command::List(args) => list::run(args, out).await,
        Command::Get(args) => get::run(args, out).await,
        Command::Close(args) => close::run(args, out).await,
        Command::Review(args) => review::run(args, out).await,
    }
}

/// The name of a state.
fn state(number: i32) -> &'static str {
    match v1::BreakGlassState::try_from(number) {
        Ok(v1::BreakGlassState::Open) => "open",
        Ok(v1::BreakGlassState::UsedUp) => "used_up",
        Ok(v1::BreakGlassState::Lapsed) => "lapsed",
        Ok(v1::BreakGlassState::Closed) => "closed",
        Ok(v1::BreakGlassState::Unspecified) | Err(_) => "",
    }
}

/// What a review found.
fn verdict(number: i32) -> Value {
    match v1::BreakGlassVerdict::try_from(number) {
        Ok(v1::BreakGlassVerdict::Justified) => "justified".into(),
        Ok(v1::BreakGlassVerdict::Unjustified) => "unjustified".into(),
        Ok(v1::BreakGlassVerdict::Unspecified) | Err(_) => Value::Nothing,
    }
}

/// All of it.
fn shown(glass: &v1::BreakGlass) -> Value {
    Value::Fields(vec![
        ("break_glass_id", glass.break_glass_id.as_str().into()),
        ("state", state(glass.state).into()),
        ("opened_by", glass.opened_by.as_str().into()),
        ("justification", glass.justification.as_str().into()),
        ("denied_before", glass.denied_before.into()),
        ("task_id", glass.task_id.as_str().into()),
        ("agent", glass.agent.as_str().into()),
        ("initiator", glass.initiator.as_str().into()),
        ("audience", glass.audience.as_str().into()),
        ("access", glass.access.as_ref().map_or(Value::Nothing, access)),
        ("opened", time(glass.opened)),
        ("until", time(glass.until)),
        ("uses", glass.uses.into()),
        ("uses_max", glass.uses_max.into()),
        ("grant_ids", glass.grant_ids.iter().map(String::as_str).collect()),
        ("decision_id", glass.decision_id.as_str().into()),
        ("review_open", glass.review_open.into()),
        ("review_by", time(glass.review_by)),
        ("verdict", verdict(glass.verdict)),
        ("reviewed_by", Value::text_if_any(&glass.reviewed_by)),
        ("reviewed", time(glass.reviewed)),
        ("note", Value::text_if_any(&glass.note)),
        ("erased", glass.erased.into()),
        ("unread", glass.unread.into()),
    ])
}

/// The break-glass inside of an answer.
fn found(glass: Option<v1::BreakGlass>) -> Result<v1::BreakGlass, CliError> {
    glass.ok_or_else(|| CliError::remote("the broker's answer holds no break-glass", "it is of another version"))
}
