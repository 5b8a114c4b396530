//! `carnet catalogue`: the tools that may be asked for.

mod import;
mod list;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the tools of the bundle in force, or of one in a folder.
    List(list::Args),
    /// Make entries of what an MCP server lists, for a person to own; or hold a listing against those that were made.
    Import(import::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::List(args) => list::run(args, out).await,
        Command::Import(args) => import::run(&args, out),
    }
}
