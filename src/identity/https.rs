//! Server TLS for doors that ask for no certificate: with the own SVID, or with an ordinary certificate from files that may be
//! replaced while the broker runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use zeroize::Zeroizing;

use super::crowd::Seat;
use super::error::IdentityError;
use super::listen::{Accepted, Incoming, ListenLimits, spawn};
use super::trust::{Trust, server_tls};
use super::view::provider;
use crate::model::spiffe_id::SpiffeId;

/// Bits that the file of a private key may not have: others may do nothing, a group may read it at most (as `ssl-cert` does).
const KEY_MODE_REFUSED: u32 = 0o037;
/// How often the files of a certificate are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(30);

/// What a door presents.
#[derive(Debug, Clone)]
pub enum ServerCertificate {
    /// The own SVID: for clients that know the trust bundle.
    Svid(Trust),
    /// A certificate and its key, in PEM.
    Files(Arc<CertificateFiles>),
}

impl ServerCertificate {
    /// TLS 1.3 that presents this and asks for nothing. `protocols` are those offered by ALPN, e.g. `h2`, `http/1.1`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn tls(&self, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, IdentityError> {
        let config = match self {
            Self::Svid(trust) => trust.server_tls(protocols)?,
            Self::Files(files) => server_tls(Arc::clone(files) as Arc<dyn ResolvesServerCert>, protocols)?,
        };
        Ok(Arc::new(config))
    }
}

/// A certificate chain and its key from two PEM files.
pub struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    certified: Arc<CertifiedKey>,
    /// Both files as they were read, to tell whether they changed. The key's bytes are wiped when they are replaced.
    from: (Vec<u8>, Zeroizing<Vec<u8>>),
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// When one cannot be read, holds no PEM, or the key is not that of the certificate.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, IdentityError> {
        let loaded = RwLock::new(read(chain, key)?);
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), loaded }))
    }

    /// Reads both files again and takes them when they changed and fit together; otherwise what was read before stays.
    ///
    /// # Errors
    /// As [`CertificateFiles::load`]; it may be that only one of the files was replaced yet.
    pub fn reload(&self) -> Result<bool, IdentityError> {
        let fresh = read(&self.chain, &self.key)?;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let changed = loaded.from != fresh.from;
        if changed {
            *loaded = fresh;
        }
        Ok(changed)
    }

    /// Reloads every [`RELOAD_EVERY`], until it is dropped.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            match self.reload() {
                Ok(true) => {
                    tracing::info!(certificate = %self.chain.display(), "a new certificate is presented from now on")
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the certificate stays as it was"),
            }
        }
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFiles").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn read(chain: &Path, key: &Path) -> Result<Loaded, IdentityError> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| IdentityError::File { path: path.to_owned(), source: Arc::new(error) })
    };
    let mode = std::fs::metadata(key).map(|m| m.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & KEY_MODE_REFUSED != 0
    {
        return Err(IdentityError::KeyTooOpen { path: key.to_owned(), mode });
    }
    let pem = |path: &Path, what| IdentityError::Pem { path: path.to_owned(), what };
    let from = (file(chain)?, Zeroizing::new(file(key)?));
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&from.0).collect::<Result<_, _>>().map_err(|_| pem(chain, "certificate"))?;
    if certificates.is_empty() {
        return Err(pem(chain, "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&from.1).map_err(|_| pem(key, "private key"))?;
    let certified = CertifiedKey::from_der(certificates, private, &provider()).map_err(IdentityError::Rustls)?;
    Ok(Loaded { certified: Arc::new(certified), from })
}

/// A connection over server TLS: nobody is identified by it.
#[derive(Debug)]
pub struct ServerConnection {
    tls: TlsStream<TcpStream>,
    address: SocketAddr,
    seat: Option<Seat>,
}

/// Where a connection over server TLS came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress(pub SocketAddr);

impl ServerConnection {
    /// Where it came from.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Accepts connections over server TLS, within the same limits as workloads'. Must be called within a Tokio runtime.
pub fn listen_tls(listener: TcpListener, tls: Arc<ServerConfig>, limits: ListenLimits) -> Incoming<ServerConnection> {
    let acceptor = TlsAcceptor::from(tls);
    let full = |address| tracing::debug!(%address, "a connection was refused: there are too many");
    spawn(listener, limits, full, move |tcp, address| {
        let acceptor = acceptor.clone();
        async move {
            match tokio::time::timeout(limits.handshake_within, acceptor.accept(tcp)).await {
                Ok(Ok(tls)) => Some(ServerConnection { tls, address, seat: None }),
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "a TLS handshake failed");
                    None
                }
                Err(_elapsed) => {
                    tracing::debug!(%address, "a TLS handshake took too long");
                    None
                }
            }
        }
    })
}

impl Accepted for ServerConnection {
    fn identity(&self) -> Option<&SpiffeId> {
        None
    }

    fn occupy(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }
}

impl Connected for ServerConnection {
    type ConnectInfo = RemoteAddress;

    fn connect_info(&self) -> Self::ConnectInfo {
        RemoteAddress(self.address)
    }
}

impl AsyncRead for ServerConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for ServerConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
