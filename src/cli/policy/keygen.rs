//! `carnet policy keygen`.

use std::path::PathBuf;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::mint::author::AuthorKey;
use crate::token::header::SigningAlgorithm;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the private key is written, for nobody else (0600); the public key is put beside it, as FILE.pub.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it signs with.
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
}

/// What bundles are signed with.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Algorithm {
    #[default]
    Ed25519,
    Es256,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let algorithm = match args.algorithm {
        Algorithm::Ed25519 => SigningAlgorithm::Ed25519,
        Algorithm::Es256 => SigningAlgorithm::Es256,
    };
    let made = AuthorKey::create(&args.file, algorithm);
    let (key, public) = made.map_err(|error| CliError::because("no key was made", error))?;
    out.record(&Value::Fields(vec![
        ("key", key.id().into()),
        ("algorithm", algorithm.as_str().into()),
        ("private_key_file", args.file.display().to_string().into()),
        ("public_key_file", public.display().to_string().into()),
        ("public_key", key.public().to_json().to_text().into()),
    ]))?;
    say(
        "the public key goes into `policy.signing_keys` of the broker's configuration; the private key stays with its owner",
    );
    Ok(Exit::Done)
}
