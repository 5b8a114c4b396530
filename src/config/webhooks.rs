//! Receivers of webhooks: where they are, what they are told of, and what it is signed with. A URL may hold a secret, so no problem
//! repeats one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::quantity::Span;
use crate::config::settings::{Check, TOLD_CHARS_MAX};
use crate::identity::web::HttpsUrl;
use crate::identity::web::post::PostUrl;
use crate::model::limits::WEBHOOK_SECRETS_MAX;
use crate::model::notice::{NoticeType, WebhookName};

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The name by which it is known.
    pub name: WebhookName,
    /// Where notices are posted to.
    pub url: PostUrl,
    /// The files of the secrets that sign them.
    pub secret_files: Vec<PathBuf>,
    /// What it is told of.
    pub events: Vec<NoticeType>,
    /// What stands before the id of an approval in a link to it.
    pub link_base: Option<String>,
    /// Who vouches for its server; whom the system trusts when absent.
    pub ca_file: Option<PathBuf>,
    /// How long one try may take.
    pub deadline: Duration,
}

/// As it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    name: String,
    url: Url,
    secret_files: Vec<PathBuf>,
    events: Option<Vec<String>>,
    link_base: Option<String>,
    ca_file: Option<PathBuf>,
    deadline: Option<Span>,
    danger_plain_http_to_loopback: Option<bool>,
}

/// A URL as it was written, which nobody is shown.
#[derive(Deserialize)]
#[serde(transparent)]
struct Url(String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Url(..)")
    }
}

/// How long one try may take when the file does not say: as Standard Webhooks recommends.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);
/// Longest time that one try may take: whoever tries a receiver out waits for it, and no longer than for any answer.
const DEADLINE_MAX: Duration = Duration::from_secs(25);
/// Most receivers: each keeps a connection and a place in memory.
pub const WEBHOOKS_MAX: usize = 16;
/// Longest beginning of a link, in bytes.
const LINK_BYTES_MAX: usize = 512;

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn webhooks(check: &mut Check, written: Vec<Webhook>) -> Vec<WebhookSettings> {
    if written.len() > WEBHOOKS_MAX {
        check.problem("webhooks", format!("has more than {WEBHOOKS_MAX} entries"));
    }
    let mut names = BTreeSet::new();
    let mut webhooks = Vec::new();
    for one in written.into_iter().take(WEBHOOKS_MAX) {
        let Some(webhook) = webhook(check, one) else { continue };
        if !names.insert(webhook.name.clone()) {
            check.problem(&format!("webhooks `{}`", webhook.name), "stands twice");
        }
        webhooks.push(webhook);
    }
    webhooks
}

fn webhook(check: &mut Check, written: Webhook) -> Option<WebhookSettings> {
    let told = written.name.chars().take(TOLD_CHARS_MAX).collect::<String>();
    let name = check.kept(&format!("webhooks `{told}`"), written.name.parse::<WebhookName>());
    let setting = |member: &str| format!("webhooks `{told}`.{member}");
    let plain = written.danger_plain_http_to_loopback == Some(true);
    let url = check.kept(&setting("url"), PostUrl::parse(&written.url.0, plain));
    let secrets = written.secret_files.len();
    if secrets == 0 || secrets > WEBHOOK_SECRETS_MAX {
        check.problem(
            &setting("secret_files"),
            format!("must name 1 to {WEBHOOK_SECRETS_MAX} files, and names {secrets}"),
        );
    }
    let events = events(check, &setting("events"), written.events);
    if let Some(base) = &written.link_base {
        let fits = base.len() <= LINK_BYTES_MAX && base.parse::<HttpsUrl>().is_ok();
        if !fits {
            check.problem(&setting("link_base"), "is no `https` URL of at most 512 bytes without user and fragment");
        }
    }
    let second = Span(Duration::from_secs(1));
    let deadline = written.deadline.unwrap_or(Span(DEADLINE_DEFAULT));
    let deadline = check.within(&setting("deadline"), deadline, second..=Span(DEADLINE_MAX));
    Some(WebhookSettings {
        name: name?,
        url: url?,
        secret_files: written.secret_files,
        events,
        link_base: written.link_base,
        ca_file: written.ca_file,
        deadline: deadline.0,
    })
}

fn events(check: &mut Check, setting: &str, written: Option<Vec<String>>) -> Vec<NoticeType> {
    let Some(written) = written else { return NoticeType::ALL.to_vec() };
    if written.is_empty() {
        check.problem(setting, "is empty: it would be told nothing");
    }
    let mut events = BTreeSet::new();
    for text in written {
        let told = text.chars().take(TOLD_CHARS_MAX).collect::<String>();
        events.extend(check.kept(setting, text.parse::<NoticeType>().map_err(|e| format!("`{told}` {e}"))));
    }
    events.into_iter().collect()
}

#[cfg(test)]
mod tests;
