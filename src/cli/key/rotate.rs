//! `carnet key rotate`.

use crate::cli::error::{CliError, Exit};
use crate::cli::given::rfc3339;
use crate::cli::key::Folder;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::clock::Clock;
use crate::token::header::SigningAlgorithm;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: Folder,
    /// Which of the keys: ES256, RS256 or Ed25519.
    #[arg(long, value_name = "NAME", default_value = "ES256", value_parser = algorithm)]
    algorithm: SigningAlgorithm,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let ring = args.folder.open()?;
    let rotation = ring
        .rotate(args.algorithm, Clock::system().now())
        .map_err(|error| CliError::because("the keys cannot be rotated", error))?;
    out.record(&Value::Fields(vec![
        ("algorithm", rotation.algorithm.as_str().into()),
        ("key", rotation.key_id.to_string().into()),
        ("signs_from", rfc3339(rotation.signs_from).into()),
        ("previous", rotation.previous.map(|key| key.to_string()).into()),
    ]))?;
    Ok(Exit::Done)
}

fn algorithm(name: &str) -> Result<SigningAlgorithm, String> {
    let mut all = SigningAlgorithm::ALL.into_iter();
    all.find(|each| each.as_str() == name).ok_or_else(|| format!("`{name}` is none of ES256, RS256, Ed25519"))
}
