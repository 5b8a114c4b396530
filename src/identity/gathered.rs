//! A stream that gathers what is written until it is flushed, and puts flushing off by one turn of the scheduler: answers that
//! become ready together leave in one TLS record and one call of the system, instead of one each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that are gathered: what fits into one TLS record (RFC 8446 §5.1).
const GATHERED_BYTES_MAX: usize = 16 << 10;

/// Most bytes that a stream keeps room for while nothing waits: a usual answer fits.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// A stream, and what waits to be written to it.
pub(crate) struct Gathered<T> {
    pub(in crate::identity) io: T,
    waiting: Vec<u8>,
    /// How much of it was written.
    written: usize,
    /// The flush that is going on has given way to others once.
    gave_way: bool,
}

impl<T> Gathered<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { io, waiting: Vec::new(), written: 0, gave_way: false }
    }
}

impl<T: AsyncWrite + Unpin> Gathered<T> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.waiting.clear();
        // Of many connections most are idle, and one long answer should not make each of them large for good.
        self.waiting.shrink_to(KEPT_BYTES_MAX);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes room for so many bytes.
    fn make_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        if self.waiting.len() + bytes > GATHERED_BYTES_MAX { self.drain(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gathered<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gathered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.make_room(cx, buf.len()))?;
        if buf.len() > GATHERED_BYTES_MAX {
            return Pin::new(&mut self.io).poll_write(cx, buf);
        }
        self.waiting.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = bufs.iter().map(|buf| buf.len()).sum();
        ready!(self.make_room(cx, bytes))?;
        if bytes > GATHERED_BYTES_MAX {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            self.waiting.extend_from_slice(buf);
        }
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() && !self.gave_way {
            self.gave_way = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.drain(cx))?;
        self.gave_way = false;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
