//! `carnet revoke`: ends grants before their time; what it is about may be one grant or everything.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::pb::v1;
use crate::pb::v1::revocation_service_client::RevocationServiceClient;
use crate::pb::v1::target::Target;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// One grant.
    Grant(Args),
    /// A task: it is cancelled, with all tasks below it and their grants.
    Task(Args),
    /// An agent's grants, by its SPIFFE ID; leaves a block.
    Agent(Args),
    /// All grants on behalf of somebody; leaves a block.
    Initiator(Args),
    /// All grants for a resource server; leaves a block.
    Audience(Args),
    /// Every grant there is; leaves a block.
    Everything(Reason),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Whose grants.
    target: String,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Reason {
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    let (target, reason) = match command {
        Command::Grant(args) => (Target::GrantId(args.target), args.reason),
        Command::Task(args) => (Target::TaskId(args.target), args.reason),
        Command::Agent(args) => (Target::Agent(args.target), args.reason),
        Command::Initiator(args) => (Target::Initiator(args.target), args.reason),
        Command::Audience(args) => (Target::Audience(args.target), args.reason),
        Command::Everything(reason) => (Target::Everything(v1::Everything {}), reason),
    };
    let request = v1::RevokeRequest { target: Some(v1::Target { target: Some(target) }), reason: reason.reason };
    let mut client = RevocationServiceClient::new(reason.door.channel().await?);
    let answer = client.revoke(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("grants_revoked", answer.grants_revoked.into()),
        ("position", answer.position.into()),
        ("blocked", answer.blocked.into()),
    ]))?;
    if answer.blocked {
        say("a block stands from now on; `carnet block lift` takes it away");
    }
    Ok(Exit::Done)
}
