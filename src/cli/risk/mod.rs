//! `carnet risk`: what is learned from outcomes, for people to look at. Nothing here changes policy.

mod calibrate;
mod drift;
mod reference;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::model::identity::IdentityClass;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// What other thresholds would have meant: alerts a day against misses, by labels and recorded scores.
    Calibrate(calibrate::Args),
    /// How far what is decided of late is from its reference.
    Drift(drift::Args),
    /// What decisions are compared with.
    #[command(subcommand)]
    Reference(reference::Command),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Calibrate(args) => calibrate::run(args, out).await,
        Command::Drift(args) => drift::run(args, out).await,
        Command::Reference(command) => reference::run(command, out).await,
    }
}

/// A class of identities that work on tasks; `agent` is short for `ai_agent`.
fn class(text: &str) -> Result<IdentityClass, String> {
    let name = if text == "agent" { IdentityClass::AiAgent.as_str() } else { text };
    let mut working = IdentityClass::ALL.into_iter().filter(|class| class.works_on_tasks());
    working.find(|class| class.as_str() == name).ok_or_else(|| format!("`{text}` is none of ai_agent, service_account"))
}

/// A number with its places, to four of them.
fn number(number: f64) -> Value {
    Value::Json(serde_json::json!((number * 10_000.0).round() / 10_000.0))
}
