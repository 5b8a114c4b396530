//! From settings to receivers of webhooks: their secrets and the authorities that vouch for their servers are read.

use crate::config::webhooks::WebhookSettings;
use crate::identity::web::post::Poster;
use crate::notify::WebhookOptions;
use crate::notify::secret::Secrets;
use crate::server::error::ServerError;

/// The receivers.
///
/// # Errors
/// When a secret cannot be read or is open to others, or the authorities cannot be read.
pub(in crate::server) fn webhooks(settings: &[WebhookSettings]) -> Result<Vec<WebhookOptions>, ServerError> {
    settings.iter().map(webhook).collect()
}

fn webhook(settings: &WebhookSettings) -> Result<WebhookOptions, ServerError> {
    let refuse =
        |cause: Box<dyn std::error::Error + Send + Sync>| ServerError::Webhook { name: settings.name.clone(), cause };
    let poster = Poster::new(settings.url.clone(), settings.ca_file.as_deref()).map_err(|e| refuse(Box::new(e)))?;
    Ok(WebhookOptions {
        name: settings.name.clone(),
        poster,
        secrets: Secrets::read(&settings.secret_files).map_err(|e| refuse(Box::new(e)))?,
        types: settings.events.clone(),
        link_base: settings.link_base.clone(),
        deadline: settings.deadline,
    })
}
