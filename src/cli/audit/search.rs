//! `carnet audit search`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::Output;
use crate::cli::page::{Page, say_more};
use crate::cli::shown;
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::{Outcome, SearchEventsRequest};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Of this task.
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    /// Of this agent.
    #[arg(long, value_name = "SPIFFE-ID", default_value = "", hide_default_value = true)]
    agent: String,
    /// On behalf of this initiator.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    initiator: String,
    /// About this tool.
    #[arg(long, value_name = "TOOL", default_value = "", hide_default_value = true)]
    tool: String,
    /// Decided so: granted, narrowed, step_up, review or denied.
    #[arg(long, value_name = "OUTCOME", value_parser = shown::outcome_named)]
    outcome: Option<Outcome>,
    /// For this reason code.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    reason: String,
    /// Of this W3C trace.
    #[arg(long, value_name = "TRACE-ID", default_value = "", hide_default_value = true)]
    trace_id: String,
    /// Of this kind, e.g. `credential_decided`.
    #[arg(long, value_name = "KIND", default_value = "", hide_default_value = true)]
    kind: String,
    /// Not before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    from: Option<When>,
    /// Before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    until: Option<When>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = SearchEventsRequest {
        task_id: args.task,
        agent: args.agent,
        initiator: args.initiator,
        tool: args.tool,
        outcome: args.outcome.unwrap_or(Outcome::Unspecified).into(),
        reason: args.reason,
        trace_id: args.trace_id,
        from: args.from.map(When::wire_ago),
        until: args.until.map(When::wire_ago),
        kind: args.kind,
        page_size: args.page.limit,
        page_token: args.page.page_token,
    };
    let answer = AuditServiceClient::new(args.door.channel().await?).search_events(request).await?.into_inner();
    let columns = ["position", "time", "kind", "outcome", "tools", "reasons", "decision_id", "summary"];
    out.rows(&columns, answer.events.iter().map(shown::event).collect())?;
    say_more(&answer.next_page_token);
    Ok(Exit::Done)
}
