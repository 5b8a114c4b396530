//! `carnet notify`: what receivers of webhooks were told, and whether one can be told.

mod log;
mod test;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown::time;
use crate::pb::v1;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List what was tried lately, and how each receiver stands.
    Log(Box<log::Args>),
    /// Send one receiver a notice of the type `test`, once.
    Test(test::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Log(args) => log::run(*args, out).await,
        Command::Test(args) => test::run(args, out).await,
    }
}

/// One try, all of it.
fn shown(delivery: &v1::Delivery) -> Value {
    let outcome = match delivery.outcome() {
        v1::DeliveryOutcome::Delivered => "delivered",
        v1::DeliveryOutcome::TriedAgain => "tried_again",
        v1::DeliveryOutcome::GivenUp => "given_up",
        v1::DeliveryOutcome::SwitchedOff => "switched_off",
        v1::DeliveryOutcome::Unspecified => "",
    };
    Value::Fields(vec![
        ("webhook", delivery.webhook.as_str().into()),
        ("webhook_id", delivery.webhook_id.as_str().into()),
        ("event", delivery.event.as_str().into()),
        ("position", delivery.position.into()),
        ("attempt", delivery.attempt.into()),
        ("time", time(delivery.time)),
        ("took_ms", delivery.took_ms.into()),
        ("outcome", outcome.into()),
        ("problem", Value::text_if_any(&delivery.problem)),
        ("status", (delivery.status > 0).then_some(delivery.status).into()),
        ("events", delivery.events.into()),
    ])
}
