//! `carnet block`: what keeps an agent, an initiator, an audience or everybody from getting credentials.

mod lift;
mod list;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the blocks that stand.
    List(list::Args),
    /// Lift a block. What it ended stays ended.
    Lift(lift::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::List(args) => list::run(args, out).await,
        Command::Lift(args) => lift::run(args, out).await,
    }
}
