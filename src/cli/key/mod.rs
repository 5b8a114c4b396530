//! `carnet key`: the keys that sign tokens. Works on the broker's key folder; a running broker takes notice by itself.

mod distrust;
mod list;
mod rotate;

use std::path::{Path, PathBuf};

use crate::cli::door::DATA_DIR_DEFAULT;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::serve::environment;
use crate::clock::Clock;
use crate::config;
use crate::mint::ring::{KeyRing, KeySettings, TokenFormat};
use crate::server::folder::DataFolder;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the keys.
    List(list::Args),
    /// Let the next key take over, as soon as it has been published long enough.
    Rotate(rotate::Args),
    /// Trust a key no more, from now on: tokens that it signed are refused as soon as verifiers fetch the keys again.
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
    /// Opens the keys that are there; it makes none.
    fn open(&self, settings: KeySettings) -> Result<KeyRing, CliError> {
        let folder = DataFolder::new(&self.data_dir).signing_keys();
        if !Path::new(&folder).is_dir() {
            return Err(CliError::local(format!("`{}` holds no keys; is it a broker's?", self.data_dir.display())));
        }
        KeyRing::open(&folder, settings, Clock::system().now())
            .map_err(|error| CliError::because("the keys cannot be used", error))
    }
}

/// What the keys are used for, as the broker's settings say.
fn settings(config: Option<&Path>) -> Result<KeySettings, CliError> {
    let Some(path) = config else { return Ok(KeySettings::default()) };
    let refused = |error| CliError::because("the settings are refused", error);
    let settings = config::read(path, &environment()).map_err(refused)?;
    let formats = settings
        .tokens
        .formats
        .into_iter()
        .map(|(audience, form)| (audience, TokenFormat { algorithm: form.algorithm, kind: form.kind }));
    Ok(KeySettings { lead: settings.tokens.next_key_lead, formats: formats.collect() })
}
