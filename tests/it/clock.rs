//! A clock that is wrong: set back, or far ahead. Ends hold whatever it shows, and what it said is not believed for good.

use std::time::Duration;

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::watch_response::Body;
use carnet::pb::v1::{Everything, GrantState};
use tonic::Code;

use super::support::ask::{Granted, INTENT, OpenTask, SCORER, lifting, revocation};
use super::support::broker::TestBroker;
use super::support::caller::Caller;
use super::support::pki::{id, soon};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A token that lives less long than the clock was set back by.
async fn short(agent: &Caller, task: &OpenTask) -> Granted {
    let mut request = task.reading();
    request.ttl = Some(prost_types::Duration { seconds: 3, nanos: 0 });
    agent.granted(request).await
}

#[tokio::test]
async fn what_was_granted_after_the_clock_was_set_back_is_ended_all_the_same() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let server = broker.resource_server().await;
    let mut watch = server.watch(0, &[]).await.unwrap();
    for end in ["complete", "cancel", "revoke the task", "revoke the grant", "everything", "release"] {
        let task = orchestrator.open(broker.task(INTENT)).await;
        broker.set_back(secs(4));
        let granted = short(&agent, &task).await;
        let revoked = match end {
            "complete" => orchestrator.complete_task(task.complete()).await.unwrap().grants_revoked,
            "cancel" => orchestrator.cancel_task(task.cancel()).await.unwrap().grants_revoked,
            "revoke the task" => {
                orchestrator.revoke(revocation(Named::TaskId(task.id.clone()))).await.unwrap().grants_revoked
            }
            "revoke the grant" => {
                let named = Named::GrantId(granted.id().to_owned());
                orchestrator.revoke(revocation(named)).await.unwrap().grants_revoked
            }
            "everything" => {
                let operator = broker.operator().await;
                let everything = Named::Everything(Everything {});
                let revoked = operator.revoke(revocation(everything.clone())).await.unwrap().grants_revoked;
                operator.lift_block(lifting(everything)).await.unwrap();
                revoked
            }
            _ => u32::from(agent.release_credential(task.release(granted.id())).await.is_ok()),
        };
        assert_eq!(revoked, 1, "{end}");
        let state = server.standing(granted.id()).await.unwrap();
        let wanted = if end == "release" { GrantState::Released } else { GrantState::Revoked };
        assert_eq!(state, wanted, "{end}");
        let told = soon(async {
            loop {
                if let Some(Body::Change(change)) = watch.message().await.unwrap().unwrap().body {
                    return change;
                }
            }
        });
        assert_eq!(told.await.jti, granted.grant.jti, "{end}: receivers are told");
        broker.advance(secs(10));
    }
}

#[tokio::test]
async fn a_pause_reaches_what_was_granted_after_the_clock_was_set_back() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    broker.set_back(secs(4));
    let granted = short(&agent, &task).await;
    orchestrator.pause_task(task.pause()).await.unwrap();
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Suspended);
}

#[tokio::test]
async fn evidence_reaches_what_only_a_clock_that_was_ahead_has_ended() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let (server, scorer) = (broker.resource_server().await, broker.scorer().await);
    for back_before in [true, false] {
        let task = orchestrator.open(broker.task(INTENT)).await;
        let granted = agent.granted(task.reading()).await;
        // Past the token's life for the clock, and, by an event, for the log.
        broker.advance(secs(310));
        orchestrator.open(broker.task(INTENT)).await;
        let back = || broker.set_back(secs(309));
        if back_before {
            back();
        }
        scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
        if !back_before {
            back();
        }
        let state = server.standing(granted.id()).await.unwrap();
        assert_eq!(state, GrantState::Revoked, "the clock was right again before the signal: {back_before}");
        broker.advance(secs(400));
    }
}

#[tokio::test]
async fn a_clock_that_is_far_behind_the_log_grants_nothing_and_still_ends() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    broker.set_back(secs(8 * 60));
    for refused in [
        agent.request_credential(task.reading()).await.unwrap_err(),
        agent.renew_credential(task.renewal(granted.id())).await.unwrap_err(),
        orchestrator.register_task(broker.task(INTENT)).await.unwrap_err(),
    ] {
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "UNAVAILABLE"));
    }
    let problems = broker.running().broker().problems();
    assert_eq!(problems, ["the clock is 480 s behind the log"]);
    assert_eq!(orchestrator.complete_task(task.complete()).await.unwrap().grants_revoked, 1);
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Revoked);

    broker.advance(secs(8 * 60));
    assert!(broker.running().broker().problems().is_empty());
    let task = orchestrator.open(broker.task(INTENT)).await;
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_does_not_take_the_log_with_it() {
    let broker = TestBroker::start().await;
    let operator = broker.operator().await;
    let (century, begun) = (secs(100 * 365 * 24 * 3600), broker.pki.now());
    broker.advance(century);
    broker.sweep().await;
    let scorer = Named::Agent(id(SCORER).to_string());
    operator.revoke(revocation(scorer.clone())).await.unwrap();
    operator.lift_block(lifting(scorer)).await.unwrap();
    broker.set_back(century);
    // The own SVID vouched for an hour; a day more is believed.
    let latest = broker.record.all().await.last().unwrap().time_ms;
    assert!(latest > begun.as_millis() && latest <= begun.after(secs(25 * 3600)).as_millis(), "{latest}");
    assert_eq!(broker.running().broker().problems().len(), 1, "until then nothing is granted");
    broker.advance(secs(25 * 3600));
    assert!(!broker.running().broker().problems().iter().any(|problem| problem.contains("clock")));
}
