//! `carnet audit label`: for people alone, so it asks at no other door.

use crate::cli::audit::labels::{named, shown};
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::person::PersonDoor;
use crate::pb::v1;
use crate::pb::v1::risk_service_client::RiskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The decision, on a credential.
    decision: String,
    /// What it turned out to be about: benign, harmful or unsure.
    #[arg(value_name = "LABEL", value_parser = named)]
    label: v1::Label,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    door: PersonDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::LabelDecisionRequest { decision_id: args.decision, label: args.label.into(), note: args.note };
    let answer = RiskServiceClient::new(args.door.channel().await?).label_decision(request).await?.into_inner();
    let label = answer.label;
    let label =
        label.ok_or_else(|| CliError::remote("the broker's answer holds no label", "it is of another version"))?;
    out.record(&shown(&label))?;
    Ok(Exit::Done)
}
