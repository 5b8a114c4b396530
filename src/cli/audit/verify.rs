//! `carnet audit verify`: offline, with nothing but the export, a public key and, if there is one, a checkpoint that was kept.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::audit::note::VerifierKey;
use crate::audit::verify;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::rfc3339;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The export.
    export: PathBuf,
    /// The log's public key: `name+hash+base64`, or a file that holds it.
    #[arg(long, value_name = "PUB")]
    key: String,
    /// The export begins after so many events, of which an earlier one is kept.
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// A checkpoint that was kept elsewhere: the log must continue it.
    #[arg(long, value_name = "KEPT")]
    checkpoint: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let key = key(&args.key)?;
    let kept = args.checkpoint.as_deref().map(read).transpose()?;
    let file = File::open(&args.export)
        .map_err(|error| CliError::because(format!("`{}` cannot be read", args.export.display()), error))?;
    let report = verify::verify(BufReader::new(file), &key, args.from, kept.as_deref())
        .map_err(|error| CliError::unverified("the record does not hold", error))?;
    out.record(&Value::Fields(vec![
        ("log", report.origin.as_str().into()),
        ("from", report.from.into()),
        ("events", (report.head.size - report.from).into()),
        ("first", report.times.map(|(first, _)| rfc3339(first)).into()),
        ("last", report.times.map(|(_, last)| rfc3339(last)).into()),
        ("size", report.head.size.into()),
        ("root", report.head.root.to_string().into()),
        ("continues", report.kept.into()),
    ]))?;
    if out.is_table() {
        say("every byte is as it was signed");
    }
    Ok(Exit::Done)
}

fn key(given: &str) -> Result<VerifierKey, CliError> {
    let text = if Path::new(given).is_file() { read(Path::new(given))? } else { given.to_owned() };
    text.trim().parse().map_err(|error| CliError::because("the log's public key cannot be used", error))
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::because(format!("`{}` cannot be read", path.display()), error))
}
