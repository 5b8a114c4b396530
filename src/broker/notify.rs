//! What receivers of webhooks were told, for those who read the record, and trying one out. What they are told is read from the journal
//! like everything else; nothing here decides anything.

use crate::broker::Broker;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::read::page_size;
use crate::broker::summary::timestamp;
use crate::model::notice::{NoticeType, WebhookName};
use crate::notify::TryError;
use crate::notify::deliveries::{Delivery, DeliveryOutcome, WebhookStanding};
use crate::pb::v1;

impl Broker {
    /// Tells receivers what happens, until the future is dropped.
    pub async fn run_notifications(self) {
        self.0.notifier.clone().run(self.0.journal.clone()).await;
    }

    /// How each receiver stands, and what was tried lately, newest first; of one receiver, or of all.
    ///
    /// # Errors
    /// When there is none of that name, or the page is above its limit.
    pub fn list_deliveries(
        &self,
        caller: &Caller,
        webhook: &str,
        size: u32,
    ) -> Result<v1::ListDeliveriesResponse, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let size = page_size(size)?;
        let of = (!webhook.is_empty()).then_some(webhook);
        let mut standings = self.standings();
        if let Some(name) = of {
            standings.retain(|standing| standing.name.as_str() == name);
            if standings.is_empty() {
                return Err(BrokerError::NotFound { what: "webhook" });
            }
        }
        let deliveries = self.0.notifier.deliveries(of, size);
        Ok(v1::ListDeliveriesResponse {
            webhooks: standings.into_iter().map(wire_webhook).collect(),
            deliveries: deliveries.into_iter().map(|(name, delivery)| wire(&name, delivery)).collect(),
        })
    }

    /// Sends a receiver a notice of the type `test`, once, and says what came of it.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name, `RateLimited` when it is being tried already.
    pub async fn test_webhook(&self, caller: &Caller, webhook: &str) -> Result<v1::Delivery, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let name: WebhookName = webhook.parse().map_err(|_| BrokerError::NotFound { what: "webhook" })?;
        match self.0.notifier.try_out(name.as_str()).await {
            Ok(delivery) => Ok(wire(&name, delivery)),
            Err(TryError::Unknown) => Err(BrokerError::NotFound { what: "webhook" }),
            Err(TryError::Busy) => Err(BrokerError::RateLimited),
        }
    }

    /// How each receiver stands, for figures: its name, the events that it was not told yet, and whether it wants no more.
    #[must_use]
    pub fn webhook_figures(&self) -> Vec<(String, u64, bool)> {
        let figures = |standing: WebhookStanding| {
            (standing.name.to_string(), standing.waiting.saturating_add(standing.unread), standing.switched_off)
        };
        self.standings().into_iter().map(figures).collect()
    }

    fn standings(&self) -> Vec<WebhookStanding> {
        let size = *self.0.journal.durable().borrow();
        self.0.notifier.standings(size)
    }
}

fn wire_webhook(standing: WebhookStanding) -> v1::Webhook {
    v1::Webhook {
        name: standing.name.to_string(),
        events: standing.types.into_iter().map(NoticeType::as_str).map(str::to_owned).collect(),
        switched_off: standing.switched_off,
        waiting: standing.waiting,
        unread: standing.unread,
    }
}

fn wire(name: &WebhookName, delivery: Delivery) -> v1::Delivery {
    let outcome = match delivery.outcome {
        DeliveryOutcome::Delivered => v1::DeliveryOutcome::Delivered,
        DeliveryOutcome::TriedAgain => v1::DeliveryOutcome::TriedAgain,
        DeliveryOutcome::GivenUp => v1::DeliveryOutcome::GivenUp,
        DeliveryOutcome::SwitchedOff => v1::DeliveryOutcome::SwitchedOff,
    };
    v1::Delivery {
        webhook: name.to_string(),
        webhook_id: delivery.id,
        event: delivery.kind.as_str().to_owned(),
        position: delivery.position,
        attempt: delivery.attempt,
        time: Some(timestamp(delivery.time)),
        took_ms: delivery.took_ms,
        outcome: outcome.into(),
        problem: delivery.problem.map(|problem| problem.as_str().to_owned()).unwrap_or_default(),
        status: delivery.status.map(u32::from).unwrap_or_default(),
        events: delivery.events,
    }
}
