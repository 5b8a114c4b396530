//! `carnet key`: the keys that sign tokens. Works on the broker's key folder; a running broker takes notice by itself.

mod distrust;
mod list;
mod rotate;

use std::path::{Path, PathBuf};

use crate::cli::door::DATA_DIR_DEFAULT;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::mint::ring::KeyRing;
use crate::server::folder::DataFolder;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the keys.
    List(list::Args),
    /// Let the next key take over, as soon as it has been published long enough.
    Rotate(rotate::Args),
    /// Trust a key no more, from now on: tokens that it signed are refused as soon as verifiers fetch the keys again, ours each minute.
    Distrust(distrust::Args),
}

pub(in crate::cli) fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::List(args) => list::run(&args, out),
        Command::Rotate(args) => rotate::run(&args, out),
        Command::Distrust(args) => distrust::run(&args, out),
    }
}

/// Which keys.
#[derive(Debug, clap::Args)]
struct Folder {
    /// The broker's data folder.
    #[arg(long, env = "CARNET_DATA_DIR", value_name = "DIR", default_value = DATA_DIR_DEFAULT)]
    data_dir: PathBuf,
}

impl Folder {
    /// Opens the keys that are there, with what the broker uses them for; it makes none.
    fn open(&self) -> Result<KeyRing, CliError> {
        let folder = DataFolder::new(&self.data_dir).signing_keys();
        if !Path::new(&folder).is_dir() {
            return Err(CliError::local(format!("`{}` holds no keys; is it a broker's?", self.data_dir.display())));
        }
        KeyRing::open_kept(&folder).map_err(|error| CliError::because("the keys cannot be used", error))
    }
}
