//! A broker of the run's own: what `serve` wires, with a durable journal in a folder that is removed afterwards, and a
//! certificate authority that gives every agent an SVID over a Workload API socket.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::drive::Askers;
use super::error::BenchError;
use super::plan::Plan;
use super::site::{Member, Site, agents_used, member, needs_resource_server};
use crate::broker::approvals::ApprovalSettings;
use crate::broker::glasses::GlassSettings;
use crate::broker::limit::CallerLimits;
use crate::broker::proposals::ActivationSettings;
use crate::broker::routing::Directory;
use crate::broker::{Broker, open};
use crate::clock::Clock;
use crate::dev::ca::DevCa;
use crate::dev::workload_api::{Offer, WorkloadApi};
use crate::entropy::Entropy;
use crate::identity::client::ServerIdentity;
use crate::identity::listen::ListenLimits;
use crate::identity::trust::{AcceptedDomains, Trust};
use crate::identity::workload::Workload;
use crate::metrics::Metrics;
use crate::mint::ring::KeySettings;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Ttl;
use crate::notify::Notifier;
use crate::policy::bundle::BundleFiles;
use crate::server::doors::WorkloadDoor;
use crate::server::folder::{Contents, DataFolder, FolderOptions};
use crate::server::start::{Parts, Running, start};

/// The trust domain that the shipped policy bundle knows.
const DOMAIN: &str = "dev.carnet.test";
/// Longer than any run.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// More than any run opens: it is not the limits that are measured.
const CONNECTIONS_MAX: usize = 1 << 20;
/// How long requests in flight may take at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// What ends with the run.
pub(in crate::bench) struct Embedded {
    running: Running,
    _apis: Vec<WorkloadApi>,
    _folder: Folder,
}

impl Embedded {
    /// The broker.
    pub(in crate::bench) fn broker(&self) -> Broker {
        self.running.broker().clone()
    }

    /// Ends the broker in good order.
    pub(in crate::bench) async fn close(self) {
        self.running.shutdown().await;
    }
}

/// Starts it on the runtime that this is called on.
pub(in crate::bench) async fn start_embedded(
    plan: &Plan,
    policy: Option<&Path>,
    policies: u32,
    parent: Option<&Path>,
    askers: &Askers,
) -> Result<Site, BenchError> {
    let clock = Clock::system();
    let folder = Folder::make(parent)?;
    let issuing = Issuing::new(&folder.0, clock.clone())?;
    let mut apis = Vec::new();
    let own = issuing.serve("carnet", &mut apis)?;
    let workload = Workload::from_socket(&own).await.map_err(BenchError::start("the broker's identity"))?;
    let orchestrator = issuing.member(0, "orchestrator/bench", &mut apis, askers).await?;
    let mut agents = Vec::new();
    for n in 0..agents_used(plan) {
        agents.push(issuing.member(n, &format!("agent/bench-{n}"), &mut apis, askers).await?);
    }
    let resource_server = if needs_resource_server(plan.kind) {
        let socket = issuing.serve("resource/bench", &mut apis)?;
        let workload = Workload::from_socket(&socket).await.map_err(BenchError::start("the resource server"))?;
        Some(Member { id: issuing.id("resource/bench")?, workload })
    } else {
        None
    };
    let trust = Trust::over(workload, AcceptedDomains::Own, clock.clone()).map_err(BenchError::start("trust"))?;
    let files = padded(policy, policies)?;
    let running = broker(&folder.0, trust, clock, files).await?;
    Ok(Site {
        address: running.addresses().workloads.to_string(),
        broker: ServerIdentity::Exact(issuing.id("carnet")?),
        orchestrator,
        agents,
        resource_server,
        folder: folder.0.clone(),
        embedded: Some(Embedded { running, _apis: apis, _folder: folder }),
    })
}

async fn broker(folder: &Path, trust: Trust, clock: Clock, policy: BundleFiles) -> Result<Running, BenchError> {
    let entropy = Entropy::system();
    let issuer = format!("https://{DOMAIN}");
    let contents = open_folder(folder, &issuer, &clock, &entropy).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(BenchError::start("the broker"))?;
    let parts = open::Parts {
        settings: crate::broker::Settings {
            issuer: issuer.parse().map_err(BenchError::start("the issuer"))?,
            limits: UNLIMITED,
            ttl_default: Ttl::DEFAULT,
            ttl_max: Ttl::MAX,
            heartbeat: Duration::from_secs(1),
            approvals: ApprovalSettings::default(),
            directory: Directory::default(),
            glass: GlassSettings::default(),
            activation: ActivationSettings::default(),
        },
        clock,
        entropy,
        trust,
        people: None,
        sealer: contents.sealer,
        handles: contents.handles,
        keys: contents.keys,
        journal: contents.journal,
        notifier: Notifier::default(),
        scorers: Vec::new(),
        policy,
        activate: true,
    };
    let parts = Parts {
        broker: parts,
        workloads: WorkloadDoor {
            listener,
            limits: ListenLimits { connections_max: CONNECTIONS_MAX, ..ListenLimits::default() },
        },
        https: None,
        bearer: None,
        people: None,
        operator: None,
        metrics: Metrics::new().map_err(BenchError::start("the metrics"))?,
        drain_timeout: DRAIN_WITHIN,
    };
    start(parts).await.map_err(BenchError::start("the broker"))
}

async fn open_folder(folder: &Path, issuer: &str, clock: &Clock, entropy: &Entropy) -> Result<Contents, BenchError> {
    // As the configuration has them when it says nothing.
    let journal = crate::config::settings::JournalSettings::default();
    let options = FolderOptions {
        issuer: issuer.to_owned(),
        keys: KeySettings::default(),
        segment_bytes: journal.segment_bytes,
        snapshot_every: journal.snapshot_every,
        disk_reserve_bytes: journal.disk_reserve_bytes,
        checkpoint_interval: journal.checkpoint_interval,
    };
    let data = DataFolder::new(&folder.join("data"));
    let (clock, entropy) = (clock.clone(), entropy.clone());
    let opened = tokio::task::spawn_blocking(move || data.open(options, &clock, &entropy)).await;
    opened.map_err(|_| BenchError::Ended)?.map_err(BenchError::start("the data folder"))
}

/// The bundle with so many more policies, none of which matches what the run asks for.
fn padded(policy: Option<&Path>, policies: u32) -> Result<BundleFiles, BenchError> {
    let files = match policy {
        Some(folder) => BundleFiles::read_dir(folder).map_err(BenchError::start("the policy bundle"))?,
        None => crate::dev::bundle::shipped().map_err(BenchError::start("the policy bundle"))?,
    };
    if policies == 0 {
        return Ok(files);
    }
    let mut text = String::new();
    for n in 0..policies {
        let _infallible = writeln!(
            text,
            "@id(\"bench-{n}\") @reason(\"FORBIDDEN\") @outcome(\"denied\")\nforbid (principal, action == \
             Carnet::Action::\"administer\", resource == Carnet::Tool::\"users.disable\")\nwhen {{ context.call.calls_before \
             == {n} }};"
        );
    }
    let kept = files.iter().map(|(path, content)| (path.to_owned(), content.to_vec()));
    let padding = std::iter::once(("99-bench.cedar".to_owned(), text.into_bytes()));
    BundleFiles::new(kept.chain(padding)).map_err(BenchError::start("the policy bundle"))
}

/// The authority, and the folder of its sockets.
struct Issuing {
    ca: Arc<DevCa>,
    domain: TrustDomain,
    sockets: PathBuf,
    clock: Clock,
}

impl Issuing {
    fn new(folder: &Path, clock: Clock) -> Result<Self, BenchError> {
        let domain: TrustDomain = DOMAIN.parse().map_err(BenchError::start("the trust domain"))?;
        let ca = DevCa::new(domain.clone(), clock.now(), LIFE).map_err(BenchError::start("the authority"))?;
        Ok(Self { ca: Arc::new(ca), domain, sockets: folder.join("s"), clock })
    }

    fn id(&self, path: &str) -> Result<SpiffeId, BenchError> {
        format!("spiffe://{}/{path}", self.domain).parse().map_err(BenchError::start("an identity"))
    }

    fn serve(&self, path: &str, apis: &mut Vec<WorkloadApi>) -> Result<PathBuf, BenchError> {
        let offer = Offer::fresh(&self.ca, &self.id(path)?, &[], &self.clock, LIFE);
        let offer = offer.map_err(BenchError::start("an identity"))?;
        // Short, because a socket's path may have little more than a hundred bytes.
        let socket = self.sockets.join(format!("{}.sock", apis.len()));
        let api =
            WorkloadApi::serve(&socket, offer, self.clock.clone()).map_err(BenchError::start("a Workload API"))?;
        apis.push(api);
        Ok(socket)
    }

    async fn member(
        &self,
        n: usize,
        path: &str,
        apis: &mut Vec<WorkloadApi>,
        askers: &Askers,
    ) -> Result<Member, BenchError> {
        member(n, &self.serve(path, apis)?, None, askers).await
    }
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(parent: Option<&Path>) -> Result<Self, BenchError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("carnet-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|cause| BenchError::Path { path: path.clone(), cause })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder of the run stays behind");
        }
    }
}

/// The run itself bounds what is asked; limits on callers would be measured otherwise.
const UNLIMITED: CallerLimits = CallerLimits { per_second: 100_000_000, burst: 100_000_000, in_flight: 1_000_000 };
