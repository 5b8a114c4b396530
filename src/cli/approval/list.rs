//! `carnet approval list`.

use crate::cli::approval::{client, shown, state_named};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::page::{Page, say_more};
use crate::pb::v1;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Those that stand so.
    #[arg(long, value_name = "STATE", default_value = "pending", value_parser = state_named)]
    state: v1::ApprovalState,
    /// Only those that you could approve now.
    #[arg(long)]
    mine: bool,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::ListApprovalsRequest {
        state: args.state.into(),
        page_size: args.page.limit,
        page_token: args.page.page_token,
        for_me: args.mine,
    };
    let mut client = client(&args.door).await?;
    let answer = client.list_approvals(request).await?.into_inner();
    let columns = [
        "approval_id",
        "needs",
        "for",
        "escalated_at",
        "may_approve",
        "until",
        "agent",
        "initiator",
        "tools",
        "amends",
        "doubts",
    ];
    out.rows(&columns, answer.approvals.iter().map(shown).collect())?;
    say_more(&answer.next_page_token);
    Ok(Exit::Done)
}
