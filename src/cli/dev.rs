//! `carnet dev`: the dev broker, left running, with what to try next.

use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::error::{CliError, Exit};
use crate::cli::output::paint::{Paint, Tone};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::config::settings::{LogFormat, LogSettings};
use crate::dev::broker::{DevBroker, DevOptions, PORT_DEFAULT};
use crate::dev::error::DevError;
use crate::dev::identities::MEMBERS;
use crate::dev::next_steps::{NextStep, next_steps};
use crate::dev::people::PERSONS;
use crate::server::log;
use crate::server::start::Drained;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Keep the state in this folder, certificate authority included [default: a temporary folder, removed at the end].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Decide by this policy bundle instead of the shipped one.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Listen for workloads at this port of 127.0.0.1, for keys and health at the next, and for people at the one after; 0 takes
    /// three that are free.
    #[arg(long, value_name = "PORT", default_value_t = PORT_DEFAULT)]
    port: u16,
    /// What is logged on stderr, e.g. `carnet=debug,warn`.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let unhandled = |error| CliError::because("signals cannot be received", error);
    // Before the start, so that a signal during it is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(unhandled)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unhandled)?;
    log::begin(&LogSettings { format: LogFormat::Text, filter: args.log })
        .map_err(|error| CliError::because("the log cannot be set up", error))?;
    let options = DevOptions { data_dir: args.data_dir, policy: args.policy, port: args.port };
    let broker = DevBroker::start(options).await.map_err(failed)?;
    let program = std::env::current_exe().unwrap_or_else(|_| Path::new("carnet").to_owned());
    let steps = next_steps(&program, &broker).map_err(failed)?;
    if out.is_table() {
        out.text(&page(&broker, &steps, out.paint()))?;
    } else {
        out.record(&value(&broker, &steps)?)?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    say("ending: nobody new is let in, what was begun finishes");
    match broker.shutdown().await {
        Drained::Whole => Ok(Exit::Done),
        Drained::CutOff => Err(CliError::local("some requests took too long and were cut off")),
    }
}

/// An error of the dev broker, with a way out where there is one.
pub(in crate::cli) fn failed(error: DevError) -> CliError {
    match &error {
        DevError::Listen { address, cause } if cause.kind() == std::io::ErrorKind::AddrInUse => {
            CliError::local(format!("`{address}` is in use; `--port 0` takes ports that are free"))
        }
        _ => CliError::because("the dev broker cannot run", error),
    }
}

fn value(broker: &DevBroker, steps: &[NextStep]) -> Result<Value, CliError> {
    let mut members = Vec::new();
    for member in &MEMBERS {
        let id = member.spiffe_id().map_err(|error| failed(error.into()))?;
        members.push(Value::Fields(vec![
            ("name", member.name.into()),
            ("spiffe_id", id.to_string().into()),
            ("endpoint", format!("unix://{}", broker.world().socket(member).display()).into()),
        ]));
    }
    let step =
        |step: &NextStep| Value::Fields(vec![("about", step.about.into()), ("command", step.command.as_str().into())]);
    Ok(Value::Fields(vec![
        ("broker", broker.address().into()),
        ("broker_id", broker.spiffe_id().to_string().into()),
        ("issuer", broker.issuer().into()),
        ("people", broker.people_door().into()),
        ("people_issuer", broker.people().url().into()),
        ("people_ca_file", broker.people().ca_file().display().to_string().into()),
        ("operator_socket", broker.operator_socket().display().to_string().into()),
        ("data_dir", broker.folder().path().display().to_string().into()),
        ("sockets", broker.world().sockets().display().to_string().into()),
        ("identities", Value::List(members)),
        ("next_steps", steps.iter().map(step).collect()),
    ]))
}

/// Width of the labels on the left.
const LABEL_CHARS: usize = 19;

fn page(broker: &DevBroker, steps: &[NextStep], paint: Paint) -> String {
    let mut page = boxed("NOT FOR PRODUCTION", "loopback only; its keys protect nothing", paint);
    let mut line = |label: &str, text: &str| {
        page.push_str(&paint.tone(Tone::Faint, &format!("{label:<LABEL_CHARS$}")));
        page.push_str(text);
        page.push('\n');
    };
    line("broker", &format!("{}  gRPC over mutual TLS, as {}", broker.address(), broker.spiffe_id()));
    line("issuer", &format!("{}  /jwks.json /livez /readyz /metrics", broker.issuer()));
    line("people", &format!("{}  gRPC over TLS, with a token", broker.people_door()));
    line("", &format!("{}  their issuer: whom a client is named for logs in by it", broker.people().url()));
    for person in &PERSONS {
        line(&format!("  {}", person.client), &format!("{}  {}", person.name, person.what));
    }
    line("operator", &broker.operator_socket().display().to_string());
    let stays = if broker.folder().is_temporary() { "removed at the end" } else { "kept" };
    line("data", &format!("{}  {stays}", broker.folder().path().display()));
    line("", "");
    line("Workload APIs", "one socket for each identity; any SPIFFE library can be a client");
    for member in &MEMBERS {
        let id = member.spiffe_id().map(|id| id.to_string()).unwrap_or_default();
        line(&format!("  {}", member.name), &format!("{id}  {}", member.what));
        line("", &format!("unix://{}", broker.world().socket(member).display()));
    }
    page.push_str(&format!(
        "\n{}\n",
        paint.tone(Tone::Strong, "Next, in another terminal; each line works as it stands:")
    ));
    for (at, step) in steps.iter().enumerate() {
        page.push_str(&format!("\n{}\n", paint.tone(Tone::Faint, &format!("{}. {}", at + 1, step.about))));
        page.push_str(&format!("{}\n", step.command));
    }
    page.push_str(&format!("\n{}\n", paint.tone(Tone::Faint, "Ctrl-C ends it.")));
    page
}

fn boxed(title: &str, text: &str, paint: Paint) -> String {
    let inside = format!("  {title}: {text}  ");
    let rule = "─".repeat(inside.chars().count());
    let middle = inside.replace(title, &paint.tone(Tone::Bad, title));
    format!("┌{rule}┐\n│{middle}│\n└{rule}┘\n")
}
