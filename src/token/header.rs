//! The header of a token and what is signed: `base64url(header).base64url(payload)` (RFC 7515 §5.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::jwks::KeyId;
use crate::jose::algorithm::Algorithm;
use crate::jose::profile::Profile;
use crate::model::limits::TOKEN_BYTES_MAX;

/// What a token may be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: the default.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA of 2048 bits: for audiences that know nothing else. Signing takes forty times as long.
    #[serde(rename = "RS256")]
    Rs256,
    /// EdDSA on Ed25519, under its name of RFC 9864.
    #[serde(rename = "Ed25519")]
    Ed25519,
}

/// What a token says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TokenType {
    /// An access token (RFC 9068).
    #[default]
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// A JWT and nothing more: only for audiences that are configured so.
    #[serde(rename = "JWT")]
    Plain,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::Ed25519];

    /// As the door for incoming tokens knows it.
    #[must_use]
    pub const fn jose(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::Es256,
            Self::Rs256 => Algorithm::Rs256,
            Self::Ed25519 => Algorithm::Ed25519,
        }
    }

    /// The name in headers and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.jose().as_str()
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TokenType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::Plain];

    /// The value of `typ`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::Plain => "JWT",
        }
    }

    /// What a verifier accepts that waits for tokens of this type.
    #[must_use]
    pub const fn profile(self) -> &'static Profile {
        match self {
            Self::AccessToken => &ACCESS_TOKEN,
            Self::Plain => &PLAIN,
        }
    }
}

/// What is signed for these claims. The same arguments give the same text.
#[must_use]
pub fn signing_input(kind: TokenType, algorithm: SigningAlgorithm, key_id: &KeyId, payload: &[u8]) -> String {
    // A key id has no character that JSON would escape.
    let header = format!(r#"{{"typ":"{}","alg":"{algorithm}","kid":"{key_id}"}}"#, kind.as_str());
    let mut out = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 128);
    URL_SAFE_NO_PAD.encode_string(header, &mut out);
    out.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut out);
    out
}

const ALGORITHMS: &[Algorithm] = &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Ed25519];

/// Our tokens as RFC 9068 §2.1 names them; media types are compared without regard to case.
const ACCESS_TOKEN: Profile = Profile {
    algorithms: ALGORITHMS,
    types: &["at+jwt", "application/at+jwt"],
    types_in_any_case: true,
    type_may_be_absent: false,
    key_id_may_be_absent: false,
    passed_over: &[],
    bytes_max: TOKEN_BYTES_MAX,
};

const PLAIN: Profile = Profile { types: &["JWT"], types_in_any_case: false, ..ACCESS_TOKEN };
