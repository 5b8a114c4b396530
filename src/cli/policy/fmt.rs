//! `carnet policy fmt`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{read, refused};
use crate::disk::{Disk as _, RealDisk, TEMPORARY};
use crate::policy::error::BundleError;
use crate::policy::format::formatted;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// Write nothing; end with 1 when something would change.
    #[arg(long)]
    check: bool,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let files = read(&args.folder)?;
    let (mut changed, mut problems) = (Vec::new(), Vec::new());
    for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".cedar")) {
        let Ok(text) = std::str::from_utf8(content) else {
            return Err(CliError::local(format!("`{path}` is no text")));
        };
        match formatted(path, text) {
            Ok(new) if new != text => changed.push((path, new)),
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
    }
    // All or nothing: a bundle that is half in form tells nobody where it stopped.
    if !problems.is_empty() {
        problems.iter().for_each(|problem| say(&problem.to_string()));
        return Err(refused(&args.folder, BundleError::Invalid(problems)));
    }
    if !args.check {
        for (path, text) in &changed {
            let place = args.folder.join(path);
            replace(&place, text.as_bytes())
                .map_err(|error| CliError::because(format!("`{}` cannot be written", place.display()), error))?;
        }
    }
    let verdict = if args.check { "would change" } else { "formatted" };
    let row = |(path, _): &(&str, String)| Value::Fields(vec![("file", (*path).into()), ("result", verdict.into())]);
    out.rows(&["result", "file"], changed.iter().map(row).collect())?;
    Ok(if args.check && !changed.is_empty() { Exit::Local } else { Exit::Done })
}

/// Puts other text in a file: whole or not at all, and for those who could read it before. What a link leads to is replaced, and
/// not the link.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let disk = RealDisk;
    let path = path.canonicalize()?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // A bundle passes over names that begin with a dot, should this one be left behind.
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(TEMPORARY);
    let temporary = folder.join(hidden);
    let mode = std::fs::metadata(&path)?.permissions();
    let file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    std::fs::set_permissions(&temporary, mode)?;
    file.sync()?;
    disk.rename(&temporary, &path)?;
    disk.sync_dir(folder)
}
