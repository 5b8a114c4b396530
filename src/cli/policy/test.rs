//! `carnet policy test`.

use std::path::PathBuf;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{coverage, load};
use crate::policy::cases::{CaseResult, TestReport};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// Show how often each policy fired and decided, instead of the cases; JSON and YAML hold both.
    #[arg(long)]
    coverage: bool,
    /// Fail unless of a hundred policies so many fired in some case.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    coverage_min: Option<u32>,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let report = load(&args.folder)?.run_tests();
    if !out.is_table() {
        out.record(&document(&report))?;
    } else if args.coverage {
        let columns = ["policy", "file", "effect", "fired", "decided"];
        out.rows(&columns, report.coverage.iter().map(coverage).collect())?;
    } else {
        out.rows(&["result", "file", "test", "failure"], report.results.iter().map(result).collect())?;
    }
    let failed = report.failures().len();
    say(&format!("{} passed, {failed} failed", report.passed()));
    let percent = report.coverage_percent();
    let idle: Vec<String> = report.never_fired().iter().map(ToString::to_string).collect();
    say(&format!("{} of {} policies fired ({percent} %)", report.coverage.len() - idle.len(), report.coverage.len()));
    if !idle.is_empty() {
        say(&format!("no test makes these policies fire: {}", idle.join(", ")));
    }
    let covered = args.coverage_min.is_none_or(|least| percent >= least);
    if let (false, Some(least)) = (covered, args.coverage_min) {
        say(&format!("the coverage of {percent} % is below {least} %"));
    }
    Ok(if failed == 0 && covered { Exit::Done } else { Exit::Unverified })
}

fn document(report: &TestReport) -> Value {
    let count = |n: usize| Value::from(u64::try_from(n).unwrap_or(u64::MAX));
    let never_fired = report.never_fired();
    Value::Fields(vec![
        ("passed", count(report.passed())),
        ("failed", count(report.failures().len())),
        ("tests", report.results.iter().map(result).collect()),
        ("policies", count(report.coverage.len())),
        ("policies_fired", count(report.coverage.len() - never_fired.len())),
        ("coverage_percent", report.coverage_percent().into()),
        ("never_fired", never_fired.iter().map(ToString::to_string).collect()),
        ("coverage", report.coverage.iter().map(coverage).collect()),
    ])
}

fn result(result: &CaseResult) -> Value {
    Value::Fields(vec![
        ("result", if result.failure.is_none() { "passed" } else { "failed" }.into()),
        ("file", result.path.as_str().into()),
        ("test", result.name.as_str().into()),
        ("failure", result.failure.clone().into()),
        ("outcome", result.outcome.as_str().into()),
        ("fired", result.fired.iter().map(ToString::to_string).collect()),
    ])
}
