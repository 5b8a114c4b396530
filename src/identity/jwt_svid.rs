//! JWT-SVIDs (JWT-SVID §2 to §5): whom a token names, once its signature holds under a key of the trust domain of its own
//! `sub`. Its form is the business of `jose`; nothing here is fetched, and no other claim or header chooses a key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{JwtSvidError, RefusedToken};
use crate::jose::claim_set::ClaimSet;
use crate::jose::error::{ClaimError, KeySetError};
use crate::jose::jws::Unverified;
use crate::jose::key_set::{KeySet, Unmarked, Wanted};
use crate::jose::profile::JWT_SVID;
use crate::jose::times::{TimeRules, Times};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// How far `nbf` and `iat` may lie ahead: clocks of different machines. `exp` is kept to the second.
pub const JWT_SVID_SKEW: Duration = Duration::from_secs(15);

/// The JWT authorities of one or more trust domains, each for itself: sets are never merged.
#[derive(Clone, Default)]
pub struct JwtAuthorities(Arc<BTreeMap<TrustDomain, KeySet>>);

impl JwtAuthorities {
    /// Keeps for each trust domain what can be used of its JWK set. A set that cannot be read leaves its trust domain without
    /// keys, and so without JWT-SVIDs (SPIFFE Trust Domain and Bundle §4).
    pub fn of<'a>(sets: impl IntoIterator<Item = (TrustDomain, &'a str)>) -> Self {
        let mut out = BTreeMap::new();
        for (name, text) in sets {
            match parse_authorities(text) {
                Ok(set) => drop(out.insert(name, set)),
                Err(error) => {
                    out.remove(&name);
                    tracing::warn!(trust_domain = %name, %error, "the JWT bundle is of no use: no JWT-SVID of it is accepted");
                }
            }
        }
        Self(Arc::new(out))
    }

    /// The trust domains that have at least one usable key.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.0.iter().filter(|(_, set)| !set.is_empty()).map(|(name, _)| name)
    }

    /// How many usable keys there are of a trust domain.
    pub(in crate::identity) fn of_domain(&self, name: &TrustDomain) -> usize {
        self.0.get(name).map_or(0, KeySet::len)
    }

    /// Verifies a token for an audience.
    ///
    /// # Errors
    /// Names the first rule that it breaks.
    pub fn verify(&self, token: &str, asked: &JwtSvidRules, now: Timestamp) -> Result<JwtSvid, JwtSvidError> {
        self.judge(token, asked, now).map_err(|refused| refused.error)
    }

    /// The same; a refusal says whom the token was signed for all the same.
    ///
    /// # Errors
    /// Names the first rule that it breaks.
    pub fn judge(&self, token: &str, asked: &JwtSvidRules, now: Timestamp) -> Result<JwtSvid, RefusedToken> {
        let Signed { spiffe_id, key, claims, payload } = self.signed(token)?;
        match times(&spiffe_id, &claims, asked, now) {
            Ok(Times { issued, expires, .. }) => Ok(JwtSvid { spiffe_id, issued, expires, key, payload }),
            Err(error) => Err(RefusedToken { error, proven: Some(spiffe_id) }),
        }
    }

    /// Whom a token was signed for, by a key of their trust domain.
    fn signed(&self, token: &str) -> Result<Signed, JwtSvidError> {
        let unverified = Unverified::parse(token, &JWT_SVID).map_err(JwtSvidError::Form)?;
        let claimed = unverified.danger_unverified_claims().map_err(JwtSvidError::Form)?;
        let claimed = claimed.text("sub")?.ok_or(ClaimError::Absent("sub"))?;
        let claimed: SpiffeId = claimed.parse().map_err(JwtSvidError::SpiffeId)?;
        let name = claimed.trust_domain();
        let keys = self.0.get(&name).filter(|set| !set.is_empty());
        let keys = keys.ok_or_else(|| JwtSvidError::NoTrustBundle(name.clone()))?;
        let key = keys.find(unverified.key_id().unwrap_or_default()).ok_or(JwtSvidError::KeyUnknown)?;
        let thumbprint = key.thumbprint();
        let verified = unverified.verify(key).map_err(JwtSvidError::Form)?;
        let key = AuthorityMark { key_id: verified.key_id().unwrap_or_default().to_owned(), thumbprint };
        // Read again from what was signed: what chose the key has not been vouched for.
        let claims = ClaimSet::parse(verified.payload()).map_err(JwtSvidError::Form)?;
        let spiffe_id: SpiffeId =
            claims.text("sub")?.ok_or(ClaimError::Absent("sub"))?.parse().map_err(JwtSvidError::SpiffeId)?;
        if spiffe_id.trust_domain() != name {
            return Err(JwtSvidError::KeyUnknown);
        }
        Ok(Signed { spiffe_id, key, claims, payload: verified.payload().to_vec() })
    }

    /// Whether that key is still one of its trust domain.
    pub(in crate::identity) fn holds(&self, name: &TrustDomain, mark: &AuthorityMark) -> Result<bool, JwtSvidError> {
        let keys = self.0.get(name).filter(|set| !set.is_empty());
        let keys = keys.ok_or_else(|| JwtSvidError::NoTrustBundle(name.clone()))?;
        Ok(keys.find(&mark.key_id).is_some_and(|key| key.thumbprint() == mark.thumbprint))
    }
}

impl fmt::Debug for JwtAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, set)| (name, set.len()))).finish()
    }
}

/// Reads the JWT authorities of one trust domain.
///
/// # Errors
/// When it is no key set. An entry that is of no use is left out and does not spoil the others.
pub fn parse_authorities(text: &str) -> Result<KeySet, KeySetError> {
    KeySet::parse(text, JWT_AUTHORITIES)
}

/// What is signed by a key of its trust domain, whatever else is wrong with it.
struct Signed {
    spiffe_id: SpiffeId,
    key: AuthorityMark,
    claims: ClaimSet,
    payload: Vec<u8>,
}

/// Holds what was signed against the rules, and says from when to when it holds.
fn times(spiffe_id: &SpiffeId, claims: &ClaimSet, asked: &JwtSvidRules, now: Timestamp) -> Result<Times, JwtSvidError> {
    if spiffe_id.path().is_empty() {
        return Err(JwtSvidError::NoPath);
    }
    if !claims.audiences()?.contains(&asked.audience.as_str()) {
        return Err(JwtSvidError::Audience);
    }
    let times = Times {
        issued: claims.numeric_date("iat")?,
        not_before: claims.numeric_date("nbf")?,
        expires: claims.numeric_date("exp")?.ok_or(ClaimError::Absent("exp"))?,
    };
    let rules = TimeRules { ahead_max: JWT_SVID_SKEW, grace: Duration::ZERO, life_max: asked.life_max };
    times.check(now, &rules).map_err(JwtSvidError::Time)?;
    Ok(times)
}

/// What a token is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvidRules {
    /// The one audience that is ours; it must be among the token's.
    pub audience: String,
    /// The longest life that is accepted; the standard sets none.
    pub life_max: Option<Duration>,
}

/// A JWT-SVID that holds. It says who somebody is, and proves no key.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtSvid {
    /// Whom it names.
    pub spiffe_id: SpiffeId,
    /// `iat`, where it says.
    pub issued: Option<Timestamp>,
    /// `exp`
    pub expires: Timestamp,
    pub(in crate::identity) key: AuthorityMark,
    payload: Vec<u8>,
}

impl JwtSvid {
    /// All its claims, as they were signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

#[cfg(test)]
impl JwtSvid {
    /// One for unit tests of what consumes it.
    pub(in crate::identity) const fn stand_in(spiffe_id: SpiffeId) -> Self {
        let key = AuthorityMark { key_id: String::new(), thumbprint: [0; 32] };
        Self { spiffe_id, issued: None, expires: Timestamp::MAX, key, payload: Vec::new() }
    }
}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spiffe_id, expires, key, .. } = self;
        f.debug_struct("JwtSvid").field("spiffe_id", spiffe_id).field("expires", expires).field("key", key).finish()
    }
}

/// Which key of its trust domain verified a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::identity) struct AuthorityMark {
    pub(in crate::identity) key_id: String,
    thumbprint: [u8; 32],
}

/// The entries of a JWT bundle that verify JWT-SVIDs (JWT-SVID §6.1). SPIRE's Workload API, which gives no keys but those for
/// JWT-SVIDs, sends them bare: `use` is left out of all of them, and the set has no other members. In any other set an entry
/// without it is none: see [`Unmarked::TakenFromPlainSets`].
const JWT_AUTHORITIES: Wanted =
    Wanted { key_use: "jwt-svid", unmarked: Unmarked::TakenFromPlainSets, algorithm_needed: false };

#[cfg(test)]
mod tests;
