//! `carnet task complete`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::task::show_end;
use crate::pb::v1::CompleteTaskRequest;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request = CompleteTaskRequest { task_id: task.id, task_handle: task.handle.to_string() };
    let answer = TaskServiceClient::new(args.door.channel().await?).complete_task(request).await?.into_inner();
    show_end(answer.task.as_ref(), answer.grants_revoked, answer.position, out)
}
