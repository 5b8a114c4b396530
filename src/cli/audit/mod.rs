//! `carnet audit`: the record.

mod checkpoint;
mod explain;
mod export;
mod label;
mod labels;
mod search;
mod verify;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Search the record.
    Search(search::Args),
    /// Tell one decision as a reviewer would want to read it.
    Explain(explain::Args),
    /// Say of a decision what it turned out to be about, as a person. Nothing is decided by it.
    Label(label::Args),
    /// What was said of decisions.
    Labels(labels::Args),
    /// Take the record away, with a signed checkpoint.
    Export(export::Args),
    /// Check an export, offline: nothing changed, dropped or moved, and nothing cut off a checkpoint that was kept.
    Verify(verify::Args),
    /// The latest signed checkpoint, to be kept elsewhere.
    Checkpoint(checkpoint::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Search(args) => search::run(args, out).await,
        Command::Explain(args) => explain::run(args, out).await,
        Command::Label(args) => label::run(args, out).await,
        Command::Labels(args) => labels::run(args, out).await,
        Command::Export(args) => export::run(args, out).await,
        Command::Verify(args) => verify::run(&args, out),
        Command::Checkpoint(args) => checkpoint::run(args, out).await,
    }
}
