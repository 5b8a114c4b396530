//! Why a token, a key or a claim is refused: one variant per defect. No variant repeats the token.

use super::algorithm::Algorithm;
use crate::model::json::ParseJsonError;

/// A part of a compact JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before the first dot.
    Header,
    /// Between the dots.
    Payload,
    /// After the second dot.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum JoseError {
    /// Longer than the profile allows.
    #[error("token is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Not three parts with two dots between them. A JWE has five, the JSON serializations none.
    #[error("token is not a JWS in compact serialization")]
    NotCompact,
    /// Padding, white space, another alphabet, or bits after the end.
    #[error("{0} is not canonical base64url")]
    Base64(Part),
    /// A header or payload that is no JSON object, or names a member twice.
    #[error("{part} is not a JSON object with distinct members")]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        #[source]
        cause: ParseJsonError,
    },
    /// RFC 7515 §4.1.11: an extension that we don't understand must not be passed over; we understand none.
    #[error("header has critical extensions")]
    Critical,
    /// A member that this kind of token does not have, e.g. `jku`, `jwk`, `x5u`, `b64`.
    #[error("header has a member that this kind of token does not have")]
    HeaderMember,
    /// A member that is no string, empty, or too long.
    #[error("header member `{0}` is malformed")]
    HeaderShape(&'static str),
    /// A member is missing.
    #[error("header member `{0}` is absent")]
    HeaderAbsent(&'static str),
    /// Another kind of token.
    #[error("`typ` is that of another kind of token")]
    Type,
    /// `none`, HMAC, an unknown name, or one that this kind of token is not signed with.
    #[error("`alg` is not allowed for this kind of token")]
    Algorithm,
    /// The key is for another algorithm.
    #[error("the key is not for `{0}`")]
    AlgorithmOfKey(Algorithm),
    /// The signature is not of the length that the algorithm has (a DER encoding, say).
    #[error("signature has the wrong length")]
    SignatureLength,
    /// The signature does not hold.
    #[error("signature does not hold")]
    Signature,
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `kty` is missing or unknown; `oct` is no public key.
    #[error("not a public key of a known type")]
    Type,
    /// `crv` is missing or unknown.
    #[error("not a known curve")]
    Curve,
    /// A member is missing, no string, or not canonical base64url of the right length.
    #[error("key member `{0}` is malformed")]
    Member(&'static str),
    /// It holds a private key, which everybody has read by now.
    #[error("holds a private key")]
    Private,
    /// `alg` does not go with the type of the key.
    #[error("`alg` does not fit the key")]
    Algorithm,
    /// `key_ops` does not let it verify.
    #[error("`key_ops` does not include `verify`")]
    Operation,
    /// Not a point of its curve, or an RSA modulus or exponent outside the limits.
    #[error("not a valid key")]
    Value,
}

/// Why a set of keys is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not a JSON object.
    #[error("not a set of keys")]
    Shape,
    /// Not JSON, or without one array `keys`.
    #[error("not a JSON object with one array `keys`")]
    Json(#[source] ParseJsonError),
}

/// Why a claim is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It is not there.
    #[error("claim `{0}` is absent")]
    Absent(&'static str),
    /// It has another type, or a value that no such claim has.
    #[error("claim `{0}` is malformed")]
    Shape(&'static str),
}

/// Why a token is not valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// `exp` has come.
    #[error("expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("not valid yet")]
    NotYet,
    /// `iat` lies ahead.
    #[error("issued in the future")]
    IssuedAhead,
    /// It lives longer than this verifier accepts, or ends before it begins.
    #[error("lives longer than is accepted")]
    Life,
}
