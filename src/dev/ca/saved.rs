//! A certificate authority kept for another day: its keys and its root certificate in one file (0600), so that a dev broker
//! that comes back is the one that it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{CaError, DevCa, JwtAuthority, authority};
use crate::entropy::secret_file::{self, SecretFileError};
use crate::model::spiffe_id::TrustDomain;
use crate::model::time::Timestamp;

/// Why an authority could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum SavedCaError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The file holds something else.
    #[error("`{}` holds no certificate authority of `{trust_domain}`", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The trust domain that was looked for.
        trust_domain: TrustDomain,
    },
    /// A new one could not be made.
    #[error(transparent)]
    Make(#[from] CaError),
}

/// What the file holds. The binary parts are base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCa {
    trust_domain: TrustDomain,
    /// When the root began to be valid, in milliseconds since 1970.
    made_ms: Timestamp,
    root: String,
    key: String,
    jwt_key: String,
}

impl Drop for SavedCa {
    fn drop(&mut self) {
        self.key.zeroize();
        self.jwt_key.zeroize();
    }
}

impl DevCa {
    /// The authority that the file holds, or a new one that it holds from then on: when there is none, or when half of its
    /// `life` is over.
    ///
    /// # Errors
    /// When the file may be used by others or holds something else, or no authority can be made.
    pub fn load_or_create(
        path: &Path,
        trust_domain: &TrustDomain,
        now: Timestamp,
        life: Duration,
    ) -> Result<Self, SavedCaError> {
        match secret_file::read(path, SAVED_BYTES_MAX) {
            Ok(text) => {
                let other = || SavedCaError::Content { path: path.to_owned(), trust_domain: trust_domain.clone() };
                let saved: SavedCa = serde_json::from_slice(&text).map_err(|_| other())?;
                if saved.trust_domain != *trust_domain {
                    return Err(other());
                }
                if now.since(saved.made_ms) < life / 2 {
                    return restore(&saved, life).ok_or_else(other);
                }
            }
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.into()),
        }
        let ca = Self::new(trust_domain.clone(), now, life)?;
        secret_file::replace(path, &save(&ca, now)?)?;
        Ok(ca)
    }
}

fn save(ca: &DevCa, now: Timestamp) -> Result<Zeroizing<Vec<u8>>, CaError> {
    let jwt_key = ca.jwt.key.to_pkcs8v1().map_err(CaError::Key)?;
    let saved = SavedCa {
        trust_domain: ca.trust_domain.clone(),
        made_ms: now,
        root: STANDARD.encode(&ca.root),
        key: STANDARD.encode(ca.issuer.key().serialized_der()),
        jwt_key: STANDARD.encode(jwt_key.as_ref()),
    };
    // INVARIANT: texts and a number are always JSON.
    Ok(Zeroizing::new(serde_json::to_vec(&saved).unwrap_or_default()))
}

fn restore(saved: &SavedCa, life: Duration) -> Option<DevCa> {
    let decode = |text: &str| STANDARD.decode(text).ok().map(Zeroizing::new);
    let key = KeyPair::try_from(decode(&saved.key)?.as_slice()).ok()?;
    let jwt_key = decode(&saved.jwt_key)?;
    let jwt_key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &jwt_key).ok()?;
    let params = authority(&saved.trust_domain, "root", saved.made_ms, life).ok()?;
    Some(DevCa {
        trust_domain: saved.trust_domain.clone(),
        issuer: Issuer::new(params, key),
        root: CertificateDer::from(decode(&saved.root)?.to_vec()),
        intermediates: Vec::new(),
        jwt: Arc::new(JwtAuthority::of(jwt_key)),
    })
}

/// Two keys and a certificate are some two KiB.
const SAVED_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests;
