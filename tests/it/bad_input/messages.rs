//! Bytes that are no message, methods that there are not, and messages for somebody else's door.

use bytes::Bytes;
use carnet::pb::v1;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::ask::{AGENT, SCORER};
use crate::support::broker::TestBroker;
use crate::support::caller::{Caller, Refused};

/// Calls a method with a message whose first field holds these bytes.
pub(super) async fn call(caller: &Caller, path: &'static str, bytes: Bytes) -> Result<(), Refused> {
    let mut client = tonic::client::Grpc::new(caller.channel()).max_encoding_message_size(64 << 20);
    client.ready().await.unwrap();
    let codec = ProstCodec::<Bytes, Bytes>::default();
    client.unary(Request::new(bytes), PathAndQuery::from_static(path), codec).await?;
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let before = broker.record.size().await;
    // The first field is a string, and this is none.
    let refused = call(&agent, REQUEST, Bytes::from_static(b"\xff\xfe\xfd")).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"), "{refused:?}");
    let refused = call(&agent, REQUEST, Bytes::from(vec![b'a'; 2 << 20])).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "LIMIT_EXCEEDED"), "{refused:?}");
    assert_eq!(broker.record.size().await, before);
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn a_method_that_there_is_not_is_refused() {
    let broker = TestBroker::start().await;
    let agent = broker.agent().await;
    for path in [
        "/carnet.v1.CredentialService/MintAnything",
        "/carnet.v2.CredentialService/RequestCredential",
        "/carnet.v1.CredentialService/requestcredential",
        "/carnet.v1.CredentialService/RequestCredential/",
        "/",
    ] {
        let refused = call(&agent, path, Bytes::new()).await.unwrap_err();
        assert!(matches!(refused.code, Code::PermissionDenied | Code::Unimplemented), "{path}: {refused:?}");
        assert_eq!(refused.reason, "METHOD_NOT_ALLOWED", "{path}");
    }
}

#[tokio::test]
async fn a_class_that_may_not_call_a_method_leaves_a_note() {
    let broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    for path in [AGENT, SCORER] {
        let caller = broker.caller(path).await;
        let refused = caller.pause_task(task.pause()).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"), "{path}");
        let audit = caller.audit().search_events(v1::SearchEventsRequest::default()).await.unwrap_err();
        assert_eq!(audit.code(), Code::PermissionDenied, "{path}");
    }
    broker.sweep().await;
    let refusals = broker.record.refusals().await;
    for path in [AGENT, SCORER] {
        let subject = crate::support::pki::id(path).to_string();
        let noted = refusals.iter().any(|r| r.subject == subject && r.code == "METHOD_NOT_ALLOWED");
        assert!(noted, "{path}: {refusals:?}");
    }
}

#[tokio::test]
async fn the_operators_socket_asks_for_nothing_and_registers_nothing() {
    let broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    let operator = broker.operator().await;
    for refused in [
        operator.register_task(broker.task("Read ticket T-1000.")).await.unwrap_err(),
        operator.request_credential(task.reading()).await.unwrap_err(),
        operator.report_signal(task.signal("anomaly", 1)).await.unwrap_err(),
        operator.complete_task(task.complete()).await.unwrap_err(),
    ] {
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"));
    }
    operator.task(&task.id, "").await.unwrap();
}

const REQUEST: &str = "/carnet.v1.CredentialService/RequestCredential";
