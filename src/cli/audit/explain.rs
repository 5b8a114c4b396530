//! `carnet audit explain`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::shown::record;
use crate::cli::way::Way;
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::{GetDecisionRequest, SearchEventsRequest};

/// Largest answer that is taken, from a broker that is trusted: more than the longest words of one decision come to.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The decision; every answer and every event of the record names its own [default: the latest request's].
    decision: Option<String>,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let client = AuditServiceClient::new(args.door.channel().await?);
    let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
    let decision_id = match args.decision {
        Some(id) => id,
        None => latest(&mut client).await?,
    };
    let answer = client.get_decision(GetDecisionRequest { decision_id }).await?.into_inner();
    let record = answer.record.unwrap_or_default();
    if out.is_table() {
        out.text(&record::story(&record, out.paint()))?;
    } else {
        out.record(&record::value(&record))?;
    }
    Ok(Exit::Done)
}

/// The latest decision on a request for a credential.
async fn latest(client: &mut AuditServiceClient<Way>) -> Result<String, CliError> {
    let request = SearchEventsRequest { kind: "credential_decided".to_owned(), page_size: 1, ..Default::default() };
    let found = client.search_events(request).await?.into_inner().events;
    let latest = found.into_iter().next().map(|event| event.decision_id);
    latest.ok_or_else(|| CliError::local("nothing was decided yet"))
}
