//! One public key as RFC 7517 writes it, and the algorithms that it may verify. A key says what it is for; a header only
//! says what it claims.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::algorithm::Algorithm;
use super::error::{JoseError, KeyError};
use crate::model::json::Json;

/// A curve of RFC 7518 §6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The numbers of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A point of a curve: two coordinates of full length.
    Ec {
        /// Its curve.
        curve: Curve,
        /// First coordinate.
        x: Vec<u8>,
        /// Second coordinate.
        y: Vec<u8>,
    },
    /// Modulus and exponent, without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// The 32 bytes of an Ed25519 key.
    Ed25519 {
        /// The point.
        x: Vec<u8>,
    },
}

/// A public key with what its publisher says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// `kid`
    pub key_id: Option<String>,
    /// `use`
    pub key_use: Option<String>,
    /// `alg`
    pub algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: Material,
}

impl Jwk {
    /// Reads one entry of a key set. Members that we don't know are passed over (RFC 7517 §4).
    ///
    /// # Errors
    /// When the entry is no public key of a known type, or contradicts itself.
    pub fn parse(json: &Json) -> Result<Self, KeyError> {
        if json.member("d").is_some() || json.member("k").is_some() {
            return Err(KeyError::Private);
        }
        let material = match required(json, "kty").map_err(|_| KeyError::Type)? {
            "EC" => {
                let crv = required(json, "crv").map_err(|_| KeyError::Curve)?;
                let curve = [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|c| c.as_str() == crv);
                let curve = curve.ok_or(KeyError::Curve)?;
                let length = Some(curve.coordinate_bytes());
                Material::Ec { curve, x: bytes(json, "x", length)?, y: bytes(json, "y", length)? }
            }
            "RSA" => Material::Rsa { n: bytes(json, "n", None)?, e: bytes(json, "e", None)? },
            "OKP" if text(json, "crv")? == Some("Ed25519") => Material::Ed25519 { x: bytes(json, "x", Some(32))? },
            "OKP" => return Err(KeyError::Curve),
            _ => return Err(KeyError::Type),
        };
        let algorithm = text(json, "alg")?.map(str::parse).transpose().map_err(|_| KeyError::Algorithm)?;
        if algorithm.is_some_and(|a| !material.algorithms().contains(&a)) {
            return Err(KeyError::Algorithm);
        }
        match json.member("key_ops") {
            None => {}
            Some(Json::Array(ops)) if ops.contains(&Json::String("verify".to_owned())) => {}
            Some(_) => return Err(KeyError::Operation),
        }
        let owned = |name| Ok(text(json, name)?.map(str::to_owned));
        Ok(Self { key_id: owned("kid")?, key_use: owned("use")?, algorithm, material })
    }

    /// The entry as it is published.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = Vec::new();
        let mut push = |name: &str, value: &str| members.push((name.to_owned(), Json::String(value.to_owned())));
        for (name, value) in self.material.members() {
            push(name, &value);
        }
        for (name, value) in [
            ("kid", self.key_id.as_deref()),
            ("use", self.key_use.as_deref()),
            ("alg", self.algorithm.map(Algorithm::as_str)),
        ] {
            value.into_iter().for_each(|v| push(name, v));
        }
        Json::Object(members)
    }

    /// The key, ready to verify: with its own algorithm only, where it names one.
    ///
    /// # Errors
    /// When the numbers are no key.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let allowed = match self.algorithm {
            Some(one) => vec![one],
            None => self.material.algorithms().to_vec(),
        };
        let kind = match &self.material {
            Material::Ec { curve, x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let on_curve = match curve {
                    Curve::P256 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &point),
                    Curve::P384 => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, &point),
                    Curve::P521 => ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, &point),
                };
                let parsed = on_curve.map_err(|_| KeyError::Value)?;
                match curve {
                    Curve::P521 => Kind::Es512(Box::new(parsed)),
                    _ => Kind::Library(Box::new(DecodingKey::from_ec_der(&point))),
                }
            }
            Material::Rsa { n, e } => {
                check_rsa(n, e)?;
                Kind::Library(Box::new(DecodingKey::from_rsa_raw_components(n, e)))
            }
            Material::Ed25519 { x } => {
                ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| KeyError::Value)?;
                Kind::Library(Box::new(DecodingKey::from_ed_der(x)))
            }
        };
        Ok(PublicKey { allowed, kind, thumbprint: self.thumbprint() })
    }

    /// The SHA-256 thumbprint of RFC 7638: of the required members in lexical order.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        let mut members = self.material.members();
        members.sort_unstable();
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), Json::String(value)));
        let text = Json::Object(members.collect()).to_text();
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Material {
    /// The algorithms that such a key can verify.
    #[must_use]
    pub const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Ec { curve: Curve::P256, .. } => &[Algorithm::Es256],
            Self::Ec { curve: Curve::P384, .. } => &[Algorithm::Es384],
            Self::Ec { curve: Curve::P521, .. } => &[Algorithm::Es512],
            Self::Ed25519 { .. } => &[Algorithm::Ed25519],
            Self::Rsa { .. } => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
        }
    }

    fn members(&self) -> Vec<(&'static str, String)> {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec { curve, x, y } => {
                vec![("kty", "EC".to_owned()), ("crv", curve.as_str().to_owned()), ("x", b64(x)), ("y", b64(y))]
            }
            Self::Rsa { n, e } => vec![("kty", "RSA".to_owned()), ("n", b64(n)), ("e", b64(e))],
            Self::Ed25519 { x } => vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", b64(x))],
        }
    }
}

/// A key that verifies signatures of the algorithms that it is for.
pub struct PublicKey {
    allowed: Vec<Algorithm>,
    kind: Kind,
    thumbprint: [u8; 32],
}

enum Kind {
    Library(Box<DecodingKey>),
    // What `jsonwebtoken` lacks.
    Es512(Box<ParsedPublicKey>),
}

impl PublicKey {
    /// Its thumbprint (RFC 7638): the same for the same key, whatever its id.
    #[must_use]
    pub const fn thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }

    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> Result<(), JoseError> {
        if !self.allowed.contains(&algorithm) {
            return Err(JoseError::AlgorithmOfKey(algorithm));
        }
        let holds = match &self.kind {
            Kind::Library(key) => library_name(algorithm)
                .and_then(|name| jsonwebtoken::crypto::verify(signature, message, key, name).ok())
                .unwrap_or(false),
            Kind::Es512(key) => {
                URL_SAFE_NO_PAD.decode(signature).is_ok_and(|raw| key.verify_sig(message, &raw).is_ok())
            }
        };
        if holds { Ok(()) } else { Err(JoseError::Signature) }
    }
}

const fn library_name(algorithm: Algorithm) -> Option<jsonwebtoken::Algorithm> {
    Some(match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Ed25519 => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es512 => return None,
    })
}

fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let bits = n.len() * 8 - n.first().map_or(0, |b| b.leading_zeros() as usize);
    let odd = |v: &[u8]| v.last().is_some_and(|b| b & 1 == 1);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
        || !odd(n)
        || !odd(e)
        || e.len() > RSA_EXPONENT_BYTES_MAX
        || e == [1]
    {
        return Err(KeyError::Value);
    }
    Ok(())
}

fn text<'j>(json: &'j Json, name: &'static str) -> Result<Option<&'j str>, KeyError> {
    match json.member(name) {
        None => Ok(None),
        Some(Json::String(s)) if !s.is_empty() => Ok(Some(s)),
        Some(_) => Err(KeyError::Member(name)),
    }
}

fn required<'j>(json: &'j Json, name: &'static str) -> Result<&'j str, KeyError> {
    text(json, name)?.ok_or(KeyError::Member(name))
}

fn bytes(json: &Json, name: &'static str, length: Option<usize>) -> Result<Vec<u8>, KeyError> {
    let bytes = URL_SAFE_NO_PAD.decode(required(json, name)?).map_err(|_| KeyError::Member(name))?;
    // Coordinates have their full length (RFC 7518 §6.2.1.2), numbers no leading zeros (§2).
    let right = length.map_or(bytes.first().is_some_and(|b| *b != 0), |l| bytes.len() == l);
    if right { Ok(bytes) } else { Err(KeyError::Member(name)) }
}

/// Shortest RSA key (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2048;
/// Longest RSA key: verifying takes time that grows with the square.
const RSA_BITS_MAX: usize = 8192;
/// Longest RSA exponent: a longer one only serves to make verifying slow.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

#[cfg(test)]
mod tests;
