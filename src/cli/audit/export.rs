//! `carnet audit export`.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tonic::Streaming;

use crate::audit::export::ExportWriter;
use crate::audit::tree::{Frontier, TreeHash};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::export_events_response::Part;
use crate::pb::v1::{ExportBeginning, ExportEventsRequest, ExportEventsResponse};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file to write; it must not exist yet.
    file: PathBuf,
    /// Write it in place of one that exists.
    #[arg(long)]
    force: bool,
    /// Without the first N events, of which an earlier export is kept.
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Up to the first N events; 0 takes all that are durable.
    #[arg(long, value_name = "N", default_value_t = 0)]
    size: u64,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = ExportEventsRequest { from: args.from, size: args.size };
    let existing = if args.force { Existing::Replaced } else { Existing::Kept };
    let mut client = AuditServiceClient::new(args.door.channel().await?);
    let events = write(client.export_events(request).await?.into_inner(), &args.file, existing).await?;
    out.record(&Value::Fields(vec![("file", args.file.display().to_string().into()), ("events", events.into())]))?;
    Ok(Exit::Done)
}

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// The export takes its place, once it is whole.
    Replaced,
}

/// Writes an export from what the broker streams, and tells how many events there were. The file is there whole or not at all.
///
/// # Errors
/// When the stream breaks or ends before its checkpoint, or the file is there already or cannot be written.
pub(in crate::cli) async fn write(
    parts: Streaming<ExportEventsResponse>,
    path: &Path,
    existing: Existing,
) -> Result<u64, CliError> {
    let unwritable = |error| CliError::because(format!("`{}` cannot be written", path.display()), error);
    if existing == Existing::Kept && path.symlink_metadata().is_ok() {
        return Err(unwritable(io::ErrorKind::AlreadyExists.into()));
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    let draft = Draft(PathBuf::from(draft));
    let events = fill(parts, &draft.0).await?;
    match existing {
        // A link, not a rename: it never takes the place of a file that was made meanwhile.
        Existing::Kept => fs::hard_link(&draft.0, path),
        Existing::Replaced => fs::rename(&draft.0, path),
    }
    .map_err(unwritable)?;
    Ok(events)
}

/// A file that is removed when it is dropped, unless it has another name by then.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

async fn fill(mut parts: Streaming<ExportEventsResponse>, path: &Path) -> Result<u64, CliError> {
    let unwritable = |error| CliError::because(format!("`{}` cannot be written", path.display()), error);
    // What agents and people wrote is sealed, but who asked for what is nobody's business either.
    // What an earlier one that was killed left behind.
    drop(fs::remove_file(path));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let cut_short = |what: &str| CliError::remote(format!("the export has no {what}"), "the stream ended before it");
    let beginning = match parts.message().await?.and_then(|message| message.part) {
        Some(Part::Beginning(beginning)) => before(beginning)?,
        _ => return Err(cut_short("beginning")),
    };
    let mut writer = ExportWriter::new(BufWriter::new(file), &beginning).map_err(unwritable)?;
    let (mut events, mut checkpoint) = (0, None);
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Event(event)) => {
                writer.event(&event.stored).map_err(unwritable)?;
                events += 1;
            }
            Some(Part::Checkpoint(note)) => checkpoint = Some(note),
            Some(Part::Beginning(_)) | None => {}
        }
    }
    let note = checkpoint.ok_or_else(|| cut_short("checkpoint"))?;
    let file =
        writer.finish(&note).map_err(unwritable)?.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)?;
    Ok(events)
}

fn before(beginning: ExportBeginning) -> Result<Frontier, CliError> {
    let root = |bytes: &bytes::Bytes| <[u8; 32]>::try_from(bytes.as_ref()).ok().map(TreeHash::from_bytes);
    let roots = beginning.subtrees.iter().map(root).collect::<Option<Vec<_>>>();
    let frontier = roots.and_then(|roots| Frontier::from_peaks(beginning.size, roots).ok());
    frontier.ok_or_else(|| CliError::remote("the export has no beginning", "what it says of it makes no tree"))
}
