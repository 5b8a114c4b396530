//! Which certificate a client has shown: after a rotation it is another one than the identity now has, and what was bound to it
//! stays bound to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

/// Characters of a line (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// The leaf that was shown in the latest handshake; nothing before the first one, or where none is shown. Clones share it.
#[derive(Clone, Default)]
pub struct Presented(Arc<Mutex<Option<CertificateDer<'static>>>>);

impl Presented {
    /// The certificate in PEM (RFC 7468); `None` while none was shown.
    #[must_use]
    pub fn pem(&self) -> Option<String> {
        let leaf = self.leaf().clone()?;
        let text = STANDARD.encode(&leaf);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in text.as_bytes().chunks(PEM_LINE) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        Some(pem)
    }

    fn leaf(&self) -> MutexGuard<'_, Option<CertificateDer<'static>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what this resolver gives to handshakes.
    pub(in crate::identity) fn noting(&self, resolver: Arc<dyn ResolvesClientCert>) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Noting { resolver, presented: self.clone() })
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("any", &self.leaf().is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Noting {
    resolver: Arc<dyn ResolvesClientCert>,
    presented: Presented,
}

impl ResolvesClientCert for Noting {
    fn resolve(&self, roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.resolver.resolve(roots, schemes);
        *self.presented.leaf() = key.as_ref().and_then(|key| key.cert.first()).cloned();
        key
    }

    fn has_certs(&self) -> bool {
        self.resolver.has_certs()
    }
}
