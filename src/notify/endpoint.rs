//! One receiver: how it is configured, how far it was told, and what others may know of it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::spawn_blocking;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::model::notice::WebhookName;
use crate::notify::deliveries::{Delivery, WebhookStanding};
use crate::notify::kept::{Configured, Files, Found, Kept};
use crate::notify::schedule::AGE_MAX;
use crate::notify::{Counted, WebhookOptions};

/// One receiver.
pub(in crate::notify) struct Endpoint {
    pub(in crate::notify) options: WebhookOptions,
    pub(in crate::notify) clock: Clock,
    pub(in crate::notify) entropy: Entropy,
    pub(in crate::notify) metrics: Counted,
    /// Held while somebody tries it out.
    pub(in crate::notify) trying: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
    files: Files,
}

impl Endpoint {
    pub(in crate::notify) fn new(options: WebhookOptions, files: Files, clock: Clock, entropy: Entropy) -> Self {
        let kept = Mutex::new(Kept::new(Configured::default(), 0));
        let (metrics, trying) = (Counted::new(), tokio::sync::Mutex::new(()));
        Self { options, clock, entropy, metrics, trying, kept, files }
    }

    pub(in crate::notify) const fn name(&self) -> &WebhookName {
        &self.options.name
    }

    pub(in crate::notify) fn count_into(&self, metrics: Metrics) {
        self.metrics.get_or_init(|| metrics);
    }

    /// What is kept, for a moment.
    pub(in crate::notify) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what was kept, or begins after what is in the journal. What cannot be read is never written over.
    ///
    /// # Errors
    /// When what was kept cannot be read.
    pub(in crate::notify) async fn begin(&self, journal: &Journal) -> io::Result<()> {
        let (configured, size) = (self.configured(), *journal.durable().borrow());
        let kept = match self.files.read().await? {
            Found::Kept(kept) => {
                if kept.next() > size {
                    tracing::warn!(webhook = %self.name(), "it was told of more than the journal holds, and begins at its end");
                }
                kept.resumed(configured, size)
            }
            Found::Nothing => Kept::new(configured, size),
            Found::Malformed => {
                self.files.set_aside().await?;
                tracing::error!(webhook = %self.name(), "how far it was told is not understood: it is told again what is still told");
                let mut kept = Kept::new(configured, self.first_told(journal, size).await?);
                kept.log_lost(self.clock.now());
                kept
            }
        };
        *self.kept() = kept;
        self.keep().await;
        Ok(())
    }

    /// The first event that is not too old to be told. Times never decrease.
    async fn first_told(&self, journal: &Journal, size: u64) -> io::Result<u64> {
        let (journal, now) = (journal.clone(), self.clock.now());
        let found = spawn_blocking(move || {
            let (mut low, mut high) = (0, size);
            while low < high {
                let middle = low + (high - low) / 2;
                // One that cannot be read may be young: what is too old before it is given up when it is looked at.
                let is_old = journal.read(middle).is_ok_and(|recorded| now.since(recorded.time) > AGE_MAX);
                (low, high) = if is_old { (middle + 1, high) } else { (low, middle) };
            }
            low
        });
        found.await.map_err(io::Error::other)
    }

    /// Keeps what stands. When that fails, more is told again after a restart than need be.
    pub(in crate::notify) async fn keep(&self) {
        if let Err(error) = self.files.write(|| self.kept().clone()).await {
            tracing::error!(webhook = %self.name(), error = &error as &dyn std::error::Error, "how far it was told cannot be kept");
        }
    }

    /// Keeps what stands, for good.
    pub(in crate::notify) async fn close(&self) {
        self.keep().await;
        self.files.close().await;
    }

    pub(in crate::notify) fn standing(&self, size: u64) -> WebhookStanding {
        let kept = self.kept();
        WebhookStanding {
            name: self.name().clone(),
            types: self.options.types.clone(),
            switched_off: kept.is_switched_off(),
            waiting: kept.count_waiting(),
            unread: if kept.is_switched_off() { 0 } else { size.saturating_sub(kept.next()) },
        }
    }

    pub(in crate::notify) fn deliveries(&self) -> Vec<Delivery> {
        self.kept().deliveries().cloned().collect()
    }

    /// By what it is known again that it is configured as before. URLs may hold secrets, so there are digests only: of everything
    /// under the secrets, and of the URL so that it outlasts a change of them.
    fn configured(&self) -> Configured {
        let WebhookOptions { poster, types, link_base, secrets, .. } = &self.options;
        let types = types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
        let url = poster.url().with_secrets();
        let text = format!("{url}\n{types}\n{}", link_base.as_deref().unwrap_or_default());
        let named = format!("carnet webhook {}\n{url}", self.name());
        let url = STANDARD.encode(digest(&SHA256, named.as_bytes()));
        Configured { url, all: secrets.sign("configured", 0, &text) }
    }
}
