//! `carnet notify test`.

use crate::cli::door::OperatorDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::notify::shown;
use crate::cli::output::Output;
use crate::pb::v1;
use crate::pb::v1::notification_service_client::NotificationServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The receiver, by its name in the configuration.
    #[arg(value_name = "NAME")]
    webhook: String,
    #[command(flatten)]
    door: OperatorDoor,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::TestWebhookRequest { webhook: args.webhook };
    let answer = NotificationServiceClient::new(args.door.channel().await?).test_webhook(request).await?.into_inner();
    let version = || CliError::remote("the broker's answer holds no delivery", "it is of another version");
    let delivery = answer.delivery.ok_or_else(version)?;
    out.record(&shown(&delivery))?;
    Ok(if delivery.outcome() == v1::DeliveryOutcome::Delivered { Exit::Done } else { Exit::Unverified })
}
