//! What the wiring reads at each scrape.

use std::time::Duration;

use crate::model::identity::IdentityClass;
use crate::model::time::Timestamp;

/// A look at what stands now, taken by the wiring at each scrape. Absent members are left as they were.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Grants whose tokens may be used.
    pub grants_live: Option<u64>,
    /// Grants that are suspended.
    pub grants_suspended: Option<u64>,
    /// Tasks that are active or paused.
    pub tasks_open: Option<u64>,
    /// Requests that wait for a person.
    pub approvals_waiting: Option<u64>,
    /// Those of them that were not answered in time, and of which more people were told.
    pub approvals_escalated: Option<u64>,
    /// Break-glass that stands open.
    pub glasses_open: Option<u64>,
    /// Post-reviews of break-glass that nobody has closed.
    pub glass_reviews_open: Option<u64>,
    /// Those of them that are overdue.
    pub glass_reviews_overdue: Option<u64>,
    /// Events in the journal.
    pub journal_events: Option<u64>,
    /// Entries that wait for the journal's writer.
    pub journal_waiting: Option<u64>,
    /// Bytes of the journal on disk.
    pub journal_bytes: Option<u64>,
    /// Bytes free where the journal lies.
    pub disk_free_bytes: Option<u64>,
    /// Life that is left of the broker's own SVID.
    pub svid_expires_in: Option<Duration>,
    /// Trust domains whose trust bundle is present.
    pub trust_domains: Option<u64>,
    /// Authorities that are trusted of each accepted trust domain, by its name as the operator configured it.
    pub trust_authorities: Vec<(String, u64)>,
    /// Keys that verify the JWT-SVIDs of each accepted trust domain, where such are accepted.
    pub jwt_authorities: Vec<(String, u64)>,
    /// Life that is left of what each door over server TLS presents, by the door's name.
    pub certificates_expire_in: Vec<(&'static str, Duration)>,
    /// Whether the Workload API can be reached.
    pub workload_api_connected: Option<bool>,
    /// How often reaching the Workload API, or using what it sent, has failed.
    pub workload_api_failures: Option<u64>,
    /// Each issuer of people's tokens, by its name as the operator configured it: whether its keys could be got, and how many may be
    /// used.
    pub issuers: Vec<(String, bool, u64)>,
    /// Revision of the active policy bundle.
    pub policy_revision: Option<u64>,
    /// Each identity class that policy decides about, and until when it only observes that.
    pub observing: Vec<(IdentityClass, Option<Timestamp>)>,
    /// Activations of policy that wait for a second person.
    pub policy_proposals: Option<u64>,
    /// Each receiver of webhooks, by its name as the operator configured it: how many events wait to be told, and whether it wants no
    /// more.
    pub webhooks: Vec<(String, u64, bool)>,
    /// How far what is decided is from its reference: class of identities, of what, and the population stability index. What is
    /// missing here is no longer told.
    pub drift: Vec<(&'static str, &'static str, f64)>,
    /// Each external scorer, by its name as the operator configured it, and whether it is left alone for a while.
    pub scorers: Vec<(String, bool)>,
}
