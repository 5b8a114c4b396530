//! People, by tokens of configured issuers of OpenID Connect. Which issuer a token is from decides its rules and its keys; a table
//! says which accounts are one person, and what that person may do. Nobody is a person by an SVID.

pub mod issuer;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::web::WebRoots;
use crate::jose::error::{ClaimError, JoseError, TimeError};
use crate::jose::jws::Unverified;
use crate::model::id::InitiatorName;
use crate::model::person::{PersonEvidence, Right};
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;

use issuer::{Issuer, IssuerError};
use token::{Said, TokenRules, profile};

/// Why a token is not accepted as a person's: one variant per rule. None repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// Not a JWS of the kind that its issuer gives, or the signature does not hold.
    #[error("the token is not of the kind that its issuer gives, or does not hold")]
    Form(#[source] JoseError),
    /// A claim is missing or has another type than it must.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// `iss` is none of the configured ones.
    #[error("the issuer is none of the configured ones")]
    Issuer,
    /// Signed with what this issuer is not expected to sign with.
    #[error("the issuer is not expected to sign with that algorithm")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the key is none of the issuer's")]
    KeyUnknown,
    /// It is for somebody else, or for somebody else as well.
    #[error("the token is for another audience")]
    Audience,
    /// It was given to a client that is not listed.
    #[error("the token was given to a client that is not listed")]
    Client,
    /// It does not speak of a person who authenticated.
    #[error("the token does not speak of a person")]
    NoPerson,
    /// Not valid now, or for longer than is accepted.
    #[error("the token is not valid now")]
    Time(#[source] TimeError),
    /// The name that the account would have is none.
    #[error("the account has no name that can stand in a record")]
    Name,
    /// The keys of the issuer cannot be had.
    #[error("the keys of the issuer are not available")]
    Unavailable(#[source] IssuerError),
}

impl PersonError {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Time(TimeError::Expired) => ReasonCode::TokenExpired,
            Self::Unavailable(_) => ReasonCode::Unavailable,
            Self::Form(_)
            | Self::Claim(_)
            | Self::Issuer
            | Self::Algorithm
            | Self::KeyUnknown
            | Self::Audience
            | Self::Client
            | Self::NoPerson
            | Self::Time(_)
            | Self::Name => ReasonCode::TokenInvalid,
        }
    }
}

/// An issuer, and what its tokens are held against.
#[derive(Debug, Clone)]
pub struct IssuerOptions {
    /// How the configuration calls it: accounts that are nobody's are named by it.
    pub name: String,
    /// The rules of its tokens.
    pub rules: TokenRules,
    /// The audience of tokens that people show themselves, at their door.
    pub audience: Option<String>,
    /// The audience of tokens that an orchestrator hands over as evidence of who the initiator is. It is another one: otherwise
    /// each orchestrator could come to the people's door as the person whose token it was given.
    pub initiator_audience: Option<String>,
    /// Who vouches for the issuer's web server.
    pub roots: WebRoots,
}

/// A person with all accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonOptions {
    /// The name in records and tokens.
    pub name: InitiatorName,
    /// Issuer and `sub` of each account.
    pub accounts: Vec<(String, String)>,
    /// What the person may do at the people's door.
    pub may: BTreeSet<Right>,
}

/// What a token is shown for. The audiences differ, so that a token for one is none for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownFor {
    /// The person who shows it acts.
    Acting,
    /// An orchestrator proves who initiated a task.
    Initiating,
}

/// Verifies people's tokens. Clones share what they know.
#[derive(Clone)]
pub struct People {
    issuers: Arc<BTreeMap<String, KnownIssuer>>,
    persons: Arc<BTreeMap<(String, String), Arc<PersonOptions>>>,
    fresh_within: Duration,
}

struct KnownIssuer {
    name: String,
    audience: Option<String>,
    initiator_audience: Option<String>,
    issuer: Issuer,
}

impl People {
    /// Knows these issuers and people. An account that is in no row is a person by itself, who may do nothing but what is
    /// anybody's own.
    #[must_use]
    pub fn new(
        issuers: Vec<IssuerOptions>,
        persons: Vec<PersonOptions>,
        fresh_within: Duration,
        clock: &Clock,
    ) -> Self {
        let known = |options: IssuerOptions| {
            let IssuerOptions { name, rules, audience, initiator_audience, roots } = options;
            let url = rules.issuer.clone();
            let issuer = Issuer::new(rules, roots, clock.clone());
            (url, KnownIssuer { name, audience, initiator_audience, issuer })
        };
        let mut accounts = BTreeMap::new();
        for person in persons.into_iter().map(Arc::new) {
            accounts.extend(person.accounts.iter().map(|account| (account.clone(), Arc::clone(&person))));
        }
        Self { issuers: Arc::new(issuers.into_iter().map(known).collect()), persons: Arc::new(accounts), fresh_within }
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// Names the first rule that it breaks; `Unavailable` when its issuer's keys cannot be had.
    pub async fn verify(
        &self,
        token: &str,
        shown_for: ShownFor,
        address: Option<SocketAddr>,
    ) -> Result<VerifiedPerson, PersonError> {
        let known = self.issuer_of(token)?;
        let audience = match shown_for {
            ShownFor::Acting => &known.audience,
            ShownFor::Initiating => &known.initiator_audience,
        };
        let Said { evidence, expires } =
            known.issuer.verify(token, audience.as_deref().ok_or(PersonError::Audience)?).await?;
        let account = (evidence.issuer.clone(), evidence.subject.clone());
        let (name, may) = match self.persons.get(&account) {
            Some(person) => (person.name.clone(), person.may.clone()),
            None => {
                let name = format!("{}:{}", known.name, evidence.subject).parse();
                (name.map_err(|_| PersonError::Name)?, BTreeSet::new())
            }
        };
        Ok(VerifiedPerson::assertion(name, may, evidence, expires, address, self.fresh_within))
    }

    /// The issuer that a token claims to be from: it chooses rules and keys, and nothing else is made of it.
    fn issuer_of(&self, token: &str) -> Result<&KnownIssuer, PersonError> {
        let mut first = None;
        for kind in crate::model::person::PersonTokenKind::ALL {
            match Unverified::parse(token, profile(kind)) {
                Ok(unverified) => {
                    let claimed = unverified.danger_unverified_text("iss").ok_or(ClaimError::Absent("iss"))?;
                    return self.issuers.get(&claimed).ok_or(PersonError::Issuer);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or(PersonError::Issuer, PersonError::Form))
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<&String> = self.issuers.keys().collect();
        f.debug_struct("People")
            .field("issuers", &issuers)
            .field("accounts", &self.persons.len())
            .finish_non_exhaustive()
    }
}

/// A person whose token was verified. It is not made elsewhere.
#[derive(Debug)]
pub struct VerifiedPerson {
    name: InitiatorName,
    may: BTreeSet<Right>,
    evidence: PersonEvidence,
    expires: Timestamp,
    address: Option<SocketAddr>,
    fresh_within: Duration,
}

impl VerifiedPerson {
    /// Asserts that a token of this person's was verified.
    const fn assertion(
        name: InitiatorName,
        may: BTreeSet<Right>,
        evidence: PersonEvidence,
        expires: Timestamp,
        address: Option<SocketAddr>,
        fresh_within: Duration,
    ) -> Self {
        Self { name, may, evidence, expires, address, fresh_within }
    }

    /// The name in records and tokens.
    #[must_use]
    pub const fn name(&self) -> &InitiatorName {
        &self.name
    }

    /// Whether the person may do that.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.may.contains(&right)
    }

    /// What the issuer said.
    #[must_use]
    pub const fn evidence(&self) -> &PersonEvidence {
        &self.evidence
    }

    /// Until when the token holds.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires
    }

    /// Where it was shown from.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether the person authenticated a short while ago, as far as the issuer says.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.evidence.authenticated.is_some_and(|at| now.since(at) <= self.fresh_within)
    }
}
