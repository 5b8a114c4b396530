//! `carnet block list`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::shown;
use crate::pb::v1::ListBlocksRequest;
use crate::pb::v1::revocation_service_client::RevocationServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = RevocationServiceClient::new(args.door.channel().await?);
    let answer = client.list_blocks(ListBlocksRequest {}).await?.into_inner();
    out.rows(&["kind", "target", "since", "reason"], answer.blocks.iter().map(shown::block).collect())?;
    Ok(Exit::Done)
}
