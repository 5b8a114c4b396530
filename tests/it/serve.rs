//! `serve`: what a check finds and leaves alone, what a start opens, what the pages and the health service tell, and the end.

mod doors;
mod inspect;
mod signalled;
mod signed;
mod warned;
mod webhooks;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carnet::config::settings::Settings;
use carnet::config::{self, Environment};
use carnet::dev::workload_api::WorkloadApi;
use carnet::identity::client::{ServerIdentity, connect, connect_unix};
use carnet::pb::v1;
use carnet::pb::v1::revocation_service_client::RevocationServiceClient;
use carnet::pb::v1::task_service_client::TaskServiceClient;
use carnet::server::error::ServerError;
use carnet::server::folder::DataFolder;
use carnet::server::serve::check;
use carnet::server::start::{Drained, Running};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::ask::{AGENT, Granted, INTENT, ORCHESTRATOR, RESOURCE_SERVER};
use crate::support::caller::Caller;
use crate::support::pki::{DOMAIN, Pki, client_config, id, soon};
use crate::support::record::Record;

/// A machine on which a broker could be started: a Workload API, a policy bundle, folders.
struct Machine {
    pki: Pki,
    own: WorkloadApi,
}

impl Machine {
    fn new() -> Self {
        let pki = Pki::new();
        let own = pki.serve(pki.offer("/carnet", &[]));
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
        copy(&shipped, &pki.path("policy"));
        let identities = pki.path("policy/identities.toml");
        let text = fs::read_to_string(&identities).unwrap();
        fs::write(&identities, text.replace("spiffe://dev.carnet.test/", &format!("spiffe://{DOMAIN}/"))).unwrap();
        // Its own tests name the identities that it ships with.
        fs::remove_dir_all(pki.path("policy/tests")).unwrap();
        Self { pki, own }
    }

    fn settings(&self) -> Settings {
        self.settings_with("")
    }

    fn settings_with(&self, more: &str) -> Settings {
        let environment = Environment::from([("SPIFFE_ENDPOINT_SOCKET".to_owned(), self.own.endpoint())]);
        config::parse(&self.text(more), &environment).unwrap()
    }

    fn text(&self, more: &str) -> String {
        format!(
            "data_dir = {data:?}\npolicy_dir = {policy:?}\nissuer = \"https://carnet.{DOMAIN}\"\n{more}\n\
             [workloads]\nlisten = \"127.0.0.1:0\"\ntrust_domains = [\"{DOMAIN}\"]\nconnect_timeout = \"1s\"\n\
             drain_timeout = \"5s\"\n[https]\nlisten = \"127.0.0.1:0\"\n[revocation]\nheartbeat = \"100ms\"\n",
            data = self.pki.path("data"),
            policy = self.pki.path("policy"),
        )
    }

    async fn start(&self) -> Running {
        let checked = soon(check(self.settings())).await.unwrap();
        soon(checked.start()).await.unwrap()
    }

    async fn channel(&self, running: &Running, path: &str) -> (WorkloadApi, Channel) {
        let (api, workload) = self.pki.workload(path).await;
        let at = running.addresses().workloads.to_string();
        (api, soon(connect(&at, &workload, ServerIdentity::Exact(id("/carnet")))).await.unwrap())
    }
}

#[tokio::test]
async fn a_check_writes_nothing_and_what_it_accepts_starts() {
    let machine = Machine::new();
    let checked = soon(check(machine.settings())).await.unwrap();
    assert_eq!(checked.trust().workload().spiffe_id(), Some(id("/carnet")));
    assert!(!machine.pki.path("data").exists(), "a check must make no folder");
    let running = soon(checked.start()).await.unwrap();
    assert!(machine.pki.path("data/journal").is_dir());
    assert_eq!(soon(running.shutdown()).await, Drained::Whole);
    assert!(!machine.pki.path("data/operator.sock").exists(), "the socket goes with the broker");
    // The folder serves again.
    assert_eq!(soon(machine.start().await.shutdown()).await, Drained::Whole);
}

#[tokio::test]
async fn a_check_finds_what_would_keep_a_broker_from_starting() {
    let machine = Machine::new();
    fs::write(machine.pki.path("policy/broken.cedar"), "permit (principal").unwrap();
    let error = soon(check(machine.settings())).await.unwrap_err();
    assert!(matches!(error, ServerError::Policy(_)), "{error:?}");
    fs::remove_file(machine.pki.path("policy/broken.cedar")).unwrap();

    DataFolder::new(&machine.pki.path("data")).mark_as_dev().unwrap();
    let error = soon(check(machine.settings())).await.unwrap_err();
    assert!(matches!(error, ServerError::DevFolder(_)), "{error:?}");
    fs::remove_dir_all(machine.pki.path("data")).unwrap();

    let files = "\n[https]\ncertificate = \"files\"\ncertificate_file = \"/absent.pem\"\nkey_file = \"/absent.key\"\n";
    let mut settings = machine.settings();
    settings.https = config::parse(
        &format!("data_dir=\"d\"\npolicy_dir=\"p\"\nissuer=\"https://x\"\n[workloads]\ntrust_domains=[\"x\"]\nendpoint_socket=\"unix:///x\"{files}"),
        &Environment::new(),
    )
    .unwrap()
    .https;
    let error = soon(check(settings)).await.unwrap_err();
    assert!(matches!(error, ServerError::Identity(_)), "{error:?}");

    machine.own.refuse();
    let error = soon(check(machine.settings())).await.unwrap_err();
    assert!(matches!(error, ServerError::Identity(_)), "{error:?}");
    soon(check_is_ok_after_all(machine)).await;
}

#[tokio::test]
async fn a_check_looks_at_folder_keys_addresses_and_socket_and_changes_none() {
    let machine = Machine::new();
    let running = machine.start().await;
    let refused = async |settings: Settings| soon(check(settings)).await.unwrap_err();
    let in_use = refused(machine.settings()).await;
    assert!(matches!(in_use, ServerError::Journal(_)), "a broker has the folder: {in_use:?}");

    let mut elsewhere = machine.settings();
    elsewhere.data_dir = machine.pki.path("other");
    elsewhere.tokens.master_key_file = machine.pki.path("other/master.key");
    soon(check(elsewhere.clone())).await.unwrap_err();
    elsewhere.operator_socket = machine.pki.path("other/operator.sock");
    soon(check(elsewhere.clone())).await.unwrap();
    let at = running.addresses().clone();
    for change in
        [(|s: &mut Settings, at| s.workloads.listen = at) as fn(&mut Settings, std::net::SocketAddr), |s, at| {
            s.https.as_mut().unwrap().listen = at
        }]
    {
        let mut taken = elsewhere.clone();
        change(&mut taken, at.workloads);
        let error = refused(taken).await;
        assert!(matches!(error, ServerError::Listen { .. }), "{error:?}");
    }
    let mut many = elsewhere.clone();
    many.workloads.connections_max = usize::MAX >> 8;
    let error = refused(many).await;
    assert!(matches!(error, ServerError::Descriptors { .. }), "{error:?}");
    assert!(!machine.pki.path("other").exists(), "a check makes no folder");
    soon(running.shutdown()).await;

    soon(check(machine.settings())).await.unwrap();
    let before = listing(&machine.pki.path("data"));
    let mode = |path: &str, mode| {
        fs::set_permissions(machine.pki.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("data", 0o755);
    assert!(matches!(refused(machine.settings()).await, ServerError::Folder(_)));
    mode("data", 0o700);
    for (file, spoiled) in [("master.key", "garbage"), ("handle.key", ""), ("checkpoint.key", "short")] {
        let path = machine.pki.path("data").join(file);
        let kept = fs::read(&path).unwrap();
        fs::write(&path, spoiled).unwrap();
        refused(machine.settings()).await;
        fs::write(&path, &kept).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        refused(machine.settings()).await;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let away = path.with_extension("away");
        fs::rename(&path, &away).unwrap();
        refused(machine.settings()).await;
        assert!(!path.exists(), "none is made in place of {file}");
        fs::rename(&away, &path).unwrap();
    }
    let ring = machine.pki.path("data/keys/keyring.json");
    let kept = fs::read(&ring).unwrap();
    fs::write(&ring, "{}").unwrap();
    assert!(matches!(refused(machine.settings()).await, ServerError::Keys(_)));
    fs::write(&ring, kept).unwrap();
    soon(check(machine.settings())).await.unwrap();
    assert_eq!(listing(&machine.pki.path("data")), before, "nothing was made, removed or written");
    assert_eq!(soon(machine.start().await.shutdown()).await, Drained::Whole);
}

/// Every file of a folder, with what is in it.
fn listing(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(listing(&path));
        } else if path.is_file() {
            let content = fs::read(&path).unwrap();
            all.insert(path, content);
        }
    }
    all
}

#[tokio::test]
async fn no_token_outlives_what_the_settings_say() {
    let machine = Machine::new();
    let settings = machine.settings_with("[tokens]\nttl_default = \"30s\"\nttl_max = \"1m\"");
    let running = soon(soon(check(settings)).await.unwrap().start()).await.unwrap();
    let record = Arc::new(Record::new(soon(connect_unix(running.operator_socket().unwrap())).await.unwrap()));
    let (_orchestrator_api, orchestrator) = machine.channel(&running, ORCHESTRATOR).await;
    let (_agent_api, agent) = machine.channel(&running, AGENT).await;
    let agent = Caller::new(agent, Arc::clone(&record));
    let deadline = i64::try_from(machine.pki.now().as_secs() + 1800).unwrap();
    let registration = v1::RegisterTaskRequest {
        request_id: "task".to_owned(),
        intent: INTENT.to_owned(),
        initiator: "user:ann@example.org".to_owned(),
        agent: id(AGENT).to_string(),
        deadline: Some(prost_types::Timestamp { seconds: deadline, nanos: 0 }),
        ..v1::RegisterTaskRequest::default()
    };
    let task = Caller::new(orchestrator, record).open(registration).await;
    let life = |granted: Granted| granted.claims()["exp"].as_u64().unwrap() - granted.claims()["iat"].as_u64().unwrap();
    assert_eq!(life(agent.granted(task.reading()).await), 30, "what nobody asked for");
    let ttl = Some(prost_types::Duration { seconds: 300, nanos: 0 });
    let longer = v1::RequestCredentialRequest { ttl, ..task.reading() };
    assert_eq!(life(agent.granted(longer).await), 60, "what the agent asked for is cut");
    soon(running.shutdown()).await;
}

async fn check_is_ok_after_all(machine: Machine) {
    machine.own.offer(machine.pki.offer("/carnet", &[]));
    check(machine.settings()).await.unwrap();
}

#[tokio::test]
async fn the_pages_tell_keys_health_and_figures() {
    let machine = Machine::new();
    let running = machine.start().await;
    let at = running.addresses().https.unwrap();
    let (head, body) = get(at, "/jwks.json").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/jwk-set+json"), "{head}");
    assert!(head.contains("cache-control: public, max-age="), "{head}");
    let keys: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "the key that signs and the one that waits");
    assert!(!body.contains("\"d\""), "no private part");
    assert!(get(at, "/livez").await.0.starts_with("HTTP/1.1 200"));
    assert!(get(at, "/readyz").await.0.starts_with("HTTP/1.1 200"));
    let (_api, channel) = machine.channel(&running, ORCHESTRATOR).await;
    let unknown = v1::GetTaskRequest { task_id: "x".into(), task_handle: String::new() };
    TaskServiceClient::new(channel).get_task(unknown).await.unwrap_err();
    let (_, figures) = get(at, "/metrics").await;
    for line in [
        "carnet_connections_total{result=\"accepted\"} 1",
        "carnet_rpcs_total{code=\"INVALID_ARGUMENT\",method=\"/carnet.v1.TaskService/GetTask\"} 1",
        "carnet_refusals_total{code=\"INVALID_ARGUMENT\"} 1",
        "carnet_trust_domains 1",
        "carnet_workload_api_connected 1",
        &format!("carnet_trust_authorities{{trust_domain=\"{DOMAIN}\"}} 1"),
        "carnet_policy_revision 1",
        "carnet_tasks_open 0",
        "carnet_approvals_escalated 0",
    ] {
        assert!(figures.lines().any(|l| l == line), "{line} is not in\n{figures}");
    }
    for (path, status) in [("/", "404"), ("/jwks.json/", "404"), ("/metrics/..", "404")] {
        assert!(get(at, path).await.0.starts_with(&format!("HTTP/1.1 {status}")), "{path}");
    }
    let (head, _) =
        ask(at, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let (head, _) = ask(at, &huge).await;
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    soon(running.shutdown()).await;
}

#[tokio::test]
async fn a_broker_without_its_workload_api_goes_on_and_says_so() {
    let machine = Machine::new();
    let running = machine.start().await;
    let at = running.addresses().https.unwrap();
    let (_api, channel) = machine.channel(&running, ORCHESTRATOR).await;
    let Machine { pki, own } = machine;
    let (socket, offer) = (own.socket().to_owned(), pki.offer("/carnet", &[]));
    drop(own);
    let says = |path: &'static str, line: &'static str| async move {
        soon(async {
            loop {
                let (head, body) = get(at, path).await;
                if body.lines().any(|found| found.starts_with(line)) {
                    return (head, body);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    };
    let (head, body) = says("/readyz", "the Workload API cannot be reached").await;
    assert!(head.starts_with("HTTP/1.1 200") && body.starts_with("ready\n"), "it serves what is still valid: {body}");
    says("/metrics", "carnet_workload_api_connected 0").await;
    let unknown = v1::GetTaskRequest { task_id: "x".into(), task_handle: String::new() };
    let refused = TaskServiceClient::new(channel).get_task(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "what is asked is answered");

    let _back = WorkloadApi::serve(&socket, offer, pki.clock.clone()).unwrap();
    says("/metrics", "carnet_workload_api_connected 1").await;
    assert_eq!(get(at, "/readyz").await.1, "ready\n");
    soon(running.shutdown()).await;
}

#[tokio::test]
async fn a_broker_without_an_identity_is_alive_and_not_ready() {
    let machine = Machine::new();
    let running = machine.start().await;
    let at = running.addresses().https.unwrap();
    // The pages of this door come with the SVID, so a connection is kept from before.
    let mut kept = open(at).await;
    let mut health = HealthClient::new(soon(connect_unix(running.operator_socket().unwrap())).await.unwrap());
    assert_eq!(status_of(&mut health).await, ServingStatus::Serving);
    machine.own.refuse();
    soon(async {
        while status_of(&mut health).await == ServingStatus::Serving {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let (head, body) = exchange(&mut kept, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(!body.trim().is_empty(), "it says why");
    soon(running.shutdown()).await;
}

#[tokio::test]
async fn the_end_closes_streams_and_lets_nobody_in() {
    let machine = Machine::new();
    let running = machine.start().await;
    let (_api, channel) = machine.channel(&running, RESOURCE_SERVER).await;
    let watch = v1::WatchRequest { after: 0, audiences: Vec::new() };
    let mut stream = RevocationServiceClient::new(channel.clone()).watch(watch.clone()).await.unwrap().into_inner();
    soon(stream.message()).await.unwrap().expect("what is in force comes first");
    let at = running.addresses().clone();
    assert_eq!(soon(running.shutdown()).await, Drained::Whole, "an open stream is no reason to wait");
    let rest = soon(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        }
    })
    .await;
    assert!(matches!(rest, Ok(None)), "the stream ends in good order: {rest:?}");
    TcpStream::connect(at.workloads).await.unwrap_err();
    TcpStream::connect(at.https.unwrap()).await.unwrap_err();
    let status = soon(RevocationServiceClient::new(channel).watch(watch)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

/// A request whose message never ends, once it is under way.
async fn unfinished(running: &Running, channel: Channel, path: &'static str) -> JoinHandle<Result<(), Status>> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let asked = tokio::spawn(async move {
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let message = tonic::Request::new(tokio_stream::pending());
        client.client_streaming(message, path.parse().unwrap(), codec).await.map(|_| ())
    });
    soon(async {
        while running.metrics().render().unwrap().contains("carnet_rpcs_in_flight 0") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    asked
}

#[tokio::test]
async fn an_end_that_is_asked_for_twice_waits_for_nobody() {
    let machine = Machine::new();
    let running = machine.start().await;
    let (_api, channel) = machine.channel(&running, AGENT).await;
    let unfinished = unfinished(&running, channel, "/carnet.v1.CredentialService/RequestCredential").await;
    assert_eq!(soon(running.shutdown_unless(std::future::ready(()))).await, Drained::CutOff);
    assert!(soon(unfinished).await.unwrap().is_err());
}

#[tokio::test]
async fn reflection_describes_the_contract_and_health_and_nothing_of_the_journal() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let machine = Machine::new();
    let running = machine.start().await;
    let channel = soon(connect_unix(running.operator_socket().unwrap())).await.unwrap();
    let ask = |message_request| ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
    let asked = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("carnet.v1.TaskService".to_owned())),
        ask(MessageRequest::FileContainingSymbol("carnet.journal.v1.Event".to_owned())),
    ]);
    let mut answers = ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    let mut names: Vec<&str> = list.service.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "carnet.v1.ApprovalService",
            "carnet.v1.AuditService",
            "carnet.v1.BreakGlassService",
            "carnet.v1.CredentialService",
            "carnet.v1.NotificationService",
            "carnet.v1.PolicyService",
            "carnet.v1.RevocationService",
            "carnet.v1.RiskService",
            "carnet.v1.SignalService",
            "carnet.v1.TaskService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
        ]
    );
    let described = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(described, Some(MessageResponse::FileDescriptorResponse(_))), "{described:?}");
    let hidden = answers.message().await;
    assert!(hidden.is_err(), "{hidden:?}");
    soon(running.shutdown()).await;
}

async fn status_of(health: &mut HealthClient<Channel>) -> ServingStatus {
    let request = HealthCheckRequest { service: "carnet.v1.TaskService".to_owned() };
    match health.check(request).await.unwrap().into_inner().status {
        1 => ServingStatus::Serving,
        _ => ServingStatus::NotServing,
    }
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

async fn open(at: std::net::SocketAddr) -> Tls {
    let mut config = client_config(None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
}

pub async fn get(at: std::net::SocketAddr, path: &str) -> (String, String) {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

async fn ask(at: std::net::SocketAddr, request: &str) -> (String, String) {
    exchange(&mut open(at).await, request).await
}

async fn exchange(tls: &mut Tls, request: &str) -> (String, String) {
    // A server that has seen enough may close before all of it is written.
    let _closed_early = tls.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _cut_off = soon(tls.read_to_end(&mut answer)).await;
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    (head.to_owned(), body.to_owned())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
