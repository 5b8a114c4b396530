//! The rotation of an authority under open connections: who has moved to the next one before the old one goes is never refused.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::Offer;
use carnet::identity::listen::ListenLimits;

use super::{Server, request};
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
