//! The dev broker: the same parts that `serve` wires, over a world of its own, on loopback, with limits that a load generator
//! may be pointed at.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::broker::approvals::ApprovalSettings;
use crate::broker::glasses::GlassSettings;
use crate::broker::limit::CallerLimits;
use crate::broker::open;
use crate::broker::proposals::ActivationSettings;
use crate::broker::routing::Directory;
use crate::clock::Clock;
use crate::dev::bundle::shipped;
use crate::dev::error::DevError;
use crate::dev::folder::DevFolder;
use crate::dev::identities::BROKER;
use crate::dev::people::DevIssuer;
use crate::dev::world::World;
use crate::entropy::Entropy;
use crate::identity::https::ServerCertificate;
use crate::identity::listen::{HANDSHAKE_WITHIN, ListenLimits};
use crate::identity::trust::{AcceptedDomains, Trust, TrustOptions};
use crate::identity::workload::FIRST_SVID_WITHIN;
use crate::metrics::Metrics;
use crate::mint::ring::KeySettings;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Ttl;
use crate::notify::Notifier;
use crate::policy::bundle::BundleFiles;
use crate::server::doors::{TlsDoor, WorkloadDoor};
use crate::server::folder::{DataFolder, FolderOptions};
use crate::server::operator;
use crate::server::start::{Addresses, Drained, Parts, Running, start};

/// The port for workloads when nothing else is said; keys and health are at the next, people at the one after.
pub const PORT_DEFAULT: u16 = 7443;
/// The operator's socket inside of the folder.
const OPERATOR_SOCKET: &str = "operator.sock";
/// How often a receiver of revocations hears that nothing happened.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long requests in flight may take to finish at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// More than one machine asks for.
const LIMITS: CallerLimits = CallerLimits { per_second: 1_000_000, burst: 1_000_000, in_flight: 16_384 };

/// What a dev broker is told.
#[derive(Debug, Clone, Default)]
pub struct DevOptions {
    /// Where it keeps its state; `None` takes a temporary folder.
    pub data_dir: Option<PathBuf>,
    /// The policy bundle; `None` takes the shipped one.
    pub policy: Option<PathBuf>,
    /// The port for workloads, the next one for keys and health, and the one after for people; 0 takes three that are free.
    pub port: u16,
}

/// A running dev broker. Its world ends when it is dropped.
#[derive(Debug)]
pub struct DevBroker {
    running: Running,
    issuer: String,
    people: DevIssuer,
    id: SpiffeId,
    world: World,
    folder: DevFolder,
}

impl DevBroker {
    /// Starts one. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the folder, the ports or the policy bundle cannot be used.
    pub async fn start(options: DevOptions) -> Result<Self, DevError> {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let folder = match &options.data_dir {
            Some(path) => DevFolder::kept(path)?,
            None => DevFolder::temporary(&entropy)?,
        };
        let policy = match &options.policy {
            Some(path) => BundleFiles::read_dir(path)?,
            None => shipped()?,
        };
        let workloads = listen_at(options.port).await?;
        let port = |n| if options.port == 0 { 0 } else { options.port.saturating_add(n) };
        let (https, people) = (listen_at(port(1)).await?, listen_at(port(2)).await?);
        let issuer = format!("https://{}", https.1);
        let world = World::open(folder.path(), &clock)?;
        let trust = Trust::connect(TrustOptions {
            endpoint: world.broker_endpoint(),
            accepted: AcceptedDomains::Own,
            first_svid_within: FIRST_SVID_WITHIN,
            clock: clock.clone(),
        })
        .await?;
        let persons = DevIssuer::start(folder.path(), &clock, &entropy).await?;
        let mut broker = open_parts(folder.path(), &issuer, clock, entropy, trust.clone(), policy).await?;
        broker.people = Some(persons.people()?);
        broker.settings.directory = persons.directory()?;
        let running = start(Parts {
            broker,
            workloads: WorkloadDoor { listener: workloads.0, limits: ListenLimits::default() },
            https: Some(TlsDoor {
                listener: https.0,
                certificate: ServerCertificate::Svid(trust),
                handshake_within: HANDSHAKE_WITHIN,
            }),
            bearer: None,
            people: Some(TlsDoor {
                listener: people.0,
                certificate: persons.certificate(),
                handshake_within: HANDSHAKE_WITHIN,
            }),
            operator: Some(operator::bind(&folder.path().join(OPERATOR_SOCKET)).await?),
            metrics: Metrics::new().map_err(crate::server::error::ServerError::from)?,
            drain_timeout: DRAIN_TIMEOUT,
        })
        .await?;
        Ok(Self { running, issuer, people: persons, id: BROKER.spiffe_id()?, world, folder })
    }

    /// Where it answers.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        self.running.addresses()
    }

    /// The address for workloads, as clients are told it.
    #[must_use]
    pub fn address(&self) -> String {
        self.running.addresses().workloads.to_string()
    }

    /// The issuer of its tokens; their keys lie at `/jwks.json` below it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its own SPIFFE ID.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.id
    }

    /// Who vouches for people here.
    #[must_use]
    pub const fn people(&self) -> &DevIssuer {
        &self.people
    }

    /// The door of people, as clients are told it.
    #[must_use]
    pub fn people_door(&self) -> String {
        self.running.addresses().people.map(|at| format!("https://{at}")).unwrap_or_default()
    }

    /// The operator's socket.
    #[must_use]
    pub fn operator_socket(&self) -> PathBuf {
        self.folder.path().join(OPERATOR_SOCKET)
    }

    /// The identities around it.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Where it keeps its state.
    #[must_use]
    pub const fn folder(&self) -> &DevFolder {
        &self.folder
    }

    /// Ends it in good order.
    pub async fn shutdown(self) -> Drained {
        self.running.shutdown().await
    }
}

async fn listen_at(port: u16) -> Result<(TcpListener, SocketAddr), DevError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |cause| DevError::Listen { address: address.to_string(), cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn open_parts(
    folder: &Path,
    issuer: &str,
    clock: Clock,
    entropy: Entropy,
    trust: Trust,
    policy: BundleFiles,
) -> Result<open::Parts, DevError> {
    let options = FolderOptions {
        // The log's name stays the same whatever the port is.
        issuer: format!("https://{}/carnet", crate::dev::identities::TRUST_DOMAIN),
        keys: KeySettings::default(),
        segment_bytes: 64 << 20,
        snapshot_every: 50_000,
        disk_reserve_bytes: 1 << 20,
        checkpoint_interval: CHECKPOINT_INTERVAL,
    };
    let (data, time, random) = (DataFolder::new(folder), clock.clone(), entropy.clone());
    let opened = spawn_blocking(move || data.open(options, &time, &random)).await;
    let contents = opened.map_err(DevError::Thread)??;
    Ok(open::Parts {
        settings: crate::broker::Settings {
            issuer: issuer.parse()?,
            limits: LIMITS,
            ttl_default: Ttl::DEFAULT,
            ttl_max: Ttl::MAX,
            heartbeat: HEARTBEAT,
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
        // Whoever changes the folder of policies and starts again means it.
        activate: true,
    })
}
