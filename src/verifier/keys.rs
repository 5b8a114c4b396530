//! The issuer's keys, as this verifier knows them. An unknown key causes one fetch in a while, however many ask; keys that
//! are too old verify nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::refusal::Refusal;
use super::settings::Settings;
use crate::clock::Clock;
use crate::jose::error::KeySetError;
use crate::jose::key::PublicKey;
use crate::jose::key_set::KeySet;
use crate::model::time::Timestamp;
use crate::token::jwks;

/// Fetches the issuer's key set: over HTTPS, from the address that is configured for this issuer and never from one that
/// stands in a token.
pub trait FetchKeys: Send + Sync + 'static {
    /// The document.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + '_>>;
}

/// The key set could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("the key set could not be fetched")]
pub struct FetchError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Why the keys were not renewed. What was known stays, until it is too old.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It was tried a moment ago, by this caller or another.
    #[error("the key set was asked for a moment ago")]
    Cooldown,
    /// It could not be fetched.
    #[error("the key set could not be fetched")]
    Fetch(#[source] FetchError),
    /// It is no key set.
    #[error("what was fetched is no key set")]
    Malformed(#[source] KeySetError),
}

/// The issuer's keys.
pub struct IssuerKeys {
    known: RwLock<Option<Known>>,
    /// Milliseconds since 1970 of the last attempt.
    tried: AtomicU64,
    every: Duration,
    age_max: Duration,
    cooldown: Duration,
    clock: Clock,
}

struct Known {
    set: KeySet,
    at: Timestamp,
}

impl IssuerKeys {
    /// No keys yet.
    #[must_use]
    pub const fn new(settings: &Settings, clock: Clock) -> Self {
        Self {
            known: RwLock::new(None),
            tried: AtomicU64::new(0),
            every: settings.keys_every,
            age_max: settings.keys_age_max,
            cooldown: settings.refresh_cooldown,
            clock,
        }
    }

    /// Takes a document that was fetched just now in place of what was known. One without usable keys is taken as well: the
    /// issuer then has none, and nothing verifies.
    ///
    /// # Errors
    /// When it is no key set.
    pub fn install(&self, document: &str) -> Result<(), KeySetError> {
        let set = jwks::parse(document)?;
        let known = Known { set, at: self.clock.now() };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(())
    }

    /// Fetches the keys, unless that was tried a moment ago.
    ///
    /// # Errors
    /// When it was, or when it does not succeed.
    pub async fn refresh(&self, source: &dyn FetchKeys) -> Result<(), RefreshError> {
        if !self.may_try() {
            return Err(RefreshError::Cooldown);
        }
        let document = source.fetch().await.map_err(RefreshError::Fetch)?;
        self.install(&document).map_err(RefreshError::Malformed)
    }

    /// Keeps the keys fresh for as long as it is polled: a task of its own.
    pub async fn keep_fresh(&self, source: &dyn FetchKeys) {
        loop {
            match self.refresh(source).await {
                // What was asked for a moment ago is as fresh as it can be.
                Ok(()) | Err(RefreshError::Cooldown) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the issuer's keys were not renewed");
                }
            }
            // Never in a tight loop, whatever is configured.
            tokio::time::sleep(self.pause().max(Duration::from_secs(1))).await;
        }
    }

    /// How long to wait until the next attempt: what is young need not be asked for again, what failed is tried again soon.
    fn pause(&self) -> Duration {
        let every = self.every.min(self.age_max / 2);
        self.age().and_then(|age| every.checked_sub(age)).unwrap_or(self.cooldown)
    }

    /// The age of what is known; `None` when nothing is, or when the clock went back behind it.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        known.as_ref().filter(|k| k.at <= now).map(|k| now.since(k.at))
    }

    pub(super) fn find(&self, key_id: &str) -> Result<Arc<PublicKey>, Refusal> {
        if self.age().is_none_or(|age| age > self.age_max) {
            return Err(Refusal::KeysStale);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().and_then(|k| k.set.find(key_id).cloned()).ok_or(Refusal::KeyUnknown)
    }

    fn may_try(&self) -> bool {
        let now = self.clock.now().as_millis();
        let tried = self.tried.load(Ordering::Acquire);
        let cooldown = u64::try_from(self.cooldown.as_millis()).unwrap_or(u64::MAX);
        // A clock that went back must not hold it up until it has caught up.
        let due = tried == 0 || now < tried || now - tried >= cooldown;
        // Of those who ask at once, one goes.
        due && self.tried.compare_exchange(tried, now.max(1), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests;
