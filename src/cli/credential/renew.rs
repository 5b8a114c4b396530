//! `carnet credential renew`.

use std::time::Duration;

use crate::cli::arguments::{ContextArguments, ProfileArguments, TaskArgument};
use crate::cli::credential::{TokenPlace, show};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::pb::v1::RenewCredentialRequest;
use crate::pb::v1::credential_service_client::CredentialServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The grant.
    #[arg(long, value_name = "GRANT")]
    grant: String,
    /// How long the token is to live.
    #[arg(long, value_name = "SPAN", value_parser = given::span)]
    ttl: Option<Duration>,
    #[command(flatten)]
    profile: ProfileArguments,
    #[command(flatten)]
    context: ContextArguments,
    /// The same id gives the same answer again [default: a random one].
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    place: TokenPlace,
    #[command(flatten)]
    door: WorkloadDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request = RenewCredentialRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: task.id,
        task_handle: task.handle.to_string(),
        grant_id: args.grant,
        ttl: args.ttl.map(given::wire_span),
        agent_profile: Some(args.profile.wire()),
        context: Some(args.context.wire()),
    };
    let (way, presented) = args.door.channel_and_presented().await?;
    let mut client = CredentialServiceClient::new(way);
    let answer = client.renew_credential(request).await?.into_inner();
    args.place.keep_certificate(&presented)?;
    show(answer.decision, answer.grant.as_ref(), answer.token, &args.place, out)
}
