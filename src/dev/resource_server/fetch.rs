//! The issuer's key set, over TLS from a broker that is known by its SVID.

use std::future::Future;
use std::pin::Pin;

use crate::identity::client::Dialer;
use crate::identity::get::get;
use crate::verifier::keys::{FetchError, FetchKeys};

/// Where the key set lies below the issuer.
const PATH: &str = "/jwks.json";

/// Fetches `/jwks.json` from where the dialer connects to; it must speak `http/1.1`.
pub(in crate::dev::resource_server) struct JwksOverTls(pub(in crate::dev::resource_server) Dialer);

impl FetchKeys for JwksOverTls {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + '_>> {
        Box::pin(async { get(&self.0, PATH).await.map_err(|error| FetchError(Box::new(error))) })
    }
}
