//! Counters, gauges and histograms with their names, in a registry of their own. Labels come from closed lists and from the
//! operator's settings only: no value that a caller chose ever becomes a label. It knows no room that it measures; they, or the wiring, tell it.

mod reading;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::model::decision::Outcome;
use crate::model::facts::Question;
use crate::model::identity::IdentityClass;
use crate::model::reason::ReasonCode;
use crate::model::risk::Band;
use crate::model::time::Timestamp;

pub use reading::Reading;

/// What is measured. Clones share their counts.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    observed_only: IntCounterVec,
    observing_until: IntGaugeVec,
    reasons: IntCounterVec,
    bands: IntCounterVec,
    refusals: IntCounterVec,
    rpcs: IntCounterVec,
    rpc_seconds: HistogramVec,
    rpcs_in_flight: IntGauge,
    commits: IntCounter,
    commit_seconds: Histogram,
    events: IntCounterVec,
    torn_bytes: IntCounter,
    grants: IntGaugeVec,
    tasks_open: IntGauge,
    approvals_waiting: IntGauge,
    approvals_escalated: IntGauge,
    break_glass: IntCounterVec,
    glasses_open: IntGauge,
    glass_reviews: IntGaugeVec,
    watch_receivers: IntGauge,
    journal_events: IntGauge,
    journal_waiting: IntGauge,
    journal_bytes: IntGauge,
    disk_free_bytes: IntGauge,
    svid_expiry_seconds: IntGauge,
    trust_domains: IntGauge,
    trust_authorities: IntGaugeVec,
    jwt_authorities: IntGaugeVec,
    certificate_expiry_seconds: IntGaugeVec,
    workload_api_connected: IntGauge,
    workload_api_failures: IntGauge,
    issuer_reachable: IntGaugeVec,
    issuer_keys: IntGaugeVec,
    policy_revision: IntGauge,
    policy_proposals: IntGauge,
    drift_psi: GaugeVec,
    /// Of what it was told last.
    drift_told: Arc<Mutex<BTreeSet<[&'static str; 2]>>>,
    connections: IntCounterVec,
    webhook_deliveries: IntCounterVec,
    webhook_backlog: IntGaugeVec,
    webhook_switched_off: IntGaugeVec,
    scorer_questions: IntCounterVec,
    scorer_seconds: HistogramVec,
    scorer_paused: IntGaugeVec,
}

/// A metric could not be made: two have one name, or a name is malformed.
#[derive(Debug, thiserror::Error)]
#[error("a metric cannot be registered")]
pub struct MetricsError(#[source] prometheus::Error);

/// How a connection attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The peer proved its identity.
    Accepted,
    /// The handshake failed or the SVID was refused.
    Refused,
}

impl Metrics {
    /// New metrics, all at zero.
    ///
    /// # Errors
    /// When two metrics have one name: a defect that a test would find.
    pub fn new() -> Result<Self, MetricsError> {
        Self::register(Registry::new()).map_err(MetricsError)
    }

    fn register(registry: Registry) -> Result<Self, prometheus::Error> {
        let r = &registry;
        Ok(Self {
            decisions: counters(
                r,
                "carnet_decisions_total",
                "Decisions by question and outcome.",
                &["question", "outcome"],
            )?,
            observed_only: counters(
                r,
                "carnet_observed_only_total",
                "Decisions that were not enforced because policy only observed, by identity class and what was answered.",
                &["class", "outcome"],
            )?,
            observing_until: {
                let help =
                    "Until when policy only observes an identity class, in seconds since 1970; 0 when it is enforced.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_observing_until_seconds", help), &["class"])?)?
            },
            reasons: counters(r, "carnet_decision_reasons_total", "Reasons of decisions.", &["code"])?,
            bands: counters(r, "carnet_decision_bands_total", "Bands of risk that decisions were made at.", &["band"])?,
            refusals: counters(r, "carnet_refusals_total", "Requests refused without a decision.", &["code"])?,
            rpcs: counters(r, "carnet_rpcs_total", "RPCs by method and status.", &["method", "code"])?,
            rpc_seconds: {
                let opts =
                    HistogramOpts::new("carnet_rpc_seconds", "Time to answer an RPC.").buckets(LATENCIES.to_vec());
                registered(r, HistogramVec::new(opts, &["method"])?)?
            },
            rpcs_in_flight: gauge(
                r,
                "carnet_rpcs_in_flight",
                "RPCs being answered; an open stream counts until it began.",
            )?,
            commits: registered(r, IntCounter::new("carnet_journal_commits_total", "Groups of events made durable.")?)?,
            commit_seconds: {
                let opts = HistogramOpts::new("carnet_journal_commit_seconds", "Time to make one group durable.");
                registered(r, Histogram::with_opts(opts.buckets(LATENCIES.to_vec()))?)?
            },
            events: counters(r, "carnet_events_total", "Events that became durable, by kind.", &["kind"])?,
            torn_bytes: {
                let help = "Bytes of a torn last group that were cut off at start.";
                registered(r, IntCounter::new("carnet_journal_torn_bytes_total", help)?)?
            },
            grants: registered(r, IntGaugeVec::new(Opts::new("carnet_grants", "Grants by standing."), &["standing"])?)?,
            tasks_open: gauge(r, "carnet_tasks_open", "Tasks that are active or paused.")?,
            approvals_waiting: gauge(r, "carnet_approvals_waiting", "Requests that wait for a person.")?,
            approvals_escalated: gauge(r, "carnet_approvals_escalated", "Those of them that were escalated.")?,
            break_glass: counters(
                r,
                "carnet_break_glass_total",
                "What happened to break-glass: opened, refused, used, closed, reviewed.",
                &["what"],
            )?,
            glasses_open: gauge(r, "carnet_break_glass_open", "Break-glass that stands open.")?,
            glass_reviews: {
                let help = "Post-reviews of break-glass that nobody has closed, all of them and the overdue.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_break_glass_reviews", help), &["standing"])?)?
            },
            watch_receivers: gauge(r, "carnet_watch_receivers", "Receivers that follow revocations.")?,
            journal_events: gauge(r, "carnet_journal_events", "Events in the journal.")?,
            journal_waiting: gauge(r, "carnet_journal_waiting", "Entries that wait for the journal's writer.")?,
            journal_bytes: gauge(r, "carnet_journal_bytes", "Bytes of the journal, up to its last event.")?,
            disk_free_bytes: gauge(r, "carnet_disk_free_bytes", "Space left where the journal lies.")?,
            svid_expiry_seconds: gauge(r, "carnet_svid_expiry_seconds", "Life that is left of the broker's own SVID.")?,
            trust_domains: gauge(r, "carnet_trust_domains", "Trust domains whose trust bundle is present.")?,
            trust_authorities: {
                let help =
                    "X.509 authorities that are trusted of an accepted trust domain; 0 when there is no trust bundle.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_trust_authorities", help), &["trust_domain"])?)?
            },
            jwt_authorities: {
                let help =
                    "Keys that verify the JWT-SVIDs of an accepted trust domain; with 0, its tokens are refused.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_jwt_authorities", help), &["trust_domain"])?)?
            },
            certificate_expiry_seconds: {
                let help = "Life that is left of the certificate that a door presents.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_certificate_expiry_seconds", help), &["door"])?)?
            },
            workload_api_connected: gauge(
                r,
                "carnet_workload_api_connected",
                "1 while the SPIFFE Workload API can be reached.",
            )?,
            workload_api_failures: gauge(
                r,
                "carnet_workload_api_failures",
                "Failures to reach the SPIFFE Workload API, or to use what it sent, since the start.",
            )?,
            issuer_reachable: {
                let help = "1 unless the last attempt to get the keys of an issuer of people's tokens failed.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_issuer_reachable", help), &["issuer"])?)?
            },
            issuer_keys: {
                let help =
                    "Keys of an issuer of people's tokens that may be used; 0 until somebody shows one of its tokens.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_issuer_keys", help), &["issuer"])?)?
            },
            policy_revision: gauge(r, "carnet_policy_revision", "Revision of the active policy bundle.")?,
            policy_proposals: gauge(
                r,
                "carnet_policy_proposals",
                "Activations of policy that wait for a second person.",
            )?,
            drift_told: Arc::default(),
            drift_psi: {
                let help =
                    "Population stability index of decisions against their reference; absent while there are too few.";
                registered(r, GaugeVec::new(Opts::new("carnet_drift_psi", help), &["class", "what"])?)?
            },
            connections: counters(r, "carnet_connections_total", "Connections of workloads by result.", &["result"])?,
            webhook_deliveries: {
                let help = "Tries to tell a receiver of webhooks, by what came of them.";
                counters(r, "carnet_webhook_deliveries_total", help, &["webhook", "outcome"])?
            },
            webhook_backlog: {
                let help = "Events that a receiver of webhooks was not told yet, those not looked at included.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_webhook_backlog", help), &["webhook"])?)?
            },
            webhook_switched_off: {
                let help = "1 once a receiver of webhooks has answered that it wants no more.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_webhook_switched_off", help), &["webhook"])?)?
            },
            scorer_questions: counters(
                r,
                "carnet_scorer_questions_total",
                "Questions to external scorers by what became of them.",
                &["scorer", "result"],
            )?,
            scorer_seconds: {
                let help = "How long an external scorer took, the wait for a place included.";
                let options = HistogramOpts::new("carnet_scorer_seconds", help).buckets(SCORER_LATENCIES.to_vec());
                registered(r, HistogramVec::new(options, &["scorer"])?)?
            },
            scorer_paused: {
                let help = "1 while an external scorer is left alone because it failed too often.";
                registered(r, IntGaugeVec::new(Opts::new("carnet_scorer_paused", help), &["scorer"])?)?
            },
            registry,
        })
    }

    /// A decision was made.
    pub fn decided(
        &self,
        question: Question,
        outcome: Outcome,
        band: Band,
        reasons: impl IntoIterator<Item = ReasonCode>,
    ) {
        self.decisions.with_label_values(&[question.as_str(), outcome.as_str()]).inc();
        self.bands.with_label_values(&[band.as_str()]).inc();
        for code in reasons {
            self.reasons.with_label_values(&[code.as_str()]).inc();
        }
    }

    /// A decision was not enforced, because policy only observed identities of that class.
    pub fn observed_only(&self, class: IdentityClass, outcome: Outcome) {
        self.observed_only.with_label_values(&[class.as_str(), outcome.as_str()]).inc();
    }

    /// Something was refused without a decision.
    pub fn refused(&self, code: ReasonCode) {
        self.refusals.with_label_values(&[code.as_str()]).inc();
    }

    /// An RPC began; it ends when what is returned is dropped.
    #[must_use]
    pub fn rpc_began(&self) -> InFlight {
        InFlight::new(&self.rpcs_in_flight)
    }

    /// An RPC was answered. `method` is a row of the access table and `code` the name of a gRPC status, never what was sent.
    pub fn rpc_answered(&self, method: &'static str, code: &'static str, took: Duration) {
        self.rpcs.with_label_values(&[method, code]).inc();
        self.rpc_seconds.with_label_values(&[method]).observe(took.as_secs_f64());
    }

    /// A group of events became durable.
    pub fn committed(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// An event became durable. `kind` is a name of the journal's, never what was sent.
    pub fn recorded(&self, kind: &'static str) {
        self.events.with_label_values(&[kind]).inc();
    }

    /// Something happened to break-glass. `what` is the end of a name of the journal's, never what was sent.
    pub fn break_glass(&self, what: &'static str) {
        self.break_glass.with_label_values(&[what]).inc();
    }

    /// A receiver of revocations began to follow; it ends when what is returned is dropped.
    #[must_use]
    pub fn watch_began(&self) -> InFlight {
        InFlight::new(&self.watch_receivers)
    }

    /// A torn last group was cut off at start.
    pub fn torn(&self, bytes: u64) {
        self.torn_bytes.inc_by(bytes);
    }

    /// A workload tried to connect.
    pub fn connected(&self, result: Connection) {
        let result = match result {
            Connection::Accepted => "accepted",
            Connection::Refused => "refused",
        };
        self.connections.with_label_values(&[result]).inc();
    }

    /// A receiver of webhooks was told something. `webhook` is its name as the operator configured it, `outcome` one of a closed list.
    pub fn webhook_tried(&self, webhook: &str, outcome: &'static str) {
        self.webhook_deliveries.with_label_values(&[webhook, outcome]).inc();
    }

    /// A question to an external scorer is over. `result` comes from a closed list.
    pub fn scored(&self, scorer: &str, result: &'static str, took: Duration) {
        self.scorer_questions.with_label_values(&[scorer, result]).inc();
        self.scorer_seconds.with_label_values(&[scorer]).observe(took.as_secs_f64());
    }

    /// What stands now.
    pub fn read(&self, reading: &Reading) {
        let set = |gauge: &IntGauge, value: Option<u64>| {
            if let Some(value) = value {
                gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        };
        set(&self.grants.with_label_values(&["live"]), reading.grants_live);
        set(&self.grants.with_label_values(&["suspended"]), reading.grants_suspended);
        set(&self.tasks_open, reading.tasks_open);
        set(&self.approvals_waiting, reading.approvals_waiting);
        set(&self.approvals_escalated, reading.approvals_escalated);
        set(&self.glasses_open, reading.glasses_open);
        set(&self.glass_reviews.with_label_values(&["open"]), reading.glass_reviews_open);
        set(&self.glass_reviews.with_label_values(&["overdue"]), reading.glass_reviews_overdue);
        set(&self.journal_events, reading.journal_events);
        set(&self.journal_waiting, reading.journal_waiting);
        set(&self.journal_bytes, reading.journal_bytes);
        set(&self.disk_free_bytes, reading.disk_free_bytes);
        set(&self.svid_expiry_seconds, reading.svid_expires_in.map(|life| life.as_secs()));
        set(&self.trust_domains, reading.trust_domains);
        for (name, authorities) in &reading.trust_authorities {
            set(&self.trust_authorities.with_label_values(&[name.as_str()]), Some(*authorities));
        }
        for (name, keys) in &reading.jwt_authorities {
            set(&self.jwt_authorities.with_label_values(&[name.as_str()]), Some(*keys));
        }
        for (door, left) in &reading.certificates_expire_in {
            set(&self.certificate_expiry_seconds.with_label_values(&[*door]), Some(left.as_secs()));
        }
        set(&self.workload_api_connected, reading.workload_api_connected.map(u64::from));
        set(&self.workload_api_failures, reading.workload_api_failures);
        for (name, reachable, keys) in &reading.issuers {
            set(&self.issuer_reachable.with_label_values(&[name.as_str()]), Some(u64::from(*reachable)));
            set(&self.issuer_keys.with_label_values(&[name.as_str()]), Some(*keys));
        }
        set(&self.policy_revision, reading.policy_revision);
        for (class, until) in &reading.observing {
            let until = until.map_or(0, Timestamp::as_secs);
            set(&self.observing_until.with_label_values(&[class.as_str()]), Some(until));
        }
        set(&self.policy_proposals, reading.policy_proposals);
        for (name, backlog, switched_off) in &reading.webhooks {
            set(&self.webhook_backlog.with_label_values(&[name.as_str()]), Some(*backlog));
            set(&self.webhook_switched_off.with_label_values(&[name.as_str()]), Some(u64::from(*switched_off)));
        }
        self.read_drift(&reading.drift);
        for (name, paused) in &reading.scorers {
            set(&self.scorer_paused.with_label_values(&[name.as_str()]), Some(u64::from(*paused)));
        }
    }

    /// Takes away what can no longer be told, and nothing else: another scrape may be reading.
    fn read_drift(&self, drift: &[(&'static str, &'static str, f64)]) {
        let now: BTreeSet<[&'static str; 2]> = drift.iter().map(|(class, what, _)| [*class, *what]).collect();
        let mut told = self.drift_told.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in told.difference(&now) {
            // It is there unless it was never told.
            let _gone = self.drift_psi.remove_label_values(gone);
        }
        for (class, what, psi) in drift {
            self.drift_psi.with_label_values(&[*class, *what]).set(*psi);
        }
        *told = now;
    }

    /// Everything, in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written: a defect that a test would find.
    pub fn render(&self) -> Result<String, MetricsError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetricsError)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(..)")
    }
}

/// Something that goes on, and is counted until this is dropped.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl InFlight {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

fn registered<C: prometheus::core::Collector + Clone + 'static>(
    r: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    registered(r, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    registered(r, IntGauge::new(name, help)?)
}

/// Upper bounds of latencies, in seconds: a synced commit takes a tenth of a millisecond to some tens of milliseconds.
const LATENCIES: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Upper bounds of what external scorers take, in seconds: from a program beside us to a model that thinks.
const SCORER_LATENCIES: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests;
