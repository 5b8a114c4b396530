//! The other end: gRPC channels that present our SVID and expect a certain server, and one over the operator's socket.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig, version};
use rustls_pki_types::ServerName;
use spiffe_rustls::{TerminalSourcePolicy, TlsStatus};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::error::{IdentityError, SvidError};
use super::gathered::Gathered;
use super::guarded::{Ended, Guarded, pass_through};
use super::presented::Presented;
use super::svid::read_leaf;
use super::trust::AcceptedDomains;
use super::verifier::{RefusedCertificate, ServerVerifier};
use super::view::{LiveView, provider};
use super::workload::Workload;
use crate::clock::Clock;
use crate::model::identity::Thumbprint;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};

/// How long connecting may take, handshake included.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it is still there.
pub const PING_EVERY: Duration = Duration::from_secs(30);
/// How long the answer may take.
pub const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Who a server must be. Its DNS name or address proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerIdentity {
    /// This very workload.
    Exact(SpiffeId),
    /// Any workload of this trust domain.
    MemberOf(TrustDomain),
    /// Any workload of the own trust domain, or of one that is federated: it says who it is, and nothing is decided on it.
    DangerAnybody,
}

impl ServerIdentity {
    fn accepted(&self) -> AcceptedDomains {
        match self {
            Self::Exact(id) => AcceptedDomains::Listed(BTreeSet::from([id.trust_domain()])),
            Self::MemberOf(name) => AcceptedDomains::Listed(BTreeSet::from([name.clone()])),
            Self::DangerAnybody => AcceptedDomains::DangerWhoeverIsFederated,
        }
    }

    pub(in crate::identity) fn is(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Exact(expected) => id == expected,
            Self::MemberOf(name) => id.trust_domain_name() == name.as_str(),
            Self::DangerAnybody => true,
        }
    }
}

/// Opens TLS connections to one server as one workload. Clones share what they know.
#[derive(Clone)]
pub struct Dialer {
    target: Arc<str>,
    name: ServerName<'static>,
    tls: TlsConnector,
    status: TlsStatus,
    presented: Presented,
    view: Arc<LiveView>,
    clock: Clock,
}

/// A connection to a server that proved its SVID. It ends itself when that SVID does.
pub struct ServerConnection {
    tls: Guarded<Gathered<TlsStream<TcpStream>>>,
    spiffe_id: SpiffeId,
    thumbprint: Thumbprint,
}

impl ServerConnection {
    fn new(tls: TlsStream<TcpStream>, clock: Clock) -> Result<Self, SvidError> {
        let leaf = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or(SvidError::Malformed)?;
        let (read, thumbprint) = (read_leaf(leaf)?, Thumbprint::of(leaf));
        let (tls, mut end) = Guarded::new(Gathered::new(tls));
        tokio::spawn(async move {
            tokio::select! {
                () = end.closed() => {}
                () = clock.reach(read.not_after) => {
                    let _connection_gone = end.send(Ended::Expired);
                }
            }
        });
        Ok(Self { tls, spiffe_id: read.spiffe_id, thumbprint })
    }

    /// Who the server is.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The thumbprint of its certificate.
    #[must_use]
    pub const fn certificate_thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }
}

pass_through!([] ServerConnection, tls);

impl Dialer {
    /// Prepares connections to `target` (`host:port`, or `https://host:port`). Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the target is malformed, or there is no SVID to present.
    pub fn new(target: &str, workload: &Workload, expected: ServerIdentity) -> Result<Self, IdentityError> {
        Self::for_protocols(target, workload, expected, &[b"h2"])
    }

    /// The same, with another protocol than HTTP/2 to be agreed upon (ALPN).
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub fn for_protocol(
        target: &str,
        workload: &Workload,
        expected: ServerIdentity,
        protocol: &[u8],
    ) -> Result<Self, IdentityError> {
        Self::for_protocols(target, workload, expected, &[protocol])
    }

    /// The same, with one of several protocols to be agreed upon, or none.
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub fn for_protocols(
        target: &str,
        workload: &Workload,
        expected: ServerIdentity,
        protocols: &[&[u8]],
    ) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Target(target.to_owned());
        let address = target.strip_prefix("https://").unwrap_or(target).trim_end_matches('/');
        let uri: Uri = format!("http://{address}").parse().map_err(|_| malformed())?;
        let (Some(host), Some(_)) = (uri.host(), uri.port_u16()) else { return Err(malformed()) };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| malformed())?;
        let _installed = provider();
        // Of this configuration only the resolver of the own certificate is used: the verifier is ours, see `verifier`.
        let (presents, status) = spiffe_rustls::mtls_client(workload.source().clone())
            .authorize(|_: &spiffe::SpiffeId| false)
            .trust_domain_policy(spiffe_rustls::AllowList(BTreeSet::new()))
            .terminal_source_policy(TerminalSourcePolicy::FailClosed)
            .build_with_status()
            .map_err(|error| IdentityError::Tls(Box::new(error)))?;
        let presented = Presented::default();
        let clock = Clock::system();
        let view = Arc::new(LiveView::over(workload, expected.accepted(), clock.clone()));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(IdentityError::Rustls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Arc::clone(&view), expected)))
            .with_client_cert_resolver(presented.noting(Arc::clone(&presents.client_auth_cert_resolver)));
        // A resumed handshake would verify no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { target: address.into(), name, tls, status, presented, view, clock })
    }

    /// Where it connects to, as `host:port`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The certificate that was shown in the latest handshake.
    #[must_use]
    pub const fn presented(&self) -> &Presented {
        &self.presented
    }

    /// One connection. In TLS 1.3 the server's refusal of our certificate shows only when something is read.
    ///
    /// # Errors
    /// When the server cannot be reached, is not who it should be, or we have no SVID to present.
    pub async fn dial(&self) -> Result<ServerConnection, io::Error> {
        self.presentable().await.map_err(io::Error::other)?;
        let tcp = TcpStream::connect(&*self.target).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(self.name.clone(), tcp).await?;
        ServerConnection::new(tls, self.clock.clone()).map_err(io::Error::other)
    }

    /// A gRPC channel, once connected. It connects again by itself, each time with the present SVID.
    ///
    /// # Errors
    /// When the first connection fails.
    pub async fn channel(&self) -> Result<Channel, IdentityError> {
        let connect = self.endpoint()?.connect_with_connector(self.clone()).await;
        connect.map_err(|error| IdentityError::Connect { target: self.target.to_string(), source: Box::new(error) })
    }

    /// A gRPC channel that connects when it is first used.
    ///
    /// # Errors
    /// When the target is malformed.
    pub fn channel_lazy(&self) -> Result<Channel, IdentityError> {
        Ok(self.endpoint()?.connect_with_connector_lazy(self.clone()))
    }

    fn endpoint(&self) -> Result<Endpoint, IdentityError> {
        let malformed = |_| IdentityError::Target(self.target.to_string());
        let endpoint = Endpoint::from_shared(format!("http://{}", self.target)).map_err(malformed)?;
        let origin =
            format!("https://{}", self.target).parse().map_err(|_| IdentityError::Target(self.target.to_string()))?;
        Ok(settings(endpoint).origin(origin))
    }

    /// Waits out the moment between a rotation and its conversion, and one in which there is no SVID.
    async fn presentable(&self) -> Result<(), Arc<spiffe_rustls::Error>> {
        self.view.settled().await;
        let mut status = self.status.clone();
        loop {
            match status.current().error {
                None => return Ok(()),
                Some(error) if matches!(*error, spiffe_rustls::Error::PendingRevision { .. }) => {
                    if status.changed().await.is_err() {
                        return Err(error);
                    }
                }
                Some(error) => return Err(error),
            }
        }
    }
}

/// What a failed [`Dialer::dial`] says about the server's certificate; `None` when it was not what failed.
#[must_use]
pub fn refusal_of_server(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            let refused = other.0.downcast_ref::<RefusedCertificate>()?;
            Some(refused.error.to_string())
        }
        // The key of the certificate was not proven.
        invalid @ rustls::Error::InvalidCertificate(_) => Some(invalid.to_string()),
        _ => None,
    }
}

impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<ServerConnection>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial().await.map(TokioIo::new) })
    }
}

/// A gRPC channel to a server as a workload: [`Dialer::new`] and [`Dialer::channel`] in one.
///
/// # Errors
/// When the target is malformed, the server cannot be reached or is not who it should be.
pub async fn connect(target: &str, workload: &Workload, expected: ServerIdentity) -> Result<Channel, IdentityError> {
    Dialer::new(target, workload, expected)?.channel().await
}

/// A gRPC channel over a Unix socket, as that of the local operator: its permissions are the authentication.
///
/// # Errors
/// When nobody listens there, or the permissions do not allow it.
pub async fn connect_unix(path: &Path) -> Result<Channel, IdentityError> {
    let socket = path.to_owned();
    let service = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let connect = settings(Endpoint::from_static("http://localhost")).connect_with_connector(service).await;
    connect.map_err(|error| IdentityError::Connect { target: path.display().to_string(), source: Box::new(error) })
}

pub(in crate::identity) fn settings(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
}
