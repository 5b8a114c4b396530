//! `carnet break-glass close`.

use crate::cli::break_glass::{found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{Output, say};
use crate::pb::v1;
use crate::pb::v1::break_glass_service_client::BreakGlassServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    break_glass: String,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::CloseBreakGlassRequest { break_glass_id: args.break_glass, reason: args.reason };
    let mut client = BreakGlassServiceClient::new(args.door.channel().await?);
    let answer = client.close_break_glass(request).await?.into_inner();
    out.record(&shown(&found(answer.break_glass)?))?;
    say(&format!("grants revoked: {}", answer.grants_revoked));
    Ok(Exit::Done)
}
