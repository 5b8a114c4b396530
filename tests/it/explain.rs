//! One decision as a reviewer reads it: why it was asked for, what became of it and when it died, also long afterwards.

use std::fs;
use std::time::Duration;

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{DecisionRecord, Everything, RegisterTaskRequest};
use serde_json::json;
use tonic::Code;

use super::support::ask::{AGENT, INITIATOR, INTENT, OpenTask, SECOND_AGENT, lifting, revocation};
use super::support::broker::TestBroker;
use super::support::caller::Caller;
use super::support::pki::id;

#[tokio::test]
async fn a_decision_is_told_as_a_reviewer_would_read_it() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let mut request = task.reading();
    request.purpose = "to see who complains".to_owned();
    request.context = Some(carnet::pb::v1::RequestContext {
        prompt_id: "prompt-7".to_owned(),
        tool_call_id: "call-8".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    });
    let granted = agent.granted(request.clone()).await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    let operator = broker.operator().await;

    let record = operator.decision(&granted.decision.decision_id).await.unwrap();

    assert_eq!(record.agent, id(AGENT).to_string());
    assert_eq!(record.agent_class, "ai_agent");
    assert_eq!((record.initiator.as_str(), record.initiator_verified), (INITIATOR, false));
    assert_eq!(
        (record.purpose.as_str(), record.request_id.as_str()),
        (request.purpose.as_str(), request.request_id.as_str())
    );
    assert_eq!((record.grant_id.as_str(), record.jti.as_str()), (granted.id(), granted.grant.jti.as_str()));
    assert_eq!(record.context, request.context);
    assert_eq!(record.position, granted.position);
    assert!(record.policies.contains(&"permit-read".to_owned()), "{:?}", record.policies);
    assert_eq!(record.access[0].sinks[0].provenance(), carnet::pb::v1::Provenance::Intent);
    assert!(record.aftermath.iter().any(|event| event.kind == "task_ended"), "how it died: {:?}", record.aftermath);
    let unknown = operator.decision("dec_00000000000000000000000000000000").await.unwrap_err();
    assert!(matches!(unknown.code, Code::NotFound | Code::InvalidArgument), "{unknown:?}");
}

/// Kinds of what became of a grant, in order.
fn kinds(record: &DecisionRecord) -> Vec<&str> {
    record.aftermath.iter().map(|event| event.kind.as_str()).collect()
}

/// Registers a task of the second agent below `parent`.
fn below(broker: &TestBroker, parent: &OpenTask) -> RegisterTaskRequest {
    RegisterTaskRequest {
        parent_task_id: parent.id.clone(),
        agent: id(SECOND_AGENT).to_string(),
        ..broker.task("Help with it.")
    }
}

/// When memory has forgotten what ended before: by the time of events, so it takes one. SVIDs have expired by then.
async fn long_after(broker: &TestBroker) -> Caller {
    broker.advance(Duration::from_secs(2 * 3600));
    let operator = broker.operator().await;
    operator.revoke(revocation(Named::Initiator("user:mallory@example.org".to_owned()))).await.unwrap();
    operator
}

#[tokio::test]
async fn why_it_was_asked_for_is_told_when_the_task_is_long_forgotten() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    let operator = long_after(&broker).await;
    assert_eq!(operator.task(&task.id, "").await.unwrap_err().code, Code::NotFound, "it is forgotten");
    let record = operator.decision(&granted.decision.decision_id).await.unwrap();
    assert_eq!(record.intent, INTENT);
    assert_eq!(kinds(&record), ["task_ended"]);
}

#[tokio::test]
async fn what_ended_a_grant_is_told_whatever_it_was() {
    let broker = TestBroker::start().await;
    let (orchestrator, operator) = (broker.orchestrator().await, broker.operator().await);
    let helper = broker.caller(SECOND_AGENT).await;
    let everything = Named::Everything(Everything {});
    for (what, end) in [
        ("the agent", Some(Named::Agent(id(SECOND_AGENT).to_string()))),
        ("the agent above", Some(Named::Agent(id(AGENT).to_string()))),
        ("the initiator", Some(Named::Initiator(INITIATOR.to_owned()))),
        ("its audience", Some(Named::Audience("https://tickets.dev.carnet.test".to_owned()))),
        ("everything", Some(everything)),
        ("the task above", None),
    ] {
        let parent = orchestrator.open(broker.task(INTENT)).await;
        let (task, sibling) =
            (orchestrator.open(below(&broker, &parent)).await, orchestrator.open(below(&broker, &parent)).await);
        let granted = helper.granted(task.reading()).await;
        // What ends a relative is not its end, and what ends another of its kind neither.
        orchestrator.complete_task(sibling.complete()).await.unwrap();
        let others = Named::Audience("https://files.dev.carnet.test".to_owned());
        operator.revoke(revocation(others.clone())).await.unwrap();
        operator.lift_block(lifting(others)).await.unwrap();
        match end.clone() {
            Some(named) => drop(operator.revoke(revocation(named)).await.unwrap()),
            None => drop(orchestrator.complete_task(parent.complete()).await.unwrap()),
        }
        let kind = if end.is_some() { "revoked" } else { "task_ended" };
        let record = operator.decision(&granted.decision.decision_id).await.unwrap();
        assert_eq!(kinds(&record), [kind], "{what}: {:?}", record.aftermath);
        if let Some(named) = end {
            assert!(record.aftermath[0].summary.ends_with("by a test"), "{:?}", record.aftermath);
            operator.lift_block(lifting(named)).await.unwrap();
        }
        // What comes later did not end it either.
        orchestrator.cancel_task(parent.cancel()).await.ok();
        let record = operator.decision(&granted.decision.decision_id).await.unwrap();
        assert_eq!(kinds(&record), [kind], "{what}: {:?}", record.aftermath);
    }
}

#[tokio::test]
async fn the_end_is_told_however_busy_the_family_was() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let server = broker.resource_server().await.unchecked();
    for n in 0..230 {
        let arguments = json!({ "ticket_id": format!("T-{n}") });
        let call = task.report(granted.id(), "tickets.read", &arguments, &json!({ "title": "late" }));
        server.report_tool_call(call).await.unwrap();
    }
    orchestrator.revoke(revocation(Named::GrantId(granted.id().to_owned()))).await.unwrap();
    let record = broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    let kinds = kinds(&record);
    assert_eq!((kinds.len(), kinds[0], kinds.last()), (200, "tool_call_reported", Some(&"revoked")));
}

#[tokio::test]
async fn words_that_do_not_open_are_not_called_erased() {
    let mut broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    // Nothing of it matters to a start any more.
    long_after(&broker).await;
    let keys = broker.folder().join("data/task-keys");
    broker
        .restart_after(|_| {
            let mut files: Vec<_> = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            assert_eq!(files.len(), 2, "the common key, and that of the task");
            let mut bytes = fs::read(&files[1]).unwrap();
            bytes[128 + 40] ^= 1;
            fs::write(&files[1], &bytes).unwrap();
        })
        .await;
    let told = broker.operator().await.decision(&granted.decision.decision_id).await;
    assert_eq!(told.map(|record| record.erased).unwrap_err().code, Code::Internal);
}
