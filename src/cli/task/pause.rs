//! `carnet task pause`.

use crate::cli::arguments::TaskArgument;
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::task::show;
use crate::pb::v1::PauseTaskRequest;
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
    let request = PauseTaskRequest { task_id: args.task.known()?.id, reason: args.reason };
    let answer = TaskServiceClient::new(args.door.channel().await?).pause_task(request).await?.into_inner();
    show(answer.task.as_ref(), out)
}
