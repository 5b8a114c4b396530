//! The way to a broker as a person: its people's door, with a token that `carnet login` kept.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::error::CliError;
use crate::cli::given;
use crate::cli::way::{Way, showing};
use crate::identity::web::{HttpsUrl, WebRoots};

/// As a person. It must stand before what names other doors: what was read of those is gone then.
#[derive(Debug, Clone)]
pub(in crate::cli) struct PersonDoor(Arguments);

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct Arguments {
    /// Ask as a person instead, at the broker's door for people.
    #[arg(
        long,
        env = "CARNET_PEOPLE",
        value_name = "URL",
        value_parser = HttpsUrl::plain,
        help_heading = "Broker",
        display_order = AFTER_THE_OTHERS
    )]
    people: Option<HttpsUrl>,
    /// The file with our token, as `carnet login` keeps it.
    #[arg(
        long,
        env = "CARNET_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Broker",
        display_order = AFTER_THE_OTHERS
    )]
    token_file: Option<PathBuf>,
    /// Who vouches for the certificate of that door, in PEM [default: whom the system trusts].
    #[arg(
        long,
        env = "CARNET_CA_FILE",
        value_name = "FILE",
        help_heading = "Broker",
        display_order = AFTER_THE_OTHERS
    )]
    ca_file: Option<PathBuf>,
}

const AFTER_THE_OTHERS: usize = 100;
/// The arguments that name other doors.
const OTHERS: [&str; 3] = ["socket", "operator_socket", "bearer"];

impl clap::Args for PersonDoor {
    fn augment_args(command: Command) -> Command {
        Arguments::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Arguments::augment_args_for_update(command)
    }
}

/// What was typed goes before what the environment says, and nobody acts as somebody else than was said.
impl FromArgMatches for PersonDoor {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let said = |id| matches.try_contains_id(id).ok().and_then(|_known| matches.value_source(id));
        let mut args = Arguments::from_arg_matches(matches)?;
        let typed = OTHERS.into_iter().find(|id| said(id) == Some(ValueSource::CommandLine));
        match (said("people"), typed) {
            (Some(ValueSource::CommandLine), Some(other)) => {
                let other = other.replace('_', "-");
                return Err(conflict(&format!("`--people` and `--{other}` name two ways to ask: choose one")));
            }
            (Some(_), Some(_)) => args.people = None,
            (Some(ValueSource::EnvVariable), None) if said("operator_socket") == Some(ValueSource::EnvVariable) => {
                return Err(conflict(
                    "`CARNET_PEOPLE` and `CARNET_OPERATOR_SOCKET` are both set: choose by `--people` or `--operator-socket`",
                ));
            }
            _ => {}
        }
        Ok(Self(args))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn conflict(message: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n"))
}

impl PersonDoor {
    /// A channel to the broker; `None` when no door for people is named.
    ///
    /// # Errors
    /// When the token cannot be read, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self) -> Result<Option<Way>, CliError> {
        let Some(url) = &self.0.people else { return Ok(None) };
        let file = self.0.token_file.as_deref();
        let file = file.ok_or_else(|| CliError::local("which token? name its file by `--token-file`"))?;
        let token = given::kept_secret(file)?;
        let channel = WebRoots::load(self.0.ca_file.as_deref())?.channel(url).await?;
        showing(channel, &token, &format!("`{}`", file.display())).map(Some)
    }
}
