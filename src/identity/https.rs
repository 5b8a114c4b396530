//! Server TLS for doors that ask for no certificate: with the own SVID, or with an ordinary certificate from files. Who comes
//! through one of them that asks for a token has shown nothing yet, and must do so before long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ResolvesServerCert};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::accept::{Refusal, RefusalHook, refusal_of};
use super::certificate_files::CertificateFiles;
use super::crowd::{Ending, Seat, UnderWay, host};
use super::error::{HandshakeError, IdentityError};
use super::gathered::Gathered;
use super::guarded::{Ended, Guarded, Reins, Watched, pass_through};
use super::listen::{Accepted, Incoming, ListenLimits, spawn};
use super::serve::Served;
use super::trust::{Trust, server_tls};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// How long a connection lives on, once it was wound down, while an answer of many messages is on its way: as long as an export may
/// take to somebody with a slow line.
const LINGERS_LASTING: Duration = Duration::from_secs(3600);
/// How long it does where nothing was proven: long enough for the refusal to be read.
const LINGERS_UNPROVEN: Duration = Duration::from_secs(2);

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
    pub fn tls(&self, protocols: &[&[u8]]) -> Result<ServerTls, IdentityError> {
        let config = match self {
            Self::Svid(trust) => trust.server_tls(protocols)?,
            Self::Files(files) => server_tls(Arc::clone(files) as Arc<dyn ResolvesServerCert>, protocols)?,
        };
        let awaited = match self {
            Self::Svid(trust) => Some(trust.clone()),
            Self::Files(_) => None,
        };
        Ok(ServerTls { config: Arc::new(config), awaited })
    }

    /// The end of what is presented; `None` while there is nothing to present.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        match self {
            Self::Svid(trust) => trust.own_not_after(),
            Self::Files(files) => Some(files.not_after()),
        }
    }
}

/// Server TLS, set up.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// Whose SVID is presented: between two of them there is none for a moment, and handshakes wait.
    awaited: Option<Trust>,
}

impl ServerTls {
    async fn accept(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await.map_err(|error| refusal_of(error).0)?;
        if let Some(trust) = &self.awaited {
            trust.presentable().await.map_err(HandshakeError::Unready)?;
        }
        hello.into_stream(Arc::clone(&self.config)).await.map_err(|error| refusal_of(error).0)
    }
}

/// What is borne of connections through which something has to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// How long a connection may take until something was shown by it that holds.
    pub proof_within: Duration,
    /// Most connections that have shown nothing yet; above it the oldest is given up.
    pub unproven_max: usize,
    /// The same of one host: fewer than it may have connections, so that places are left for those behind the same address.
    pub unproven_per_host_max: usize,
    /// How many refusals in a row wind a connection down.
    pub refusals_max: u32,
    /// How long a connection lives on, once it was wound down: longer than any request takes, should its client ask for no other.
    pub lingers: Duration,
    /// How old a connection is when it is wound down.
    pub age_max: Duration,
}

/// A connection over server TLS: nobody is identified by it.
pub struct TlsConnection {
    tls: Guarded<Gathered<TlsStream<TcpStream>>>,
    remote: Remote,
    reins: Reins,
    seat: Option<Seat>,
}

/// Where a connection over server TLS came from, and what came of what was shown by it.
#[derive(Debug, Clone)]
pub struct Remote {
    address: SocketAddr,
    standing: Arc<watch::Sender<Standing>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    proven: bool,
    refused_in_a_row: u32,
    lasting: u32,
}

/// An answer of many messages that is on its way until this is dropped.
#[derive(Debug)]
pub struct Lasting(Arc<watch::Sender<Standing>>);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.send_modify(|standing| standing.lasting = standing.lasting.saturating_sub(1));
    }
}

impl Remote {
    /// Where it came from.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was shown holds.
    pub fn proved(&self) {
        self.standing.send_if_modified(|standing| {
            let news = !standing.proven || standing.refused_in_a_row > 0;
            (standing.proven, standing.refused_in_a_row) = (true, 0);
            news
        });
    }

    /// An answer of many messages begins, for which the connection is kept when it is wound down.
    #[must_use]
    pub fn lasting(&self) -> Lasting {
        self.standing.send_modify(|standing| standing.lasting = standing.lasting.saturating_add(1));
        Lasting(Arc::clone(&self.standing))
    }

    /// What was shown does not hold, or nothing was shown.
    pub fn refused(&self) {
        self.standing.send_modify(|standing| standing.refused_in_a_row = standing.refused_in_a_row.saturating_add(1));
    }
}

impl TlsConnection {
    fn new(tls: TlsStream<TcpStream>, address: SocketAddr, stay: Option<Stay>, unproven: &UnderWay, n: u64) -> Self {
        let (tls, end) = Guarded::new(Gathered::new(tls));
        let (reins, watched) = Reins::new();
        let (tell, standing) = watch::channel(Standing::default());
        match stay {
            None => drop(tokio::spawn(watch(None, standing, watched, end))),
            Some(stay) => unproven.begin(n, address, || {
                let entered = unproven.clone();
                // What is given up is aborted, and a connection that nobody watches over ends itself.
                tokio::spawn(async move { watch(Some((stay, entered.ending(n))), standing, watched, end).await })
                    .abort_handle()
            }),
        }
        Self { tls, remote: Remote { address, standing: Arc::new(tell) }, reins, seat: None }
    }

    /// Where it came from.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.remote.address
    }
}

/// Sees to retirement and end; gone with the connection.
async fn watch(
    stay: Option<(Stay, Ending)>,
    mut standing: watch::Receiver<Standing>,
    Watched { retire, cut }: Watched,
    mut end: oneshot::Sender<Ended>,
) {
    let worn_out = async {
        let Some((stay, unproven)) = stay else { return std::future::pending().await };
        let proven = came_to(&mut standing, |s| s.proven || s.refused_in_a_row >= stay.refusals_max);
        let proven = tokio::time::timeout(stay.proof_within, proven).await.is_ok_and(|s| s.proven);
        drop(unproven);
        if proven {
            let aged = tokio::time::sleep(stay.age_max);
            tokio::select! {
                () = aged => {}
                _ = came_to(&mut standing, |s| s.refused_in_a_row >= stay.refusals_max) => {}
            }
        }
        drop(retire);
        if !proven {
            // A request that came at the last moment is looked at all the same.
            let late = came_to(&mut standing, |s| s.proven);
            if tokio::time::timeout(LINGERS_UNPROVEN, late).await.is_err() {
                return Ended::Unproven;
            }
        }
        let over = came_to(&mut standing, |s| s.lasting == 0);
        let _over_or_too_long = tokio::time::timeout(LINGERS_LASTING, over).await;
        tokio::time::sleep(stay.lingers).await;
        Ended::Overstayed
    };
    let why = tokio::select! {
        () = end.closed() => return,
        _ = cut => Ended::Cut,
        why = worn_out => why,
    };
    tracing::debug!(%why, "the connection is closed");
    let _connection_gone = end.send(why);
}

/// Waits until the standing is so. A connection that has gone never comes to that.
async fn came_to(standing: &mut watch::Receiver<Standing>, what: impl Fn(&Standing) -> bool) -> Standing {
    match standing.wait_for(|standing| what(standing)).await.map(|standing| *standing) {
        Ok(standing) => standing,
        Err(_gone) => std::future::pending().await,
    }
}

/// Accepts connections over server TLS, within the same limits as workloads'. What has to be shown by them is said by `stay`;
/// with `None` nothing has. Must be called within a Tokio runtime.
pub fn listen_tls(
    listener: TcpListener,
    tls: ServerTls,
    limits: ListenLimits,
    stay: Option<Stay>,
    refused: RefusalHook,
) -> Incoming<TlsConnection> {
    let (unproven, begun) = (UnderWay::default(), Arc::new(AtomicU64::new(0)));
    let refuse = move |address, error: HandshakeError| {
        tracing::debug!(%address, %error, "a connection was refused");
        refused(Refusal { address: Some(address), shown: None, error });
    };
    let (full, crowd) = (refuse.clone(), unproven.clone());
    spawn(
        listener,
        limits,
        move |address| full(address, HandshakeError::TooManyConnections),
        move |of| crowd.make_room(of, 1),
        move |tcp, address| {
            let (tls, unproven, begun, refuse) = (tls.clone(), unproven.clone(), Arc::clone(&begun), refuse.clone());
            async move {
                let shaken = tokio::time::timeout(limits.handshake_within, tls.accept(tcp)).await;
                let tls = match shaken.unwrap_or(Err(HandshakeError::TimedOut)) {
                    Ok(tls) => tls,
                    Err(error) => {
                        refuse(address, error);
                        return None;
                    }
                };
                if let Some(stay) = stay {
                    // Somebody who says nothing must not take the places of those who come the same way.
                    let given_up = unproven
                        .make_room(Some(host(address)), stay.unproven_per_host_max)
                        .or_else(|| unproven.make_room(None, stay.unproven_max));
                    if let Some(given_up) = given_up {
                        refuse(given_up, HandshakeError::TooManyConnections);
                    }
                }
                let n = begun.fetch_add(1, Ordering::Relaxed);
                Some(TlsConnection::new(tls, address, stay, &unproven, n))
            }
        },
    )
}

impl Accepted for TlsConnection {
    fn identity(&self) -> Option<&SpiffeId> {
        None
    }

    fn occupy(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }
}

impl Served for TlsConnection {
    fn reins(&mut self) -> &mut Reins {
        &mut self.reins
    }
}

impl Connected for TlsConnection {
    type ConnectInfo = Remote;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.remote.clone()
    }
}

pass_through!([] TlsConnection, tls);
