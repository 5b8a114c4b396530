//! Starting a broker from parts that are at hand, with listeners that are bound already, and ending it in good order. Tests,
//! the dev broker and the load generator start the same thing that `serve` does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::broker::Broker;
use crate::broker::open;
use crate::clock::Stopwatch;
use crate::grpc::door::{Entrance, Services};
use crate::http::pages::Pages;
use crate::identity::https::ServerCertificate;
use crate::identity::people::People;
use crate::identity::trust::{Trust, TrustStatus};
use crate::journal::options::Stage;
use crate::metrics::{Metrics, Reading};
use crate::server::descriptors;
use crate::server::doors::{self, BearerDoor, TlsDoor, WorkloadDoor, ended};
use crate::server::error::ServerError;
use crate::server::operator::OperatorSocket;

/// What a running broker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The broker itself.
    pub broker: open::Parts,
    /// The door of workloads.
    pub workloads: WorkloadDoor,
    /// The door for keys, health and metrics.
    pub https: Option<TlsDoor>,
    /// The door for those who show a token.
    pub bearer: Option<BearerDoor>,
    /// The door of people.
    pub people: Option<TlsDoor>,
    /// The operator's socket.
    pub operator: Option<OperatorSocket>,
    /// What is counted.
    pub metrics: Metrics,
    /// How long requests in flight may take to finish at the end.
    pub drain_timeout: Duration,
}

/// A broker that answers at its doors. Dropping it closes the doors at once; [`Running::shutdown`] does it in good order.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    broker: Broker,
    metrics: Metrics,
    ending: watch::Sender<bool>,
    doors: JoinSet<()>,
    keeping: Vec<JoinHandle<()>>,
    drain_timeout: Duration,
    operator: Option<OperatorSocket>,
}

/// Where a running broker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC over mutual TLS.
    pub workloads: SocketAddr,
    /// Keys, health and metrics over HTTPS.
    pub https: Option<SocketAddr>,
    /// gRPC over server TLS, for those who show a token.
    pub bearer: Option<SocketAddr>,
    /// gRPC over server TLS, for people.
    pub people: Option<SocketAddr>,
    /// The operator's socket.
    pub operator: Option<PathBuf>,
}

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything that was begun has finished.
    Whole,
    /// Some requests took too long and were cut off. What they had appended stands.
    CutOff,
}

/// Opens the broker and serves it. The listeners accept nobody before the broker is open.
///
/// # Errors
/// When the broker does not open, or TLS or a service cannot be set up.
pub async fn start(parts: Parts) -> Result<Running, ServerError> {
    descriptors::raise();
    let Parts { broker, workloads, https, bearer, people, mut operator, metrics, drain_timeout } = parts;
    let (trust, journal) = (broker.trust.clone(), broker.journal.dir.clone());
    let known = broker.people.clone();
    let broker = Broker::open(measured(broker, &metrics)).await?;
    broker.count_into(&metrics);
    let address = |listener: &tokio::net::TcpListener| {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        listener.local_addr().map_err(|cause| ServerError::Listen { address: unknown, cause })
    };
    let addresses = Addresses {
        workloads: address(&workloads.listener)?,
        https: https.as_ref().map(|door| address(&door.listener)).transpose()?,
        bearer: bearer.as_ref().map(|at| address(&at.door.listener)).transpose()?,
        people: people.as_ref().map(|door| address(&door.listener)).transpose()?,
        operator: operator.as_ref().map(|socket| socket.path().to_owned()),
    };
    let (ending, end) = watch::channel(false);
    let (reporter, health) = tonic_health::server::health_reporter();
    let services = Services::new(broker.clone(), metrics.clone(), health)?;
    let mut doors = JoinSet::new();
    let acceptor = doors::acceptor(&trust, &broker, &metrics)?;
    let presented =
        [("https", https.as_ref()), ("bearer", bearer.as_ref().map(|at| &at.door)), ("people", people.as_ref())];
    let presented = presented.into_iter().filter_map(|(name, at)| Some((name, at?.certificate.clone()))).collect();
    let look = look(&broker, &trust, known, (journal, presented));
    if let Some(door) = https {
        let pages = Pages { broker: broker.clone(), metrics: metrics.clone(), look };
        doors.spawn(doors::https(door, pages, end.clone())?);
    }
    if let Some(BearerDoor { door, rules }) = bearer {
        trust.accept_jwt_svids();
        doors.spawn(doors::shown(door, services.door(Entrance::Bearers(rules)), &metrics, end.clone())?);
    }
    if let Some(door) = people {
        doors.spawn(doors::shown(door, services.door(Entrance::People), &metrics, end.clone())?);
    }
    if let Some(connections) = operator.as_mut().and_then(OperatorSocket::take_connections) {
        doors.spawn(doors::grpc(connections, services.door(Entrance::Operator), end.clone()));
    }
    let door = services.door(Entrance::Workloads);
    doors.spawn(doors::workloads(workloads, door, acceptor, metrics.clone(), end.clone()));
    let keeping = vec![
        tokio::spawn(broker.clone().run_sweeps()),
        tokio::spawn(broker.clone().run_notifications()),
        tokio::spawn(tell_health(broker.clone(), reporter, end)),
    ];
    Ok(Running { addresses, broker, metrics, ending, doors, keeping, drain_timeout, operator })
}

impl Running {
    /// Where it answers.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The broker behind the doors.
    #[must_use]
    pub const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// What is counted.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The operator's socket.
    #[must_use]
    pub fn operator_socket(&self) -> Option<&Path> {
        self.operator.as_ref().map(OperatorSocket::path)
    }

    /// Ends it in good order: nobody new is let in, streams end, requests in flight finish, the journal is closed.
    pub async fn shutdown(self) -> Drained {
        self.shutdown_unless(std::future::pending()).await
    }

    /// The same, but does not wait for requests in flight any longer when `hurry` returns.
    pub async fn shutdown_unless(mut self, hurry: impl Future<Output = ()>) -> Drained {
        self.ending.send_replace(true);
        let drained = async { while self.doors.join_next().await.is_some() {} };
        let drained = tokio::select! {
            () = drained => Drained::Whole,
            () = tokio::time::sleep(self.drain_timeout) => Drained::CutOff,
            () = hurry => Drained::CutOff,
        };
        if drained == Drained::CutOff {
            tracing::warn!("requests that took too long were cut off");
            self.doors.shutdown().await;
        }
        for task in self.keeping.drain(..) {
            task.abort();
            drop(task.await);
        }
        drop(self.operator.take());
        self.broker.close().await;
        drained
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ending.send_replace(true);
        for task in &self.keeping {
            task.abort();
        }
    }
}

/// Keeps the health service in step with readiness, until the end.
async fn tell_health(broker: Broker, reporter: HealthReporter, end: watch::Receiver<bool>) {
    let mut told = None;
    loop {
        let is_ending = *end.borrow();
        let ready = !is_ending && broker.problems().is_empty();
        if told != Some(ready) {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in HEALTH_SERVICES {
                reporter.set_service_status(service, status).await;
            }
            told = Some(ready);
        }
        if is_ending {
            return;
        }
        // A second at most between a fact and its being told.
        drop(tokio::time::timeout(HEALTH_EVERY, ended(end.clone())).await);
    }
}

/// What the health service knows by name; the empty name is the broker as a whole.
const HEALTH_SERVICES: [&str; 11] = [
    "",
    "carnet.v1.TaskService",
    "carnet.v1.CredentialService",
    "carnet.v1.RevocationService",
    "carnet.v1.SignalService",
    "carnet.v1.ApprovalService",
    "carnet.v1.BreakGlassService",
    "carnet.v1.NotificationService",
    "carnet.v1.AuditService",
    "carnet.v1.PolicyService",
    "carnet.v1.RiskService",
];
/// How often readiness is looked at.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Measures how long it takes to make a group of events durable, unless somebody else looks at that already.
fn measured(mut parts: open::Parts, metrics: &Metrics) -> open::Parts {
    if parts.journal.probe.is_none() {
        let (metrics, began) = (metrics.clone(), Mutex::new(None));
        parts.journal.probe = Some(Arc::new(move |stage| {
            let mut began = began.lock().unwrap_or_else(PoisonError::into_inner);
            match stage {
                Stage::Placed => *began = Some(Stopwatch::start()),
                Stage::Synced => {
                    if let Some(began) = began.take() {
                        metrics.committed(began.elapsed());
                    }
                }
                Stage::Written | Stage::Applied | Stage::Acknowledged => {}
            }
        }));
    }
    parts
}

/// How many authorities are trusted of each accepted trust domain.
fn authorities(status: &TrustStatus) -> Vec<(String, u64)> {
    let present = status.domains.iter().map(|(name, authorities)| (name.to_string(), *authorities as u64));
    present.chain(status.missing.iter().map(|name| (name.to_string(), 0))).collect()
}

/// How each issuer of people's tokens stands.
fn issuers(people: &People) -> Vec<(String, bool, u64)> {
    people.standings().map(|(name, now)| (name.to_owned(), now.reachable, now.keys as u64)).collect()
}

/// How many keys verify the JWT-SVIDs of each.
fn jwt_authorities(status: &TrustStatus) -> Vec<(String, u64)> {
    let domains = status.jwt.iter().flat_map(|jwt| &jwt.domains);
    domains.map(|(name, keys)| (name.to_string(), *keys as u64)).collect()
}

/// What stands now, for a scrape.
fn look(
    broker: &Broker,
    trust: &Trust,
    people: Option<People>,
    (journal, presented): (PathBuf, Vec<(&'static str, ServerCertificate)>),
) -> Arc<dyn Fn() -> Reading + Send + Sync> {
    let (broker, trust) = (broker.clone(), trust.clone());
    Arc::new(move || {
        let status = trust.status();
        let now = trust.clock().now();
        let figures = broker.figures();
        let left = |presented: &ServerCertificate| presented.not_after().map(|end| end.since(now)).unwrap_or_default();
        let free = nix::sys::statvfs::statvfs(&journal);
        Reading {
            grants_live: Some(figures.grants_live),
            grants_suspended: Some(figures.grants_suspended),
            tasks_open: Some(figures.tasks_open),
            approvals_waiting: Some(figures.approvals_waiting),
            approvals_escalated: Some(figures.approvals_escalated),
            glasses_open: Some(figures.glasses_open),
            glass_reviews_open: Some(figures.glass_reviews_open),
            glass_reviews_overdue: Some(figures.glass_reviews_overdue),
            journal_events: Some(figures.events),
            journal_waiting: Some(figures.waiting),
            journal_bytes: Some(figures.bytes),
            disk_free_bytes: free.ok().map(|s| s.blocks_available().saturating_mul(s.fragment_size())),
            svid_expires_in: Some(status.own.as_ref().map(|own| own.not_after.since(now)).unwrap_or_default()),
            trust_domains: Some(status.domains.len() as u64),
            trust_authorities: authorities(&status),
            jwt_authorities: jwt_authorities(&status),
            certificates_expire_in: presented.iter().map(|(door, presented)| (*door, left(presented))).collect(),
            workload_api_connected: Some(status.connected),
            workload_api_failures: Some(status.failures),
            issuers: people.as_ref().map(issuers).unwrap_or_default(),
            policy_revision: Some(figures.policy_revision),
            observing: broker.observed_classes(),
            policy_proposals: Some(figures.policy_proposals),
            webhooks: broker.webhook_figures(),
            drift: broker.drift_indices(),
            scorers: broker.scorer_pauses(),
        }
    })
}
