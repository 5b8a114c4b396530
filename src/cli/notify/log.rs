//! `carnet notify log`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::notify::shown;
use crate::cli::output::{Output, say};
use crate::pb::v1;
use crate::pb::v1::notification_service_client::NotificationServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Of this receiver alone.
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    webhook: String,
    /// How many at most; 0 takes the broker's default.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::ListDeliveriesRequest { webhook: args.webhook, page_size: args.limit };
    let mut client = NotificationServiceClient::new(args.door.channel().await?);
    let answer = client.list_deliveries(request).await?.into_inner();
    for webhook in &answer.webhooks {
        say(&standing(webhook));
    }
    let columns = ["time", "webhook", "event", "position", "attempt", "outcome", "problem", "status", "webhook_id"];
    out.rows(&columns, answer.deliveries.iter().map(shown).collect())?;
    Ok(Exit::Done)
}

/// How a receiver stands, in a line.
fn standing(webhook: &v1::Webhook) -> String {
    let v1::Webhook { name, switched_off, waiting, unread, .. } = webhook;
    match (switched_off, waiting + unread) {
        (true, _) => format!("{name}: switched off, for it answered that it wants no more"),
        (false, 0) => format!("{name}: told all that happened"),
        (false, _) => format!("{name}: {waiting} wait to be tried again, {unread} events not looked at yet"),
    }
}
