//! `carnet approval withdraw`.

use crate::cli::approval::{client, found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{Output, say};
use crate::pb::v1;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    approval: String,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = client(&args.door).await?;
    let request = v1::WithdrawApprovalRequest { approval_id: args.approval, reason: args.reason };
    let answer = client.withdraw_approval(request).await?.into_inner();
    out.record(&shown(&found(answer.approval)?))?;
    say(&format!("grants revoked: {}", answer.grants_revoked));
    Ok(Exit::Done)
}
