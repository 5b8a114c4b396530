//! `carnet approval list`.

use crate::cli::approval::{shown, state_named};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{Output, say};
use crate::pb::v1;
use crate::pb::v1::approval_service_client::ApprovalServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Those that stand so.
    #[arg(long, value_name = "STATE", default_value = "pending", value_parser = state_named)]
    state: v1::ApprovalState,
    /// How many at most; 0 takes the broker's default.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
    /// Go on where an earlier listing said.
    #[arg(long, value_name = "TOKEN", default_value = "")]
    page_token: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request =
        v1::ListApprovalsRequest { state: args.state.into(), page_size: args.limit, page_token: args.page_token };
    let mut client = ApprovalServiceClient::new(args.door.channel().await?);
    let answer = client.list_approvals(request).await?.into_inner();
    let columns = ["approval_id", "needs", "may_approve", "until", "agent", "initiator", "tools", "amends", "doubts"];
    out.rows(&columns, answer.approvals.iter().map(shown).collect())?;
    if !answer.next_page_token.is_empty() {
        say(&format!("there are more: --page-token {}", answer.next_page_token));
    }
    Ok(Exit::Done)
}
