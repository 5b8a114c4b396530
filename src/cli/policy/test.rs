//! `carnet policy test`.

use std::path::PathBuf;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::load;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let report = load(&args.folder)?.run_tests();
    let rows = report.results.iter().map(|result| {
        Value::Fields(vec![
            ("result", if result.failure.is_none() { "passed" } else { "failed" }.into()),
            ("file", result.path.as_str().into()),
            ("test", result.name.as_str().into()),
            ("failure", result.failure.clone().into()),
        ])
    });
    out.rows(&["result", "file", "test", "failure"], rows.collect())?;
    let failed = report.failures().len();
    say(&format!("{} passed, {failed} failed", report.passed()));
    if !report.never_applied.is_empty() {
        let idle: Vec<String> = report.never_applied.iter().map(ToString::to_string).collect();
        say(&format!("no test makes these policies apply: {}", idle.join(", ")));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Unverified })
}
