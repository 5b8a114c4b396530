//! `carnet audit explain`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::shown::record;
use crate::pb::v1::GetDecisionRequest;
use crate::pb::v1::audit_service_client::AuditServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The decision; every answer and every event of the record names its own.
    decision: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = GetDecisionRequest { decision_id: args.decision };
    let answer = AuditServiceClient::new(args.door.channel().await?).get_decision(request).await?.into_inner();
    let record = answer.record.unwrap_or_default();
    if out.is_table() {
        out.text(&record::story(&record, out.paint()))?;
    } else {
        out.record(&record::value(&record))?;
    }
    Ok(Exit::Done)
}
