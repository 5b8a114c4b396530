//! Serving each connection by itself, so that each can be wound down when its own SVID demands it.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt as _};

use super::guarded::Reins;

/// A single connection where a stream of them is expected. After it nothing comes, and the stream does not end either.
#[derive(Debug)]
pub struct Alone<C>(Option<C>);

impl<C: Unpin> Stream for Alone<C> {
    type Item = io::Result<C>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.take().map_or(Poll::Pending, |connection| Poll::Ready(Some(Ok(connection))))
    }
}

/// A connection that can be wound down, and tied to whoever serves it.
pub trait Served {
    /// Its reins.
    fn reins(&mut self) -> &mut Reins;
}

/// When a connection is to be wound down.
pub type WindDown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves every connection by a call of `serve` with the connection and the sign to wind it down: it is retired, or `stop` has
/// come. Returns when `stop` has come and every call has returned; dropped before, it ends every connection. With tonic:
///
/// ```text
/// serve::each(incoming, stop, |connection, wind_down| {
///     let router = router.clone();
///     async move { router.serve_with_incoming_shutdown(connection, wind_down).await… }
/// })
/// ```
pub async fn each<I, C, F, S>(connections: I, stop: impl Future<Output = ()>, serve: F)
where
    I: Stream<Item = io::Result<C>>,
    C: Served + Send + 'static,
    F: Fn(Alone<C>, WindDown) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let (tell, stopping) = watch::channel(false);
    let mut serving = JoinSet::new();
    let mut stop = pin!(stop);
    let mut connections = Box::pin(connections);
    loop {
        let next = tokio::select! {
            () = &mut stop => break,
            Some(_) = serving.join_next() => continue,
            next = connections.next() => next,
        };
        let mut connection = match next {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection is lost");
                continue;
            }
            None => break,
        };
        let (retirement, mut stopping) = (connection.reins().retirement(), stopping.clone());
        let wind_down = async move {
            tokio::select! {
                () = retirement => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        };
        // What serves may have handed the connection to a task of its own, as tonic does.
        let tether = connection.reins().tether();
        let served = serve(Alone(Some(connection)), Box::pin(wind_down));
        serving.spawn(async move {
            let _until_then = tether;
            served.await;
        });
    }
    // Whoever connects from now on is told that nobody listens.
    drop(connections);
    tell.send_replace(true);
    while serving.join_next().await.is_some() {}
}
