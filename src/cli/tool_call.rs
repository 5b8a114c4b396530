//! `carnet tool-call`: calls that were made, with what came back.

use crate::cli::arguments::{ContextArguments, TaskArgument};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::pb::v1::ReportToolCallRequest;
use crate::pb::v1::signal_service_client::SignalServiceClient;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Report a call that was made; what came back may be ground for later values.
    Report(Args),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The tool.
    #[arg(long)]
    tool: String,
    /// The grant that it was made under.
    #[arg(long, value_name = "GRANT", default_value = "")]
    grant: String,
    /// What it was called with, as a JSON object: in place, `@file` or `@-`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// What came back, as JSON: in place, `@file` or `@-`.
    #[arg(long, value_name = "JSON", default_value = "null")]
    result: String,
    /// The call failed.
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    context: ContextArguments,
    /// The same id is counted once [default: a random one].
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    let Command::Report(args) = command;
    let task = args.task.known()?;
    let request = ReportToolCallRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: task.id,
        task_handle: task.handle.to_string(),
        grant_id: args.grant,
        tool: args.tool,
        arguments_json: given::text(&args.arguments)?,
        result_json: given::text(&args.result)?,
        failed: args.failed,
        context: Some(args.context.wire()),
    };
    let mut client = SignalServiceClient::new(args.door.channel().await?);
    let answer = client.report_tool_call(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("position", answer.position.into()),
        ("grants_suspended", answer.grants_suspended.into()),
        ("grants_revoked", answer.grants_revoked.into()),
    ]))?;
    Ok(Exit::Done)
}
