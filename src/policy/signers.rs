//! Who may sign bundles, and how many of them it takes. What a bundle is held against before it may be activated; whether it is
//! activated, and by whom, is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::bundle::BundleFiles;
use super::manifest::{MANIFEST, Manifest, ManifestError, Statement, key_id};
use crate::jose::algorithm::Algorithm;
use crate::jose::error::KeyError;
use crate::jose::key::{Jwk, PublicKey};
use crate::model::json::Json;
use crate::model::limits::{NAME_BYTES_MAX, SIGNING_KEYS_MAX, TOKEN_BYTES_MAX};
use crate::model::signer::Signer;

/// A public key that counts.
pub struct SignerKey {
    signer: Signer,
    key: PublicKey,
}

/// Why a key cannot count.
#[derive(Debug, thiserror::Error)]
pub enum SignerKeyError {
    /// The name is empty, too long, or holds what no name does.
    #[error("the name is empty, longer than {NAME_BYTES_MAX} bytes, or holds control characters")]
    Name,
    /// Not a JWK.
    #[error("not a public key as a JWK (RFC 7517)")]
    Json,
    /// A JWK that is no public key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key of another kind.
    #[error("neither an Ed25519 nor a P-256 key for signatures")]
    Kind,
}

impl SignerKey {
    /// Reads a public key, a JWK.
    ///
    /// # Errors
    /// When it is none, or of a kind that bundles are not signed with.
    pub fn parse(name: &str, jwk: &str) -> Result<Self, SignerKeyError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(SignerKeyError::Name);
        }
        let json = Json::parse(jwk.trim_ascii(), TOKEN_BYTES_MAX).map_err(|_| SignerKeyError::Json)?;
        let jwk = Jwk::parse(&json)?;
        let known = [Algorithm::Ed25519, Algorithm::Es256];
        let of_kind = jwk.material.algorithms().iter().all(|each| known.contains(each));
        if !of_kind || jwk.key_use.as_deref().is_some_and(|key_use| key_use != USE_SIGNATURE) {
            return Err(SignerKeyError::Kind);
        }
        let signer = Signer { name: name.to_owned(), key_id: key_id(&jwk) };
        Ok(Self { signer, key: jwk.public_key()? })
    }

    /// Whose it is.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// Whose signatures count, and how many are needed.
pub struct Signers {
    keys: BTreeMap<String, SignerKey>,
    needed: usize,
}

/// Why keys and their number do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignersError {
    /// Under two names, one signature would count twice.
    #[error("the key of `{0}` stands twice")]
    Twice(String),
    /// More than are looked through.
    #[error("more than {SIGNING_KEYS_MAX} keys")]
    TooMany,
    /// Nobody could sign enough, or nobody has to.
    #[error("{needed} signatures are needed of {names} signers")]
    Needed {
        /// How many are needed.
        needed: usize,
        /// How many names there are.
        names: usize,
    },
}

/// Who stands for a bundle, as far as it was found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endorsement {
    /// What its manifest says; `None` when it has none.
    pub statement: Option<Statement>,
    /// Whose signatures hold, by name.
    pub signed_by: Vec<Signer>,
}

/// Why a bundle may not be activated as it is signed.
#[derive(Debug, thiserror::Error)]
pub enum EndorsementError {
    /// Nobody signed it.
    #[error("the bundle is not signed: it has no `{MANIFEST}`")]
    Unsigned,
    /// Its manifest is none, or a signature does not hold.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest is another bundle's.
    #[error("`{MANIFEST}` is for other files: some were changed, added or taken away since it was signed")]
    Files,
    /// Too few signatures count.
    #[error(
        "{needed} signers must have signed `{MANIFEST}`, and {found} of those who count have; {foreign} signatures are by keys \
         that do not"
    )]
    TooFew {
        /// How many are needed.
        needed: usize,
        /// How many have.
        found: usize,
        /// Signatures by other keys.
        foreign: usize,
    },
}

impl Signers {
    /// These keys. A signer may have several, while one follows the other; signatures are counted by name.
    ///
    /// # Errors
    /// When a key stands twice, or as many as are needed can never have signed.
    pub fn new(keys: impl IntoIterator<Item = SignerKey>, needed: usize) -> Result<Self, SignersError> {
        let mut known = BTreeMap::new();
        for key in keys {
            if known.contains_key(&key.signer.key_id) {
                return Err(SignersError::Twice(key.signer.name));
            }
            known.insert(key.signer.key_id.clone(), key);
        }
        if known.len() > SIGNING_KEYS_MAX {
            return Err(SignersError::TooMany);
        }
        let names: BTreeSet<&str> = known.values().map(|key| key.signer.name.as_str()).collect();
        if needed == 0 || needed > names.len() {
            return Err(SignersError::Needed { needed, names: names.len() });
        }
        Ok(Self { keys: known, needed })
    }

    /// How many must have signed.
    #[must_use]
    pub const fn needed(&self) -> usize {
        self.needed
    }

    /// Every key that counts.
    pub fn all(&self) -> impl Iterator<Item = &Signer> {
        self.keys.values().map(SignerKey::signer)
    }

    fn verify(&self, manifest: &Manifest) -> Result<Vec<Signer>, EndorsementError> {
        let holds = manifest.signed_by(|id| self.keys.get(id).map(|known| &known.key))?;
        let mut signed_by: Vec<Signer> =
            holds.iter().filter_map(|id| self.keys.get(id)).map(|known| known.signer.clone()).collect();
        signed_by.sort();
        let names: BTreeSet<&str> = signed_by.iter().map(|signer| signer.name.as_str()).collect();
        if names.len() < self.needed {
            let claimed: BTreeSet<String> = manifest.claimed_keys()?.into_iter().collect();
            let foreign = claimed.len().saturating_sub(holds.len());
            return Err(EndorsementError::TooFew { needed: self.needed, found: names.len(), foreign });
        }
        Ok(signed_by)
    }
}

/// Who stands for these files. Without signers nothing is verified: a manifest that is theirs says who answers for them, and another
/// is passed over.
///
/// # Errors
/// With signers, when too few of them signed it, or the manifest is malformed or another bundle's.
pub fn endorsement(files: &BundleFiles, signers: Option<&Signers>) -> Result<Endorsement, EndorsementError> {
    let is_theirs = |manifest: &Manifest| manifest.claimed().digest == files.digest().as_str();
    let Some(signers) = signers else {
        let manifest = files.manifest().and_then(|written| Manifest::parse(written).ok()).filter(is_theirs);
        let statement = manifest.map(|manifest| manifest.claimed().clone());
        return Ok(Endorsement { statement, signed_by: Vec::new() });
    };
    let manifest = Manifest::parse(files.manifest().ok_or(EndorsementError::Unsigned)?)?;
    // Whose signatures hold is told first: of what nobody signed it matters little what it is of.
    let signed_by = signers.verify(&manifest)?;
    if !is_theirs(&manifest) {
        return Err(EndorsementError::Files);
    }
    Ok(Endorsement { statement: Some(manifest.claimed().clone()), signed_by })
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.signer, f)
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signers").field("needed", &self.needed).field("keys", &self.keys.len()).finish()
    }
}

/// `use` of a key for signatures (RFC 7517 §4.2).
const USE_SIGNATURE: &str = "sig";

#[cfg(test)]
mod tests;
