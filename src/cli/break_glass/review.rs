//! `carnet break-glass review`.

use crate::cli::break_glass::{found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::pb::v1;
use crate::pb::v1::break_glass_service_client::BreakGlassServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    break_glass: String,
    /// Whether it was right to open it.
    #[arg(long, value_enum)]
    verdict: Verdict,
    /// What was found; it stands in the record.
    #[arg(long, value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    door: OperatorFirst,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Verdict {
    /// It was right.
    Justified,
    /// It was not.
    Unjustified,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let verdict = match args.verdict {
        Verdict::Justified => v1::BreakGlassVerdict::Justified,
        Verdict::Unjustified => v1::BreakGlassVerdict::Unjustified,
    };
    let request =
        v1::ReviewBreakGlassRequest { break_glass_id: args.break_glass, verdict: verdict.into(), note: args.note };
    let mut client = BreakGlassServiceClient::new(args.door.channel().await?);
    let glass = found(client.review_break_glass(request).await?.into_inner().break_glass)?;
    out.record(&shown(&glass))?;
    Ok(Exit::Done)
}
