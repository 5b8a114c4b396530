//! Following revocations: what is in force first, then what happens, for one's own audiences alone.

use std::time::Duration;

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::watch_response::Body;
use carnet::pb::v1::{GrantChange, GrantState, WatchResponse};
use tonic::{Code, Streaming};

use super::support::ask::{AGENT, Granted, INTENT, SCORER, TICKETS_SERVER, revocation};
use super::support::broker::TestBroker;
use super::support::pki::soon;

/// The next change of standing.
async fn change(watch: &mut Streaming<WatchResponse>) -> GrantChange {
    soon(async {
        loop {
            if let Some(Body::Change(change)) = watch.message().await.unwrap().unwrap().body {
                return change;
            }
        }
    })
    .await
}

/// Everything up to the next heartbeat.
async fn until_heartbeat(watch: &mut Streaming<WatchResponse>) -> Vec<WatchResponse> {
    soon(async {
        let mut seen = Vec::new();
        loop {
            let message = watch.message().await.unwrap().unwrap();
            let over = matches!(message.body, Some(Body::Heartbeat(_)));
            seen.push(message);
            if over {
                return seen;
            }
        }
    })
    .await
}

async fn revoke(broker: &TestBroker, granted: &Granted) -> u64 {
    let named = Named::GrantId(granted.id().to_owned());
    broker.orchestrator().await.revoke(revocation(named)).await.unwrap().position
}

#[tokio::test]
async fn only_a_resource_server_watches_and_only_its_own_audiences() {
    let broker = TestBroker::start().await;
    for path in [AGENT, SCORER, "/orchestrator/desk"] {
        let refused = broker.caller(path).await.watch(0, &[]).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"), "{path}");
    }
    let tickets = broker.caller(TICKETS_SERVER).await;
    let refused = tickets.watch(0, &["https://mail.dev.carnet.test"]).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    tickets.watch(0, &["https://tickets.dev.carnet.test"]).await.unwrap();
}

#[tokio::test]
async fn what_is_in_force_comes_first() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let (dead, live) = (agent.granted(task.reading()).await, agent.granted(task.reading()).await);
    revoke(&broker, &dead).await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();

    let seen = until_heartbeat(&mut watch).await;

    assert!(matches!(seen[0].body, Some(Body::Reset(_))), "{seen:?}");
    let changes: Vec<_> = seen
        .iter()
        .filter_map(|message| match &message.body {
            Some(Body::Change(change)) => Some((change.jti.clone(), change.state())),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(dead.grant.jti.clone(), GrantState::Revoked)], "and not {}", live.grant.jti);
}

#[tokio::test]
async fn changes_come_as_they_happen_and_an_end_is_told_for_every_grant() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();
    until_heartbeat(&mut watch).await;
    let (written, read) = (agent.granted(task.writing()).await, agent.granted(task.reading()).await);

    orchestrator.pause_task(task.pause()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(change(&mut watch).await.state(), GrantState::Suspended);
    }
    orchestrator.resume_task(task.resume()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(change(&mut watch).await.state(), GrantState::Live);
    }
    let ended = orchestrator.complete_task(task.complete()).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let change = change(&mut watch).await;
        assert_eq!(change.state(), GrantState::Revoked);
        assert_eq!(change.task_id, task.id);
        told.push(change.jti);
    }
    told.sort();
    let mut expected = [read.grant.jti.clone(), written.grant.jti.clone()];
    expected.sort();
    assert_eq!(told, expected);
    assert!(ended.position > 0);
}

#[tokio::test]
async fn another_audience_hears_nothing_of_it() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let (written, read) = (agent.granted(task.writing()).await, agent.granted(task.reading()).await);
    let mut watch = broker.caller(TICKETS_SERVER).await.watch(0, &[]).await.unwrap();
    until_heartbeat(&mut watch).await;
    revoke(&broker, &written).await;
    revoke(&broker, &read).await;
    assert_eq!(change(&mut watch).await.jti, read.grant.jti, "the file's grant was revoked first");
}

#[tokio::test]
async fn a_receiver_resumes_where_it_was() {
    let mut broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mut grants = Vec::new();
    for _ in 0..3 {
        grants.push(agent.granted(task.reading()).await);
    }
    let first = revoke(&broker, &grants[0]).await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();
    until_heartbeat(&mut watch).await;
    drop(watch);
    revoke(&broker, &grants[1]).await;
    let mut watch = broker.resource_server().await.watch(first, &[]).await.unwrap();
    assert_eq!(change(&mut watch).await.jti, grants[1].grant.jti, "neither the first again, nor nothing");
    drop(watch);
    let second = revoke(&broker, &grants[2]).await;

    broker.restart().await;

    // What lies between may not be held any more; then the whole is told, and nothing is missing.
    let mut watch = broker.resource_server().await.watch(first, &[]).await.unwrap();
    let seen = until_heartbeat(&mut watch).await;
    for granted in &grants[1..] {
        let told = seen.iter().any(|m| matches!(&m.body, Some(Body::Change(c)) if c.jti == granted.grant.jti));
        assert!(told, "{} is missing in {seen:?}", granted.grant.jti);
    }
    assert!(seen.last().unwrap().position >= second);
}

#[tokio::test]
async fn heartbeats_keep_a_view_fresh_and_positions_never_go_back() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();
    let mut position = 0;
    for n in 0..4 {
        if n % 2 == 0 {
            agent.granted(task.reading()).await;
        }
        for message in until_heartbeat(&mut watch).await {
            assert!(message.position >= position);
            assert!(message.time.is_some());
            position = message.position;
        }
    }
}

#[tokio::test]
async fn a_position_that_is_not_yet_reached_is_answered_with_the_whole() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let dead = agent.granted(task.reading()).await;
    revoke(&broker, &dead).await;
    // A receiver from another life of the folder, say, after a restore.
    let mut watch = broker.resource_server().await.watch(1_000_000, &[]).await.unwrap();
    let seen = until_heartbeat(&mut watch).await;
    assert!(matches!(seen[0].body, Some(Body::Reset(_))), "{seen:?}");
    assert!(seen.iter().any(|m| matches!(&m.body, Some(Body::Change(c)) if c.jti == dead.grant.jti)));
}

#[tokio::test]
async fn what_died_by_the_clock_is_forgotten() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let task = orchestrator.open(broker.task(INTENT)).await;
    let dead = agent.granted(task.reading()).await;
    revoke(&broker, &dead).await;
    broker.advance(Duration::from_secs(300 + 600));
    broker.agent().await.granted(task.reading()).await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();
    let seen = until_heartbeat(&mut watch).await;
    let told = seen.iter().any(|m| matches!(&m.body, Some(Body::Change(c)) if c.jti == dead.grant.jti));
    assert!(!told, "its token expired long ago, whatever the receiver's clock shows");
}
