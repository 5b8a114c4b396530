//! The way to a broker as a person: its people's door, with a token that `carnet login` kept.

use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::cli::given;
use crate::cli::way::{Way, showing};
use crate::identity::web::{HttpsUrl, WebRoots};

/// As a person.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct PersonDoor {
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
impl PersonDoor {
    /// A channel to the broker.
    ///
    /// # Errors
    /// When no door for people is named, the token cannot be read, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self) -> Result<Way, CliError> {
        let url = self.people.as_ref().ok_or_else(|| CliError::local("which broker? name its door by `--people`"))?;
        let file = self.token_file.as_deref();
        let file = file.ok_or_else(|| CliError::local("which token? name its file by `--token-file`"))?;
        let token = given::kept_secret(file)?;
        let channel = WebRoots::load(self.ca_file.as_deref())?.channel(url).await?;
        showing(channel, &token, &format!("`{}`", file.display()))
    }
}
