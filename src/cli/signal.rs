//! `carnet signal`: evidence about risk, from scorers and those who watch.

use crate::cli::arguments::{ContextArguments, TaskArgument};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::shown;
use crate::pb::v1::ReportSignalRequest;
use crate::pb::v1::signal_service_client::SignalServiceClient;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Report a piece of evidence about a task; its live grants are decided again before this returns.
    Report(Args),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// Which signal, as the policy bundle's risk.toml names it.
    #[arg(long)]
    name: String,
    /// How much it says, 0 to 100; counted up to what risk.toml allows.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    points: u32,
    /// Why, in words.
    #[arg(long, value_name = "TEXT", default_value = "")]
    explanation: String,
    /// Name and version of what made it.
    #[arg(long, value_name = "NAME", default_value = concat!("carnet-cli/", env!("CARGO_PKG_VERSION")))]
    scorer: String,
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
    let request = ReportSignalRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: args.task.known()?.id,
        name: args.name,
        points: args.points,
        explanation: args.explanation,
        scorer: args.scorer,
        observed: None,
        context: Some(args.context.wire()),
    };
    let answer = SignalServiceClient::new(args.door.channel().await?).report_signal(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("position", answer.position.into()),
        ("risk", answer.risk.into()),
        ("band", shown::band(answer.band).into()),
        ("grants_suspended", answer.grants_suspended.into()),
        ("grants_revoked", answer.grants_revoked.into()),
    ]))?;
    Ok(Exit::Done)
}
