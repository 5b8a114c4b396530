//! An ordinary certificate from files that may be replaced while the broker runs. One that is not valid now is presented to nobody.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::svid::validity;
use super::view::provider;
use crate::clock::Clock;
use crate::model::time::Timestamp;

/// Bits that the file of a private key may not have: others may do nothing, a group may read it at most (as `ssl-cert` does).
const KEY_MODE_REFUSED: u32 = 0o037;
/// How often the files of a certificate are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(30);

/// A certificate chain and its key from two PEM files.
pub struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    clock: Clock,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
    /// Both files as they were read, to tell whether they changed. The key's bytes are wiped when they are replaced.
    from: (Vec<u8>, Zeroizing<Vec<u8>>),
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// When one cannot be read, holds no PEM, the key is not that of the certificate, or the certificate is not valid now.
    pub fn load(chain: &Path, key: &Path, clock: &Clock) -> Result<Arc<Self>, IdentityError> {
        let loaded = RwLock::new(read(chain, key, clock.now())?);
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), clock: clock.clone(), loaded }))
    }

    /// The end of the certificate that is presented.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).not_after
    }

    /// Reads both files again and takes them when they changed and can be used; otherwise what was read before stays.
    ///
    /// # Errors
    /// As [`CertificateFiles::load`]; it may be that only one of the files was replaced yet.
    pub fn reload(&self) -> Result<bool, IdentityError> {
        let fresh = read(&self.chain, &self.key, self.clock.now())?;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let changed = loaded.from != fresh.from;
        if changed {
            *loaded = fresh;
        }
        Ok(changed)
    }

    /// Reloads every [`RELOAD_EVERY`], until nobody presents them any more. Must be called within a Tokio runtime.
    pub fn follow(self: &Arc<Self>) {
        let followed = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RELOAD_EVERY).await;
                let Some(files) = followed.upgrade() else { return };
                let chain = files.chain.clone();
                match spawn_blocking(move || files.reload()).await {
                    Ok(Ok(true)) => {
                        tracing::info!(certificate = %chain.display(), "a new certificate is presented from now on");
                    }
                    Ok(Ok(false)) => {}
                    Ok(Err(error)) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the certificate stays as it was");
                    }
                    Err(_panicked_or_ending) => return,
                }
            }
        });
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFiles").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn read(chain: &Path, key: &Path, now: Timestamp) -> Result<Loaded, IdentityError> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| IdentityError::File { path: path.to_owned(), source: Arc::new(error) })
    };
    let mode = std::fs::metadata(key).map(|m| m.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & KEY_MODE_REFUSED != 0
    {
        return Err(IdentityError::KeyTooOpen { path: key.to_owned(), mode });
    }
    let pem = |path: &Path, what| IdentityError::Pem { path: path.to_owned(), what };
    let from = (file(chain)?, Zeroizing::new(file(key)?));
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&from.0).collect::<Result<_, _>>().map_err(|_| pem(chain, "certificate"))?;
    let leaf = certificates.first().ok_or_else(|| pem(chain, "certificate"))?;
    let (not_before, not_after) = validity(leaf).ok_or_else(|| pem(chain, "certificate"))?;
    if now < not_before || now >= not_after {
        return Err(IdentityError::CertificateNotValid { path: chain.to_owned(), not_before, not_after });
    }
    let private = PrivateKeyDer::from_pem_slice(&from.1).map_err(|_| pem(key, "private key"))?;
    let certified = CertifiedKey::from_der(certificates, private, &provider()).map_err(IdentityError::Rustls)?;
    Ok(Loaded { certified: Arc::new(certified), not_after, from })
}
