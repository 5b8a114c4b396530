//! The rotation of an authority under open connections: who has moved to the next one before the old one goes is never refused.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::Offer;
use carnet::identity::client::Dialer;
use carnet::identity::listen::ListenLimits;
use carnet::model::identity::Thumbprint;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{Server, broker, request};
use crate::support::pki::{DOMAIN, HOUR, Pki, domain, id, soon};

#[tokio::test]
async fn a_connection_is_wound_down_once_the_own_svid_comes_from_another_authority() {
    let pki = Pki::wound_by_hand();
    let (broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (agent_api, agent) = pki.workload("/agent").await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let channel = server.channel(&agent).await;
    request(&channel).await.unwrap();
    let first = server.seen.recv().await.unwrap().certificate_thumbprint().copied();

    // Both authorities are trusted, and SVIDs are issued by the next one.
    let next = Arc::new(DevCa::new(domain(DOMAIN), pki.now(), HOUR).unwrap());
    let roots = [pki.ca.root().to_vec(), next.root().to_vec()];
    let offer = |path: &str, roots: &[Vec<u8>]| {
        let mut offer = Offer::fresh(&next, &id(path), &[], &pki.clock, HOUR).unwrap();
        offer.bundles.insert(domain(DOMAIN), roots.to_vec());
        offer
    };
    let (mut of_broker, mut of_agent) = (trust.changes(), agent.changes());
    agent_api.offer(offer("/agent", &roots));
    broker_api.offer(offer("/carnet", &roots));
    assert!(soon(of_broker.changed()).await && soon(of_agent.changed()).await);
    request(&channel).await.unwrap();
    assert_eq!(
        server.seen.recv().await.unwrap().certificate_thumbprint(),
        first.as_ref(),
        "peers have a moment to follow"
    );

    soon(async {
        loop {
            pki.clock.advance(Duration::from_secs(10));
            request(&channel).await.unwrap();
            if server.seen.recv().await.unwrap().certificate_thumbprint() != first.as_ref() {
                break;
            }
        }
    })
    .await;

    // Nobody shows an SVID of the old authority any more, so its end refuses nobody.
    broker_api.offer(offer("/carnet", &roots[1..]));
    assert!(soon(of_broker.changed()).await);
    request(&channel).await.unwrap();
    assert!(server.refused.try_recv().is_err());
}

#[tokio::test]
async fn what_was_presented_is_the_certificate_of_the_connection_and_not_the_next_one() {
    let pki = Pki::new();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (agent_api, agent) = pki.workload("/agent").await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let dialer = Dialer::new(&server.address, &agent, broker()).unwrap();
    assert_eq!(dialer.presented().pem(), None, "nothing was shown yet");
    let presented = || {
        let pem = dialer.presented().pem().unwrap();
        Thumbprint::of(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
    };
    let channel = soon(dialer.channel()).await.unwrap();
    request(&channel).await.unwrap();
    let shown = presented();
    assert_eq!(server.seen.recv().await.unwrap().certificate_thumbprint(), Some(&shown));

    let mut changes = agent.changes();
    agent_api.offer(pki.offer("/agent", &[]));
    assert!(soon(changes.changed()).await);
    request(&channel).await.unwrap();
    assert_ne!(agent.certificate_thumbprint(), Some(shown), "the identity has moved on");
    assert_eq!(server.seen.recv().await.unwrap().certificate_thumbprint(), Some(&shown));
    assert_eq!(presented(), shown, "the connection has not");

    let next = soon(dialer.channel()).await.unwrap();
    request(&next).await.unwrap();
    assert_eq!(server.seen.recv().await.unwrap().certificate_thumbprint(), Some(&presented()));
    assert_ne!(presented(), shown);
}
