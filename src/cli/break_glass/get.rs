//! `carnet break-glass get`.

use crate::cli::break_glass::{found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::pb::v1;
use crate::pb::v1::break_glass_service_client::BreakGlassServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    break_glass: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = BreakGlassServiceClient::new(args.door.channel().await?);
    let request = v1::GetBreakGlassRequest { break_glass_id: args.break_glass };
    let glass = found(client.get_break_glass(request).await?.into_inner().break_glass)?;
    out.record(&shown(&glass))?;
    Ok(Exit::Done)
}
