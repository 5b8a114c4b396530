//! One receiver: how it is configured, how far it was told, and what others may know of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::model::notice::{NoticeType, WebhookName};
use crate::notify::deliveries::{Delivery, WebhookStanding};
use crate::notify::kept::{Files, Kept};
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
        let kept = Mutex::new(Kept::new(String::new(), 0));
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

    /// Takes up what was kept, or begins after `size` events.
    pub(in crate::notify) async fn begin(&self, size: u64) {
        let configured = self.fingerprint();
        let kept = match self.files.read().await {
            Ok(Some(kept)) => {
                if kept.next() > size {
                    tracing::warn!(webhook = %self.name(), "it was told of more than the journal holds, and begins at its end");
                }
                kept.resumed(configured, size)
            }
            Ok(None) => Kept::new(configured, size),
            Err(error) => {
                tracing::error!(webhook = %self.name(), error = &error as &dyn std::error::Error, "how far it was told cannot be read: it begins at the end of the journal");
                let mut kept = Kept::new(configured, size);
                kept.log_lost(self.clock.now());
                kept
            }
        };
        *self.kept() = kept;
        self.keep().await;
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

    pub(in crate::notify) fn tells(&self, kind: NoticeType) -> bool {
        self.options.types.contains(&kind)
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

    /// By what it is known again that it is configured as before. URLs may hold secrets, so it is a digest, under the secrets.
    fn fingerprint(&self) -> String {
        let WebhookOptions { poster, types, link_base, secrets, .. } = &self.options;
        let types = types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
        let text = format!("{}\n{types}\n{}", poster.url().with_secrets(), link_base.as_deref().unwrap_or_default());
        secrets.sign("configured", 0, &text)
    }
}
