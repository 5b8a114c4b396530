//! `carnet policy eval`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::read;
use crate::clock::Stopwatch;
use crate::eval::folder::Folder;
use crate::eval::run::{self, CeilingMode, Judged};
use crate::model::id::PolicyId;
use crate::policy::bundle::OBSERVE;
use crate::policy::without::without;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle that decides; its catalogue is replaced by the tools of the data.
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// The folder of recorded tasks and calls: docs/eval.md says what it holds.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where a line is written for each call.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What a task declares up front, from the folder's scopes.
    #[arg(long, value_enum, default_value_t = CeilingChoice::None)]
    ceiling: CeilingChoice,
    /// Leave out the policy of this id, to see what it contributes; again for more.
    #[arg(long, value_name = "ID")]
    without: Vec<PolicyId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CeilingChoice {
    /// Nothing.
    None,
    /// Its tools.
    Tools,
    /// Its tools, and how often each may be called.
    Budgets,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let failed = |error| CliError::because("the data cannot be judged", error);
    let unwritable = |error| CliError::because(format!("`{}` cannot be written", args.out.display()), error);
    let mode = match args.ceiling {
        CeilingChoice::None => CeilingMode::None,
        CeilingChoice::Tools => CeilingMode::Tools,
        CeilingChoice::Budgets => CeilingMode::Budgets,
    };
    let lacking = |error| CliError::because(format!("`{}` cannot do without", args.policy.display()), error);
    let files = without(&read(&args.policy)?, &args.without).map_err(lacking)?;
    let folder = Folder::read(&args.data).map_err(failed)?;
    let mut predictions = BufWriter::new(File::create(&args.out).map_err(unwritable)?);
    let (watch, mut written) = (Stopwatch::start(), Ok(()));
    let mut counts: [(&'static str, u64); 5] = ["allow", "narrow", "step_up", "review", "deny"].map(|name| (name, 0));
    if files.iter().any(|(path, _)| path == OBSERVE) {
        say(&format!("`{OBSERVE}` counts for nothing here: what is told is what policy answers"));
    }
    run::run(&files, &folder, mode, |judged: &Judged<'_>| {
        let prediction = judged.prediction();
        for (name, count) in &mut counts {
            *count += u64::from(*name == prediction.outcome);
        }
        if written.is_ok() {
            let line = serde_json::to_string(&prediction).map_err(std::io::Error::other);
            written = line.and_then(|line| writeln!(predictions, "{line}"));
        }
    })
    .map_err(failed)?;
    written.and_then(|()| predictions.flush()).map_err(unwritable)?;
    let pairs = counts.iter().map(|(_, count)| count).sum::<u64>();
    let fields = [("pairs", pairs)].into_iter().chain(counts).map(|(name, count)| (name, count.into()));
    out.record(&Value::Fields(fields.collect()))?;
    say(&format!("{pairs} calls judged in {:.1} s", watch.elapsed().as_secs_f64()));
    Ok(Exit::Done)
}
