//! `carnet task`: units of work, registered by orchestrators.

mod amend;
mod cancel;
mod complete;
mod get;
mod list;
mod pause;
mod register;
mod resume;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::pb::v1;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Register a task; policy decides whether it may be.
    Register(register::Args),
    /// Show a task.
    Get(get::Args),
    /// List tasks, newest first.
    List(list::Args),
    /// Change a task's ceiling or deadline: to less is free, to more is decided, and may wait for people.
    Amend(amend::Args),
    /// Suspend every grant of a task until it is resumed.
    Pause(pause::Args),
    /// Resume a paused task.
    Resume(resume::Args),
    /// End a task that is done; every grant below it is revoked.
    Complete(complete::Args),
    /// End a task that is given up; every grant below it is revoked.
    Cancel(cancel::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Register(args) => register::run(args, out).await,
        Command::Get(args) => get::run(args, out).await,
        Command::List(args) => list::run(args, out).await,
        Command::Amend(args) => amend::run(args, out).await,
        Command::Pause(args) => pause::run(args, out).await,
        Command::Resume(args) => resume::run(args, out).await,
        Command::Complete(args) => complete::run(args, out).await,
        Command::Cancel(args) => cancel::run(args, out).await,
    }
}

/// Shows the task that an answer holds.
fn show(task: Option<&v1::Task>, out: Output) -> Result<Exit, CliError> {
    out.record(&task.map_or(Value::Nothing, shown::task))?;
    Ok(Exit::Done)
}

/// Shows what the end of a task did.
fn show_end(task: Option<&v1::Task>, grants_revoked: u32, position: u64, out: Output) -> Result<Exit, CliError> {
    let task = task.cloned().unwrap_or_default();
    out.record(&Value::Fields(vec![
        ("task_id", task.task_id.as_str().into()),
        ("state", shown::task_state(task.state).into()),
        ("grants_revoked", grants_revoked.into()),
        ("position", position.into()),
    ]))?;
    Ok(Exit::Done)
}
