//! `carnet task resume`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::task::show;
use crate::pb::v1::ResumeTaskRequest;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = ResumeTaskRequest { task_id: args.task.known()?.id };
    let answer = TaskServiceClient::new(args.door.channel().await?).resume_task(request).await?.into_inner();
    show(answer.task.as_ref(), out)
}
