//! `carnet task cancel`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::task::show_end;
use crate::pb::v1::CancelTaskRequest;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request = CancelTaskRequest { task_id: task.id, reason: args.reason, task_handle: task.handle.to_string() };
    let answer = TaskServiceClient::new(args.door.channel().await?).cancel_task(request).await?.into_inner();
    show_end(answer.task.as_ref(), answer.grants_revoked, answer.position, out)
}
