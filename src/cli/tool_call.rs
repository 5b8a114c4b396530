//! `carnet tool-call`: calls that were made, with what came back.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::arguments::{ContextArguments, KnownTask, TaskArgument};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::way::Way;
use crate::model::digest::of_names;
use crate::pb::v1::ReportToolCallRequest;
use crate::pb::v1::signal_service_client::SignalServiceClient;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Report a call that was made, or many; what came back may be ground for later values.
    Report(Args),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The tool.
    #[arg(long, required_unless_present = "from")]
    tool: Option<String>,
    /// Many calls, one JSON object a line, from a file or `-`: `tool`, and where there is one `grant`, `arguments`, `result`,
    /// `failed` and `request_id`, which is otherwise made of the task, the number of the line and what it says. They are reported
    /// one after the other, and the first that is refused ends it, and says which line that is. For a quarter of an hour the same file
    /// can be reported again, and what is recorded is counted once, as long as no 4096 calls were reported since; beyond either bound
    /// go on with `--from-line`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tool", "grant", "arguments", "result", "failed", "request_id"])]
    from: Option<String>,
    /// The line of the file to begin at: what stands before it was reported. Lines keep their numbers, and so their ids.
    #[arg(long, value_name = "N", requires = "from", conflicts_with = "tool")]
    from_line: Option<NonZeroUsize>,
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
    let mut client = SignalServiceClient::new(args.door.channel().await?);
    if let Some(path) = &args.from {
        let text = given::text(&format!("@{path}"))?;
        let first = args.from_line.map_or(1, NonZeroUsize::get);
        return many(&mut client, requests((&text, first), &task, &args.context)?, out).await;
    }
    let request = ReportToolCallRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: task.id,
        task_handle: task.handle.to_string(),
        grant_id: args.grant,
        tool: args.tool.unwrap_or_default(),
        arguments_json: given::text(&args.arguments)?,
        result_json: given::text(&args.result)?,
        failed: args.failed,
        context: Some(args.context.wire()),
        ..ReportToolCallRequest::default()
    };
    let answer = client.report_tool_call(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("position", answer.position.into()),
        ("grants_suspended", answer.grants_suspended.into()),
        ("grants_revoked", answer.grants_revoked.into()),
    ]))?;
    Ok(Exit::Done)
}

/// A line of a file of calls.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    tool: String,
    #[serde(default)]
    grant: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    failed: bool,
    request_id: Option<String>,
}

/// The calls from that line on, each with the number of its line.
fn requests(
    (text, first): (&str, usize),
    task: &KnownTask,
    context: &ContextArguments,
) -> Result<Vec<(usize, ReportToolCallRequest)>, CliError> {
    let lines = (1..).zip(text.lines()).filter(|(number, line)| *number >= first && !line.trim().is_empty());
    let requests: Vec<_> = lines
        .map(|(number, line)| {
            let not_read = |error| CliError::because(format!("line {number} is no call"), error);
            let own_id = || id_of(&task.id, number, line);
            let line: Line<'_> = serde_json::from_str(line).map_err(not_read)?;
            let json = |value: Option<&RawValue>| value.map(|value| value.get().to_owned()).unwrap_or_default();
            let request = ReportToolCallRequest {
                request_id: line.request_id.unwrap_or_else(own_id),
                task_id: task.id.clone(),
                task_handle: task.handle.to_string(),
                grant_id: line.grant,
                tool: line.tool,
                arguments_json: json(line.arguments),
                result_json: json(line.result),
                failed: line.failed,
                context: Some(context.wire()),
                ..ReportToolCallRequest::default()
            };
            Ok((number, request))
        })
        .collect::<Result<_, CliError>>()?;
    if requests.is_empty() && first > 1 {
        return Err(CliError::local(format!("the file has no call from line {first} on")));
    }
    Ok(requests)
}

/// The id of a line that has none: the same whenever the file is reported again.
fn id_of(task: &str, number: usize, line: &str) -> String {
    let digest: [u8; 12] = of_names(0, &[task, &number.to_string(), line]);
    digest.iter().fold("cli-".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

/// Reports them in their order; tells what was recorded, also when one was refused.
async fn many(
    client: &mut SignalServiceClient<Way>,
    requests: Vec<(usize, ReportToolCallRequest)>,
    out: Output,
) -> Result<Exit, CliError> {
    let (numbers, requests): (Vec<usize>, Vec<_>) = requests.into_iter().unzip();
    let mut answers = client.report_tool_calls(tokio_stream::iter(requests)).await?.into_inner();
    let mut recorded = Vec::new();
    let ended = loop {
        match answers.message().await {
            Ok(Some(answer)) => recorded.push(Value::Fields(vec![
                ("request_id", answer.request_id.into()),
                ("position", answer.position.into()),
                ("grants_suspended", answer.grants_suspended.into()),
                ("grants_revoked", answer.grants_revoked.into()),
            ])),
            Ok(None) => break Ok(()),
            Err(status) => break Err(CliError::from(status)),
        }
    };
    let done = recorded.len();
    out.rows(&["request_id", "position", "grants_suspended", "grants_revoked"], recorded)?;
    let Some(next) = numbers.get(done) else { return ended.map(|()| Exit::Done) };
    let ended = ended.err().unwrap_or_else(|| CliError::local("the broker ended the stream"));
    let known = format!("line {next} was not recorded as far as is known, the {done} calls before it were");
    Err(ended.with(&format!("{known}; go on with --from-line {next}")))
}
