//! `carnet policy active`.

use std::path::{Path, PathBuf};

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{returns_to, signers};
use crate::cli::shown;
use crate::model::limits::BUNDLE_BYTES_MAX;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;
use crate::policy::bundle::BundleFiles;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Write its files to this folder, which must not exist yet.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let answer = active(&args.door, args.save.is_some()).await?;
    if let Some(folder) = &args.save {
        save(folder, answer.bundle.clone().unwrap_or_default())?;
    }
    out.record(&Value::Fields(vec![
        ("digest", answer.digest.as_str().into()),
        ("revision", answer.revision.into()),
        ("activated", shown::time(answer.activated)),
        ("activated_by", answer.activated_by.as_str().into()),
        ("proposed_by", answer.proposed_by.as_str().into()),
        ("owner", answer.owner.as_str().into()),
        ("signed_by", signers(&answer.signed_by)),
        ("returns_to", returns_to(answer.returns_to.as_ref())),
        ("policies", answer.policies.into()),
        ("tools", answer.tools.into()),
        ("observing", shown::observing(answer.observing.as_ref())),
    ]))?;
    if let Some(sentence) = shown::observing_in_words(answer.observing.as_ref()) {
        say(&sentence);
    }
    Ok(Exit::Done)
}

/// The bundle in force, with its files or without.
///
/// # Errors
/// When the broker cannot be reached or refuses.
pub(in crate::cli) async fn active(
    door: &OperatorFirst,
    include_files: bool,
) -> Result<v1::GetActivePolicyResponse, CliError> {
    let mut client = PolicyServiceClient::new(door.channel().await?).max_decoding_message_size(2 * BUNDLE_BYTES_MAX);
    Ok(client.get_active_policy(v1::GetActivePolicyRequest { include_files }).await?.into_inner())
}

/// The files of a bundle as the wire holds them.
///
/// # Errors
/// When a path leads out of the folder, or there is too much.
pub(in crate::cli) fn files(bundle: v1::PolicyBundle) -> Result<BundleFiles, CliError> {
    let files = bundle.files.into_iter().map(|file| (file.path, file.content.to_vec()));
    BundleFiles::new(files).map_err(|error| CliError::because("the broker's bundle cannot be used", error))
}

fn save(folder: &Path, bundle: v1::PolicyBundle) -> Result<(), CliError> {
    let unwritable = |error| CliError::because(format!("`{}` cannot be written", folder.display()), error);
    let files = files(bundle)?;
    if let Some(path) = files.stranger() {
        let path = path.escape_debug();
        return Err(CliError::local(format!("nothing was written: `{path}` is no file of a policy bundle")));
    }
    std::fs::create_dir(folder).map_err(unwritable)?;
    for (path, content) in files.iter_with_manifest() {
        // INVARIANT: `BundleFiles` holds only relative paths of plain names.
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(unwritable)?;
        }
        std::fs::write(path, content).map_err(unwritable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn bundle(paths: &[&str]) -> v1::PolicyBundle {
        let file = |path: &&str| v1::PolicyFile { path: (*path).to_owned(), content: b"x".to_vec().into() };
        v1::PolicyBundle { files: paths.iter().map(file).collect() }
    }

    #[test]
    fn only_files_of_a_bundle_are_written_whatever_a_broker_sends() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("saved");
        for hostile in [".git/hooks/post-checkout", ".bashrc", "Makefile", "../x.cedar"] {
            save(&to, bundle(&["10-a.cedar", hostile])).unwrap_err();
            assert!(!to.exists(), "{hostile}: nothing is written");
        }
        save(&to, bundle(&["10-a.cedar", "tests/a.toml", "bundle.sig"])).unwrap();
        assert_eq!(
            BundleFiles::read_dir(&to).unwrap(),
            files(bundle(&["10-a.cedar", "tests/a.toml", "bundle.sig"])).unwrap()
        );
    }
}
