//! Renewing: decided again, the old token dies, the grant keeps its id and gains no uses.

use std::time::Duration;

use carnet::identity::client::{ServerIdentity, connect};
use carnet::model::identity::Thumbprint;
use carnet::pb::v1::{GrantState, Outcome, watch_response::Body};
use serde_json::json;
use tonic::Code;

use super::support::ask::{AGENT, Granted, SECOND_AGENT};
use super::support::broker::TestBroker;
use super::support::caller::Caller;
use super::support::pki::{id, soon};

#[tokio::test]
async fn a_revoked_grant_cannot_be_renewed() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let named = carnet::pb::v1::target::Target::GrantId(granted.id().to_owned());
    orchestrator.revoke(super::support::ask::revocation(named)).await.unwrap();
    let refused = agent.renew_credential(task.renewal(granted.id())).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "GRANT_REVOKED"));
}

#[tokio::test]
async fn an_expired_grant_cannot_be_renewed() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    broker.advance(Duration::from_secs(301));
    let refused = agent.renew_credential(task.renewal(granted.id())).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "GRANT_EXPIRED"));
    assert_eq!(agent.grant(granted.id(), &task.handle).await.unwrap().state(), GrantState::Expired);
}

#[tokio::test]
async fn a_grant_of_somebody_else_cannot_be_renewed() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let stranger = broker.caller(SECOND_AGENT).await;
    let refused = stranger.renew_credential(task.renewal(granted.id())).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    let other = orchestrator.open(broker.task("Read ticket T-1000.")).await;
    let refused = agent.renew_credential(other.renewal(granted.id())).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound, "a grant of another task of the same agent");
    Granted::renewed(agent.renew_credential(task.renewal(granted.id())).await.unwrap());
}

#[tokio::test]
async fn renewing_revokes_the_old_token_and_keeps_the_grant() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let first = agent.granted(task.sending()).await;
    let server = broker.resource_server().await;
    let mut watch = server.watch(first.position, &[]).await.unwrap();
    broker.advance(Duration::from_secs(10));

    let renewed = Granted::renewed(agent.renew_credential(task.renewal(first.id())).await.unwrap());

    assert_eq!(renewed.id(), first.id());
    assert_ne!(renewed.grant.jti, first.grant.jti);
    let (old, new) = (first.claims(), renewed.claims());
    assert!(new["exp"].as_u64() > old["exp"].as_u64());
    assert_eq!(new["authorization_details"], old["authorization_details"], "what it covers, uses included");
    let change = soon(async {
        loop {
            if let Some(Body::Change(change)) = watch.message().await.unwrap().unwrap().body {
                break change;
            }
        }
    })
    .await;
    assert_eq!((change.jti.as_str(), change.state()), (first.grant.jti.as_str(), GrantState::Revoked));
    assert_eq!(server.standing(first.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn renewing_after_a_rotation_binds_to_the_new_certificate() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let first = agent.granted(task.reading()).await;
    let offer = broker.pki.offer(AGENT, &[]);
    let certificate = Thumbprint::of(&offer.svids[0].chain[0]).to_string();
    let (_api, workload) = broker.pki.workload_offered(offer).await;
    let channel = connect(broker.address(), &workload, ServerIdentity::Exact(id("/carnet"))).await.unwrap();
    let rotated = Caller::new(channel, broker.record.clone());

    let renewed = Granted::renewed(rotated.renew_credential(task.renewal(first.id())).await.unwrap());

    assert_ne!(first.claims()["cnf"]["x5t#S256"], json!(certificate));
    assert_eq!(renewed.claims()["cnf"]["x5t#S256"], json!(certificate));
    assert_eq!(renewed.id(), first.id());
}

#[tokio::test]
async fn a_renewal_is_decided_as_if_it_were_asked_for_now() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    broker.scorer().await.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
    let refused = agent.renew_credential(task.renewal(granted.id())).await.unwrap_err();
    assert_eq!(refused.reason, "GRANT_REVOKED", "a rule denied, so the grant is gone");
    let (outcome, _) = agent.withheld(task.reading()).await;
    assert_eq!(outcome, Outcome::Denied);
}

#[tokio::test]
async fn a_renewal_that_is_repeated_gives_the_same_token() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let renewal = task.renewal(granted.id());
    let first = Granted::renewed(agent.renew_credential(renewal.clone()).await.unwrap());
    let again = Granted::renewed(agent.again().renew_credential(renewal.clone()).await.unwrap());
    assert_eq!(again.claims(), first.claims());
    // Once it was renewed again, the token of the first renewal is dead, and a retry does not bring it back.
    Granted::renewed(agent.renew_credential(task.renewal(granted.id())).await.unwrap());
    let refused = agent.renew_credential(renewal).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "GRANT_REVOKED"));
}
