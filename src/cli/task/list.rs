//! `carnet task list`.

use crate::cli::door::WorkloadFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::page::{Page, say_more};
use crate::cli::shown;
use crate::pb::v1::task_service_client::TaskServiceClient;
use crate::pb::v1::{ListTasksRequest, TaskState};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", value_parser = state_named)]
    state: Option<TaskState>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    door: WorkloadFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = ListTasksRequest {
        state: args.state.unwrap_or(TaskState::Unspecified).into(),
        page_size: args.page.limit,
        page_token: args.page.page_token,
    };
    let answer = TaskServiceClient::new(args.door.channel().await?).list_tasks(request).await?.into_inner();
    let columns = ["task_id", "state", "open_grants", "deadline", "agent", "intent"];
    out.rows(&columns, answer.tasks.iter().map(shown::task).collect())?;
    say_more(&answer.next_page_token);
    Ok(Exit::Done)
}

fn state_named(name: &str) -> Result<TaskState, String> {
    let all = [TaskState::Active, TaskState::Paused, TaskState::Completed, TaskState::Cancelled, TaskState::Expired];
    let known = "active, paused, completed, cancelled, expired";
    let mut all = all.into_iter();
    all.find(|each| shown::task_state(*each as i32) == name).ok_or_else(|| format!("`{name}` is none of {known}"))
}
