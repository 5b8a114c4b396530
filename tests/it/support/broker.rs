//! A real broker, in this process: the doors that `serve` opens, on port 0, over a folder of its own, with identities of a
//! test's trust domain and a clock that the test winds. Dropping it drains it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carnet::broker;
use carnet::broker::approvals::ApprovalSettings;
use carnet::broker::limit::CallerLimits;
use carnet::broker::proposals::ActivationSettings;
use carnet::clock::Clock;
use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::{Offer, WorkloadApi};
use carnet::disk::Disk;
use carnet::entropy::Entropy;
use carnet::identity::certificate_files::CertificateFiles;
use carnet::identity::client::{ServerIdentity, connect, connect_unix};
use carnet::identity::jwt_svid::JwtSvidRules;
use carnet::identity::listen::ListenLimits;
use carnet::identity::people::{IssuerOptions, People, PersonOptions};
use carnet::identity::workload::Workload;
use carnet::journal::options::Options;
use carnet::metrics::Metrics;
use carnet::mint::ring::KeySettings;
use carnet::model::time::Ttl;
use carnet::notify::{Notifier, WebhookOptions};
use carnet::pb::v1;
use carnet::policy::bundle::BundleFiles;
use carnet::server::doors::{BearerDoor, WorkloadDoor};
use carnet::server::folder::{DataFolder, FolderOptions};
use carnet::server::operator;
use carnet::server::start::{Drained, Parts, Running, start};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tonic::transport::Channel;

use super::ask::{AGENT, INITIATOR, INTENT, ORCHESTRATOR, OpenTask, RESOURCE_SERVER, SCORER};
use super::caller::{Caller, unique};
use super::issuer::{directory, people_door, tls_door};
use super::pki::{DOMAIN, FOREIGN, HOUR, Pki, id, log_if_asked, soon, told};
pub use super::policies::{policy_with, shipped_policy};
use super::record::Record;
use super::scorer::Scorers;

/// The issuer of its tokens.
pub const ISSUER: &str = "https://carnet.example.org";
/// Path of the broker's own SPIFFE ID.
const BROKER: &str = "/carnet";
/// How long a person counts as freshly authenticated.
pub const FRESH_WITHIN: Duration = Duration::from_secs(900);
/// Deadline of tasks that do not care.
const TASK_LIFE: Duration = Duration::from_secs(1800);

/// What a test wants otherwise than usual.
pub struct Setup {
    /// The policy bundle.
    pub policy: BundleFiles,
    /// True to put it in force at a restart too.
    pub activate: bool,
    pub limits: CallerLimits,
    /// Where journal and task keys lie, when not on the machine's own disk.
    pub disk: Option<Arc<dyn Disk>>,
    pub journal: Arc<dyn Fn(&mut Options) + Send + Sync>,
    pub heartbeat: Duration,
    pub approvals: ApprovalSettings,
    pub activation: ActivationSettings,
    /// How long a new signing key is published before it signs.
    pub key_lead: Duration,
    /// Accepts workloads of the other trust domain too.
    pub accepts_foreign: bool,
    pub bearers: bool,
    /// Opens the door of keys, health and figures.
    pub https: bool,
    /// Issuers of people's tokens, and the people; with any, the people's door opens.
    pub people: Vec<IssuerOptions>,
    pub persons: Vec<PersonOptions>,
    /// Groups with their members, and whom to tell of what nobody answers.
    pub groups: Vec<(&'static str, Vec<&'static str>)>,
    pub escalate_to: Vec<&'static str>,
    /// What their door presents, where it is not the SVID.
    pub people_certificate: Option<Arc<CertificateFiles>>,
    /// Receivers of webhooks.
    pub webhooks: Vec<WebhookOptions>,
    /// The world that it lives in, when somebody else needs its clock before it starts.
    pub clock: Option<Clock>,
    /// How long SVIDs live.
    pub svid_life: Duration,
    pub scorers: Scorers,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: shipped_policy(),
            activate: true,
            limits: CallerLimits { per_second: 1_000_000, burst: 1_000_000, in_flight: 10_000 },
            disk: None,
            journal: Arc::new(|_| {}),
            heartbeat: Duration::from_millis(200),
            approvals: super::ask::MANY_WAIT,
            activation: ActivationSettings::default(),
            key_lead: Duration::from_secs(3600),
            accepts_foreign: false,
            bearers: false,
            https: false,
            people: Vec::new(),
            persons: Vec::new(),
            groups: Vec::new(),
            escalate_to: Vec::new(),
            people_certificate: None,
            webhooks: Vec::new(),
            clock: None,
            svid_life: HOUR,
            scorers: Arc::new(|_| Vec::new()),
        }
    }
}

/// The running broker, with everybody who may call it.
pub struct TestBroker {
    pub pki: Pki,
    /// The record, read through the operator's socket.
    pub record: Arc<Record>,
    /// What it is started with the next time.
    pub setup: Setup,
    folder: PathBuf,
    // Removed with the broker; `None` when the folder outlives it.
    _temporary: Option<TempDir>,
    running: Option<Running>,
    trust: carnet::identity::trust::Trust,
    address: String,
    members: Mutex<HashMap<String, Member>>,
    own: WorkloadApi,
}

struct Member {
    _api: WorkloadApi,
    channel: Channel,
}

impl TestBroker {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let broker = Self::in_folder(setup, folder.path()).await;
        let broker = broker.unwrap_or_else(|error| panic!("the broker does not start: {error}"));
        Self { _temporary: Some(folder), ..broker }
    }

    /// On a folder that is there before and after; `Err` says why it does not start.
    pub async fn in_folder(setup: Setup, folder: &Path) -> Result<Self, String> {
        log_if_asked();
        let clock = setup.clock.clone().unwrap_or_else(|| Clock::manual(Clock::system().now()));
        let pki = Pki::lasting(clock, setup.svid_life);
        let foreign = [Arc::clone(&pki.foreign)];
        let (federated, listed): (&[_], &[&str]) =
            if setup.accepts_foreign { (&foreign, &[DOMAIN, FOREIGN]) } else { (&[], &[DOMAIN]) };
        let (own, trust) = soon(pki.trust(federated, listed)).await;
        let running = soon(try_boot(&setup, folder, &trust)).await?;
        let address = running.addresses().workloads.to_string();
        let record = Arc::new(Record::new(operator_of(&running).await));
        let members = Mutex::new(HashMap::new());
        let (folder, running) = (folder.to_owned(), Some(running));
        Ok(Self { pki, record, setup, folder, _temporary: None, running, trust, address, members, own })
    }

    /// Ends the broker in good order and starts another on the same folder, with other ports.
    pub async fn restart(&mut self) {
        self.restart_after(|_| {}).await;
    }

    /// The same, after something was done to the folder.
    pub async fn restart_after(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.stop().await;
        meanwhile(&self.folder);
        let running = soon(boot(&self.setup, &self.folder, &self.trust)).await;
        self.address = running.addresses().workloads.to_string();
        self.record.follow(operator_of(&running).await).await;
        self.running = Some(running);
        self.members.lock().await.clear();
    }

    /// Ends the broker in good order; says how that went, unless it had ended before.
    pub async fn stop(&mut self) -> Option<Drained> {
        match self.running.take() {
            Some(running) => Some(soon(running.shutdown()).await),
            None => None,
        }
    }

    /// From the next start on, another policy bundle is configured.
    pub fn configure(&mut self, policy: BundleFiles) {
        self.setup.policy = policy;
    }

    /// Starts on the folder as it is now; `Err` says why it does not.
    pub async fn try_start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none(), "it still runs");
        let running = soon(try_boot(&self.setup, &self.folder, &self.trust)).await?;
        self.address = running.addresses().workloads.to_string();
        self.record.follow(operator_of(&running).await).await;
        self.running = Some(running);
        Ok(())
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it was stopped")
    }

    /// The folder of journal and keys.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn journal_folder(&self) -> PathBuf {
        DataFolder::new(&data_of(&self.folder)).journal()
    }

    /// `host:port` of the door of workloads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Winds the clock.
    pub fn advance(&self, by: Duration) {
        self.pki.clock.advance(by);
    }

    /// Sets the clock back.
    pub fn set_back(&self, by: Duration) {
        self.pki.clock.set_back(by);
    }

    /// Clients of the workload at that path for a test that lasts longer than SVIDs do; the broker's own is renewed too.
    pub async fn for_long(&self, path: &str) -> Caller {
        self.own.offer(self.pki.offer_for(BROKER, &[], 6 * HOUR));
        let (api, workload) = self.pki.workload_offered(self.pki.offer_for(path, &[], 6 * HOUR)).await;
        let channel = self.connect(&workload).await;
        self.members.lock().await.insert(path.to_owned(), Member { _api: api, channel });
        self.caller(path).await
    }

    /// Clients of the workload at that path of the own trust domain.
    pub async fn caller(&self, path: &str) -> Caller {
        Caller::new(self.channel(path).await, Arc::clone(&self.record))
    }

    pub async fn agent(&self) -> Caller {
        self.caller(AGENT).await
    }

    pub async fn orchestrator(&self) -> Caller {
        self.caller(ORCHESTRATOR).await
    }

    pub async fn resource_server(&self) -> Caller {
        self.caller(RESOURCE_SERVER).await
    }

    pub async fn scorer(&self) -> Caller {
        self.caller(SCORER).await
    }

    /// Clients over server TLS, which show nothing by themselves.
    pub async fn behind_a_proxy(&self) -> Caller {
        Caller::over_server_tls(self.running().addresses().bearer, Arc::clone(&self.record)).await
    }

    /// A person's clients, who shows that token at the people's door.
    pub async fn person(&self, token: &str) -> Caller {
        let door = self.running().addresses().people;
        Caller::over_server_tls(door, Arc::clone(&self.record)).await.showing(&format!("Bearer {token}"))
    }

    /// The workload at that path of the own trust domain, behind a proxy that ends TLS.
    pub async fn bearer(&self, path: &str) -> Caller {
        let token = self.jwt_svid(&self.pki.ca, id(path).as_str(), ISSUER, Duration::from_secs(300));
        let caller = self.behind_a_proxy().await.showing(&format!("Bearer {token}"));
        // What the Workload API says of JWT authorities comes by a stream of its own.
        soon(async {
            while caller
                .tasks()
                .get_task(v1::GetTaskRequest::default())
                .await
                .is_err_and(|e| e.code() == tonic::Code::Unauthenticated)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        caller
    }

    /// A JWT-SVID that an authority signs.
    pub fn jwt_svid(&self, ca: &DevCa, spiffe_id: &str, audience: &str, life: Duration) -> String {
        ca.jwt().issue(spiffe_id, &[audience.to_owned()], self.pki.now(), life).unwrap()
    }

    /// Clients over the operator's socket.
    pub async fn operator(&self) -> Caller {
        Caller::new(operator_of(self.running()).await, Arc::clone(&self.record))
    }

    /// A connection as the workload at that path; the same one each time.
    pub async fn channel(&self, path: &str) -> Channel {
        let mut members = self.members.lock().await;
        if let Some(member) = members.get(path) {
            return member.channel.clone();
        }
        let (api, workload) = self.pki.workload(path).await;
        let channel = self.connect(&workload).await;
        members.insert(path.to_owned(), Member { _api: api, channel: channel.clone() });
        channel
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        self.running.as_ref().unwrap().metrics()
    }

    /// Another connection of an identity.
    pub async fn connect(&self, workload: &Workload) -> Channel {
        soon(connect(&self.address, workload, ServerIdentity::Exact(id(BROKER)))).await.unwrap()
    }

    /// Orchestrator and agent, and a task between them with the usual intent and no ceiling.
    pub async fn at_work(&self) -> (Caller, Caller, OpenTask) {
        let (orchestrator, agent) = (self.orchestrator().await, self.agent().await);
        let task = orchestrator.open(self.task(INTENT)).await;
        (orchestrator, agent, task)
    }

    /// A task of the usual agent with that intent, and no ceiling.
    pub fn task(&self, intent: &str) -> v1::RegisterTaskRequest {
        v1::RegisterTaskRequest {
            request_id: unique("task"),
            intent: intent.to_owned(),
            initiator: INITIATOR.to_owned(),
            agent: id(AGENT).to_string(),
            deadline: Some(self.at(TASK_LIFE)),
            ..v1::RegisterTaskRequest::default()
        }
    }

    /// A moment so far from now.
    pub fn at(&self, from_now: Duration) -> prost_types::Timestamp {
        let millis = self.pki.now().after(from_now).as_millis();
        let nanos = i32::try_from(millis % 1000 * 1_000_000).unwrap();
        prost_types::Timestamp { seconds: i64::try_from(millis / 1000).unwrap(), nanos }
    }

    /// Takes the other trust domain's bundle from the broker.
    pub fn withdraw_foreign(&self) {
        self.federate_with(&[]);
    }

    /// Gives the broker these trust bundles beside its own, and no others.
    pub fn federate_with(&self, others: &[Arc<DevCa>]) {
        self.offer_itself(self.pki.offer(BROKER, others));
    }

    /// Gives the broker another SVID and other trust bundles.
    pub fn offer_itself(&self, offer: Offer) {
        self.own.offer(offer);
    }

    /// Counts up with every change of whom the broker trusts.
    pub fn trust_revision(&self) -> u64 {
        self.trust.revision()
    }

    /// Gives the broker nothing any more.
    pub fn refuse_itself(&self) {
        self.own.refuse();
    }

    /// Puts a bundle in force.
    pub async fn activate(&self, files: &BundleFiles) -> v1::ActivatePolicyResponse {
        activate(&self.operator().await.unchecked(), files).await
    }

    /// Does what is due by the clock, without waiting for the broker to look at it.
    pub async fn sweep(&self) {
        self.running().broker().sweep().await.unwrap();
    }
}

/// Puts a bundle in force.
pub async fn activate(operator: &Caller, files: &BundleFiles) -> v1::ActivatePolicyResponse {
    let active = operator.policy().get_active_policy(v1::GetActivePolicyRequest { include_files: false }).await;
    let revision = active.unwrap().into_inner().revision + 1;
    let list =
        files.iter().map(|(path, content)| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
    let request = v1::ActivatePolicyRequest {
        bundle: Some(v1::PolicyBundle { files: list.collect() }),
        revision,
        digest: files.digest().to_string(),
        going_back: true,
    };
    operator.activate_policy(request).await.unwrap()
}

async fn boot(setup: &Setup, folder: &Path, trust: &carnet::identity::trust::Trust) -> Running {
    try_boot(setup, folder, trust).await.unwrap_or_else(|error| panic!("the broker does not start: {error}"))
}

async fn try_boot(setup: &Setup, folder: &Path, trust: &carnet::identity::trust::Trust) -> Result<Running, String> {
    let (clock, entropy) = (trust.clock().clone(), Entropy::system());
    let options = FolderOptions {
        issuer: ISSUER.to_owned(),
        keys: KeySettings { lead: setup.key_lead, ..KeySettings::default() },
        segment_bytes: 1 << 20,
        snapshot_every: 1000,
        disk_reserve_bytes: 1 << 16,
        checkpoint_interval: Duration::from_secs(3600),
    };
    let mut data = DataFolder::new(&data_of(folder));
    if let Some(disk) = &setup.disk {
        data = data.with_disk(Arc::clone(disk));
    }
    let mut contents = data.open(options, &clock, &entropy).map_err(told)?;
    // A test that ends takes the folder away under what still runs, and one must not end all.
    contents.journal.on_fatal = Arc::new(|error| tracing::error!(%error, "the journal has failed"));
    (setup.journal)(&mut contents.journal);
    let parts = broker::open::Parts {
        settings: broker::Settings {
            issuer: ISSUER.parse().unwrap(),
            limits: setup.limits,
            ttl_default: Ttl::DEFAULT,
            ttl_max: Ttl::MAX,
            heartbeat: setup.heartbeat,
            approvals: setup.approvals,
            directory: directory(setup),
            glass: broker::glasses::GlassSettings::DEFAULT,
            activation: setup.activation.clone(),
        },
        notifier: Notifier::new(setup.webhooks.clone(), &data.notices(), &clock, &entropy),
        clock,
        entropy,
        trust: trust.clone(),
        people: (!setup.people.is_empty())
            .then(|| People::new(setup.people.clone(), setup.persons.clone(), FRESH_WITHIN, trust.clock())),
        sealer: contents.sealer,
        handles: contents.handles,
        keys: contents.keys,
        journal: contents.journal,
        scorers: (setup.scorers)(trust),
        policy: setup.policy.clone(),
        activate: setup.activate,
    };
    let parts = Parts {
        broker: parts,
        workloads: WorkloadDoor {
            listener: TcpListener::bind("127.0.0.1:0").await.map_err(told)?,
            limits: ListenLimits::default(),
        },
        https: if setup.https { Some(tls_door(trust).await) } else { None },
        bearer: match setup.bearers {
            true => Some(BearerDoor {
                door: tls_door(trust).await,
                rules: JwtSvidRules { audience: ISSUER.to_owned(), life_max: Some(HOUR) },
            }),
            false => None,
        },
        people: match setup.people.is_empty() {
            true => None,
            false => Some(people_door(trust, setup.people_certificate.clone()).await),
        },
        operator: Some(operator::bind(&folder.join("operator.sock")).await.map_err(told)?),
        metrics: Metrics::new().map_err(told)?,
        drain_timeout: Duration::from_secs(5),
    };
    start(parts).await.map_err(told)
}

fn data_of(folder: &Path) -> PathBuf {
    folder.join("data")
}

async fn operator_of(running: &Running) -> Channel {
    soon(connect_unix(running.operator_socket().unwrap())).await.unwrap()
}
