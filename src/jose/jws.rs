//! A JWS in compact serialization: taken apart, held against its profile, and verified. What has not been verified has
//! another type and keeps its payload to itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Algorithm;
use super::claim_set::ClaimSet;
use super::error::{JoseError, Part};
use super::key::PublicKey;
use super::profile::Profile;
use crate::model::json::Json;

/// A token whose form is right, and of which nothing else is known.
pub struct Unverified<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signing_input: &'t str,
    signature: &'t str,
    payload: Vec<u8>,
}

/// A token whose signature holds.
pub struct Verified {
    key_id: Option<String>,
    payload: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart and checks everything that needs no key.
    ///
    /// # Errors
    /// Names the first defect.
    pub fn parse(token: &'t str, profile: &Profile) -> Result<Self, JoseError> {
        if token.len() > profile.bytes_max {
            return Err(JoseError::TooLong { max: profile.bytes_max });
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::NotCompact);
        };
        let header = Header::parse(&decode(header, Part::Header)?, profile)?;
        let payload = decode(payload, Part::Payload)?;
        let length = decode(signature, Part::Signature)?.len();
        if header.algorithm.signature_bytes().unwrap_or(length) != length || length == 0 {
            return Err(JoseError::SignatureLength);
        }
        let signing_input = token.rsplit_once('.').map_or("", |(input, _)| input);
        let Header { algorithm, key_id } = header;
        Ok(Self { algorithm, key_id, signing_input, signature, payload })
    }

    /// Which key it claims to be signed with: a name to look up among keys that are there, and nothing else.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that it claims; allowed by its profile.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A claim that nobody has vouched for, to choose the set of keys by: the trust domain of a JWT-SVID's `sub`. It is read
    /// again from [`Verified`] before anything is decided on it.
    #[must_use]
    pub fn danger_unverified_text(&self, claim: &'static str) -> Option<String> {
        self.danger_unverified_claims().ok()?.text(claim).ok()?.map(str::to_owned)
    }

    /// Claims that nobody has vouched for: for whoever got the token from its issuer, and only wants to know what it says.
    ///
    /// # Errors
    /// When the payload is no JSON object, or an object in it names a member twice.
    pub fn danger_unverified_claims(&self) -> Result<ClaimSet, JoseError> {
        ClaimSet::parse(&self.payload)
    }

    /// What is signed, as it was sent: a token is the same whoever signs it again.
    #[must_use]
    pub const fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// Verifies the signature with a key that is for this algorithm.
    ///
    /// # Errors
    /// When the key is for another algorithm, or the signature does not hold.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, JoseError> {
        key.verify(self.algorithm, self.signing_input.as_bytes(), self.signature)?;
        Ok(Verified { key_id: self.key_id, payload: self.payload })
    }
}

impl Verified {
    /// The payload, byte for byte as it was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key that it was verified with.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    fn parse(bytes: &[u8], profile: &Profile) -> Result<Self, JoseError> {
        let json = object(bytes, Part::Header, HEADER_BYTES_MAX)?;
        let Json::Object(members) = &json else {
            return Err(JoseError::NotCompact);
        };
        let (mut algorithm, mut kind, mut key_id) = (None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "crit" => return Err(JoseError::Critical),
                "alg" => algorithm = Some(text(value, "alg")?),
                "typ" => kind = Some(text(value, "typ")?),
                "kid" => key_id = Some(text(value, "kid")?),
                other if profile.passed_over.contains(&other) => {}
                _ => return Err(JoseError::HeaderMember),
            }
        }
        match kind {
            None if profile.type_may_be_absent => {}
            None => return Err(JoseError::HeaderAbsent("typ")),
            Some(kind) if profile.types_in_any_case => {
                profile.types.iter().find(|t| t.eq_ignore_ascii_case(kind)).ok_or(JoseError::Type)?;
            }
            Some(kind) => {
                profile.types.iter().find(|t| **t == kind).ok_or(JoseError::Type)?;
            }
        }
        let algorithm: Algorithm =
            algorithm.ok_or(JoseError::HeaderAbsent("alg"))?.parse().map_err(|_| JoseError::Algorithm)?;
        if !profile.algorithms.contains(&algorithm) {
            return Err(JoseError::Algorithm);
        }
        if key_id.is_none() && !profile.key_id_may_be_absent {
            return Err(JoseError::HeaderAbsent("kid"));
        }
        Ok(Self { algorithm, key_id: key_id.map(str::to_owned) })
    }
}

pub(super) fn object(bytes: &[u8], part: Part, bytes_max: usize) -> Result<Json, JoseError> {
    // JSON in a JWS is UTF-8 (RFC 7515 §2), and an empty text is no object here.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match Json::parse(text, bytes_max) {
        Ok(object @ Json::Object(_)) => Ok(object),
        Ok(_) => Err(JoseError::Json { part, cause: crate::model::json::ParseJsonError::NotAnObject }),
        Err(cause) => Err(JoseError::Json { part, cause }),
    }
}

fn text<'j>(value: &'j Json, name: &'static str) -> Result<&'j str, JoseError> {
    match value {
        Json::String(s) if !s.is_empty() && s.len() <= HEADER_TEXT_BYTES_MAX && !s.chars().any(char::is_control) => {
            Ok(s)
        }
        _ => Err(JoseError::HeaderShape(name)),
    }
}

fn decode(part: &str, which: Part) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JoseError::Base64(which))
}

/// Longest header: three short members, and room for what a profile passes over.
const HEADER_BYTES_MAX: usize = 1 << 10;
/// Longest member of a header: a key id is a name or a thumbprint.
const HEADER_TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
