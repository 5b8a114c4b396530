//! Connections of the HTTPS door: HTTP/1.1, each with limits on what it may send and on how long it may stay.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt as _};

/// How long a client may take to send the head of a request, the first and each that follows.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may stay: scrapers come back, and a slow reader must not hold its place for ever.
const CONNECTION_WITHIN: Duration = Duration::from_secs(120);
/// How long a connection may take to finish once the broker ends: the pages are short, and who says nothing is not waited for.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// Most bytes of a request's head; these pages need a path and little else.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;

/// How long a client may take when there are many: enough for who means to ask.
const HEAD_WITHIN_WHEN_BUSY: Duration = Duration::from_secs(2);

/// How much there is to do when a connection comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Usual,
    High,
}

/// Serves connections until `ending` turns true or its sender is gone, then lets what was begun finish. Above `busy_above`
/// connections, a new one is for one request, and has little time to send it.
pub async fn serve<S, C>(connections: S, busy_above: usize, router: Router, mut ending: watch::Receiver<bool>)
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open = JoinSet::new();
    {
        let mut connections = std::pin::pin!(connections);
        let ended = ending.clone();
        let mut ended = std::pin::pin!(async move {
            let mut ended = ended;
            drop(ended.wait_for(|ending| *ending).await);
        });
        loop {
            tokio::select! {
                () = &mut ended => break,
                next = connections.next() => match next {
                    Some(Ok(connection)) => {
                        let load = if open.len() < busy_above { Load::Usual } else { Load::High };
                        drop(open.spawn(answer(connection, load, router.clone(), ending.clone())));
                    }
                    Some(Err(error)) => tracing::debug!(%error, "no connection can be accepted"),
                    None => break,
                },
                // Those that are over are let go of as they end.
                Some(_) = open.join_next() => {}
            }
        }
    }
    drop(ending.wait_for(|ending| *ending).await);
    while open.join_next().await.is_some() {}
}

async fn answer<C>(connection: C, load: Load, router: Router, mut ending: watch::Receiver<bool>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(if load == Load::High { HEAD_WITHIN_WHEN_BUSY } else { HEAD_WITHIN })
        .keep_alive(load == Load::Usual)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let serving = builder.serve_connection(TokioIo::new(connection), service);
    let mut serving = std::pin::pin!(serving);
    let limit = tokio::time::sleep(CONNECTION_WITHIN);
    let mut limit = std::pin::pin!(limit);
    let mut is_ending = false;
    loop {
        tokio::select! {
            result = &mut serving => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = &mut limit => return,
            () = tokio::time::sleep(FINISH_WITHIN), if is_ending => return,
            _ = ending.wait_for(|ending| *ending), if !is_ending => {
                is_ending = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests;
