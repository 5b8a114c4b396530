//! A connection whose peer is verified: bytes for gRPC, and [`VerifiedPeer`] for its requests. It ends itself when the SVID
//! that opened it does, and soon after trust in it was withdrawn.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::peer::VerifiedPeer;
use super::trust::Trust;
use crate::clock::LOOK_AGAIN;

/// How long a connection outlives the withdrawal of trust in it: its requests are refused meanwhile and are told why, and its
/// streams end with it.
pub const WITHDRAWN_AFTER: Duration = Duration::from_secs(2);

/// A connection over mutual TLS.
pub struct PeerConnection<IO = TcpStream> {
    tls: TlsStream<IO>,
    peer: Arc<VerifiedPeer>,
    end: oneshot::Receiver<Ended>,
    ended: Option<Ended>,
    slot: Option<OwnedSemaphorePermit>,
}

/// Why a connection ended itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The SVID that opened it is over.
    #[error("the SVID that opened the connection has expired")]
    Expired,
    /// Trust in it was withdrawn.
    #[error("the peer is no longer trusted")]
    Withdrawn,
}

impl<IO> PeerConnection<IO> {
    /// Must be called within a Tokio runtime.
    pub(in crate::identity) fn new(tls: TlsStream<IO>, peer: Arc<VerifiedPeer>, trust: Trust) -> Self {
        let (tell, end) = oneshot::channel();
        tokio::spawn(watch(trust, Arc::clone(&peer), tell));
        Self { tls, peer, end, ended: None, slot: None }
    }

    /// Keeps a place among the connections occupied for as long as this one lives.
    pub(in crate::identity) fn occupy(&mut self, slot: OwnedSemaphorePermit) {
        self.slot = Some(slot);
    }

    /// Who is on the other side.
    #[must_use]
    pub const fn peer(&self) -> &Arc<VerifiedPeer> {
        &self.peer
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.is_none()
            && let Poll::Ready(why) = Pin::new(&mut self.end).poll(cx)
        {
            // A watch that is gone watches nothing: the connection goes with it.
            self.ended = Some(why.unwrap_or(Ended::Withdrawn));
        }
        self.ended.map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)))
    }
}

/// Waits for the end of an identity, or of the connection.
async fn watch(trust: Trust, peer: Arc<VerifiedPeer>, mut tell: oneshot::Sender<Ended>) {
    let why = tokio::select! {
        () = tell.closed() => return,
        () = trust.clock().reach(peer.expires_at()) => Ended::Expired,
        () = withdrawn(&trust, &peer) => Ended::Withdrawn,
    };
    tracing::debug!(peer = %peer.spiffe_id(), %why, "the connection is closed");
    let _connection_gone = tell.send(why);
}

/// Returns when trust in the peer is gone and has not come back for a moment. Besides changes, time ends trust too (our own
/// SVID expires), so that it looks again now and then.
async fn withdrawn(trust: &Trust, peer: &Arc<VerifiedPeer>) {
    let holds = || trust.recheck(peer, trust.clock().now()).is_ok();
    let mut changes = trust.changes();
    let mut open = true;
    loop {
        if !holds() {
            tokio::time::sleep(WITHDRAWN_AFTER).await;
            if !holds() {
                return;
            }
        }
        if open {
            open = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await.unwrap_or(true);
        } else {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl<IO> Connected for PeerConnection<IO> {
    type ConnectInfo = Arc<VerifiedPeer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.peer)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for PeerConnection<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PeerConnection<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
