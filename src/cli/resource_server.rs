//! The hidden command that the demo runs as its second process.

use std::net::SocketAddr;

use crate::cli::error::{CliError, Exit};
use crate::dev::resource_server::{self, Options};
use crate::model::id::Audience;
use crate::model::spiffe_id::SpiffeId;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The issuer of tokens.
    #[arg(long)]
    issuer: String,
    /// Where the broker listens for workloads.
    #[arg(long)]
    broker: String,
    /// Who the broker is.
    #[arg(long)]
    broker_id: SpiffeId,
    /// The Workload API.
    #[arg(long)]
    socket: String,
    /// An audience of its own; may be repeated.
    #[arg(long = "audience", required = true)]
    audiences: Vec<Audience>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, CliError> {
    let options = Options {
        endpoint: format!("unix://{}", args.socket),
        issuer: args.issuer,
        broker: args.broker,
        broker_id: args.broker_id,
        audiences: args.audiences,
        listen: args.listen,
    };
    resource_server::run(options).await.map_err(|error| CliError::because("the resource server ended", error))?;
    Ok(Exit::Done)
}
