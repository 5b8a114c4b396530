//! The way to a broker as a person: its people's door, with a token that `carnet login` kept.

use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::cli::error::CliError;
use crate::cli::given;
use crate::identity::web::{HttpsUrl, WebRoots};

/// A channel on which each request shows a token, where there is one to show.
pub(in crate::cli) type Way = InterceptedService<Channel, Shown>;

/// What each request shows.
#[derive(Clone)]
pub(in crate::cli) struct Shown(Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A channel on which nothing is shown: the connection says who we are.
pub(in crate::cli) fn showing_nothing(channel: Channel) -> Way {
    InterceptedService::new(channel, Shown(None))
}

/// As a person.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct PersonDoor {
    /// Ask as a person instead, at the broker's door for people.
    #[arg(long, env = "CARNET_PEOPLE", value_name = "URL", help_heading = "Broker", requires = "token_file")]
    people: Option<HttpsUrl>,
    /// The file with our token, as `carnet login` keeps it.
    #[arg(long, env = "CARNET_TOKEN_FILE", value_name = "FILE", help_heading = "Broker")]
    token_file: Option<PathBuf>,
    /// Who vouches for the certificate of that door, in PEM [default: whom the system trusts].
    #[arg(long, env = "CARNET_CA_FILE", value_name = "FILE", help_heading = "Broker")]
    ca_file: Option<PathBuf>,
}

impl PersonDoor {
    /// A channel to the broker; `None` when no door for people is named.
    ///
    /// # Errors
    /// When the token cannot be read, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self) -> Result<Option<Way>, CliError> {
        let Some(url) = &self.people else { return Ok(None) };
        let file = self.token_file.as_deref();
        let file = file.ok_or_else(|| CliError::local("which token? name its file by `--token-file`"))?;
        let token = given::kept_secret(file)?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", *token)
            .parse()
            .map_err(|_| CliError::local(format!("`{}` holds no token", file.display())))?;
        value.set_sensitive(true);
        let roots = WebRoots::load(self.ca_file.as_deref())?;
        Ok(Some(InterceptedService::new(roots.channel(url).await?, Shown(Some(value)))))
    }
}
