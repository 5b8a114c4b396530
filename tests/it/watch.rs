//! Following revocations: what is in force first, then what happens, for one's own audiences alone.

use std::time::Duration;

use carnet::broker::limit::CallerLimits;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::watch_response::Body;
use carnet::pb::v1::{GrantChange, GrantState, WatchResponse};
use tonic::{Code, Streaming};

use super::support::ask::{AGENT, GATEWAY, Granted, INTENT, SCORER, TICKETS_SERVER, revocation};
use super::support::broker::{Setup, TestBroker};
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

/// One event ends many grants. Wherever the stream breaks, the receiver that resumes is told of all of them.
#[tokio::test]
async fn a_stream_that_breaks_inside_one_event_loses_none_of_its_revocations() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let server = broker.resource_server().await;
    let mut watches = Vec::new();
    let mut grants = Vec::new();
    for _ in 0..4 {
        grants.push(agent.granted(task.reading()).await.grant.jti);
        let mut watch = server.watch(0, &[]).await.unwrap();
        until_heartbeat(&mut watch).await;
        watches.push(watch);
    }
    let ended = orchestrator.complete_task(task.complete()).await.unwrap();
    grants.sort();
    for (broken_after, mut watch) in watches.into_iter().enumerate() {
        let (mut told, mut position) = (Vec::new(), 0);
        while told.len() <= broken_after {
            let message = soon(watch.message()).await.unwrap().unwrap();
            position = message.position;
            told.extend(revoked(message));
        }
        assert_eq!(position == ended.position, told.len() == grants.len(), "what was told of {told:?} is {position}");
        drop(watch);
        let mut resumed = server.watch(position, &[]).await.unwrap();
        told.extend(until_heartbeat(&mut resumed).await.into_iter().filter_map(revoked));
        told.sort();
        told.dedup();
        assert_eq!(told, grants, "broken after {}", broken_after + 1);
    }
}

fn revoked(message: WatchResponse) -> Option<String> {
    match message.body {
        Some(Body::Change(change)) if change.state() == GrantState::Revoked => Some(change.jti),
        _ => None,
    }
}

#[tokio::test]
async fn a_gateway_follows_whatever_it_stands_before() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let (sent, read) = (agent.granted(task.sending()).await, agent.granted(task.reading()).await);
    let gateway = broker.caller(GATEWAY).await;
    let mut all = gateway.watch(0, &[]).await.unwrap();
    let mut mail = gateway.watch(0, &["https://mail.dev.carnet.test"]).await.unwrap();
    until_heartbeat(&mut all).await;
    until_heartbeat(&mut mail).await;
    revoke(&broker, &read).await;
    revoke(&broker, &sent).await;
    assert_eq!([change(&mut all).await.jti, change(&mut all).await.jti], [read.grant.jti, sent.grant.jti.clone()]);
    assert_eq!(change(&mut mail).await.jti, sent.grant.jti);
}

#[tokio::test]
async fn streams_of_one_caller_have_a_greatest_number() {
    let limits = CallerLimits { per_second: 1_000_000, burst: 1_000_000, in_flight: 2 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let server = broker.resource_server().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(server.watch(0, &[]).await.unwrap());
    }
    let refused = server.watch(0, &[]).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    broker.caller(TICKETS_SERVER).await.watch(0, &[]).await.unwrap();
    open.pop();
    soon(async {
        while server.watch(0, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn opening_streams_is_held_against_the_callers_rate() {
    let limits = CallerLimits { per_second: 1, burst: 3, in_flight: 100 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let server = broker.resource_server().await;
    for _ in 0..3 {
        server.watch(0, &[]).await.unwrap();
    }
    assert_eq!(server.watch(0, &[]).await.unwrap_err().reason, "RATE_LIMITED");
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

/// SPIRE's agent gives no identity for a moment between two; nobody is told otherwise meanwhile.
#[tokio::test]
async fn a_moment_without_an_identity_ends_no_stream() {
    let broker = TestBroker::start().await;
    let mut watch = broker.resource_server().await.watch(0, &[]).await.unwrap();
    until_heartbeat(&mut watch).await;
    broker.refuse_itself();
    super::support::pki::eventually(|| broker.running().broker().settling().is_some()).await;
    until_heartbeat(&mut watch).await;
    until_heartbeat(&mut watch).await;
    assert!(broker.running().broker().settling().is_some(), "that was while it was gone");
    broker.federate_with(&[]);
    super::support::pki::eventually(|| broker.running().broker().settling().is_none()).await;
    until_heartbeat(&mut watch).await;
}
