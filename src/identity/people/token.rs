//! What one token of a person says, held against the rules of its kind (RFC 9068 §4, OpenID Connect Core §3.1.3.7), with keys
//! that are at hand. Its form is the business of `jose`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PersonError;
use crate::jose::algorithm::Algorithm;
use crate::jose::claim_set::ClaimSet;
use crate::jose::error::ClaimError;
use crate::jose::jws::Unverified;
use crate::jose::key::PublicKey;
use crate::jose::key_set::KeySet;
use crate::jose::profile::{ACCESS_TOKEN, ID_TOKEN, Profile};
use crate::jose::times::{TimeRules, Times};
use crate::model::json::Json;
use crate::model::person::{PersonEvidence, PersonTokenKind};
use crate::model::spiffe_pattern::Pattern;
use crate::model::time::Timestamp;

/// How far `nbf`, `iat` and `auth_time` may lie ahead: clocks of different machines. `exp` is kept to the second.
pub const PERSON_TOKEN_SKEW: Duration = Duration::from_secs(15);
/// Longest `sub` (OpenID Connect Core §2).
const SUBJECT_BYTES_MAX: usize = 255;
/// Longest `acr`, and longest of the `amr`.
const METHOD_BYTES_MAX: usize = 256;
/// The scheme of the names of workloads.
const SPIFFE: &str = "spiffe:";
/// Claims that access tokens have (RFC 9068 §2.2) and ID tokens have not.
const OF_ACCESS_TOKENS: [&str; 3] = ["client_id", "scope", "scp"];
/// What issuers that write a claim `typ` call their ID tokens.
const PAYLOAD_TYPE_OF_ID_TOKENS: &str = "ID";
/// Most `amr`: a handful is registered (RFC 8176).
const METHODS_MAX: usize = 16;

/// The clients whose tokens may be handed over, each with the orchestrators that may do so.
pub type InitiatorClients = BTreeMap<String, Vec<Pattern>>;

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

/// What a token is held against besides: whom it has to be for, and who may have asked for it.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Expected<'a> {
    pub(in crate::identity) audience: &'a str,
    /// In place of the issuer's `clients`.
    pub(in crate::identity) clients: Option<&'a InitiatorClients>,
}

/// What a token that holds says.
#[derive(Debug)]
pub(in crate::identity) struct Said {
    pub(in crate::identity) evidence: PersonEvidence,
    /// The client that it was given to.
    pub(in crate::identity) client: String,
    pub(in crate::identity) expires: Timestamp,
}

pub(in crate::identity) const fn profile(kind: PersonTokenKind) -> &'static Profile {
    match kind {
        PersonTokenKind::AccessToken => &ACCESS_TOKEN,
        PersonTokenKind::IdToken => &ID_TOKEN,
    }
}

impl TokenRules {
    /// The key that a token names.
    ///
    /// # Errors
    /// When the issuer does not sign with that algorithm; `KeyUnknown` when the key is not in the set.
    pub(in crate::identity) fn key<'k>(
        &self,
        token: &Unverified<'_>,
        keys: &'k KeySet,
    ) -> Result<&'k PublicKey, PersonError> {
        if !self.algorithms.contains(&token.algorithm()) {
            return Err(PersonError::Algorithm);
        }
        let key = keys.find(token.key_id().unwrap_or_default());
        key.map(AsRef::as_ref).ok_or(PersonError::KeyUnknown)
    }

    /// Verifies a token with the key that it names.
    ///
    /// # Errors
    /// Names the first rule that it breaks.
    pub(in crate::identity) fn verify(
        &self,
        token: Unverified<'_>,
        key: &PublicKey,
        expected: Expected<'_>,
        now: Timestamp,
    ) -> Result<Said, PersonError> {
        let verified = token.verify(key).map_err(PersonError::Form)?;
        // Read again from what was signed: what chose the issuer has not been vouched for.
        let claims = ClaimSet::parse(verified.payload()).map_err(PersonError::Form)?;
        let required = |name| claims.text(name)?.ok_or(ClaimError::Absent(name));
        if required("iss")? != self.issuer {
            return Err(PersonError::Issuer);
        }
        // Whoever stole a token that is bound to a key shows it as a bearer (RFC 9449 §7.1, RFC 8705 §3).
        if claims.claim("cnf").is_some() {
            return Err(PersonError::Bound);
        }
        // For nobody besides us: whoever else it is for could come with it as well.
        if !claims.audiences()?.iter().all(|named| *named == expected.audience) {
            return Err(PersonError::Audience);
        }
        let subject = required("sub")?;
        if subject.len() > SUBJECT_BYTES_MAX || !subject.is_ascii() || subject.chars().any(|c| c.is_ascii_control()) {
            return Err(ClaimError::Shape("sub").into());
        }
        // An issuer may vouch for workloads as well; those come by the SVID itself.
        if is_spiffe(subject) {
            return Err(PersonError::NoPerson);
        }
        let authenticated = claims.numeric_date("auth_time")?;
        let client = self.client(&claims, expected)?;
        self.check_kind(&claims, subject, client, expected, authenticated)?;
        let date = |name| claims.numeric_date(name);
        let issued = date("iat")?.ok_or(ClaimError::Absent("iat"))?;
        let expires = date("exp")?.ok_or(ClaimError::Absent("exp"))?;
        let times = Times { issued: Some(issued), not_before: date("nbf")?, expires };
        let rules = TimeRules { ahead_max: PERSON_TOKEN_SKEW, grace: Duration::ZERO, life_max: Some(self.life_max) };
        times.check(now, &rules).map_err(PersonError::Time)?;
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
        Ok(Said { evidence, client: client.to_owned(), expires })
    }

    /// The client that the token was given to, which must be one that may have it.
    fn client<'c>(&self, claims: &'c ClaimSet, expected: Expected<'c>) -> Result<&'c str, PersonError> {
        let listed = |client: &str| self.clients.iter().any(|known| known == client);
        let client = match self.kind {
            PersonTokenKind::AccessToken => claims.text("client_id")?.ok_or(ClaimError::Absent("client_id"))?,
            // OpenID Connect Core §3.1.3.7, 4 and 5: without `azp`, it is whom the token is for.
            PersonTokenKind::IdToken => claims.text("azp")?.unwrap_or(expected.audience),
        };
        let may = match (expected.clients, self.kind) {
            (Some(clients), _) => clients.contains_key(client),
            (None, PersonTokenKind::AccessToken) => self.clients.is_empty() || listed(client),
            (None, PersonTokenKind::IdToken) => client == expected.audience || listed(client),
        };
        if may { Ok(client) } else { Err(PersonError::Client) }
    }

    /// What the two kinds do not share.
    fn check_kind(
        &self,
        claims: &ClaimSet,
        subject: &str,
        client: &str,
        expected: Expected<'_>,
        authenticated: Option<Timestamp>,
    ) -> Result<(), PersonError> {
        match self.kind {
            PersonTokenKind::AccessToken => {
                claims.text("jti")?.ok_or(ClaimError::Absent("jti"))?;
                // RFC 9068 §2.2, §5: then a program asked for itself, and no person stands behind it. Many issuers have another
                // `sub` there; but none says when a program logged in, and clients that are listed are those of people.
                let any_client = expected.clients.is_none() && self.clients.is_empty();
                if subject == client || (any_client && authenticated.is_none()) {
                    return Err(PersonError::NoPerson);
                }
            }
            PersonTokenKind::IdToken => {
                // An access token without a type of its own, which every resource server has that it was shown to. Some issuers
                // say in the payload what it is.
                let is_other = claims.text("typ")?.is_some_and(|kind| kind != PAYLOAD_TYPE_OF_ID_TOKENS);
                if is_other || OF_ACCESS_TOKENS.iter().any(|name| claims.claim(name).is_some()) {
                    return Err(PersonError::NoPerson);
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

/// Whether that is the name of a workload.
pub(in crate::identity) fn is_spiffe(subject: &str) -> bool {
    subject.get(..SPIFFE.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
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
