//! The ways to a broker: as a workload over mutual TLS with an SVID, and as the operator over the local socket.

use std::path::PathBuf;

use tonic::transport::Channel;

use crate::cli::bearer::BearerDoor;
use crate::cli::error::CliError;
use crate::cli::person::PersonDoor;
use crate::cli::said::Said;
use crate::cli::way::{Way, showing_nothing};
use crate::identity::client::{Dialer, ServerIdentity, connect_unix};
use crate::identity::presented::Presented;
use crate::identity::workload::{FIRST_SVID_WITHIN, Workload};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};

/// Where a broker listens for workloads when nothing else is said.
pub(in crate::cli) const BROKER_DEFAULT: &str = "127.0.0.1:7443";
/// The path of a broker's own SPIFFE ID, by convention.
pub(in crate::cli) const BROKER_PATH: &str = "/carnet";
/// Where a broker keeps its data when nothing else is said; `deploy/config/carnet.toml` names the same.
pub(in crate::cli) const DATA_DIR_DEFAULT: &str = "/var/lib/carnet";
/// The operator's socket inside of the data folder.
pub(in crate::cli) const OPERATOR_SOCKET: &str = "operator.sock";

/// Which broker, for those who reach it as workloads.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Broker")]
pub(in crate::cli) struct Target {
    /// Where the broker listens for workloads.
    #[arg(long, env = "CARNET_BROKER", value_name = "HOST:PORT", default_value = BROKER_DEFAULT)]
    pub(in crate::cli) broker: String,
    /// Whose certificate the broker must show [default: `/carnet` in our own trust domain].
    #[arg(long, env = "CARNET_BROKER_ID", value_name = "SPIFFE-ID")]
    pub(in crate::cli) broker_id: Option<SpiffeId>,
}

impl Target {
    /// Whom we expect there.
    ///
    /// # Errors
    /// When nothing was said and we have no identity to take the trust domain from.
    pub(in crate::cli) fn identity(&self, workload: &Workload) -> Result<SpiffeId, CliError> {
        if let Some(id) = &self.broker_id {
            return Ok(id.clone());
        }
        let own = workload.spiffe_id().ok_or_else(|| CliError::local("our own SVID was withdrawn"))?;
        broker_id(&own.trust_domain())
    }

    /// A channel to the broker as this workload.
    ///
    /// # Errors
    /// When the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self, workload: &Workload) -> Result<Channel, CliError> {
        Ok(self.dialer(workload)?.channel().await?)
    }

    /// Opens connections to the broker as this workload.
    ///
    /// # Errors
    /// When nothing was said of whom we expect there, or we have no SVID to present.
    pub(in crate::cli) fn dialer(&self, workload: &Workload) -> Result<Dialer, CliError> {
        let expected = ServerIdentity::Exact(self.identity(workload)?);
        Ok(Dialer::new(&self.broker, workload, expected)?)
    }
}

/// The SPIFFE ID of the broker of a trust domain, by convention.
///
/// # Errors
/// Never for a trust domain that exists; the type says so because every SPIFFE ID is parsed.
pub(in crate::cli) fn broker_id(trust_domain: &TrustDomain) -> Result<SpiffeId, CliError> {
    let text = format!("spiffe://{trust_domain}{BROKER_PATH}");
    text.parse().map_err(|error| CliError::because(format!("`{text}` names no broker"), error))
}

/// As a workload.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct WorkloadDoor {
    #[command(flatten)]
    pub(in crate::cli) target: Target,
    /// The SPIFFE Workload API that says who we are: a path, or `unix:` or `tcp:` and an address.
    #[arg(long, env = "SPIFFE_ENDPOINT_SOCKET", value_name = "SOCKET", help_heading = "Broker")]
    pub(in crate::cli) socket: Option<String>,
    #[command(flatten)]
    bearer: BearerDoor,
}

impl WorkloadDoor {
    /// Who we are.
    ///
    /// # Errors
    /// When no socket is named, or no SVID comes from it.
    pub(in crate::cli) async fn workload(&self) -> Result<Workload, CliError> {
        let Some(socket) = &self.socket else {
            return Err(CliError::local("who are we? name the Workload API by `--socket` or `SPIFFE_ENDPOINT_SOCKET`"));
        };
        workload(socket).await
    }

    /// A channel to the broker.
    ///
    /// # Errors
    /// When there is no identity to show, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel(&self) -> Result<Way, CliError> {
        self.channel_and_presented().await.map(|(way, _presented)| way)
    }

    /// A channel to the broker, and the certificate that is shown on it: none where a token is.
    ///
    /// # Errors
    /// When there is no identity to show, or the broker cannot be reached or is not who it should be.
    pub(in crate::cli) async fn channel_and_presented(&self) -> Result<(Way, Presented), CliError> {
        let workload = self.workload().await?;
        if let Some(way) = self.bearer.channel(&workload).await? {
            return Ok((way, Presented::default()));
        }
        let dialer = self.target.dialer(&workload)?;
        Ok((showing_nothing(dialer.channel().await?), dialer.presented().clone()))
    }
}

/// The identity behind a Workload API.
///
/// # Errors
/// When no SVID comes from it.
pub(in crate::cli) async fn workload(socket: &str) -> Result<Workload, CliError> {
    let endpoint = if socket.starts_with("unix:") || socket.starts_with("tcp:") {
        socket.to_owned()
    } else {
        let absolute = std::path::absolute(socket).map_err(|e| CliError::because(format!("`{socket}`"), e))?;
        format!("unix://{}", absolute.display())
    };
    Ok(Workload::from_endpoint(&endpoint, FIRST_SVID_WITHIN).await?)
}

/// As the operator.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct OperatorDoor {
    /// The operator's socket [default: `operator.sock` in the data folder].
    #[arg(long, env = "CARNET_OPERATOR_SOCKET", value_name = "PATH", help_heading = "Broker")]
    operator_socket: Option<PathBuf>,
    /// The broker's data folder.
    #[arg(long, env = "CARNET_DATA_DIR", value_name = "DIR", default_value = DATA_DIR_DEFAULT, help_heading = "Broker")]
    data_dir: PathBuf,
}

impl OperatorDoor {
    /// A channel to the broker.
    ///
    /// # Errors
    /// When nobody listens there, or we may not enter.
    pub(in crate::cli) async fn channel(&self) -> Result<Channel, CliError> {
        let socket = self.operator_socket.clone().unwrap_or_else(|| self.data_dir.join(OPERATOR_SOCKET));
        Ok(connect_unix(&socket).await?)
    }
}

/// As the operator, unless `--socket` says that it is to be as a workload, or `--people` as a person: for reading the record,
/// policy and revocation.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct OperatorFirst {
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    person: PersonDoor,
    #[command(flatten)]
    operator: OperatorDoor,
    #[command(flatten)]
    target: Target,
    /// Ask as the workload of this SPIFFE Workload API instead.
    #[arg(long, value_name = "SOCKET", help_heading = "Broker")]
    socket: Option<String>,
}

impl OperatorFirst {
    /// A channel to the broker.
    ///
    /// # Errors
    /// As those of the doors.
    pub(in crate::cli) async fn channel(&self) -> Result<Way, CliError> {
        match (self.said, &self.socket) {
            (Said::Person, _) => self.person.channel().await,
            (Said::Workload, Some(socket)) => self.target.channel(&workload(socket).await?).await.map(showing_nothing),
            _ => self.operator.channel().await.map(showing_nothing),
        }
    }
}

/// As a workload, unless there is no Workload API, the operator's socket or the people's door is named: for looking at tasks and grants.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct WorkloadFirst {
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    person: PersonDoor,
    #[command(flatten)]
    operator: OperatorDoor,
    #[command(flatten)]
    workload: WorkloadDoor,
}

impl WorkloadFirst {
    /// A channel to the broker.
    ///
    /// # Errors
    /// As those of the doors.
    pub(in crate::cli) async fn channel(&self) -> Result<Way, CliError> {
        match self.said {
            Said::Person => self.person.channel().await,
            Said::Workload => self.workload.channel().await,
            Said::Operator | Said::Nothing => self.operator.channel().await.map(showing_nothing),
        }
    }
}
