//! Identities that do not hold: refused before the first request or at it, with a note in the record that says what was shown.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::{IssuedSvid, Shape};
use carnet::dev::workload_api::Offer;
use carnet::pb::journal::Refused;
use carnet::pb::v1::credential_service_client::CredentialServiceClient;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};
use rustls_pki_types::ServerName;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::support::ask::{AGENT, STRANGER};
use crate::support::broker::{Setup, TestBroker};
use crate::support::caller;
use crate::support::caller::Caller;
use crate::support::pki::{HOUR, client_config, foreign_id, id, soon};

/// Calls the broker with whatever certificate this is.
async fn call_with(broker: &TestBroker, svid: Option<&IssuedSvid>) -> caller::Refused {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(svid)));
    let address = broker.address().to_owned();
    let dial = tower::service_fn(move |_: Uri| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("carnet.test").map_err(std::io::Error::other)?;
            connector.connect(name, tcp).await.map(TokioIo::new)
        }
    });
    let channel: Channel = Endpoint::from_static("http://carnet.test").connect_with_connector_lazy(dial);
    let request = carnet::pb::v1::GetGrantRequest::default();
    soon(CredentialServiceClient::new(channel).get_grant(request)).await.unwrap_err().into()
}

/// Waits for a note of that reason about somebody who proved to be that, or showed it.
async fn noted(broker: &TestBroker, subject: &str, reason: &str) {
    soon(async {
        loop {
            broker.sweep().await;
            let refusals = broker.record.refusals().await;
            let about =
                |r: &Refused| subject.is_empty() || r.subject == subject || r.shown.contains(&subject.to_owned());
            if refusals.iter().any(|r| about(r) && r.code == reason) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Asks until the record says that the agent showed an SVID that is over.
async fn noted_after(broker: &TestBroker, agent: &Caller, request: carnet::pb::v1::RequestCredentialRequest) {
    soon(async {
        loop {
            drop(agent.request_credential(request.clone()).await);
            broker.sweep().await;
            let refusals = broker.record.refusals().await;
            if refusals.iter().any(|r| r.code == "SVID_EXPIRED") {
                return;
            }
        }
    })
    .await;
}

/// Longer than those who prove nothing are counted together.
const UNPROVEN_WINDOW: Duration = Duration::from_secs(301);

#[tokio::test]
async fn a_certificate_that_is_no_svid_is_refused_and_noted() {
    let broker = TestBroker::start().await;
    let pki = &broker.pki;
    let now = pki.now();
    let shaped = |change: &dyn Fn(&mut Shape)| {
        let mut shape = pki.shape(AGENT);
        change(&mut shape);
        pki.ca.issue_shaped(&shape).unwrap()
    };
    let long_ago = carnet::model::time::Timestamp::from_millis(now.as_millis() - 7_200_000);
    let agent = id(AGENT).to_string();
    let rows = [
        ("an expired SVID", pki.ca.issue(&id(AGENT), long_ago, HOUR).unwrap(), agent.clone(), "SVID_EXPIRED"),
        (
            "two URI SANs",
            shaped(&|shape| shape.uris.push(id("/agent/other").to_string())),
            String::new(),
            "SVID_INVALID",
        ),
        (
            "a CA",
            shaped(&|shape| {
                shape.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                shape.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
            }),
            agent.clone(),
            "SVID_INVALID",
        ),
        (
            "another trust domain",
            pki.foreign.issue(&foreign_id(AGENT), now, HOUR).unwrap(),
            foreign_id(AGENT).to_string(),
            "TRUST_DOMAIN_UNKNOWN",
        ),
        (
            "our trust domain by another's authority",
            pki.foreign.issue(&id(AGENT), now, HOUR).unwrap(),
            agent,
            "SVID_INVALID",
        ),
    ];
    let before = broker.record.size().await;
    for (name, svid, subject, reason) in rows {
        let refused = call_with(&broker, Some(&svid)).await;
        assert!(matches!(refused.code, Code::Unavailable | Code::Unknown | Code::Cancelled), "{name}: {refused:?}");
        noted(&broker, &subject, reason).await;
        broker.advance(UNPROVEN_WINDOW);
    }
    let refused = call_with(&broker, None).await;
    assert!(matches!(refused.code, Code::Unavailable | Code::Unknown | Code::Cancelled), "no certificate: {refused:?}");
    let left = broker.record.since(before).await;
    for event in &left {
        assert_eq!(crate::support::record::kind(&event.payload), "refused", "nothing else was left");
    }
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn strangers_cannot_fill_the_record() {
    let broker = TestBroker::start().await;
    let pki = &broker.pki;
    let before = broker.record.size().await;
    for n in 0..60 {
        let made_up = foreign_id(&format!("/made-up/{n}"));
        call_with(&broker, Some(&pki.foreign.issue(&made_up, pki.now(), HOUR).unwrap())).await;
        if n % 10 == 0 {
            broker.sweep().await;
        }
    }
    broker.sweep().await;
    assert_eq!(broker.record.size().await, before + 1, "sixty handshakes that proved nothing");
    broker.advance(UNPROVEN_WINDOW);
    broker.sweep().await;
    let refusals = broker.record.refusals().await;
    assert_eq!(refusals.iter().map(|r| r.count).sum::<u64>(), 60, "{refusals:?}");
    assert_eq!(refusals.len(), 2, "one for each window");
}

#[tokio::test]
async fn an_identity_that_no_pattern_matches_may_do_nothing() {
    let broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    let stranger = broker.caller(STRANGER).await;
    for refused in [
        stranger.request_credential(task.reading()).await.unwrap_err(),
        stranger.register_task(broker.task("Read ticket T-1000.")).await.unwrap_err(),
        stranger.watch(0, &[]).await.unwrap_err(),
        stranger.task(&task.id, &task.handle).await.unwrap_err(),
    ] {
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "IDENTITY_UNKNOWN"));
    }
    noted(&broker, id(STRANGER).as_str(), "IDENTITY_UNKNOWN").await;
}

#[tokio::test]
async fn a_federated_workload_is_nobody_until_a_pattern_names_it() {
    let broker = TestBroker::with(Setup { accepts_foreign: true, ..Setup::default() }).await;
    let svid = broker.pki.foreign.issue(&foreign_id(AGENT), broker.pki.now(), HOUR).unwrap();
    let refused = call_with(&broker, Some(&svid)).await;
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "IDENTITY_UNKNOWN"));
}

#[tokio::test]
async fn an_svid_that_expires_takes_its_connection_with_it() {
    let broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    let pki = &broker.pki;
    let short = Offer::fresh(&pki.ca, &id(AGENT), &[], &pki.clock, Duration::from_secs(60)).unwrap();
    let (_api, workload) = pki.workload_offered(short).await;
    let agent = Caller::new(broker.connect(&workload).await, broker.record.clone());
    let granted = agent.granted(task.reading()).await;
    let life = granted.claims()["exp"].as_u64().unwrap() - granted.claims()["iat"].as_u64().unwrap();
    assert!(life <= 60, "no token outlives the SVID that it is bound to: {life}");

    broker.advance(Duration::from_secs(61));

    let refused = agent.request_credential(task.reading()).await.unwrap_err();
    match refused.code {
        // The request was quicker than the end of its connection.
        Code::Unauthenticated => assert_eq!(refused.reason, "SVID_EXPIRED", "{refused:?}"),
        Code::Unavailable | Code::Unknown | Code::Cancelled => assert_eq!(refused.reason, "", "{refused:?}"),
        _ => panic!("{refused:?}"),
    }
    // Its client comes back with what it has, and is refused for that; the broker goes on for others.
    noted_after(&broker, &agent, task.reading()).await;
    broker.agent().await.granted(task.reading()).await;
}

#[tokio::test]
async fn an_agent_whose_trust_was_withdrawn_gets_nothing() {
    let broker = TestBroker::with(Setup { accepts_foreign: true, ..Setup::default() }).await;
    let svid = broker.pki.foreign.issue(&foreign_id(AGENT), broker.pki.now(), HOUR).unwrap();
    assert_eq!(call_with(&broker, Some(&svid)).await.reason, "IDENTITY_UNKNOWN", "trusted, and nobody");
    broker.withdraw_foreign();
    soon(async {
        while call_with(&broker, Some(&svid)).await.reason == "IDENTITY_UNKNOWN" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let refused = call_with(&broker, Some(&svid)).await;
    assert!(matches!(refused.code, Code::Unavailable | Code::Unknown | Code::Cancelled), "{refused:?}");
}
