//! `carnet credential release`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::pb::v1::ReleaseCredentialRequest;
use crate::pb::v1::credential_service_client::CredentialServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The grant.
    #[arg(long, value_name = "GRANT")]
    grant: String,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request =
        ReleaseCredentialRequest { task_id: task.id, task_handle: task.handle.to_string(), grant_id: args.grant };
    let mut client = CredentialServiceClient::new(args.door.channel().await?);
    let answer = client.release_credential(request).await?.into_inner();
    out.record(&answer.grant.as_ref().map_or(Value::Nothing, shown::grant))?;
    Ok(Exit::Done)
}
