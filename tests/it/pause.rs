//! Pausing suspends, resuming lifts that and nothing else.

use std::time::Duration;

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{GrantState, Outcome, RegisterTaskRequest, SuspensionCause, TaskState};
use tonic::Code;

use super::support::ask::{INTENT, OpenTask, codes, revocation};
use super::support::broker::TestBroker;
use super::support::caller::Caller;

#[tokio::test]
async fn a_paused_task_gets_nothing_and_its_grants_are_suspended() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;

    let paused = orchestrator.pause_task(task.pause()).await.unwrap().task.unwrap();

    assert_eq!(paused.state(), TaskState::Paused);
    let grant = broker.resource_server().await.grant(granted.id(), "").await.unwrap();
    assert_eq!(grant.state(), GrantState::Suspended);
    assert_eq!(grant.causes().collect::<Vec<_>>(), [SuspensionCause::Paused]);
    let (outcome, reasons) = agent.withheld(task.reading()).await;
    assert_eq!((outcome, reasons), (Outcome::Denied, vec!["TASK_PAUSED".to_owned()]));
    let answer = agent.renew_credential(task.renewal(granted.id())).await.unwrap();
    assert!(answer.token.is_empty(), "a renewal is a decision too: {:?}", answer.decision);
    assert_eq!(grant.jti, broker.resource_server().await.grant(granted.id(), "").await.unwrap().jti);
}

#[tokio::test]
async fn resuming_brings_back_what_was_only_paused() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    orchestrator.pause_task(task.pause()).await.unwrap();
    let resumed = orchestrator.resume_task(task.resume()).await.unwrap().task.unwrap();
    assert_eq!(resumed.state(), TaskState::Active);
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Live);
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn nothing_else_comes_back_with_a_resumed_task() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let (server, scorer) = (broker.resource_server().await, broker.scorer().await);
    let drifted = agent.granted(task.writing()).await;
    let revoked = agent.granted(task.reading()).await;
    let released = agent.granted(task.reading()).await;
    let expired = {
        let mut short = task.reading();
        short.ttl = Some(prost_types::Duration { seconds: 20, nanos: 0 });
        agent.granted(short).await
    };
    orchestrator.pause_task(task.pause()).await.unwrap();
    orchestrator.revoke(revocation(Named::GrantId(revoked.id().to_owned()))).await.unwrap();
    agent.release_credential(task.release(released.id())).await.unwrap();
    scorer.report_signal(task.signal("anomaly", 100)).await.unwrap();
    broker.advance(Duration::from_secs(21));

    orchestrator.resume_task(task.resume()).await.unwrap();

    assert_eq!(server.standing(revoked.id()).await.unwrap(), GrantState::Revoked);
    assert_eq!(server.standing(released.id()).await.unwrap(), GrantState::Released);
    assert_eq!(server.standing(expired.id()).await.unwrap(), GrantState::Expired);
    let grant = server.grant(drifted.id(), "").await.unwrap();
    assert_eq!(grant.state(), GrantState::Suspended);
    assert_eq!(grant.causes().collect::<Vec<_>>(), [SuspensionCause::Drift]);
}

#[tokio::test]
async fn causes_add_up_and_each_is_lifted_by_itself() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.sending()).await;
    drift(&broker.scorer().await, &task).await;
    orchestrator.pause_task(task.pause()).await.unwrap();
    let grant = broker.resource_server().await.grant(granted.id(), "").await.unwrap();
    assert_eq!(grant.causes().collect::<Vec<_>>(), [SuspensionCause::Paused, SuspensionCause::Drift]);
    orchestrator.resume_task(task.resume()).await.unwrap();
    let grant = broker.resource_server().await.grant(granted.id(), "").await.unwrap();
    assert_eq!(grant.causes().collect::<Vec<_>>(), [SuspensionCause::Drift]);
}

#[tokio::test]
async fn a_pause_reaches_sub_tasks_and_sub_tasks_of_their_own_pause_stay() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, parent) = broker.at_work().await;
    let mut below = broker.task(INTENT);
    below.parent_task_id.clone_from(&parent.id);
    let child = orchestrator.open(below).await;
    let granted = agent.granted(child.reading()).await;
    let server = broker.resource_server().await;

    orchestrator.pause_task(parent.pause()).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
    let (outcome, _) = agent.withheld(child.reading()).await;
    assert_eq!(outcome, Outcome::Denied);

    orchestrator.pause_task(child.pause()).await.unwrap();
    orchestrator.resume_task(parent.resume()).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended, "the child is still paused");
    orchestrator.resume_task(child.resume()).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn a_paused_task_opens_no_sub_tasks() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let below = || RegisterTaskRequest {
        parent_task_id: task.id.clone(),
        parent_task_handle: task.handle.clone(),
        ..broker.task(INTENT)
    };
    orchestrator.pause_task(task.pause()).await.unwrap();
    for caller in [&agent, &orchestrator] {
        let answer = caller.register_task(below()).await.unwrap();
        let decision = answer.decision.unwrap();
        assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Denied, vec!["TASK_PAUSED".to_owned()]));
        assert!(answer.task.is_none());
    }
    orchestrator.resume_task(task.resume()).await.unwrap();
    agent.open(below()).await;
}

#[tokio::test]
async fn pausing_twice_changes_nothing() {
    let broker = TestBroker::start().await;
    let (orchestrator, _, task) = broker.at_work().await;
    let nonsense = OpenTask { id: "task_nonsense".to_owned(), handle: String::new() };
    let refused = orchestrator.resume_task(nonsense.resume()).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    orchestrator.again().resume_task(task.resume()).await.unwrap();
    orchestrator.pause_task(task.pause()).await.unwrap();
    orchestrator.again().pause_task(task.pause()).await.unwrap();
    orchestrator.resume_task(task.resume()).await.unwrap();
}

/// Enough evidence that no step that acts is granted any more.
pub async fn drift(scorer: &Caller, task: &OpenTask) {
    let answer = scorer.report_signal(task.signal("anomaly", 100)).await.unwrap();
    assert!(answer.grants_suspended > 0, "{answer:?}");
}
