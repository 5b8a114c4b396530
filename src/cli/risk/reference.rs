//! `carnet risk reference`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::risk::class;
use crate::model::identity::IdentityClass;
use crate::pb::v1;
use crate::pb::v1::risk_service_client::RiskServiceClient;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// From now on what is decided is compared with what was decided of late.
    Set(Args),
    /// The next decisions make the reference.
    Clear(Args),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Of this class of identities: `agent` or `service_account`.
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: IdentityClass,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    let (args, clear) = match command {
        Command::Set(args) => (args, false),
        Command::Clear(args) => (args, true),
    };
    let request = v1::SetDriftReferenceRequest { class: args.class.to_string(), clear };
    let mut client = RiskServiceClient::new(args.door.channel().await?);
    let answer = client.set_drift_reference(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("class", args.class.as_str().into()),
        ("samples", answer.samples.into()),
        ("position", answer.position.into()),
    ]))?;
    Ok(Exit::Done)
}
