//! HTTPS and gRPC to servers that are known by an ordinary certificate: issuers of people's tokens, and Carnet's own door for
//! people. The roots come from a file, the system's or an operator's; no redirect is followed.

pub mod post;

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::get::{GetError, document, exchange, within};
use super::view::provider;

/// Where systems keep the roots that they trust, the first that exists is taken.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// What is spoken with issuers: some that people have are older than TLS 1.3. Whoever comes to us speaks that.
const ISSUERS_SPEAK: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
/// How long one exchange may take, connecting included.
pub const EXCHANGE_WITHIN: Duration = Duration::from_secs(5);

/// Authorities that are trusted to say who a server is by its DNS name. Clones share them.
#[derive(Clone)]
pub struct WebRoots(Arc<RootCertStore>);

impl WebRoots {
    /// The roots in a PEM file, or, without one, the system's.
    ///
    /// # Errors
    /// When there is no such file, or none of its certificates can be used.
    pub fn load(file: Option<&Path>) -> Result<Self, IdentityError> {
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
        let path = file.map(Path::to_owned).or_else(system).unwrap_or_else(|| PathBuf::from(SYSTEM_ROOTS[0]));
        let read = |source| IdentityError::File { path: path.clone(), source: Arc::new(source) };
        let pem = std::fs::read(&path).map_err(read)?;
        let mut roots = RootCertStore::empty();
        // A system's store holds some that no library can read; those are of no use, and spoil nothing.
        let (added, _ignored) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if added == 0 {
            return Err(IdentityError::Pem { path, what: "certificate authority" });
        }
        Ok(Self(Arc::new(roots)))
    }

    fn tls(
        &self,
        protocol: &[u8],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<TlsConnector, IdentityError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(IdentityError::Rustls)?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Gets a document.
    ///
    /// # Errors
    /// When the server cannot be reached, is not who it should be, or answers otherwise than with 200.
    pub async fn get(&self, url: &HttpsUrl) -> Result<String, GetError> {
        let request = Request::get(url.path_and_query()).body(String::new());
        let request = request.map_err(|_| GetError::Path(url.to_string()))?;
        document(self.exchange(url, request, EXCHANGE_WITHIN).await?)
    }

    /// Posts a form, and gives the status with the answer: OAuth tells errors by both.
    ///
    /// # Errors
    /// When the server cannot be reached, is not who it should be, or the exchange breaks.
    pub async fn post_form(&self, url: &HttpsUrl, form: &[(&str, &str)]) -> Result<(u16, Zeroizing<String>), GetError> {
        let request = post_of(url, "application/x-www-form-urlencoded", encoded(form))?;
        let (status, body) = self.exchange(url, request, EXCHANGE_WITHIN).await?;
        Ok((status, Zeroizing::new(body)))
    }

    /// Posts a JSON document, with a bearer token where there is one, and gives the status with the answer.
    ///
    /// # Errors
    /// When the server cannot be reached, is not who it should be, the exchange breaks, or it takes longer than that.
    pub async fn post_json(
        &self,
        url: &HttpsUrl,
        body: String,
        bearer: Option<&Zeroizing<String>>,
        span: Duration,
    ) -> Result<(u16, String), GetError> {
        let mut request = post_of(url, "application/json", body)?;
        if let Some(bearer) = bearer {
            let shown = Zeroizing::new(format!("Bearer {}", bearer.as_str()));
            let mut shown = HeaderValue::from_str(&shown).map_err(|_| GetError::Path(url.to_string()))?;
            shown.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, shown);
        }
        self.exchange(url, request, span).await
    }

    async fn exchange(
        &self,
        url: &HttpsUrl,
        mut request: Request<String>,
        span: Duration,
    ) -> Result<(u16, String), GetError> {
        let host = url.host_header().parse().map_err(|_| GetError::Path(url.to_string()))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        within(span, async { exchange(self.connect(url).await?, request).await }).await
    }

    /// A connection for one exchange.
    async fn connect(&self, url: &HttpsUrl) -> Result<TlsStream<TcpStream>, GetError> {
        let connect = |cause| GetError::Connect { target: url.authority(), cause };
        let tls = self.tls(b"http/1.1", ISSUERS_SPEAK).map_err(|error| connect(io::Error::other(error)))?;
        dial(&tls, url).await.map_err(connect)
    }

    /// A gRPC channel to a server, once connected.
    ///
    /// # Errors
    /// When it cannot be reached or is not who it should be.
    pub async fn channel(&self, url: &HttpsUrl) -> Result<Channel, IdentityError> {
        let (tls, url) = (self.tls(b"h2", &[&version::TLS13])?, url.clone());
        let target = url.authority();
        let endpoint = Endpoint::from_shared(format!("http://{target}"));
        let endpoint = endpoint.map_err(|_| IdentityError::Target(target.clone()))?;
        let origin = format!("https://{target}").parse().map_err(|_| IdentityError::Target(target.clone()))?;
        let connector = tower::service_fn(move |_: Uri| {
            let (tls, url) = (tls.clone(), url.clone());
            async move { dial(&tls, &url).await.map(TokioIo::new) }
        });
        let connected = super::client::settings(endpoint).origin(origin).connect_with_connector(connector).await;
        connected.map_err(|error| IdentityError::Connect { target, source: Box::new(error) })
    }
}

impl fmt::Debug for WebRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRoots").field("roots", &self.0.len()).finish()
    }
}

fn post_of(url: &HttpsUrl, kind: &str, body: String) -> Result<Request<String>, GetError> {
    let request = Request::builder().method(Method::POST).uri(url.path_and_query()).header(CONTENT_TYPE, kind);
    request.body(body).map_err(|_| GetError::Path(url.to_string()))
}

async fn dial(tls: &TlsConnector, url: &HttpsUrl) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((url.host(), url.port())).await?;
    tcp.set_nodelay(true)?;
    tls.connect(name, tcp).await
}

/// An absolute `https` URL without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(Uri);

/// A text that is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no `https` URL of this kind")]
pub struct ParseUrlError(String);

impl HttpsUrl {
    /// One without a query: what names a server or an issuer, and no page.
    ///
    /// # Errors
    /// When it is another one.
    pub fn plain(text: &str) -> Result<Self, ParseUrlError> {
        let url: Self = text.parse()?;
        if url.0.query().is_none() { Ok(url) } else { Err(ParseUrlError::of(text)) }
    }

    /// The host, as TLS and the resolver of names want it.
    #[must_use]
    pub fn host(&self) -> &str {
        bare(self.written_host())
    }

    fn written_host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(HTTPS_PORT)
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.written_host(), self.port())
    }

    /// The value of `Host`, in which the scheme's own port has no place (RFC 9110 §7.2, §4.2.3): an issuer may name itself by it.
    fn host_header(&self) -> String {
        if self.port() == HTTPS_PORT { self.written_host().to_owned() } else { self.authority() }
    }

    /// What is asked for. A query belongs to it: some issuers tell their tenants apart by one.
    fn path_and_query(&self) -> &str {
        self.0.path_and_query().map_or("/", |asked| asked.as_str())
    }
}

impl ParseUrlError {
    fn of(text: &str) -> Self {
        Self(text.chars().take(URL_SHOWN_MAX).collect())
    }
}

impl std::str::FromStr for HttpsUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseUrlError::of(text);
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let plain = uri.scheme_str() == Some("https") && !text.contains('#');
        let authority = uri.authority().ok_or_else(refused)?;
        // A port that is none must not stand for the usual one, nor a user for a host.
        let written = match authority.port_u16() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        let reachable = authority.as_str() == written && ServerName::try_from(bare(authority.host())).is_ok();
        if plain && reachable { Ok(Self(uri)) } else { Err(refused()) }
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// `application/x-www-form-urlencoded`. Values may be secret: they stand nowhere but in what is sent.
fn encoded(form: &[(&str, &str)]) -> String {
    // No byte takes more than three, so that the text never moves and leaves a copy behind.
    let longest = form.iter().map(|(name, value)| name.len() + 2 + 3 * value.len()).sum();
    let mut out = String::with_capacity(longest);
    for (name, value) in form {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// How much of a URL that is none an error repeats.
const URL_SHOWN_MAX: usize = 200;
/// RFC 9110 §4.2.2.
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests;
