//! `carnet task get`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::task::show;
use crate::pb::v1::GetTaskRequest;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    #[command(flatten)]
    door: WorkloadFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request = GetTaskRequest { task_id: task.id, task_handle: task.handle.to_string() };
    let answer = TaskServiceClient::new(args.door.channel().await?).get_task(request).await?.into_inner();
    show(answer.task.as_ref(), out)
}
