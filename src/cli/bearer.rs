//! The way to a broker behind a proxy that ends TLS: its door for those who show a token, with a JWT-SVID of our Workload API.

use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::cli::way::{Way, showing};
use crate::identity::jwt_source::fetch_jwt_svids;
use crate::identity::web::{HttpsUrl, WebRoots};
use crate::identity::workload::Workload;

/// As a workload that shows a JWT-SVID.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Broker")]
pub(in crate::cli) struct BearerDoor {
    /// Show a JWT-SVID at the broker's `[bearer]` door instead, which also a proxy may stand in front of.
    #[arg(long, env = "CARNET_BEARER", value_name = "URL", value_parser = HttpsUrl::plain, requires = "bearer_audience")]
    bearer: Option<HttpsUrl>,
    /// Who the broker is to the issuer of JWT-SVIDs: the `audience` of its `[bearer]` door.
    #[arg(long, env = "CARNET_BEARER_AUDIENCE", value_name = "AUDIENCE")]
    bearer_audience: Option<String>,
    /// Who vouches for the certificate of that door, in PEM [default: whom the system trusts].
    #[arg(long, env = "CARNET_CA_FILE", value_name = "FILE")]
    bearer_ca_file: Option<PathBuf>,
}

impl BearerDoor {
    /// A channel to the broker; `None` when no such door is named.
    ///
    /// # Errors
    /// When the Workload API gives no JWT-SVID, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self, workload: &Workload) -> Result<Option<Way>, CliError> {
        let (Some(url), Some(audience)) = (&self.bearer, &self.bearer_audience) else { return Ok(None) };
        let asked = fetch_jwt_svids(workload, vec![audience.clone()], String::new()).await;
        let svids = asked.map_err(|status| CliError::because("no JWT-SVID comes from the Workload API", status))?;
        let svid = svids.first().ok_or_else(|| CliError::local("the Workload API has no JWT-SVID for us"))?;
        let channel = WebRoots::load(self.bearer_ca_file.as_deref())?.channel(url).await?;
        showing(channel, &svid.token, "the Workload API's JWT-SVID").map(Some)
    }
}
