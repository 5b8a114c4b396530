//! People, by tokens of configured issuers of OpenID Connect. Which issuer a token is from decides its rules and its keys; a table
//! says which accounts are one person, and what that person may do. Nobody is a person by an SVID.

pub mod issuer;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::clock::Clock;
use crate::identity::web::WebRoots;
use crate::jose::error::{ClaimError, JoseError, TimeError};
use crate::jose::jws::Unverified;
use crate::model::id::InitiatorName;
use crate::model::person::{PersonEvidence, PersonTokenKind, Right};
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::model::spiffe_pattern::Pattern;
use crate::model::time::Timestamp;

use issuer::{Issuer, IssuerError, Standing};
use token::{Expected, InitiatorClients, Said, TokenRules, profile};

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
    /// It is bound to a key (RFC 7800 `cnf`), which nobody shows here.
    #[error("the token is bound to a key")]
    Bound,
    /// Not valid now, or for longer than is accepted.
    #[error("the token is not valid now")]
    Time(#[source] TimeError),
    /// The name that the account would have is none.
    #[error("the account has no name that can stand in a record")]
    Name,
    /// The keys of the issuer cannot be had.
    #[error("the keys of the issuer are not available")]
    Unavailable(#[source] Arc<IssuerError>),
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
            | Self::Bound
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
    /// Which clients' tokens may be handed over, and by which orchestrators; `None` for those of the rules' clients, by any.
    pub initiator_clients: Option<InitiatorClients>,
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
    clock: Clock,
}

struct KnownIssuer {
    name: String,
    audience: Option<String>,
    initiator_audience: Option<String>,
    initiator_clients: Option<InitiatorClients>,
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
            let IssuerOptions { name, rules, audience, initiator_audience, initiator_clients, roots } = options;
            let url = rules.issuer.clone();
            let issuer = Issuer::new(rules, roots, clock.clone());
            (url, KnownIssuer { name, audience, initiator_audience, initiator_clients, issuer })
        };
        let mut accounts = BTreeMap::new();
        for person in persons.into_iter().map(Arc::new) {
            accounts.extend(person.accounts.iter().map(|account| (account.clone(), Arc::clone(&person))));
        }
        let issuers = issuers.into_iter().map(known).collect();
        Self { issuers: Arc::new(issuers), persons: Arc::new(accounts), fresh_within, clock: clock.clone() }
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
        let (known, unverified) = self.taken_apart(token)?;
        let token_digest = digest_of(unverified.signing_input());
        let (audience, clients) = match shown_for {
            ShownFor::Acting => (&known.audience, None),
            ShownFor::Initiating => (&known.initiator_audience, known.initiator_clients.as_ref()),
        };
        let expected = Expected { audience: audience.as_deref().ok_or(PersonError::Audience)?, clients };
        let Said { evidence, client, expires } = known.issuer.verify(unverified, expected).await?;
        let handed_over_by = match (shown_for, clients) {
            (ShownFor::Acting, _) => Orchestrators::Listed(Vec::new()),
            (ShownFor::Initiating, None) => Orchestrators::Any,
            (ShownFor::Initiating, Some(clients)) => {
                Orchestrators::Listed(clients.get(&client).cloned().unwrap_or_default())
            }
        };
        let account = (evidence.issuer.clone(), evidence.subject.clone());
        let (name, may) = match self.persons.get(&account) {
            Some(person) => (person.name.clone(), person.may.clone()),
            None => {
                let name = format!("{}:{}", known.name, evidence.subject).parse();
                (name.map_err(|_| PersonError::Name)?, BTreeSet::new())
            }
        };
        let shown = Shown { evidence, client, token_digest, handed_over_by, expires, address };
        Ok(VerifiedPerson::assertion(name, may, shown, self.fresh_within, self.clock.clone()))
    }

    /// Whether the person of that name may do that, as the table has it now.
    #[must_use]
    pub fn may(&self, name: &InitiatorName, right: Right) -> bool {
        self.persons.values().any(|person| person.name == *name && person.may.contains(&right))
    }

    /// How each issuer stands, by what it is called here.
    pub fn standings(&self) -> impl Iterator<Item = (&str, Standing)> {
        self.issuers.values().map(|known| (known.name.as_str(), known.issuer.standing()))
    }

    /// What is amiss with the issuers, one sentence each. Of one that was never asked nothing is known.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.standings().filter_map(|(name, standing)| match standing {
            Standing { reachable: true, keys: 0, serves_for: Some(_) } => {
                Some(format!("issuer `{name}` has no keys, and so knows nobody"))
            }
            Standing { reachable: true, .. } => None,
            Standing { serves_for: Some(left), keys: 1.., .. } => Some(format!(
                "the keys of issuer `{name}` cannot be got; those that are there serve for another {} s",
                left.as_secs()
            )),
            Standing { .. } => Some(format!("the keys of issuer `{name}` cannot be got, and nobody of it is known")),
        })
    }

    /// The token, and the issuer that it claims to be from: that chooses rules and keys, and nothing else is made of it.
    fn taken_apart<'t>(&self, token: &'t str) -> Result<(&KnownIssuer, Unverified<'t>), PersonError> {
        let mut first = None;
        for kind in PersonTokenKind::ALL {
            let unverified = match Unverified::parse(token, profile(kind)) {
                Ok(unverified) => unverified,
                Err(error) => {
                    first = first.or(Some(error));
                    continue;
                }
            };
            let claimed = unverified.danger_unverified_text("iss").ok_or(ClaimError::Absent("iss"))?;
            let known = self.issuers.get(&claimed).ok_or(PersonError::Issuer)?;
            let own = known.issuer.rules().kind;
            // Of the other kind than this issuer gives us: what is wrong with it as one of its own, it says itself.
            let unverified = if own == kind { Ok(unverified) } else { Unverified::parse(token, profile(own)) };
            return Ok((known, unverified.map_err(PersonError::Form)?));
        }
        Err(first.map_or(PersonError::Issuer, PersonError::Form))
    }
}

/// SHA-256 of what a token has signed: the same token again has the same, whatever was done to its signature. Nothing is verified.
#[must_use]
pub fn token_digest(token: &str) -> [u8; 32] {
    digest_of(token.rsplit_once('.').map_or(token, |(input, _)| input))
}

fn digest_of(signing_input: &str) -> [u8; 32] {
    // INVARIANT: SHA-256 has 32 bytes.
    digest(&SHA256, signing_input.as_bytes()).as_ref().try_into().unwrap_or_default()
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
    shown: Shown,
    fresh_within: Duration,
    clock: Clock,
}

/// A token that holds, and where it came from.
#[derive(Debug)]
struct Shown {
    evidence: PersonEvidence,
    client: String,
    token_digest: [u8; 32],
    handed_over_by: Orchestrators,
    expires: Timestamp,
    address: Option<SocketAddr>,
}

/// Who may hand a token over.
#[derive(Debug)]
enum Orchestrators {
    Any,
    Listed(Vec<Pattern>),
}

impl VerifiedPerson {
    /// Asserts that a token of this person's was verified.
    const fn assertion(
        name: InitiatorName,
        may: BTreeSet<Right>,
        shown: Shown,
        fresh_within: Duration,
        clock: Clock,
    ) -> Self {
        Self { name, may, shown, fresh_within, clock }
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
        &self.shown.evidence
    }

    /// The client that the issuer gave the token to: `client_id` of an access token, `azp` of an ID token or whom that is for.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.shown.client
    }

    /// SHA-256 of what the token has signed, by which it is known again: [`token_digest`].
    #[must_use]
    pub const fn token_digest(&self) -> &[u8; 32] {
        &self.shown.token_digest
    }

    /// Whether that orchestrator may hand this token over, as proof of who initiated a task. Nobody may who was not shown one for
    /// that.
    #[must_use]
    pub fn may_be_handed_over_by(&self, orchestrator: &SpiffeId) -> bool {
        match &self.shown.handed_over_by {
            Orchestrators::Any => true,
            Orchestrators::Listed(patterns) => patterns.iter().any(|pattern| pattern.matches(orchestrator)),
        }
    }

    /// Returns when the token does not hold any more.
    pub fn expired(&self) -> impl Future<Output = ()> + Send + 'static {
        let (clock, expires) = (self.clock.clone(), self.shown.expires);
        async move { clock.reach(expires).await }
    }

    /// Where it was shown from.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.shown.address
    }

    /// Whether the person authenticated a short while ago, as far as the issuer says.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.shown.evidence.authenticated.is_some_and(|at| now.since(at) <= self.fresh_within)
    }
}
