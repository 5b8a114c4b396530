//! `carnet approval approve` and `carnet approval deny`.

use crate::cli::approval::{client, found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::pb::v1;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    approval: String,
    /// The decision that was looked at [default: the one that is shown now].
    #[arg(long, value_name = "DECISION")]
    decision: Option<String>,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, verdict: v1::Verdict, out: Output) -> Result<Exit, CliError> {
    let mut client = client(&args.door).await?;
    let approval_id = args.approval;
    let decision_id = match args.decision {
        Some(decision) => decision,
        None => {
            let request = v1::GetApprovalRequest { approval_id: approval_id.clone() };
            found(client.get_approval(request).await?.into_inner().approval)?.decision_id
        }
    };
    let request = v1::AnswerApprovalRequest { approval_id, decision_id, verdict: verdict.into(), reason: args.reason };
    let approval = found(client.answer_approval(request).await?.into_inner().approval)?;
    out.record(&shown(&approval))?;
    Ok(Exit::Done)
}
