//! `carnet serve`: a broker for production, or a look at whether it would start.

use std::path::PathBuf;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::say;
use crate::config::settings::Settings;
use crate::config::{self, ENVIRONMENT, Environment};
use crate::journal::open::OpenReport;
use crate::server::start::Drained;
use crate::server::{log, serve};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The settings; `deploy/config/carnet.toml` shows all of them.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check everything that start-up needs, and exit without listening or writing.
    #[arg(long)]
    check: bool,
}

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, CliError> {
    let refused = |error| CliError::because("the settings are refused", error);
    let settings: Settings = config::read(&args.config, &environment()).map_err(refused)?;
    if args.check {
        let refused = |error| CliError::because("it would not start", error);
        let checked = serve::check(settings).await.map_err(refused)?;
        let report = checked.inspect_journal().await.map_err(refused)?;
        let id = checked.trust().workload().spiffe_id().map(|id| format!(" as {id}")).unwrap_or_default();
        say(&format!("it would start{id}"));
        if let Some(unsigned) = checked.unsigned() {
            say(&format!("the bundle in `policy_dir` could not be activated as it is: {unsigned}"));
        }
        for warning in checked.warnings() {
            say(&format!("warning: {warning}"));
        }
        if let Some(OpenReport { torn_bytes, snapshots_ignored, .. }) = report {
            if torn_bytes > 0 {
                say(&format!("{torn_bytes} bytes of a group that was never finished would be cut off the journal"));
            }
            if snapshots_ignored > 0 {
                say(&format!("{snapshots_ignored} snapshots would be passed over"));
            }
        }
        return Ok(Exit::Done);
    }
    let failed = |error| CliError::because("the broker cannot run", error);
    log::begin(&settings.log).map_err(failed)?;
    match serve::serve(settings).await.map_err(failed)? {
        Drained::Whole => Ok(Exit::Done),
        Drained::CutOff => Err(CliError::local("some requests took too long and were cut off")),
    }
}

/// Those variables that settings may be taken from.
pub(in crate::cli) fn environment() -> Environment {
    ENVIRONMENT.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}
