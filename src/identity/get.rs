//! One small document over HTTPS from a server that is known by its SVID, such as the issuer's key set. The address is the
//! host's to choose; no redirect is followed.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;

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
    /// It took more than [`GET_WITHIN`].
    #[error("no answer within {} s", GET_WITHIN.as_secs())]
    TimedOut,
}

/// Gets the document at `path`, over a connection of its own. The dialer must speak `http/1.1`.
///
/// # Errors
/// When the server cannot be reached, is not who it should be, or answers otherwise.
pub async fn get(dialer: &Dialer, path: &str) -> Result<String, GetError> {
    tokio::time::timeout(GET_WITHIN, exchange(dialer, path)).await.map_err(|_| GetError::TimedOut)?
}

async fn exchange(dialer: &Dialer, path: &str) -> Result<String, GetError> {
    let request = Request::get(path).header(HOST, dialer.target()).body(String::new());
    let request = request.map_err(|_| GetError::Path(path.to_owned()))?;
    let connect = |cause| GetError::Connect { target: dialer.target().to_owned(), cause };
    let stream = dialer.dial().await.map_err(connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(GetError::Exchange)?;
    let driven = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    let document = match answer {
        Ok(answer) if answer.status() == 200 => read_body(answer.into_body(), DOCUMENT_BYTES_MAX).await.and_then(text),
        Ok(answer) => Err(GetError::Status(answer.status().as_u16())),
        Err(error) => Err(GetError::Exchange(error)),
    };
    driven.abort();
    document
}

fn text(bytes: Vec<u8>) -> Result<String, GetError> {
    String::from_utf8(bytes).map_err(|_| GetError::Document)
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
