//! `carnet policy withdraw`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    proposal: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let request = v1::WithdrawPolicyProposalRequest { proposal_id: args.proposal.clone() };
    let position = client.withdraw_policy_proposal(request).await?.into_inner().position;
    out.record(&Value::Fields(vec![("proposal", args.proposal.into()), ("position", position.into())]))?;
    Ok(Exit::Done)
}
