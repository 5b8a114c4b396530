//! One small document over HTTPS from a server that is known by its SVID, such as the issuer's key set; and the exchange itself,
//! whoever the server is. The address is the host's to choose; no redirect is followed.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Dialer;

/// How long one document may take, connecting included.
pub const GET_WITHIN: Duration = Duration::from_secs(10);
/// Largest document that is read: a key set has some KiB.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// Why a document was not got.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The server cannot be reached, or is not who it should be.
    #[error("`{target}` cannot be reached")]
    Connect {
        /// Where.
        target: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The exchange broke.
    #[error("the exchange broke")]
    Exchange(#[source] hyper::Error),
    /// The path is none.
    #[error("`{0}` is no path")]
    Path(String),
    /// Another status than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// More than [`DOCUMENT_BYTES_MAX`], or no text.
    #[error("the document is too large, or no text")]
    Document,
    /// It took longer than that.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Gets the document at `path`, over a connection of its own. The dialer must speak `http/1.1`.
///
/// # Errors
/// When the server cannot be reached, is not who it should be, or answers otherwise.
pub async fn get(dialer: &Dialer, path: &str) -> Result<String, GetError> {
    let request = Request::get(path).header(HOST, dialer.target()).body(String::new());
    let request = request.map_err(|_| GetError::Path(path.to_owned()))?;
    let connect = |cause| GetError::Connect { target: dialer.target().to_owned(), cause };
    let got = async { exchange(dialer.dial().await.map_err(connect)?, request).await };
    document(within(GET_WITHIN, got).await?)
}

/// What was asked for, where it was given.
pub(in crate::identity) fn document((status, body): (u16, String)) -> Result<String, GetError> {
    if status == 200 { Ok(body) } else { Err(GetError::Status(status)) }
}

/// What comes of it in that time.
pub(in crate::identity) async fn within<T>(
    span: Duration,
    done: impl Future<Output = Result<T, GetError>>,
) -> Result<T, GetError> {
    tokio::time::timeout(span, done).await.map_err(|_| GetError::TimedOut(span))?
}

/// One request over a connection that ends with it: the status and the text of the answer, whatever it is.
pub(in crate::identity) async fn exchange<S>(stream: S, request: Request<String>) -> Result<(u16, String), GetError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let whole = |answer: Response<Incoming>| async move {
        let status = answer.status().as_u16();
        let body = read_body(answer.into_body(), DOCUMENT_BYTES_MAX).await?;
        Ok::<_, GetError>((status, String::from_utf8(body).map_err(|_| GetError::Document)?))
    };
    exchange_with(stream, request, whole).await
}

/// One request over a connection that ends with it, and what is made of the answer.
pub(in crate::identity) async fn exchange_with<S, T, F>(
    stream: S,
    request: Request<String>,
    take: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, GetError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Result<T, GetError>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(GetError::Exchange)?;
    let answered = async { take(sender.send_request(request).await.map_err(GetError::Exchange)?).await };
    let (mut answered, connection) = (pin!(answered), pin!(connection));
    tokio::select! {
        answer = &mut answered => answer,
        // What came before it ended is there to be read, or says how it ended.
        _ended = connection => answered.await,
    }
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// When it is larger, or the exchange breaks.
pub async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, GetError> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(GetError::Exchange)?;
        bytes.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
        if bytes.len() > bytes_max {
            return Err(GetError::Document);
        }
    }
    Ok(bytes)
}
