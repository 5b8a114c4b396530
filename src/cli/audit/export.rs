//! `carnet audit export`.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tonic::Streaming;

use crate::audit::export::ExportWriter;
use crate::audit::tree::Frontier;
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::export_events_response::Part;
use crate::pb::v1::{ExportEventsRequest, ExportEventsResponse};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file to write; it must not exist yet.
    file: PathBuf,
    /// So many events from the first on; 0 takes all that are durable.
    #[arg(long, value_name = "N", default_value_t = 0)]
    size: u64,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = ExportEventsRequest { from: 0, size: args.size };
    let mut client = AuditServiceClient::new(args.door.channel().await?);
    let events = write(client.export_events(request).await?.into_inner(), &args.file).await?;
    out.record(&Value::Fields(vec![("file", args.file.display().to_string().into()), ("events", events.into())]))?;
    Ok(Exit::Done)
}

/// Writes an export from what the broker streams, and tells how many events there were.
///
/// # Errors
/// When the stream breaks or ends before its checkpoint, or the file is there already or cannot be written.
pub(in crate::cli) async fn write(mut parts: Streaming<ExportEventsResponse>, path: &Path) -> Result<u64, CliError> {
    let unwritable = |error| CliError::because(format!("`{}` cannot be written", path.display()), error);
    // What agents and people wrote is sealed, but who asked for what is nobody's business either.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let mut writer = ExportWriter::new(BufWriter::new(file), &Frontier::default()).map_err(unwritable)?;
    let (mut events, mut checkpoint) = (0, None);
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Event(event)) => {
                writer.event(&event.stored).map_err(unwritable)?;
                events += 1;
            }
            Some(Part::Checkpoint(note)) => checkpoint = Some(note),
            None => {}
        }
    }
    let Some(note) = checkpoint else {
        return Err(CliError::remote("the export has no checkpoint", "the stream ended before it"));
    };
    let file =
        writer.finish(&note).map_err(unwritable)?.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)?;
    Ok(events)
}
