//! Tells people's own systems by signed webhooks (Standard Webhooks 1.0) what waits for them. Each receiver follows the journal by
//! itself, from a position that outlasts a restart, so that a slow one holds up nobody. Knows events and where they are told; of what
//! people and agents wrote, nothing leaves.

pub mod deliveries;
pub mod secret;

mod ahead;
mod endpoint;
mod kept;
mod notices;
mod schedule;
mod sending;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::entropy::Entropy;
use crate::identity::web::post::Poster;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::model::notice::{NoticeType, WebhookName};
use crate::notify::deliveries::{Delivery, WebhookStanding};
use crate::notify::endpoint::Endpoint;
use crate::notify::kept::Files;
use crate::notify::secret::Secrets;

/// One receiver, as the operator configured it.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// The name by which it is known.
    pub name: WebhookName,
    /// Where notices are posted to.
    pub poster: Poster,
    /// What they are signed with: by each, so that a receiver can change from one to the other.
    pub secrets: Secrets,
    /// What it is told of.
    pub types: Vec<NoticeType>,
    /// What stands before the id of an approval in a link to it; without it there are no links.
    pub link_base: Option<String>,
    /// How long one try may take, connecting included.
    pub deadline: Duration,
}

/// Where it is kept how far each receiver was told.
#[derive(Debug, Clone)]
pub struct NotifyFolder {
    /// The folder.
    pub dir: PathBuf,
    /// The disk that it is on.
    pub disk: Arc<dyn Disk>,
}

/// Why a receiver could not be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryError {
    /// None of that name is configured.
    #[error("no such webhook")]
    Unknown,
    /// It is being tried already.
    #[error("it is being tried already")]
    Busy,
}

/// Why receivers cannot be told where it was left off.
#[derive(Debug, thiserror::Error)]
#[error("how far the webhook `{name}` was told cannot be read")]
pub struct BeginError {
    name: WebhookName,
    #[source]
    cause: std::io::Error,
}

/// All receivers. Clones share them.
#[derive(Clone, Default)]
pub struct Notifier(Arc<[Arc<Endpoint>]>);

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|endpoint| endpoint.name().as_str())).finish()
    }
}

impl Notifier {
    /// One for these receivers.
    #[must_use]
    pub fn new(webhooks: Vec<WebhookOptions>, folder: &NotifyFolder, clock: &Clock, entropy: &Entropy) -> Self {
        let endpoint = |options: WebhookOptions| {
            let files = Files::new(folder, &options.name);
            Arc::new(Endpoint::new(options, files, clock.clone(), entropy.clone()))
        };
        Self(webhooks.into_iter().map(endpoint).collect())
    }

    /// Tells these metrics what is delivered. The first to be told are told for good.
    pub fn count_into(&self, metrics: &Metrics) {
        for endpoint in self.0.iter() {
            endpoint.count_into(metrics.clone());
        }
    }

    /// Takes up where it was left off. A receiver that is new here is told what happens after what is in the journal. Must have
    /// returned before [`Notifier::run`] is called.
    ///
    /// # Errors
    /// When it cannot be read how far a receiver was told. A file that is not understood is set aside instead.
    pub async fn begin(&self, journal: &Journal) -> Result<(), BeginError> {
        for endpoint in self.0.iter() {
            let begun = endpoint.begin(journal).await;
            begun.map_err(|cause| BeginError { name: endpoint.name().clone(), cause })?;
        }
        Ok(())
    }

    /// Tells what happens, until the journal is closed or the future is dropped.
    pub async fn run(self, journal: Journal) {
        let mut running = JoinSet::new();
        for endpoint in self.0.iter() {
            running.spawn(Arc::clone(endpoint).run(journal.clone()));
        }
        drop(journal);
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = &error as &dyn std::error::Error, "a webhook is served no longer: a defect");
            }
        }
    }

    /// Waits for what is being written; nothing is written afterwards.
    pub async fn close(&self) {
        for endpoint in self.0.iter() {
            endpoint.close().await;
        }
    }

    /// Sends one notice of the type `test`, once, and says what came of it.
    ///
    /// # Errors
    /// When there is no such receiver, or it is being tried already.
    pub async fn try_out(&self, name: &str) -> Result<Delivery, TryError> {
        let endpoint = self.0.iter().find(|endpoint| endpoint.name().as_str() == name);
        endpoint.ok_or(TryError::Unknown)?.try_out().await.ok_or(TryError::Busy)
    }

    /// How each receiver stands, when the journal has so many events.
    #[must_use]
    pub fn standings(&self, size: u64) -> Vec<WebhookStanding> {
        self.0.iter().map(|endpoint| endpoint.standing(size)).collect()
    }

    /// What was tried, newest first; of one receiver, or of all.
    #[must_use]
    pub fn deliveries(&self, of: Option<&str>, most: usize) -> Vec<(WebhookName, Delivery)> {
        let wanted = self.0.iter().filter(|endpoint| of.is_none_or(|name| endpoint.name().as_str() == name));
        let tried = wanted.flat_map(|endpoint| {
            endpoint.deliveries().into_iter().map(move |delivery| (endpoint.name().clone(), delivery))
        });
        let mut tried: Vec<_> = tried.collect();
        // Those of one receiver are in order already, whatever the clock said.
        if of.is_none() {
            tried.sort_by_key(|(_, delivery)| std::cmp::Reverse(delivery.time));
        }
        tried.truncate(most);
        tried
    }
}

type Counted = OnceLock<Metrics>;
