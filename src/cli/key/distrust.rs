//! `carnet key distrust`.

use crate::cli::error::{CliError, Exit};
use crate::cli::given::rfc3339;
use crate::cli::key::Folder;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::clock::Clock;
use crate::token::jwks::KeyId;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The key, as `key list` names it.
    key: String,
    #[command(flatten)]
    folder: Folder,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let key: KeyId = args.key.parse().map_err(|error| CliError::because(format!("`{}`", args.key), error))?;
    let ring = args.folder.open()?;
    let rotation = ring
        .distrust(&key, Clock::system().now())
        .map_err(|error| CliError::because("the key cannot be distrusted", error))?;
    out.record(&Value::Fields(vec![
        ("distrusted", key.to_string().into()),
        ("key", rotation.as_ref().map(|rotation| rotation.key_id.to_string()).into()),
        ("signs_from", rotation.as_ref().map(|rotation| rfc3339(rotation.signs_from)).into()),
    ]))?;
    Ok(Exit::Done)
}
