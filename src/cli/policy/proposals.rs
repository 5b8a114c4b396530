//! `carnet policy proposals`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::policy::{returns_to, signers};
use crate::cli::shown::time;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let answer = client.list_policy_proposals(v1::ListPolicyProposalsRequest {}).await?.into_inner();
    let columns = ["proposal", "revision", "digest", "owner", "proposed_by", "until", "returns_to"];
    out.rows(&columns, answer.proposals.iter().map(shown).collect())?;
    Ok(Exit::Done)
}

/// What waits for a second person.
pub(super) fn shown(proposal: &v1::PolicyProposal) -> Value {
    Value::Fields(vec![
        ("proposal", proposal.proposal_id.as_str().into()),
        ("digest", proposal.digest.as_str().into()),
        ("revision", proposal.revision.into()),
        ("owner", proposal.owner.as_str().into()),
        ("signed_by", signers(&proposal.signed_by)),
        ("proposed_by", proposal.proposed_by.as_str().into()),
        ("proposed", time(proposal.proposed)),
        ("until", time(proposal.until)),
        ("returns_to", returns_to(proposal.returns_to.as_ref())),
        ("position", proposal.position.into()),
    ])
}
