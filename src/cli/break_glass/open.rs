//! `carnet break-glass open`.

use std::time::Duration;

use crate::cli::arguments::{ContextArguments, decided, settled};
use crate::cli::break_glass::shown;
use crate::cli::credential::AccessArguments;
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::cli::shown::decision;
use crate::pb::v1;
use crate::pb::v1::break_glass_service_client::BreakGlassServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The task.
    task: String,
    /// The resource server that the access is for.
    #[arg(long, value_name = "URL")]
    audience: String,
    #[command(flatten)]
    access: AccessArguments,
    /// Why; it stands in the record and before the reviewer.
    #[arg(long, value_name = "TEXT")]
    justification: String,
    /// How long it stands open [default: what the broker is configured with].
    #[arg(long, value_name = "SPAN", value_parser = given::span)]
    life: Option<Duration>,
    /// How many grants it is good for.
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    #[command(flatten)]
    context: ContextArguments,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut accesses = args.access.wire()?;
    let access = accesses.pop();
    if !accesses.is_empty() {
        return Err(CliError::local("break-glass is opened for one access"));
    }
    let request = v1::OpenBreakGlassRequest {
        task_id: args.task,
        audience: args.audience,
        access,
        justification: args.justification,
        life: args.life.map(given::wire_span),
        uses_max: args.uses,
        context: Some(args.context.wire()),
        task_handle: String::new(),
    };
    let mut client = BreakGlassServiceClient::new(args.door.channel().await?);
    let answer = client.open_break_glass(request).await?.into_inner();
    let answered = decided(answer.decision)?;
    match &answer.break_glass {
        Some(glass) => {
            out.record(&shown(glass))?;
            Ok(Exit::Done)
        }
        None => {
            out.record(&decision(&answered))?;
            settled(&answered, out);
            // Nobody else can let it happen.
            Ok(Exit::Denied)
        }
    }
}
