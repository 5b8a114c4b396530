//! `carnet credential get`.

use crate::cli::door::WorkloadFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::pb::v1::GetGrantRequest;
use crate::pb::v1::credential_service_client::CredentialServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The grant.
    grant: String,
    /// The handle of its task, which the agent shows.
    #[arg(long, env = "CARNET_TASK_HANDLE", hide_env_values = true, value_name = "HANDLE", default_value = "")]
    task_handle: String,
    #[command(flatten)]
    door: WorkloadFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = GetGrantRequest { grant_id: args.grant, task_handle: args.task_handle };
    let mut client = CredentialServiceClient::new(args.door.channel().await?);
    let answer = client.get_grant(request).await?.into_inner();
    out.record(&answer.grant.as_ref().map_or(Value::Nothing, shown::grant))?;
    Ok(Exit::Done)
}
