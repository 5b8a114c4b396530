//! What one token of a person says, held against the rules of its kind (RFC 9068 §4, OpenID Connect Core §3.1.3.7), with keys
//! that are at hand. Its form is the business of `jose`.

use std::time::Duration;

use super::PersonError;
use crate::jose::algorithm::Algorithm;
use crate::jose::claim_set::ClaimSet;
use crate::jose::error::ClaimError;
use crate::jose::jws::Unverified;
use crate::jose::key_set::KeySet;
use crate::jose::profile::{ACCESS_TOKEN, ID_TOKEN, Profile};
use crate::jose::times::{TimeRules, Times};
use crate::model::json::Json;
use crate::model::person::{PersonEvidence, PersonTokenKind};
use crate::model::time::Timestamp;

/// How far `nbf`, `iat` and `auth_time` may lie ahead: clocks of different machines. `exp` is kept to the second.
pub const PERSON_TOKEN_SKEW: Duration = Duration::from_secs(15);
/// Longest `sub` (OpenID Connect Core §2).
const SUBJECT_BYTES_MAX: usize = 255;
/// Longest `acr`, and longest of the `amr`.
const METHOD_BYTES_MAX: usize = 256;
/// Most `amr`: a handful is registered (RFC 8176).
const METHODS_MAX: usize = 16;

/// What the tokens of one issuer are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The kind that this issuer gives us.
    pub kind: PersonTokenKind,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The clients (`client_id`, `azp`) that may get tokens for us; empty for any that the issuer gives one.
    pub clients: Vec<String>,
    /// The longest life that is accepted.
    pub life_max: Duration,
}

/// What a token that holds says.
#[derive(Debug)]
pub(in crate::identity) struct Said {
    pub(in crate::identity) evidence: PersonEvidence,
    pub(in crate::identity) expires: Timestamp,
}

pub(in crate::identity) const fn profile(kind: PersonTokenKind) -> &'static Profile {
    match kind {
        PersonTokenKind::AccessToken => &ACCESS_TOKEN,
        PersonTokenKind::IdToken => &ID_TOKEN,
    }
}

impl TokenRules {
    /// Verifies a token for an audience.
    ///
    /// # Errors
    /// Names the first rule that it breaks; `KeyUnknown` when its key is not in the set.
    pub(in crate::identity) fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        audience: &str,
        now: Timestamp,
    ) -> Result<Said, PersonError> {
        let unverified = Unverified::parse(token, profile(self.kind)).map_err(PersonError::Form)?;
        if !self.algorithms.contains(&unverified.algorithm()) {
            return Err(PersonError::Algorithm);
        }
        let key = keys.find(unverified.key_id().unwrap_or_default()).ok_or(PersonError::KeyUnknown)?;
        let verified = unverified.verify(key).map_err(PersonError::Form)?;
        // Read again from what was signed: what chose the issuer has not been vouched for.
        let claims = ClaimSet::parse(verified.payload()).map_err(PersonError::Form)?;
        let required = |name| claims.text(name)?.ok_or(ClaimError::Absent(name));
        if required("iss")? != self.issuer {
            return Err(PersonError::Issuer);
        }
        // For nobody besides us: whoever else it is for could come with it as well.
        if !claims.audiences()?.iter().all(|named| *named == audience) {
            return Err(PersonError::Audience);
        }
        let subject = required("sub")?;
        if subject.len() > SUBJECT_BYTES_MAX || !subject.is_ascii() || subject.chars().any(|c| c.is_ascii_control()) {
            return Err(ClaimError::Shape("sub").into());
        }
        self.check_kind(&claims, subject, audience)?;
        let date = |name| claims.numeric_date(name);
        let issued = date("iat")?.ok_or(ClaimError::Absent("iat"))?;
        let expires = date("exp")?.ok_or(ClaimError::Absent("exp"))?;
        let times = Times { issued: Some(issued), not_before: date("nbf")?, expires };
        let rules = TimeRules { ahead_max: PERSON_TOKEN_SKEW, grace: Duration::ZERO, life_max: Some(self.life_max) };
        times.check(now, &rules).map_err(PersonError::Time)?;
        let authenticated = date("auth_time")?;
        // Nobody authenticates after the token that says so; a later time would pass for fresh for ever.
        if authenticated.is_some_and(|at| at > issued.after(PERSON_TOKEN_SKEW)) {
            return Err(ClaimError::Shape("auth_time").into());
        }
        let acr = claims.text("acr")?.unwrap_or_default();
        if acr.len() > METHOD_BYTES_MAX || acr.chars().any(char::is_control) {
            return Err(ClaimError::Shape("acr").into());
        }
        let evidence = PersonEvidence {
            issuer: self.issuer.clone(),
            subject: subject.to_owned(),
            acr: acr.to_owned(),
            amr: methods(&claims)?,
            authenticated,
            kind: self.kind,
        };
        Ok(Said { evidence, expires })
    }

    /// What the two kinds do not share.
    fn check_kind(&self, claims: &ClaimSet, subject: &str, audience: &str) -> Result<(), PersonError> {
        let listed = |client: &str| self.clients.iter().any(|known| known == client);
        match self.kind {
            PersonTokenKind::AccessToken => {
                let client = claims.text("client_id")?.ok_or(ClaimError::Absent("client_id"))?;
                claims.text("jti")?.ok_or(ClaimError::Absent("jti"))?;
                if !self.clients.is_empty() && !listed(client) {
                    return Err(PersonError::Client);
                }
                // RFC 9068 §2.2, §5: then a program asked for itself, and no person stands behind it.
                if subject == client {
                    return Err(PersonError::NoPerson);
                }
            }
            PersonTokenKind::IdToken => {
                // OpenID Connect Core §3.1.3.7, 4 and 5: the party that it was issued to is us, or one that we know.
                if claims.text("azp")?.is_some_and(|party| party != audience && !listed(party)) {
                    return Err(PersonError::Client);
                }
                // A logout token or another security event, which may look the same otherwise (Back-Channel Logout §2.4).
                if claims.claim("events").is_some() {
                    return Err(PersonError::NoPerson);
                }
            }
        }
        Ok(())
    }
}

fn methods(claims: &ClaimSet) -> Result<Vec<String>, ClaimError> {
    let wrong = ClaimError::Shape("amr");
    let Some(value) = claims.claim("amr") else { return Ok(Vec::new()) };
    let Json::Array(items) = value else { return Err(wrong) };
    if items.len() > METHODS_MAX {
        return Err(wrong);
    }
    let one = |item: &Json| match item {
        Json::String(s) if !s.is_empty() && s.len() <= METHOD_BYTES_MAX && !s.chars().any(char::is_control) => {
            Ok(s.clone())
        }
        _ => Err(wrong),
    };
    items.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
