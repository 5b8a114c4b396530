//! `carnet bench`: load a broker and measure it.

use std::path::PathBuf;
use std::time::Duration;

use crate::bench::error::BenchError;
use crate::bench::plan::{Kind, Place, Plan};
use crate::bench::report::Report;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::{Output, say};
use crate::model::spiffe_id::SpiffeId;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Agents ask for credentials.
    Request(Args),
    /// The orchestrator revokes grants.
    Revoke(Args),
    /// A resource server verifies tokens.
    Verify(Args),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A broker that runs elsewhere, by its door for workloads [default: an embedded one].
    #[arg(long, value_name = "HOST:PORT", requires = "sockets")]
    target: Option<String>,
    /// The Workload API that gives this process the identities to use with `--target`; or a folder of sockets with one identity
    /// each, such as that of `carnet dev`.
    #[arg(long, value_name = "PATH", requires = "target")]
    sockets: Option<PathBuf>,
    /// Whose certificate the target must show [default: anybody's of the orchestrator's trust domain].
    #[arg(long, value_name = "SPIFFE-ID", requires = "target")]
    broker_id: Option<SpiffeId>,
    /// The target's process on this machine, to know its CPU time.
    #[arg(long, value_name = "PID", requires = "target")]
    pid: Option<u32>,
    /// Requests in flight.
    #[arg(long, value_name = "N", default_value_t = 256)]
    in_flight: u32,
    /// Agents, each with a connection of its own; no more than are in flight [default: one for each request in flight, as agents ask step by step].
    #[arg(long, value_name = "N")]
    agents: Option<u32>,
    /// Policies that match nothing, added to the embedded broker's bundle.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "target")]
    policies: u32,
    /// The embedded broker's policy bundle [default: the shipped one].
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    policy: Option<PathBuf>,
    /// Where the embedded broker's journal lies: a folder on a disk, or its syncs cost nothing [default: the folder for temporary
    /// files].
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    data_dir: Option<PathBuf>,
    /// How long is measured.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = given::span)]
    duration: Duration,
    /// How long the echo is measured [default: as long as the broker].
    #[arg(long, value_name = "SPAN", value_parser = given::span)]
    echo: Option<Duration>,
    /// Requests and verifications a second at most, for a load that is to last [default: as many as are answered].
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Write a line for every acknowledged grant.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs outside of any runtime: the load generator starts its own.
pub(in crate::cli) fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    let (kind, args) = match command {
        Command::Request(args) => (Kind::Request, args),
        Command::Revoke(args) => (Kind::Revoke, args),
        Command::Verify(args) => (Kind::Verify, args),
    };
    let place = match (args.target, args.sockets) {
        (Some(address), Some(sockets)) => Place::Target { address, sockets, server: args.broker_id, pid: args.pid },
        _ => Place::Embedded { policy: args.policy, policies: args.policies, folder: args.data_dir },
    };
    let plan = Plan {
        kind,
        place,
        in_flight: args.in_flight,
        agents: args.agents,
        duration: args.duration,
        echo: args.echo.unwrap_or(args.duration),
        rate: args.rate,
        record: args.record,
    };
    let failed = |error: BenchError| CliError::because("nothing was measured", error);
    let report: Report = crate::bench::run::run(&plan).map_err(failed)?;
    if out.is_table() {
        out.text(&format!("{}\n", report.for_eyes(kind, plan.in_flight)))?;
    } else {
        out.record(&crate::cli::output::value::Value::json(&report.to_json()))?;
    }
    for told in report.notes.iter().chain(&report.problems) {
        say(told);
    }
    Ok(if report.errors == 0 { Exit::Done } else { Exit::Remote })
}
