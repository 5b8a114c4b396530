//! A stream of bytes that ends itself when told to, and the reins by which whoever serves it is told to wind it down.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Why a connection ended itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The SVID that it was opened with is over.
    #[error("the SVID that the connection was opened with has expired")]
    Expired,
    /// Trust in it was withdrawn.
    #[error("the peer is no longer trusted")]
    Withdrawn,
    /// Whoever served it does so no longer.
    #[error("the connection is no longer served")]
    Cut,
    /// Its peer has shown nothing that holds.
    #[error("the peer has proven nothing")]
    Unproven,
    /// It was wound down long ago.
    #[error("the connection is too old")]
    Overstayed,
}

/// What whoever serves a connection has in its hands. To be had of every connection that is served by itself.
#[derive(Debug)]
pub struct Reins {
    retirement: Option<oneshot::Receiver<Infallible>>,
    tether: Option<Tether>,
}

/// The connection ends itself when this is dropped.
#[derive(Debug)]
pub(in crate::identity) struct Tether {
    _held: oneshot::Sender<Infallible>,
}

/// The other end of the reins, for whoever watches over the connection.
pub(in crate::identity) struct Watched {
    /// To be dropped when the connection should be wound down.
    pub(in crate::identity) retire: oneshot::Sender<Infallible>,
    /// Resolves when the tether is dropped.
    pub(in crate::identity) cut: oneshot::Receiver<Infallible>,
}

impl Reins {
    pub(in crate::identity) fn new() -> (Self, Watched) {
        let (retire, retirement) = oneshot::channel();
        let (held, cut) = oneshot::channel();
        let reins = Self { retirement: Some(retirement), tether: Some(Tether { _held: held }) };
        (reins, Watched { retire, cut })
    }

    /// Returns when the connection should be wound down, also when it has gone. To be taken once; a second one returns at once.
    pub(in crate::identity) fn retirement(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let retirement = self.retirement.take();
        async move {
            if let Some(retirement) = retirement {
                let _dropped_is_retired = retirement.await;
            }
        }
    }

    /// Ties the connection to what is given back. To be taken once.
    pub(in crate::identity) const fn tether(&mut self) -> Option<Tether> {
        self.tether.take()
    }
}

/// A stream, and whoever may end it.
pub(in crate::identity) struct Guarded<T> {
    pub(in crate::identity) io: T,
    end: oneshot::Receiver<Ended>,
    ended: Option<Ended>,
}

impl<T> Guarded<T> {
    /// The sender ends the stream when it sends, and also when it is dropped: a guard that is gone guards nothing.
    pub(in crate::identity) fn new(io: T) -> (Self, oneshot::Sender<Ended>) {
        let (tell, end) = oneshot::channel();
        (Self { io, end, ended: None }, tell)
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.is_none()
            && let Poll::Ready(why) = Pin::new(&mut self.end).poll(cx)
        {
            self.ended = Some(why.unwrap_or(Ended::Withdrawn));
        }
        self.ended.map_or(Ok(()), |why| Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Passes reading and writing on to a field that is [`Guarded`].
macro_rules! pass_through {
    ([$($generics:tt)*] $name:ty, $field:ident) => {
        impl<$($generics)*> tokio::io::AsyncRead for $name {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$field).poll_read(cx, buf)
            }
        }

        impl<$($generics)*> tokio::io::AsyncWrite for $name {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.$field).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.$field).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$field).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$field).poll_shutdown(cx)
            }
        }
    };
}
pub(in crate::identity) use pass_through;
