//! `carnet catalogue import`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::catalogue::tool::Catalogue;
use crate::cli::catalogue::list;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::infer::mcp::compare::{Standing, compare};
use crate::infer::mcp::propose::{Proposal, propose};
use crate::infer::mcp::{self, Listing, entry};
use crate::model::id::{Audience, ToolName};
use crate::policy::bundle::BundleFiles;

/// The file of a bundle that lists its tools.
const CATALOGUE: &str = "catalogue.toml";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What an MCP server answered to `tools/list`: the whole answer, its result, or the array of tools; `-` reads standard input.
    file: PathBuf,
    /// The resource server that offers these tools.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<Audience>,
    /// Write the entries to this file, which must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Hold the listing against the catalogue of this bundle: end with 1 unless every definition is the one that it pins. Entries
    /// are written with `--out` alone, and only of tools that are new or have changed.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let name = args.file.display().to_string();
    let text = given::text(&format!("@{name}"))?;
    let listing = mcp::read(&text).map_err(|error| CliError::because(format!("`{name}` cannot be used"), error))?;
    if listing.has_more {
        say("the server has more tools than this page: ask it for the others with `nextCursor`");
    }
    match &args.against {
        None => proposed(args, &listing, out),
        Some(folder) => compared(args, &listing, &catalogue(folder)?, out),
    }
}

fn proposed(args: &Args, listing: &Listing, out: Output) -> Result<Exit, CliError> {
    let proposals: Vec<Proposal> = listing.tools.iter().map(|tool| propose(tool, args.audience.as_ref())).collect();
    let entries = entry::text(&proposals.iter().collect::<Vec<_>>(), None);
    match &args.out {
        Some(path) => write(path, &entries)?,
        None if out.is_table() => out.text(&entries)?,
        None => {}
    }
    if !out.is_table() {
        out.rows(&[], proposals.iter().map(value).collect())?;
    }
    let marked = proposals.iter().filter(|proposal| !proposal.marks.is_empty()).count();
    say(&format!("{} tools, none of them owned; {marked} are marked for a look", proposals.len()));
    Ok(Exit::Done)
}

fn compared(args: &Args, listing: &Listing, catalogue: &Catalogue, out: Output) -> Result<Exit, CliError> {
    let standings = compare(listing, catalogue, args.audience.as_ref());
    if let Some(path) = &args.out {
        let wanted = |name: &ToolName| {
            let standing = standings.iter().find(|(of, _)| of == name).map(|(_, standing)| standing);
            matches!(standing, Some(Standing::Added | Standing::Changed | Standing::Unpinned))
        };
        let tools = listing.tools.iter().filter(|tool| wanted(&tool.name));
        let proposals: Vec<Proposal> = tools.map(|tool| propose(tool, args.audience.as_ref())).collect();
        write(path, &entry::text(&proposals.iter().collect::<Vec<_>>(), Some(catalogue)))?;
    }
    let row = |(name, standing): &(ToolName, Standing)| {
        let digest = listing.tools.iter().find(|tool| tool.name == *name).map(|tool| tool.definition_digest.as_str());
        let pinned = catalogue.tool(name).and_then(|tool| tool.definition_digest.as_deref());
        Value::Fields(vec![
            ("standing", standing.as_str().into()),
            ("tool", name.to_string().into()),
            ("detail", standing.detail().into()),
            ("definition_digest", digest.into()),
            ("pinned_digest", pinned.into()),
        ])
    };
    out.rows(&["standing", "tool", "detail", "definition_digest"], standings.iter().map(row).collect())?;
    let other = standings.iter().filter(|(_, standing)| *standing != Standing::Same).count();
    say(&format!("{} tools, of which {other} are not as the catalogue pins them", standings.len()));
    Ok(if other == 0 { Exit::Done } else { Exit::Local })
}

fn value(proposal: &Proposal) -> Value {
    let mut value = list::tool(&proposal.tool);
    if let Value::Fields(fields) = &mut value {
        let hint = |(name, hint): (&'static str, bool)| (name, Value::from(hint));
        fields.extend([
            ("hints", Value::Fields(proposal.hints.given().into_iter().map(hint).collect())),
            ("because", proposal.because.iter().map(String::as_str).collect()),
            ("marks", proposal.marks.iter().map(String::as_str).collect()),
        ]);
    }
    value
}

fn catalogue(folder: &Path) -> Result<Catalogue, CliError> {
    let unusable = || format!("`{}` cannot be used", folder.join(CATALOGUE).display());
    let files = BundleFiles::read_dir(folder).map_err(|error| CliError::because(unusable(), error))?;
    let found = files.iter().find(|(path, _)| *path == CATALOGUE);
    let (_, content) = found.ok_or_else(|| CliError::local(format!("{}: there is none", unusable())))?;
    let text = std::str::from_utf8(content).map_err(|error| CliError::because(unusable(), error))?;
    Catalogue::parse(text).map_err(|error| CliError::because(unusable(), error))
}

/// Never in place of a file that somebody may have worked on.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::because(format!("`{}` cannot be written", path.display()), error))
}
