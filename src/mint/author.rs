//! The private key of a person who signs policy bundles: a file of that person's own, and no key of the broker's.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::pem;
use super::signing_key::SigningKey;
use crate::entropy::secret_file::{self, SecretFileError};
use crate::jose::key::Jwk;
use crate::policy::manifest::{Manifest, key_id};
use crate::token::header::SigningAlgorithm;

/// Largest key file that is read: PEM of either kind takes a few hundred bytes.
const KEY_FILE_BYTES_MAX: u64 = 4 << 10;
/// What bundles are signed with.
const ALGORITHMS: [SigningAlgorithm; 2] = [SigningAlgorithm::Ed25519, SigningAlgorithm::Es256];
/// What follows the name of a private key's file in that of the public key's.
const PUBLIC_SUFFIX: &str = ".pub";

/// Why a key cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorKeyError {
    /// The file of the private key.
    #[error("the key file cannot be used")]
    File(#[from] SecretFileError),
    /// It holds something else.
    #[error("`{}` holds no private key of Ed25519 or P-256 (PKCS#8, PEM)", .0.display())]
    Malformed(PathBuf),
    /// The file of the public key.
    #[error("the public key `{}` cannot be written", path.display())]
    Public {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Bundles are signed with ES256 or Ed25519.
    #[error("bundles are not signed with `{0}`")]
    Algorithm(SigningAlgorithm),
    /// The cryptography gives no reasons.
    #[error("the key cannot be made, or does not sign")]
    Crypto,
}

/// A private key.
#[derive(Debug)]
pub struct AuthorKey(SigningKey);

impl AuthorKey {
    /// Makes a key and its two files: the private one for nobody else (0600), and beside it the public one, whose path is returned.
    /// Neither may be there before.
    ///
    /// # Errors
    /// When a file is there already or cannot be written.
    pub fn create(path: &Path, algorithm: SigningAlgorithm) -> Result<(Self, PathBuf), AuthorKeyError> {
        Self::create_with(path, algorithm, |file, text| file.write_all(text).and_then(|()| file.sync_all()))
    }

    /// The same; `write` writes the public key.
    fn create_with(
        path: &Path,
        algorithm: SigningAlgorithm,
        write: impl FnOnce(&mut File, &[u8]) -> std::io::Result<()>,
    ) -> Result<(Self, PathBuf), AuthorKeyError> {
        if !ALGORITHMS.contains(&algorithm) {
            return Err(AuthorKeyError::Algorithm(algorithm));
        }
        let pkcs8 = SigningKey::generate(algorithm).map_err(|_| AuthorKeyError::Crypto)?;
        let key = Self(SigningKey::parse(algorithm, &pkcs8).map_err(|_| AuthorKeyError::Crypto)?);
        let mut public = path.as_os_str().to_owned();
        public.push(PUBLIC_SUFFIX);
        let public = PathBuf::from(public);
        let failed = |cause| AuthorKeyError::Public { path: public.clone(), cause };
        let mut file = OpenOptions::new().write(true).create_new(true).open(&public).map_err(failed)?;
        // Whole before the private one is begun: neither is left behind for want of the other.
        let text = key.public().to_json().to_text() + "\n";
        let made = write(&mut file, text.as_bytes())
            .map_err(failed)
            .and_then(|()| secret_file::create(path, pem::encode(&pkcs8).as_bytes()).map_err(Into::into));
        if let Err(error) = made {
            drop(std::fs::remove_file(&public));
            return Err(error);
        }
        Ok((key, public))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When the file may be used by others, or holds no such key.
    pub fn read(path: &Path) -> Result<Self, AuthorKeyError> {
        let text = secret_file::read(path, KEY_FILE_BYTES_MAX)?;
        let pkcs8 = pem::decode(&text).ok_or_else(|| AuthorKeyError::Malformed(path.to_owned()))?;
        let mut parsed = ALGORITHMS.into_iter().filter_map(|algorithm| SigningKey::parse(algorithm, &pkcs8).ok());
        parsed.next().map(Self).ok_or_else(|| AuthorKeyError::Malformed(path.to_owned()))
    }

    /// The public key, named by its thumbprint.
    #[must_use]
    pub fn public(&self) -> Jwk {
        let jwk = self.0.published().jwk();
        Jwk { key_id: Some(key_id(jwk)), ..jwk.clone() }
    }

    /// What a signature of it names it by.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.0.published().jwk())
    }

    /// Signs a manifest.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn sign(&self, manifest: &mut Manifest) -> Result<(), AuthorKeyError> {
        let input = manifest.signing_input(self.0.published().algorithm().jose(), &self.id());
        let signature = self.0.sign(input.as_bytes()).map_err(|_| AuthorKeyError::Crypto)?;
        manifest.add(&input, &signature);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
