//! `carnet break-glass list`.

use crate::cli::break_glass::shown;
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::page::{Page, say_more};
use crate::pb::v1;
use crate::pb::v1::break_glass_service_client::BreakGlassServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only what nobody has reviewed.
    #[arg(long)]
    review_open: bool,
    /// Only of this task.
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::ListBreakGlassRequest {
        review_open: args.review_open,
        task_id: args.task,
        page_size: args.page.limit,
        page_token: args.page.page_token,
    };
    let mut client = BreakGlassServiceClient::new(args.door.channel().await?);
    let answer = client.list_break_glass(request).await?.into_inner();
    let columns =
        ["break_glass_id", "state", "review_open", "opened_by", "agent", "audience", "until", "justification"];
    out.rows(&columns, answer.break_glass.iter().map(shown).collect())?;
    say_more(&answer.next_page_token);
    Ok(Exit::Done)
}
