//! `carnet policy sign`.

use std::path::{Path, PathBuf};

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::fmt::replace;
use crate::cli::policy::read;
use crate::mint::author::AuthorKey;
use crate::model::id::Owner;
use crate::policy::bundle::PolicyBundle;
use crate::policy::manifest::{MANIFEST, Manifest, Statement};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// The private key, as `carnet policy keygen` made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The revision that it may be activated as, above the one in force [default: what is signed already].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    revision: Option<u64>,
    /// Who answers for it: a person or a group, e.g. `group:security` [default: what is signed already].
    #[arg(long, value_name = "NAME")]
    owner: Option<Owner>,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let files = read(&args.folder)?;
    let malformed = |error| CliError::because(format!("`{}` cannot be signed", args.folder.display()), error);
    let before = files.manifest().map(Manifest::parse).transpose().map_err(malformed)?;
    let bundle = PolicyBundle::load(files).map_err(|error| super::refused(&args.folder, error))?;
    let failed = bundle.run_tests().failures().len();
    if failed > 0 {
        return Err(CliError::unverified("the bundle is not signed", format!("{failed} tests fail")));
    }
    let digest = bundle.digest().as_str();
    let statement = statement(args, digest, before.as_ref().map(Manifest::claimed))?;
    let mut manifest = match before {
        // The signatures of others hold for this too.
        Some(manifest) if *manifest.claimed() == statement => manifest,
        Some(_) => {
            say("what was signed before is not this: those signatures are gone, and who gave them must sign anew");
            Manifest::new(statement)
        }
        None => Manifest::new(statement),
    };
    let key = AuthorKey::read(&args.key).map_err(|error| CliError::because("the key cannot be used", error))?;
    key.sign(&mut manifest).map_err(|error| CliError::because("the bundle is not signed", error))?;
    write(&args.folder, &manifest)?;
    let claimed = manifest.claimed();
    out.record(&Value::Fields(vec![
        ("digest", claimed.digest.as_str().into()),
        ("revision", claimed.revision.into()),
        ("owner", claimed.owner.as_str().into()),
        ("key", key.id().into()),
    ]))?;
    Ok(Exit::Done)
}

/// What is signed: what was said, and for what was not, what others have signed of the same files.
fn statement(args: &Args, digest: &str, before: Option<&Statement>) -> Result<Statement, CliError> {
    let same = before.filter(|before| before.digest == digest);
    let missing = |what: &str| {
        CliError::local(format!("`--{what}` is missing: nobody has signed these files yet, so none is said there"))
    };
    let revision = args.revision.or(same.map(|same| same.revision)).ok_or_else(|| missing("revision"))?;
    let owner = args.owner.clone().or_else(|| same.map(|same| same.owner.clone())).ok_or_else(|| missing("owner"))?;
    Ok(Statement { digest: digest.to_owned(), revision, owner })
}

fn write(folder: &Path, manifest: &Manifest) -> Result<(), CliError> {
    let path = folder.join(MANIFEST);
    let text = manifest.to_text();
    // In place of what is there as a whole, and for those who could read it.
    let written = if path.exists() { replace(&path, text.as_bytes()) } else { std::fs::write(&path, text) };
    written.map_err(|error| CliError::because(format!("`{}` cannot be written", path.display()), error))
}
