//! `carnet audit checkpoint`.

use std::path::{Path, PathBuf};

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::pb::v1::GetCheckpointRequest;
use crate::pb::v1::audit_service_client::AuditServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Keep the checkpoint in this file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Keep the log's public key in this file.
    #[arg(long, value_name = "FILE")]
    save_key: Option<PathBuf>,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = AuditServiceClient::new(args.door.channel().await?);
    let answer = client.get_checkpoint(GetCheckpointRequest {}).await?.into_inner();
    if let Some(path) = &args.save {
        keep(path, &answer.checkpoint)?;
    }
    if let Some(path) = &args.save_key {
        keep(path, &format!("{}\n", answer.verifier_key))?;
    }
    if out.is_table() {
        // The note as it is, so that it may be kept by a redirection.
        out.text(&answer.checkpoint)?;
        say(&format!("signed by {}", answer.verifier_key));
    } else {
        let root = answer.root.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        out.record(&Value::Fields(vec![
            ("size", answer.size.into()),
            ("root", root.into()),
            ("verifier_key", answer.verifier_key.into()),
            ("checkpoint", answer.checkpoint.into()),
        ]))?;
    }
    Ok(Exit::Done)
}

fn keep(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::because(format!("`{}` cannot be written", path.display()), error))
}
