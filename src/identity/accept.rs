//! One connection: from bytes to a verified peer, or to a refusal that says who knocked and why nobody opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::Acceptor;
use rustls::{CertificateError, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::PeerConnection;
use super::error::{HandshakeError, IdentityError, SvidError};
use super::peer::VerifiedPeer;
use super::svid::ShownIdentity;
use super::trust::Trust;
use super::verifier::RefusedCertificate;
use super::view::chain_end;
use crate::model::reason::ReasonCode;

/// A connection that was refused before its first request.
#[derive(Debug)]
pub struct Refusal {
    /// Where it came from.
    pub address: Option<SocketAddr>,
    /// The SPIFFE ID that its certificate showed. It proves nothing: anybody can write a certificate.
    pub shown: Option<ShownIdentity>,
    /// Why it was refused.
    pub error: HandshakeError,
}

impl Refusal {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        self.error.reason()
    }
}

/// What is told of every refused connection. It is called where connections are accepted, so it must not block.
pub type RefusalHook = Arc<dyn Fn(Refusal) + Send + Sync>;

/// Accepts connections of workloads: TLS 1.3 with an X.509-SVID on both sides, nothing resumed, the protocol agreed upon.
#[derive(Clone)]
pub struct PeerAcceptor {
    config: Arc<ServerConfig>,
    protocol: Option<&'static [u8]>,
    trust: Trust,
    refused: RefusalHook,
}

impl PeerAcceptor {
    /// An acceptor of HTTP/2 under this trust.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(trust: &Trust, refused: RefusalHook) -> Result<Self, IdentityError> {
        Self::for_protocol(trust, refused, Some(b"h2"))
    }

    /// The same for another protocol (ALPN), or for none to be agreed upon.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn for_protocol(
        trust: &Trust,
        refused: RefusalHook,
        protocol: Option<&'static [u8]>,
    ) -> Result<Self, IdentityError> {
        let config = Arc::new(trust.mutual_tls(protocol.as_slice())?);
        Ok(Self { config, protocol, trust: trust.clone(), refused })
    }

    /// Shakes hands; tells the hook when it comes to nothing. The caller sets the time limit.
    pub async fn accept<IO>(&self, io: IO, address: Option<SocketAddr>) -> Option<PeerConnection<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        match self.handshake(io, address).await {
            Ok(connection) => Some(connection),
            Err((error, shown)) => {
                self.refuse(Refusal { address, shown, error });
                None
            }
        }
    }

    pub(in crate::identity) fn refuse(&self, refusal: Refusal) {
        tracing::debug!(
            address = ?refusal.address, shown = ?refusal.shown, reason = %refusal.reason(), error = %refusal.error,
            "a connection was refused"
        );
        (self.refused)(refusal);
    }

    async fn handshake<IO>(
        &self,
        io: IO,
        address: Option<SocketAddr>,
    ) -> Result<PeerConnection<IO>, (HandshakeError, Option<ShownIdentity>)>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let plain = |error| (error, None);
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await.map_err(refusal_of)?;
        self.trust.presentable().await.map_err(|unready| plain(HandshakeError::Unready(unready)))?;
        // Read before the chain is verified: should trust change meanwhile, the first request verifies it again.
        let revision = self.trust.revision();
        let tls = hello.into_stream(Arc::clone(&self.config)).await.map_err(refusal_of)?;
        if tls.get_ref().1.alpn_protocol() != self.protocol {
            return Err(plain(HandshakeError::Protocol));
        }
        let peer = self.peer_of(&tls, address, revision).map_err(plain)?;
        Ok(PeerConnection::new(tls, Arc::new(peer), self.trust.clone()))
    }

    /// The peer of a finished handshake: rustls has verified chain and possession through our verifier.
    fn peer_of<IO>(
        &self,
        tls: &TlsStream<IO>,
        address: Option<SocketAddr>,
        revision: u64,
    ) -> Result<VerifiedPeer, HandshakeError> {
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let Some((leaf, intermediates)) = chain.split_first() else { return Err(HandshakeError::NoCertificate) };
        let read = super::svid::read_leaf(leaf).map_err(HandshakeError::Svid)?;
        let now = self.trust.clock().now();
        let expires_at = chain_end(&read, intermediates, now);
        if now >= expires_at {
            return Err(HandshakeError::Svid(SvidError::Expired));
        }
        let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
        Ok(VerifiedPeer::assertion(read, chain, expires_at, address, revision))
    }
}

impl fmt::Debug for PeerAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerAcceptor").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// What a failed handshake says, and whom the peer claimed to be.
pub(in crate::identity) fn refusal_of(error: io::Error) -> (HandshakeError, Option<ShownIdentity>) {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned() else {
        return (HandshakeError::Io(error), None);
    };
    match &tls {
        rustls::Error::NoCertificatesPresented => (HandshakeError::NoCertificate, None),
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<RefusedCertificate>() {
                Some(refused) => (HandshakeError::Svid(refused.error.clone()), refused.shown.clone()),
                None => (HandshakeError::Tls(tls), None),
            }
        }
        _ => (HandshakeError::Tls(tls), None),
    }
}
