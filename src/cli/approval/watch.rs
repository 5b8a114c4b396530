//! `carnet approval watch`.

use crate::cli::approval::{client, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::pb::v1;
use crate::pb::v1::watch_approvals_response::Event;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Go on after this position [default: begin with what waits].
    #[arg(long, value_name = "POSITION", default_value_t = 0, hide_default_value = true)]
    after: u64,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = client(&args.door).await?;
    let mut events = client.watch_approvals(v1::WatchApprovalsRequest { after: args.after }).await?.into_inner();
    while let Some(message) = events.message().await? {
        if let Some(Event::Approval(approval)) = message.event {
            out.record(&shown(&approval))?;
        }
    }
    Ok(Exit::Done)
}
