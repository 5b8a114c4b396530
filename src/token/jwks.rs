//! The issuer's keys as they are published and read: `/jwks.json` (RFC 7517). Every key names its one algorithm.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::header::SigningAlgorithm;
use crate::jose::error::{KeyError, KeySetError};
use crate::jose::key::{Curve, Jwk, Material};
use crate::jose::key_set::{KeySet, Unmarked, Wanted};
use crate::model::json::Json;

/// Names a signing key: letters, digits, dash, underscore and dot only, so that it is safe in files, logs and headers.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Arc<str>);

/// A text that is no key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: 1 to {KEY_ID_BYTES_MAX} letters, digits, dots, dashes and underscores")]
pub struct ParseKeyIdError;

/// A public key with its name and its one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    id: KeyId,
    algorithm: SigningAlgorithm,
    jwk: Jwk,
}

impl PublishedKey {
    /// A P-256 key from its uncompressed point.
    ///
    /// # Errors
    /// When it is no such point.
    pub fn es256(point: &[u8]) -> Result<Self, KeyError> {
        match point {
            [4, coordinates @ ..] if coordinates.len() == 64 => {
                let (x, y) = coordinates.split_at(32);
                let material = Material::Ec { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() };
                Self::new(SigningAlgorithm::Es256, material)
            }
            _ => Err(KeyError::Value),
        }
    }

    /// An RSA key from modulus and exponent.
    ///
    /// # Errors
    /// When they are no key within the limits.
    pub fn rs256(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        Self::new(SigningAlgorithm::Rs256, Material::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// When they are no point.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        Self::new(SigningAlgorithm::Ed25519, Material::Ed25519 { x: x.to_vec() })
    }

    fn new(algorithm: SigningAlgorithm, material: Material) -> Result<Self, KeyError> {
        let mut jwk =
            Jwk { key_id: None, key_use: Some(USE_SIGNATURE.to_owned()), algorithm: Some(algorithm.jose()), material };
        jwk.public_key()?;
        // Named by what it is, so that the name can't be chosen and never means two keys.
        let thumbprint = URL_SAFE_NO_PAD.encode(jwk.thumbprint());
        let short: String = thumbprint.chars().take(THUMBPRINT_CHARACTERS).collect();
        let id = KeyId(format!("{}-{short}", algorithm.as_str().to_ascii_lowercase()).into());
        jwk.key_id = Some(id.as_str().to_owned());
        Ok(Self { id, algorithm, jwk })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The key itself, as it is published.
    #[must_use]
    pub const fn jwk(&self) -> &Jwk {
        &self.jwk
    }
}

/// The document that lists these keys.
#[must_use]
pub fn document<'k>(keys: impl IntoIterator<Item = &'k PublishedKey>) -> String {
    let keys = keys.into_iter().map(|key| key.jwk.to_json()).collect();
    Json::Object(vec![("keys".to_owned(), Json::Array(keys))]).to_text()
}

/// Reads an issuer's document. Entries that are not for signatures, or name no algorithm, are left out.
///
/// # Errors
/// When it is no set of keys, or names one twice.
pub fn parse(text: &str) -> Result<KeySet, KeySetError> {
    KeySet::parse(text, Wanted { key_use: USE_SIGNATURE, unmarked: Unmarked::LeftOut, algorithm_needed: true })
}

impl KeyId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if s.is_empty() || s.len() > KEY_ID_BYTES_MAX || s.starts_with('.') || !s.bytes().all(plain) {
            return Err(ParseKeyIdError);
        }
        Ok(Self(s.into()))
    }
}

impl TryFrom<String> for KeyId {
    type Error = ParseKeyIdError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const USE_SIGNATURE: &str = "sig";
/// 96 bits of the thumbprint: no two keys of one issuer share them.
const THUMBPRINT_CHARACTERS: usize = 16;
const KEY_ID_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests;
