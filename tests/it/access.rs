//! Who may call what: the table of the edge, golden, held against the descriptors and tried against a running broker.

use std::collections::BTreeSet;

use carnet::clock::Clock;
use carnet::grpc::access::{Class, ROWS, row};
use carnet::identity::people::PersonOptions;
use carnet::model::identity::IdentityClass;
use carnet::model::person::Right;
use carnet::pb::DESCRIPTORS;
use carnet::pb::journal::event::Payload;
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::golden;
use crate::support::ask::{AGENT, ORCHESTRATOR, RESOURCE_SERVER, SCORER, STRANGER};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::Caller;
use crate::support::issuer::{ACTING, Issuer};
use crate::support::pki::{DOMAIN, id, soon};

/// What every door offers besides `carnet.v1`.
const STANDARD: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// A service account, which the shipped identities know none of.
const SERVICE_ACCOUNT: &str = "/service/nightly";

#[test]
fn the_table_lists_every_rpc_and_no_other() {
    let described = described();
    let listed: BTreeSet<String> = ROWS.iter().map(|row| row.path.to_owned()).collect();
    assert_eq!(listed.len(), ROWS.len(), "an RPC stands twice");
    assert_eq!(listed, described);
    assert!(row("/carnet.v1.TaskService/Unknown").is_none());
    assert!(row("").is_none());
}

#[test]
fn the_table_is_as_it_was_reviewed() {
    let mut text = format!("{:<60}", "");
    text.push_str(&Class::ALL.map(Class::as_str).join(" "));
    text.push('\n');
    for row in ROWS {
        text.push_str(&format!("{:<60}", row.path));
        let cells = Class::ALL.map(|class| {
            let human = class == Class::Identity(IdentityClass::Human);
            let needs = row.needs().iter().map(|right| right.as_str()).collect::<Vec<_>>().join("|");
            let mark = match row.admits(class) {
                false => "-",
                // What a person needs; otherwise the object must be the person's own.
                true if human && !needs.is_empty() => &needs,
                true => "yes",
            };
            format!("{mark:<width$}", width = class.as_str().len())
        });
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    golden::check("access.txt", &text);
}

#[test]
fn the_rows_say_which_rpcs_stream_and_which_have_limits_of_their_own() {
    let streaming: BTreeSet<String> = ROWS.iter().filter(|r| r.stream().is_some()).map(|r| r.path.to_owned()).collect();
    let described = described_as(|method| method.server_streaming());
    assert_eq!(streaming, described.into_iter().chain(STANDARD[1..].iter().map(ToString::to_string)).collect());
    let ending: Vec<&str> = ROWS.iter().filter(|row| row.ends()).map(|row| row.path).collect();
    assert_eq!(
        ending,
        [
            "/carnet.v1.TaskService/PauseTask",
            "/carnet.v1.TaskService/CompleteTask",
            "/carnet.v1.TaskService/CancelTask",
            "/carnet.v1.CredentialService/ReleaseCredential",
            "/carnet.v1.RevocationService/Revoke",
            "/carnet.v1.ApprovalService/WithdrawApproval",
            "/carnet.v1.BreakGlassService/CloseBreakGlass",
        ]
    );
}

#[test]
fn neither_people_nor_the_operator_ask_for_credentials() {
    let human = Class::Identity(IdentityClass::Human);
    for path in ROWS.iter().map(|row| row.path) {
        let acts =
            path.contains("CredentialService/Re") || path.contains("SignalService") || path.ends_with("/RegisterTask");
        if acts {
            assert!(!row(path).unwrap().admits(Class::Operator), "{path}");
            assert!(!row(path).unwrap().admits(human), "{path}");
        }
    }
}

#[tokio::test]
async fn each_class_may_call_what_the_table_says_and_nothing_else() {
    let clock = Clock::manual(Clock::system().now());
    let issuer = Issuer::start("corp", &clock).await;
    let broker = with_everybody(&issuer, clock).await;
    let mut tried = 0;
    for class in Class::ALL {
        let caller = caller_of(&broker, &issuer, class).await;
        for row in ROWS {
            let answer = call(&caller, row.path).await;
            let refused = answer.as_ref().is_err_and(|s| reason(s) == "METHOD_NOT_ALLOWED");
            // A resource server that owns no audience could follow nothing; here it owns all.
            assert_eq!(!refused, row.admits(class), "{} as {}: {answer:?}", row.path, class.as_str());
            if let Err(status) = answer {
                // An empty message asks for nothing that there is. An agent that calls for break-glass is told off whatever it says.
                let denied = refused || reason(&status) == "BREAK_GLASS_NOT_FOR_AGENTS";
                let expected: &[Code] =
                    if denied { &[Code::PermissionDenied] } else { &[Code::InvalidArgument, Code::NotFound] };
                assert!(expected.contains(&status.code()), "{} as {}: {status:?}", row.path, class.as_str());
            }
            tried += 1;
        }
    }
    assert_eq!(tried, ROWS.len() * Class::ALL.len());
}

#[tokio::test]
async fn who_matches_no_pattern_may_do_nothing() {
    let broker = TestBroker::start().await;
    let stranger = broker.caller(STRANGER).await;
    for row in ROWS {
        let status = call(&stranger, row.path).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, "IDENTITY_UNKNOWN"),
            "{}",
            row.path
        );
    }
    let noted = refusals(&broker).await;
    assert!(noted.contains(&(id(STRANGER).to_string(), "IDENTITY_UNKNOWN".to_owned())), "{noted:?}");
}

#[tokio::test]
async fn what_is_not_in_the_table_is_refused() {
    let broker = TestBroker::start().await;
    for caller in [broker.caller(ORCHESTRATOR).await, broker.operator().await] {
        for path in [
            "/carnet.v1.TaskService/DeleteTask",
            "/carnet.v1.ApprovalService/Approve",
            "/carnet.v1.TaskService/GetTask/",
            "/carnet.v1.taskservice/GetTask",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "/",
        ] {
            let status = call(&caller, path).await.unwrap_err();
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::PermissionDenied, "METHOD_NOT_ALLOWED"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_on_record_too() {
    let broker = TestBroker::start().await;
    let agent = broker.caller(AGENT).await;
    for path in ["/carnet.v1.TaskService/DeleteTask", "/wp-admin"] {
        call(&agent, path).await.unwrap_err();
    }
    broker.sweep().await;
    let events = broker.record.all().await;
    let noted: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.payload {
            Payload::Refused(refused) => Some((refused.subject.as_str(), refused.rpc.as_str(), refused.code.as_str())),
            _ => None,
        })
        .collect();
    assert!(noted.contains(&(id(AGENT).as_str(), "unlisted", "METHOD_NOT_ALLOWED")), "{noted:?}");
}

#[tokio::test]
async fn a_refused_method_is_on_record_and_counted_together() {
    let broker = TestBroker::start().await;
    let agent = broker.caller(AGENT).await;
    for _ in 0..50 {
        call(&agent, "/carnet.v1.RevocationService/Revoke").await.unwrap_err();
    }
    let noted = refusals(&broker).await;
    let events = noted.iter().filter(|(subject, _)| *subject == id(AGENT).to_string()).count();
    assert!((1..=3).contains(&events), "fifty refusals left {events} events");
}

/// Who was refused, and why, by the record.
async fn refusals(broker: &TestBroker) -> Vec<(String, String)> {
    broker.sweep().await;
    let events = broker.record.all().await;
    let refused = events.into_iter().filter_map(|event| match event.payload {
        Payload::Refused(refused) => Some((refused.subject, refused.code)),
        _ => None,
    });
    refused.collect()
}

/// A broker that knows a service account, and a person with every right.
async fn with_everybody(issuer: &Issuer, clock: Clock) -> TestBroker {
    let account = format!(
        "\n[[identity]]\npattern = \"spiffe://{DOMAIN}{SERVICE_ACCOUNT}\"\nclass = \"service_account\"\nowner = \"group:night\"\n"
    );
    let policy = policy_with(|path, text| if path == "identities.toml" { format!("{text}{account}") } else { text });
    let may = Right::ALL.into();
    let accounts = vec![(issuer.url.clone(), "ann".to_owned())];
    let persons = vec![PersonOptions { name: "ann@example.org".parse().unwrap(), accounts, may }];
    let people = vec![issuer.options()];
    TestBroker::with(Setup { policy, people, persons, clock: Some(clock), ..Setup::default() }).await
}

async fn caller_of(broker: &TestBroker, issuer: &Issuer, class: Class) -> Caller {
    let path = match class {
        Class::Identity(IdentityClass::ServiceAccount) => SERVICE_ACCOUNT,
        Class::Identity(IdentityClass::AiAgent) => AGENT,
        Class::Identity(IdentityClass::Orchestrator) => ORCHESTRATOR,
        Class::Identity(IdentityClass::Scorer) => SCORER,
        Class::Identity(IdentityClass::ResourceServer) => RESOURCE_SERVER,
        Class::Identity(IdentityClass::Human) => return broker.person(&issuer.token("ann", ACTING)).await,
        Class::Operator => return broker.operator().await,
    };
    broker.caller(path).await
}

/// Calls an RPC of any kind with an empty message, and looks at how its answer begins.
async fn call(caller: &Caller, path: &'static str) -> Result<(), Status> {
    let mut client = Grpc::new(caller.service());
    client.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path = PathAndQuery::from_static(path);
    // Every message is an empty one with fields that are not known.
    let codec = ProstCodec::<(), ()>::default();
    let mut answer = soon(client.server_streaming(Request::new(()), path, codec)).await?.into_inner();
    soon(answer.message()).await.map(|_| ())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn described() -> BTreeSet<String> {
    let mut paths = described_as(|_| true);
    paths.extend(STANDARD.map(str::to_owned));
    paths
}

/// Those of our own services' RPCs that are so.
fn described_as(wanted: impl Fn(&MethodDescriptorProto) -> bool) -> BTreeSet<String> {
    let descriptors = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut paths = BTreeSet::new();
    for file in descriptors.file.iter().filter(|f| f.package() == "carnet.v1") {
        // Operators serve that one; Carnet asks.
        for service in file.service.iter().filter(|service| service.name() != "RiskScorer") {
            let rpcs = service
                .method
                .iter()
                .filter(|m| wanted(m))
                .map(|m| format!("/carnet.v1.{}/{}", service.name(), m.name()));
            paths.extend(rpcs);
        }
    }
    paths
}
