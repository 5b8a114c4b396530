//! `carnet block lift`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::pb::v1;
use crate::pb::v1::revocation_service_client::RevocationServiceClient;
use crate::pb::v1::target::Target;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What kind of block.
    #[arg(value_enum)]
    kind: Kind,
    /// Whom it is about; nothing for `everything`.
    #[arg(default_value = "", hide_default_value = true)]
    target: String,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    door: OperatorFirst,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// An agent, by its SPIFFE ID.
    Agent,
    /// An initiator.
    Initiator,
    /// A resource server.
    Audience,
    /// Everybody.
    Everything,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let target = match args.kind {
        Kind::Agent => Target::Agent(args.target),
        Kind::Initiator => Target::Initiator(args.target),
        Kind::Audience => Target::Audience(args.target),
        Kind::Everything => Target::Everything(v1::Everything {}),
    };
    let request = v1::LiftBlockRequest { target: Some(v1::Target { target: Some(target) }), reason: args.reason };
    let mut client = RevocationServiceClient::new(args.door.channel().await?);
    let answer = client.lift_block(request).await?.into_inner();
    out.record(&Value::Fields(vec![("position", answer.position.into())]))?;
    Ok(Exit::Done)
}
