//! Reports one after the other in a stream: each is answered in its place, and the first that is refused ends it.

use std::time::Duration;

use carnet::broker::limit::CallerLimits;
use carnet::pb::v1;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::support::ask::{OpenTask, RESOURCE_SERVER, SCORER};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::{Caller, Refused};
use super::support::pki::{DOMAIN, soon};
use super::support::policies::policy_with;

fn reports(task: &OpenTask, grant: &str, count: usize) -> Vec<v1::ReportToolCallRequest> {
    let ticket = json!({ "ticket_id": "T-1000" });
    (0..count).map(|n| task.report(grant, "tickets.read", &ticket, &json!({ "title": format!("late {n}") }))).collect()
}

async fn streamed(
    caller: &Caller,
    reports: Vec<v1::ReportToolCallRequest>,
) -> Result<Streaming<v1::ReportToolCallsResponse>, Status> {
    Ok(soon(caller.signals().report_tool_calls(tokio_stream::iter(reports))).await?.into_inner())
}

/// Every answer, and how it ended.
async fn all(
    mut answers: Streaming<v1::ReportToolCallsResponse>,
) -> (Vec<v1::ReportToolCallsResponse>, Option<Refused>) {
    let mut told = Vec::new();
    loop {
        match soon(answers.message()).await {
            Ok(Some(answer)) => told.push(answer),
            Ok(None) => return (told, None),
            Err(status) => return (told, Some(status.into())),
        }
    }
}

#[tokio::test]
async fn each_report_of_a_stream_is_recorded_and_answered_in_order() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let sent = reports(&task, granted.id(), 20);
    let ids: Vec<String> = sent.iter().map(|report| report.request_id.clone()).collect();
    let server = broker.resource_server().await;
    let (told, ended) = all(streamed(&server, sent.clone()).await.unwrap()).await;
    assert_eq!(ended, None);
    assert_eq!(told.iter().map(|answer| answer.request_id.clone()).collect::<Vec<_>>(), ids);
    assert!(told.windows(2).all(|pair| pair[0].position < pair[1].position), "{told:?}");
    let recorded = broker.record.of_kind("tool_call_reported").await;
    assert_eq!(
        recorded.iter().map(|event| event.position).collect::<Vec<_>>(),
        told.iter().map(|answer| answer.position).collect::<Vec<_>>()
    );
    // Said again, by whichever way, it is counted once.
    let (again, _) = all(streamed(&server, sent.clone()).await.unwrap()).await;
    assert_eq!(again, told);
    let unary = server.again().report_tool_call(sent[3].clone()).await.unwrap();
    assert_eq!(unary.position, told[3].position);
}

#[tokio::test]
async fn the_first_report_that_is_refused_ends_the_stream_and_takes_nothing_back() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let server = broker.resource_server().await;
    type Change = fn(&mut v1::ReportToolCallRequest);
    let rows: [(&str, Change); 4] = [
        ("INVALID_ARGUMENT", |report| report.result_json = "<html>".to_owned()),
        ("INVALID_ARGUMENT", |report| report.tool = "calendar.list".to_owned()),
        ("LIMIT_EXCEEDED", |report| report.result_json = format!("\"{}\"", "r".repeat(300_000))),
        // More than any message may be.
        ("LIMIT_EXCEEDED", |report| report.result_json = "r".repeat(2 << 20)),
    ];
    for (reason, change) in rows {
        let before = broker.record.of_kind("tool_call_reported").await.len();
        let mut sent = reports(&task, granted.id(), 5);
        change(&mut sent[2]);
        let (told, ended) = all(streamed(&server, sent).await.unwrap()).await;
        assert_eq!((told.len(), ended.unwrap().reason.as_str()), (2, reason));
        assert_eq!(broker.record.of_kind("tool_call_reported").await.len(), before + 2, "{reason}");
    }
    // Each of them is counted, also what could not be read.
    let counted = broker.metrics().render().unwrap();
    for code in ["INVALID_ARGUMENT", "LIMIT_EXCEEDED"] {
        let line = format!("carnet_refusals_total{{code=\"{code}\"}} 2");
        assert!(counted.lines().any(|l| l == line), "{counted}");
    }
}

#[tokio::test]
async fn a_stream_has_the_limits_and_the_rights_of_single_reports() {
    let limits = CallerLimits { per_second: 1, burst: 8, in_flight: 100 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let server = broker.resource_server().await;
    let (told, ended) = all(streamed(&server, reports(&task, granted.id(), 50)).await.unwrap()).await;
    assert_eq!((told.len(), ended.unwrap().reason.as_str()), (8, "RATE_LIMITED"));
    // An agent shows its handle with each, and a scorer reports no calls.
    let (told, ended) = all(streamed(&agent, reports(&task, "", 2)).await.unwrap()).await;
    assert_eq!((told.len(), ended.unwrap().code), (0, Code::NotFound));
    let refused = Refused::from(streamed(&broker.caller(SCORER).await, Vec::new()).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"));
}

#[tokio::test]
async fn a_stream_of_reports_ends_with_the_identity_that_opened_it() {
    let broker = TestBroker::with(Setup { bearers: true, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let server = broker.bearer(RESOURCE_SERVER).await;
    let (send, receive) = mpsc::channel(4);
    let mut answers =
        soon(server.signals().report_tool_calls(ReceiverStream::new(receive))).await.unwrap().into_inner();
    let mut sent = reports(&task, granted.id(), 2);
    send.send(sent.remove(0)).await.unwrap();
    assert!(soon(answers.message()).await.unwrap().is_some(), "control");
    broker.advance(Duration::from_secs(301));
    let ended = Refused::from(soon(answers.message()).await.unwrap_err());
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unauthenticated, "SVID_EXPIRED"));
    drop(send.send(sent.remove(0)).await);
    // Whatever is read still is answered or not within the time of a call.
    let other = broker.resource_server().await;
    other.report_tool_call(reports(&task, granted.id(), 1).remove(0)).await.unwrap();
    assert_eq!(broker.record.of_kind("tool_call_reported").await.len(), 2);
}

#[tokio::test]
async fn each_report_is_held_against_the_policy_bundle_of_that_moment() {
    let own = format!("pattern = \"spiffe://{DOMAIN}/resource/**\"\nclass = \"resource_server\"");
    let elsewhere = own.replace("/resource/", "/elsewhere/");
    let agents = format!(
        "pattern = \"spiffe://{DOMAIN}/resource/all\"\nclass = \"scorer\"\nowner = \"group:platform\"\n\n[[identity]]\n{elsewhere}"
    );
    for (reason, now) in [("IDENTITY_UNKNOWN", elsewhere), ("METHOD_NOT_ALLOWED", agents)] {
        let broker = TestBroker::start().await;
        let (_, agent, task) = broker.at_work().await;
        let granted = agent.granted(task.reading()).await;
        let server = broker.resource_server().await;
        let (send, receive) = mpsc::channel(4);
        let mut answers =
            soon(server.signals().report_tool_calls(ReceiverStream::new(receive))).await.unwrap().into_inner();
        let mut sent = reports(&task, granted.id(), 2);
        send.send(sent.remove(0)).await.unwrap();
        assert!(soon(answers.message()).await.unwrap().is_some(), "control");
        let changed = policy_with(|path, text| match path {
            "identities.toml" => {
                assert!(text.contains(&own), "{text}");
                text.replace(&own, &now)
            }
            _ => text,
        });
        broker.activate(&changed).await;
        send.send(sent.remove(0)).await.unwrap();
        let ended = Refused::from(soon(answers.message()).await.unwrap_err());
        assert_eq!((ended.code, ended.reason.as_str()), (Code::PermissionDenied, reason));
        assert_eq!(broker.record.of_kind("tool_call_reported").await.len(), 1, "{reason}");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_short_does_not_look_whole() {
    let mut broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let server = broker.resource_server().await;
    let (send, receive) = mpsc::channel(4);
    let mut answers =
        soon(server.signals().report_tool_calls(ReceiverStream::new(receive))).await.unwrap().into_inner();
    send.send(reports(&task, granted.id(), 1).remove(0)).await.unwrap();
    assert!(soon(answers.message()).await.unwrap().is_some(), "control");
    broker.stop().await;
    let ended = Refused::from(soon(answers.message()).await.unwrap_err());
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unavailable, "UNAVAILABLE"));
    drop(send);
}
