//! A stream that is tied to whoever serves it, where nothing else ends it: a connection of the operator's socket.

use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::server::Connected;

use super::guarded::{Ended, Guarded, Reins, Watched, pass_through};
use super::serve::Served;

/// A stream with reins.
pub struct Tied<IO> {
    io: Guarded<IO>,
    reins: Reins,
}

impl<IO> Tied<IO> {
    /// Must be called within a Tokio runtime.
    #[must_use]
    pub fn new(io: IO) -> Self {
        let (io, mut end) = Guarded::new(io);
        let (reins, Watched { retire, cut }) = Reins::new();
        tokio::spawn(async move {
            let _told_when_it_has_gone = retire;
            tokio::select! {
                () = end.closed() => {}
                _ = cut => {
                    let _gone = end.send(Ended::Cut);
                }
            }
        });
        Self { io, reins }
    }
}

impl<IO> Served for Tied<IO> {
    fn reins(&mut self) -> &mut Reins {
        &mut self.reins
    }
}

impl<IO: Connected> Connected for Tied<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.io.connect_info()
    }
}

pass_through!([IO: AsyncRead + AsyncWrite + Unpin] Tied<IO>, io);
