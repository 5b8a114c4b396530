//! One POST to a server that the operator named, such as a receiver of webhooks. It goes to that URL and nowhere else: no redirect is
//! followed. The URL may hold a secret in its path or query, so neither is ever shown. Of the answer the head is all that counts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, Response, Uri};
use tokio::net::TcpStream;

use super::{HttpsUrl, WebRoots, bare};
use crate::identity::error::IdentityError;
use crate::identity::get::{GetError, exchange_with, read_body, within};

/// How much of an answer is taken in before the connection ends: it is thrown away, but some receivers do not like to be hung up on.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Longest `Retry-After` that is looked at: a date has 29.
const RETRY_AFTER_BYTES_MAX: usize = 64;

/// Where to post to: an `https` URL, or, where that is allowed, an `http` URL of this very machine.
#[derive(Clone, PartialEq, Eq)]
pub struct PostUrl(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Https(HttpsUrl),
    Loopback { uri: Uri, address: SocketAddr },
}

/// Why a text is no URL to post to. It says nothing of the text, in which a secret may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostUrlError {
    /// It is another kind of URL, or none.
    #[error("is no `https` URL without user and fragment")]
    Malformed,
    /// It would be sent in the clear.
    #[error("is not `https`")]
    Plain,
    /// It would be sent in the clear to elsewhere.
    #[error("is `http`, which may only go to a loopback address such as `127.0.0.1` or `[::1]`")]
    NotLoopback,
}

impl PostUrl {
    /// Reads it. `plain_to_loopback` allows `http` to a loopback address, written as such: what a name stands for can change.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, plain_to_loopback: bool) -> Result<Self, PostUrlError> {
        let uri: Uri = text.parse().map_err(|_| PostUrlError::Malformed)?;
        if uri.scheme_str() != Some("http") {
            return text.parse().map(Kind::Https).map(Self).map_err(|_| PostUrlError::Malformed);
        }
        if !plain_to_loopback {
            return Err(PostUrlError::Plain);
        }
        let authority = uri.authority().ok_or(PostUrlError::Malformed)?;
        let ip: IpAddr = bare(authority.host()).parse().map_err(|_| PostUrlError::NotLoopback)?;
        if !ip.is_loopback() {
            return Err(PostUrlError::NotLoopback);
        }
        let port = authority.port_u16();
        let written = port.map_or_else(|| authority.host().to_owned(), |port| format!("{}:{port}", authority.host()));
        if authority.as_str() != written || text.contains('#') {
            return Err(PostUrlError::Malformed);
        }
        let address = SocketAddr::new(ip, port.unwrap_or(HTTP_PORT));
        Ok(Self(Kind::Loopback { uri, address }))
    }

    /// All of it, secrets included: to be digested, never to be shown.
    #[must_use]
    pub fn with_secrets(&self) -> String {
        match &self.0 {
            Kind::Https(url) => url.to_string(),
            Kind::Loopback { uri, .. } => uri.to_string(),
        }
    }

    fn authority(&self) -> String {
        match &self.0 {
            Kind::Https(url) => url.authority(),
            Kind::Loopback { address, .. } => address.to_string(),
        }
    }

    fn host_header(&self) -> String {
        match &self.0 {
            Kind::Https(url) => url.host_header(),
            Kind::Loopback { uri, .. } => uri.authority().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn path_and_query(&self) -> &str {
        match &self.0 {
            Kind::Https(url) => url.path_and_query(),
            Kind::Loopback { uri, .. } => uri.path_and_query().map_or("/", |asked| asked.as_str()),
        }
    }
}

impl fmt::Debug for PostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostUrl").field(&self.authority()).finish()
    }
}

/// Posts to one URL. Each time over a connection of its own.
#[derive(Debug, Clone)]
pub struct Poster {
    url: PostUrl,
    /// `None` where nothing is encrypted.
    roots: Option<WebRoots>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, as it was written.
    pub retry_after: Option<String>,
}

impl Poster {
    /// One for that URL, whose server is known by an authority in that file, or, without one, by one of the system's.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub fn new(url: PostUrl, ca_file: Option<&Path>) -> Result<Self, IdentityError> {
        let roots = match &url.0 {
            Kind::Https(_) => Some(WebRoots::load(ca_file)?),
            Kind::Loopback { .. } => None,
        };
        Ok(Self { url, roots })
    }

    /// Where it posts to.
    #[must_use]
    pub const fn url(&self) -> &PostUrl {
        &self.url
    }

    /// Posts JSON with these headers. What comes after the head of the answer changes nothing, however slowly it comes.
    ///
    /// # Errors
    /// When the server cannot be reached, is not who it should be, or has not answered within that span.
    pub async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: String,
        span: Duration,
    ) -> Result<PostAnswer, GetError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.path_and_query())
            .header(HOST, self.url.host_header())
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(|_| GetError::Path(self.url.authority()))?;
        let mut seen = None;
        match (within(span, self.send(request, &mut seen)).await, seen) {
            (_, Some(answer)) => Ok(answer),
            (Err(error), None) => Err(error),
            (Ok(()), None) => Err(GetError::Document),
        }
    }

    async fn send(&self, request: Request<String>, seen: &mut Option<PostAnswer>) -> Result<(), GetError> {
        let connect = |cause| GetError::Connect { target: self.url.authority(), cause };
        let take = |answer: Response<Incoming>| async move {
            *seen = Some(PostAnswer::of(&answer));
            read_body(answer.into_body(), ANSWER_BYTES_MAX).await.map(drop)
        };
        match (&self.url.0, &self.roots) {
            (Kind::Https(url), Some(roots)) => exchange_with(roots.connect(url).await?, request, take).await,
            (Kind::Loopback { address, .. }, _) => {
                exchange_with(TcpStream::connect(address).await.map_err(connect)?, request, take).await
            }
            (Kind::Https(_), None) => Err(connect(std::io::Error::other("nobody is trusted to say who it is"))),
        }
    }
}

impl PostAnswer {
    fn of(answer: &Response<Incoming>) -> Self {
        let written = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = written.filter(|text| text.len() <= RETRY_AFTER_BYTES_MAX).map(str::to_owned);
        Self { status: answer.status().as_u16(), retry_after }
    }
}

/// RFC 9110 §4.2.1.
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests;
