//! One issuer of people's tokens: found by discovery (OpenID Connect Discovery §4), its keys kept and renewed. A key that the
//! issuer took back is gone with the next renewal; without renewal no key is used for long.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use super::PersonError;
use super::token::{Expected, Said, TokenRules};
use crate::clock::Clock;
use crate::identity::get::GetError;
use crate::identity::web::{HttpsUrl, ParseUrlError, WebRoots};
use crate::jose::error::KeySetError;
use crate::jose::jws::Unverified;
use crate::jose::key_set::{KeySet, Unmarked, Wanted};
use crate::model::json::{Json, ParseJsonError};
use crate::model::time::Timestamp;

/// How old keys may be before they are renewed: so long may a key that was taken back still be of use.
pub const KEYS_RENEWED_EVERY: Duration = Duration::from_secs(300);
/// How old keys may be at most, when they cannot be renewed. Then nobody of that issuer is known any more.
pub const KEYS_AGE_MAX: Duration = Duration::from_secs(3600);
/// Least time between two attempts to get keys, whoever asks: anybody can name a key that there is not.
pub const ATTEMPTS_APART: Duration = Duration::from_secs(10);
/// Largest discovery document.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// Where it lies below the issuer (§4).
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// The entries of an issuer's key set that sign tokens: where some are for encryption, each says what it is for (§3, `jwks_uri`).
const SIGNING: Wanted = Wanted { key_use: "sig", unmarked: Unmarked::TakenWhereNoneIsMarked, algorithm_needed: false };

/// Why the keys of an issuer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// A document cannot be got.
    #[error("`{url}` cannot be got")]
    Get {
        /// Which one.
        url: String,
        /// Why.
        #[source]
        cause: GetError,
    },
    /// The discovery document is no JSON object with distinct members.
    #[error("the discovery document is malformed")]
    Document(#[source] ParseJsonError),
    /// Discovery §4.3: it must name the issuer that was asked for, byte for byte.
    #[error("the discovery document is that of another issuer")]
    OtherIssuer,
    /// A member is missing or no string.
    #[error("the discovery document names no `{0}`")]
    Member(&'static str),
    /// An address that is none.
    #[error("the discovery document names a wrong address")]
    Address(#[source] ParseUrlError),
    /// The key set is none.
    #[error("the key set cannot be used")]
    Keys(#[source] KeySetError),
    /// There is no key in it that can be used.
    #[error("the key set holds no key that can be used")]
    NoKeys,
    /// It was tried a moment ago, in vain.
    #[error("the keys could not be got a moment ago")]
    TriedBefore,
}

/// What an issuer says of itself.
#[derive(Debug, Clone)]
pub struct Discovered {
    document: Json,
}

impl Discovered {
    /// Asks the issuer.
    ///
    /// # Errors
    /// When it cannot be reached, or says something else than what it must.
    pub async fn of(issuer: &str, roots: &WebRoots) -> Result<Self, IssuerError> {
        let url: HttpsUrl =
            format!("{}{DISCOVERY_PATH}", issuer.trim_end_matches('/')).parse().map_err(IssuerError::Address)?;
        let text = roots.get(&url).await.map_err(|cause| IssuerError::Get { url: url.to_string(), cause })?;
        let document = Json::parse_object(&text, DOCUMENT_BYTES_MAX).map_err(IssuerError::Document)?;
        if document.member("issuer") != Some(&Json::String(issuer.to_owned())) {
            return Err(IssuerError::OtherIssuer);
        }
        Ok(Self { document })
    }

    /// One of the addresses that it names.
    ///
    /// # Errors
    /// When it names none, or one that is not `https`.
    pub fn address(&self, member: &'static str) -> Result<HttpsUrl, IssuerError> {
        match self.document.member(member) {
            Some(Json::String(text)) => text.parse().map_err(IssuerError::Address),
            _ => Err(IssuerError::Member(member)),
        }
    }
}

/// One issuer, with its keys as they were last got. Clones share them.
#[derive(Clone)]
pub(in crate::identity) struct Issuer(Arc<Inner>);

struct Inner {
    rules: TokenRules,
    roots: WebRoots,
    clock: Clock,
    held: RwLock<Option<Held>>,
    /// The time of the last attempt. Whoever holds it makes the next one, alone.
    attempt: Mutex<Option<Timestamp>>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    at: Timestamp,
}

impl Issuer {
    pub(in crate::identity) fn new(rules: TokenRules, roots: WebRoots, clock: Clock) -> Self {
        Self(Arc::new(Inner { rules, roots, clock, held: RwLock::new(None), attempt: Mutex::new(None) }))
    }

    pub(in crate::identity) fn rules(&self) -> &TokenRules {
        &self.0.rules
    }

    /// Verifies a token. Keys are got when there are none yet, and once more when the token names one that is not known: issuers
    /// sign with a new key as soon as they have published it.
    pub(in crate::identity) async fn verify(
        &self,
        token: Unverified<'_>,
        expected: Expected<'_>,
    ) -> Result<Said, PersonError> {
        let rules = self.rules();
        let mut held = self.current().await?;
        if let Err(PersonError::KeyUnknown) = rules.key(&token, &held.keys) {
            // When it cannot be tried now, the key stays unknown.
            held = self.renewed(Some(held.at)).await.map_err(|_| PersonError::KeyUnknown)?;
        }
        let key = rules.key(&token, &held.keys)?;
        rules.verify(token, key, expected, self.0.clock.now())
    }

    /// The keys as they are to be used now. When they cannot be renewed, those that are there serve for a while.
    async fn current(&self) -> Result<Held, PersonError> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        match held {
            Some(held) if self.age(held.at) < KEYS_RENEWED_EVERY => Ok(held),
            // Somebody gets new ones already; nobody waits for that while the old ones serve.
            Some(held) if self.age(held.at) < KEYS_AGE_MAX && self.0.attempt.try_lock().is_err() => Ok(held),
            Some(held) => match self.renewed(Some(held.at)).await {
                Err(_) if self.age(held.at) < KEYS_AGE_MAX => Ok(held),
                renewed => renewed.map_err(PersonError::Unavailable),
            },
            None => self.renewed(None).await.map_err(PersonError::Unavailable),
        }
    }

    /// A clock that was set back makes what lies ahead old, not young.
    fn age(&self, at: Timestamp) -> Duration {
        let now = self.0.clock.now();
        if now < at { KEYS_RENEWED_EVERY } else { now.since(at) }
    }

    /// Other keys than those of `than`. Of all who wait for them, one gets them.
    async fn renewed(&self, than: Option<Timestamp>) -> Result<Held, IssuerError> {
        let mut attempt = self.0.attempt.lock().await;
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held
            && than != Some(held.at)
        {
            return Ok(held);
        }
        if attempt.is_some_and(|at| self.age(at) < ATTEMPTS_APART) {
            return Err(IssuerError::TriedBefore);
        }
        *attempt = Some(self.0.clock.now());
        let got = self.get().await;
        // It may have taken its time, and those who wait are not to try it one after the other.
        *attempt = Some(self.0.clock.now());
        match got {
            Ok(held) => {
                *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
                Ok(held)
            }
            Err(error) => {
                let issuer = &self.0.rules.issuer;
                tracing::warn!(issuer, error = &error as &dyn std::error::Error, "the keys of an issuer cannot be got");
                Err(error)
            }
        }
    }

    async fn get(&self) -> Result<Held, IssuerError> {
        let Inner { rules, roots, clock, .. } = &*self.0;
        let at = clock.now();
        let url = Discovered::of(&rules.issuer, roots).await?.address("jwks_uri")?;
        let text = roots.get(&url).await.map_err(|cause| IssuerError::Get { url: url.to_string(), cause })?;
        let keys = KeySet::parse(&text, SIGNING).map_err(IssuerError::Keys)?;
        if keys.is_empty() {
            return Err(IssuerError::NoKeys);
        }
        Ok(Held { keys: Arc::new(keys), at })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}
