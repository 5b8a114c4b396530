//! `carnet task amend`.

use crate::cli::arguments::{CeilingArguments, ContextArguments, TaskArgument, decided, settled};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::pb::v1::AmendTaskRequest;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The new deadline: a time, or a span from now. To ask for the same again, once people have approved it, give a time.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    deadline: Option<When>,
    #[command(flatten)]
    ceiling: CeilingArguments,
    #[command(flatten)]
    context: ContextArguments,
    /// The same id gives the same answer again [default: a random one].
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = AmendTaskRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: args.task.known()?.id,
        ceiling: args.ceiling.wire()?,
        deadline: args.deadline.map(When::wire),
        context: Some(args.context.wire()),
    };
    let answer = TaskServiceClient::new(args.door.channel().await?).amend_task(request).await?.into_inner();
    let decision = decided(answer.decision)?;
    out.record(&Value::Fields(vec![
        ("decision", shown::decision(&decision)),
        ("task", answer.task.as_ref().map(shown::task).into()),
    ]))?;
    Ok(settled(&decision, out))
}
