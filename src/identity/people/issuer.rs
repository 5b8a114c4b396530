//! One issuer of people's tokens: found by discovery (OpenID Connect Discovery §4), its keys kept and renewed. A key that the
//! issuer took back is gone with the next renewal; without renewal no key is used for long.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

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
    /// The issuer's name is no address to begin at.
    #[error("the issuer has no address")]
    Issuer(#[source] ParseUrlError),
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
        let _is_one = HttpsUrl::plain(issuer).map_err(IssuerError::Issuer)?;
        let url: HttpsUrl =
            format!("{}{DISCOVERY_PATH}", issuer.trim_end_matches('/')).parse().map_err(IssuerError::Issuer)?;
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
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The attempt that is under way; its sender is gone when it came to nothing.
    attempt: Option<watch::Receiver<Option<Got>>>,
    /// When the last attempt ended, and whether in vain.
    tried: Option<Timestamp>,
    failed: bool,
}

impl State {
    fn under_way(&self) -> Option<watch::Receiver<Option<Got>>> {
        self.attempt.clone().filter(|attempt| attempt.has_changed().is_ok())
    }
}

type Got = Result<Held, Arc<IssuerError>>;

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    at: Timestamp,
}

/// How an issuer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// True unless the last attempt to get its keys failed.
    pub reachable: bool,
    /// For how long the keys that are there may serve without being renewed; `None` when none may.
    pub serves_for: Option<Duration>,
    /// How many keys may be used.
    pub keys: usize,
}

impl Issuer {
    pub(in crate::identity) fn new(rules: TokenRules, roots: WebRoots, clock: Clock) -> Self {
        Self(Arc::new(Inner { rules, roots, clock, state: Mutex::default() }))
    }

    pub(in crate::identity) fn rules(&self) -> &TokenRules {
        &self.0.rules
    }

    /// Verifies a token. Keys are got when there are none yet, and once more when the token names one that is not known: issuers
    /// sign with a new key as soon as they have published it. Whether a key is the issuer's, only a set tells that came after
    /// the question; without one the answer is that nobody knows.
    pub(in crate::identity) async fn verify(
        &self,
        token: Unverified<'_>,
        expected: Expected<'_>,
    ) -> Result<Said, PersonError> {
        let rules = self.rules();
        let (mut held, asked_now) = self.current().await.map_err(PersonError::Unavailable)?;
        if !asked_now && matches!(rules.key(&token, &held.keys), Err(PersonError::KeyUnknown)) {
            held = self.renewed(Some(&held)).await.map_err(PersonError::Unavailable)?;
        }
        let key = rules.key(&token, &held.keys)?;
        rules.verify(token, key, expected, self.0.clock.now())
    }

    /// How it stands, without asking it.
    pub(in crate::identity) fn standing(&self) -> Standing {
        let state = self.state();
        let held = state.held.as_ref().filter(|held| self.age(held.at) < KEYS_AGE_MAX);
        Standing {
            reachable: !state.failed,
            serves_for: held.map(|held| KEYS_AGE_MAX.saturating_sub(self.age(held.at))),
            keys: held.map_or(0, |held| held.keys.len()),
        }
    }

    /// The keys as they are to be used now, and whether they came after this was asked. When they cannot be renewed, those that
    /// are there serve for a while.
    async fn current(&self) -> Result<(Held, bool), Arc<IssuerError>> {
        let (held, under_way) = {
            let state = self.state();
            (state.held.clone(), state.under_way().is_some())
        };
        let Some(held) = held else { return Ok((self.renewed(None).await?, true)) };
        let age = self.age(held.at);
        // While somebody gets new ones already, nobody waits for that as long as the old ones serve.
        if age < KEYS_RENEWED_EVERY || (under_way && age < KEYS_AGE_MAX) {
            return Ok((held, false));
        }
        match self.renewed(Some(&held)).await {
            Ok(fresh) => Ok((fresh, true)),
            Err(_) if self.age(held.at) < KEYS_AGE_MAX => Ok((held, false)),
            Err(error) => Err(error),
        }
    }

    /// A clock that was set back makes what lies ahead old, not young: nobody knows how old.
    fn age(&self, at: Timestamp) -> Duration {
        let now = self.0.clock.now();
        if now < at { Duration::MAX } else { now.since(at) }
    }

    /// Other keys than those. All who wait for them wait for one attempt, which goes on when they no longer do.
    async fn renewed(&self, than: Option<&Held>) -> Got {
        let mut attempt = {
            let mut state = self.state();
            if let Some(held) = &state.held
                && !than.is_some_and(|than| Arc::ptr_eq(&than.keys, &held.keys))
            {
                return Ok(held.clone());
            }
            match state.under_way() {
                Some(attempt) => attempt,
                None if state.tried.is_some_and(|at| self.age(at) < ATTEMPTS_APART) => {
                    return Err(Arc::new(IssuerError::TriedBefore));
                }
                None => {
                    let (tell, attempt) = watch::channel(None);
                    state.attempt = Some(attempt.clone());
                    // Of its own: whoever asked may hang up, and has not used up anything by that.
                    tokio::spawn(self.clone().try_to_get(tell));
                    attempt
                }
            }
        };
        match attempt.wait_for(Option::is_some).await {
            Ok(got) => got.clone().unwrap_or_else(|| Err(Arc::new(IssuerError::TriedBefore))),
            Err(_ended_without_a_word) => Err(Arc::new(IssuerError::TriedBefore)),
        }
    }

    async fn try_to_get(self, tell: watch::Sender<Option<Got>>) {
        let got = self.get().await.map_err(Arc::new);
        let issuer = &self.0.rules.issuer;
        match &got {
            Err(error) => tracing::warn!(issuer, error = error as &dyn Error, "the keys of an issuer cannot be got"),
            Ok(held) if held.keys.is_empty() => tracing::warn!(issuer, "an issuer has no key that can be used"),
            Ok(_) => {}
        }
        {
            let mut state = self.state();
            state.attempt = None;
            // It may have taken its time, and those who come next are not to try it one after the other.
            state.tried = Some(self.0.clock.now());
            state.failed = got.is_err();
            if let Ok(held) = &got {
                state.held = Some(held.clone());
            }
        }
        tell.send_replace(Some(got));
    }

    /// What the issuer has now. A set without a key is one as well: then it took back all that it had.
    async fn get(&self) -> Result<Held, IssuerError> {
        let Inner { rules, roots, clock, .. } = &*self.0;
        let at = clock.now();
        let url = Discovered::of(&rules.issuer, roots).await?.address("jwks_uri")?;
        let text = roots.get(&url).await.map_err(|cause| IssuerError::Get { url: url.to_string(), cause })?;
        let keys = KeySet::parse(&text, SIGNING).map_err(IssuerError::Keys)?;
        Ok(Held { keys: Arc::new(keys), at })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}
