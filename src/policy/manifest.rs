//! The manifest of a bundle: what people sign of it. It is a JWS in general JSON serialization (RFC 7515 §7.2.1), one payload and a
//! signature of each signer, so that any JOSE library can make one; each signature comes in by the one door for such.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::jose::algorithm::Algorithm;
use crate::jose::error::JoseError;
use crate::jose::jws::Unverified;
use crate::jose::key::{Jwk, PublicKey};
use crate::jose::profile::Profile;
use crate::model::id::Owner;
use crate::model::limits::{MANIFEST_BYTES_MAX, MANIFEST_SIGNATURES_MAX, TOKEN_BYTES_MAX};

/// The file of a bundle that is its manifest.
pub const MANIFEST: &str = "bundle.sig";

/// What is signed: exactly these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The digest of the bundle, which covers every file but the manifest.
    pub digest: String,
    /// The revision that it may be activated as.
    pub revision: u64,
    /// Who answers for it: a person or a group.
    pub owner: Owner,
}

/// A statement and signatures of it, none of which has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    statement: Statement,
    /// The statement as it is signed, base64url.
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    protected: String,
    signature: String,
}

/// Why a manifest is none. It repeats nothing of what stands there.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than any manifest.
    #[error("`{MANIFEST}` is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON of that form.
    #[error("`{MANIFEST}` is no JWS in general JSON serialization")]
    Form,
    /// The payload says something else than a digest, a revision and an owner.
    #[error("what `{MANIFEST}` signs is not a digest, a revision from 1 on, and an owner")]
    Statement,
    /// None, or more than are verified.
    #[error("`{MANIFEST}` has no signature, or more than {MANIFEST_SIGNATURES_MAX}")]
    Count,
    /// One is not of the kind that bundles are signed with.
    #[error("a signature in `{MANIFEST}` is not of the kind that bundles are signed with: {0}")]
    Signature(JoseError),
    /// One that is said to be by a key that is known is not.
    #[error("the signature by the key `{key_id}` in `{MANIFEST}` does not hold")]
    Broken {
        /// The key.
        key_id: String,
    },
}

impl Manifest {
    /// One that nobody has signed yet.
    #[must_use]
    pub fn new(statement: Statement) -> Self {
        // INVARIANT: a statement is texts and a number, and has a JSON form.
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&statement).unwrap_or_default());
        Self { statement, payload, signatures: Vec::new() }
    }

    /// Reads what stands in the file.
    ///
    /// # Errors
    /// When it is no manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge);
        }
        let Written { payload, signatures } = serde_json::from_slice(bytes).map_err(|_| ManifestError::Form)?;
        let decoded = URL_SAFE_NO_PAD.decode(&payload).map_err(|_| ManifestError::Form)?;
        let statement: Statement = serde_json::from_slice(&decoded).map_err(|_| ManifestError::Statement)?;
        if statement.revision == 0 || !is_digest(&statement.digest) {
            return Err(ManifestError::Statement);
        }
        if signatures.is_empty() || signatures.len() > MANIFEST_SIGNATURES_MAX {
            return Err(ManifestError::Count);
        }
        Ok(Self { statement, payload, signatures })
    }

    /// What it says, whoever may have signed it.
    #[must_use]
    pub const fn claimed(&self) -> &Statement {
        &self.statement
    }

    /// The keys whose signatures hold, of those that are known. What is signed by others counts for nothing; but what is said to be
    /// by one that is known, and is not, spoils the whole.
    ///
    /// # Errors
    /// When a signature is malformed, or does not hold with the key that it names.
    pub fn signed_by<'k>(
        &self,
        key: impl Fn(&str) -> Option<&'k PublicKey>,
    ) -> Result<BTreeSet<String>, ManifestError> {
        let mut holds = BTreeSet::new();
        for Signature { protected, signature } in &self.signatures {
            let compact = format!("{protected}.{}.{signature}", self.payload);
            let unverified = Unverified::parse(&compact, &PROFILE).map_err(ManifestError::Signature)?;
            let key_id = unverified.key_id().unwrap_or_default().to_owned();
            let Some(key) = key(&key_id) else { continue };
            if unverified.verify(key).is_err() {
                return Err(ManifestError::Broken { key_id });
            }
            holds.insert(key_id);
        }
        Ok(holds)
    }

    /// The keys that it is said to be signed with, in the order of the file; nothing is verified.
    ///
    /// # Errors
    /// When a signature is malformed.
    pub fn claimed_keys(&self) -> Result<Vec<String>, ManifestError> {
        let key_id = |Signature { protected, signature }: &Signature| {
            let compact = format!("{protected}.{}.{signature}", self.payload);
            let unverified = Unverified::parse(&compact, &PROFILE).map_err(ManifestError::Signature)?;
            Ok(unverified.key_id().unwrap_or_default().to_owned())
        };
        self.signatures.iter().map(key_id).collect()
    }

    /// What a key of that id and algorithm signs.
    #[must_use]
    pub fn signing_input(&self, algorithm: Algorithm, key_id: &str) -> String {
        // A thumbprint has no character that JSON would escape.
        let header = format!(r#"{{"typ":"{TYPE}","alg":"{algorithm}","kid":"{key_id}"}}"#);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), self.payload)
    }

    /// Adds the signature of a [`Manifest::signing_input`], in place of an earlier one by the same key.
    pub fn add(&mut self, signing_input: &str, signature: &[u8]) {
        let protected = signing_input.split('.').next().unwrap_or_default().to_owned();
        self.signatures.retain(|other| other.protected != protected);
        self.signatures.push(Signature { protected, signature: URL_SAFE_NO_PAD.encode(signature) });
    }

    /// As it stands in the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let written = Written { payload: self.payload.clone(), signatures: self.signatures.clone() };
        // INVARIANT: texts have a JSON form.
        serde_json::to_string_pretty(&written).unwrap_or_default() + "\n"
    }
}

/// The id of a key: its thumbprint (RFC 7638), so that it cannot be chosen and never means two keys.
#[must_use]
pub fn key_id(key: &Jwk) -> String {
    URL_SAFE_NO_PAD.encode(key.thumbprint())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The media type of what is signed: what is signed as something else is not taken for it.
const TYPE: &str = "carnet-policy+jws";

/// What a signature may look like.
const PROFILE: Profile = Profile {
    algorithms: &[Algorithm::Ed25519, Algorithm::Es256],
    types: &[TYPE],
    types_in_any_case: false,
    type_may_be_absent: false,
    key_id_may_be_absent: false,
    passed_over: &[],
    bytes_max: TOKEN_BYTES_MAX,
};
