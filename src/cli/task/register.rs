//! `carnet task register`.

use std::path::PathBuf;

use crate::cli::arguments::{
    CeilingArguments, ContextArguments, ProfileArguments, decided, keep_task, read_task, settled,
};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::v1;
use crate::pb::v1::task_service_client::TaskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What the task is for, in words that are written before the agent reads anything: `text` or `@file`.
    #[arg(long, value_name = "TEXT")]
    intent: String,
    /// The agent that will work on it.
    #[arg(long, value_name = "SPIFFE-ID")]
    agent: SpiffeId,
    /// Who wants it, as we say it.
    #[arg(long, value_name = "NAME", required_unless_present = "initiator_token_file")]
    initiator: Option<String>,
    /// A file with a token of theirs, for the audience that the broker takes as proof of an initiator.
    #[arg(long, value_name = "FILE")]
    initiator_token_file: Option<PathBuf>,
    /// When it ends at the latest: a time, or a span from now.
    #[arg(long, value_name = "WHEN", default_value = "1h", value_parser = given::when)]
    deadline: When,
    /// An audience that it may ask tokens for; may be repeated. Without any, policy decides alone.
    #[arg(long = "audience", value_name = "URL")]
    audiences: Vec<String>,
    /// Nobody attends it: what people are asked waits no longer than the broker's configuration says for that.
    #[arg(long)]
    unattended: bool,
    /// The task above, which this becomes a sub-task of.
    #[arg(long, value_name = "TASK", conflicts_with = "parent_file")]
    parent: Option<String>,
    /// The same, from a file with its handle, as its agent needs it to open a sub-task.
    #[arg(long, value_name = "FILE")]
    parent_file: Option<PathBuf>,
    #[command(flatten)]
    ceiling: CeilingArguments,
    #[command(flatten)]
    profile: ProfileArguments,
    #[command(flatten)]
    context: ContextArguments,
    /// The same id gives the same answer again [default: a random one].
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Keep the task and its handle in this file, and do not print the handle.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let parent = args.parent_file.as_deref().map(read_task).transpose()?;
    let (parent_task_id, parent_task_handle) = match parent {
        Some(known) => (known.id, known.handle.to_string()),
        None => (args.parent.unwrap_or_default(), String::new()),
    };
    let initiator_token = args.initiator_token_file.as_deref().map(given::kept_secret).transpose()?;
    let request = v1::RegisterTaskRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        intent: given::text(&args.intent)?,
        initiator: args.initiator.unwrap_or_default(),
        agent: args.agent.to_string(),
        ceiling: args.ceiling.wire()?,
        deadline: Some(args.deadline.wire()),
        parent_task_id,
        parent_task_handle,
        agent_profile: Some(args.profile.wire()),
        audiences: args.audiences,
        context: Some(args.context.wire()),
        initiator_token: initiator_token.map(|token| token.to_string()).unwrap_or_default(),
        unattended: args.unattended,
    };
    let answer = TaskServiceClient::new(args.door.channel().await?).register_task(request).await?.into_inner();
    let decision = decided(answer.decision)?;
    let mut fields = vec![("decision", shown::decision(&decision))];
    if let Some(task) = &answer.task {
        fields.push(("task", shown::task(task)));
        match &args.save {
            Some(path) => keep_task(path, task, &answer.task_handle)?,
            None => fields.push(("task_handle", answer.task_handle.into())),
        }
    }
    out.record(&Value::Fields(fields))?;
    Ok(settled(&decision, out))
}
