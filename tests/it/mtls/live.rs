//! What happens while connections are open: rotation, withdrawal, expiry, loss of the Workload API, and limits.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::Offer;
use carnet::identity::accept::{PeerAcceptor, Refusal};
use carnet::identity::client::Dialer;
use carnet::identity::error::{CallerError, HandshakeError, Unready};
use carnet::identity::listen::{ListenLimits, listen};
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::model::reason::ReasonCode;
use carnet::model::spiffe_id::TrustDomain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use super::{BROKEN, Server, broker, request};
use crate::support::pki::{
    DOMAIN, FOREIGN, HOUR, Outcome, Pki, client_config, domain, eventually, foreign_id, id, present, refusals, soon,
};

#[tokio::test]
async fn a_federated_trust_domain_is_accepted_when_listed_and_refused_from_its_withdrawal_on() {
    let pki = Pki::new();
    let foreign = Arc::clone(&pki.foreign);
    let (broker_api, trust) = pki.trust(&[Arc::clone(&foreign)], &[DOMAIN, FOREIGN]).await;
    let offer = Offer::fresh(&foreign, &foreign_id("/agent"), &[Arc::clone(&pki.ca)], &pki.clock, HOUR).unwrap();
    let (_api, stranger) = pki.workload_offered(offer).await;
    let (_own_api, own) = pki.workload("/agent").await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let (theirs, ours) = (server.channel(&stranger).await, server.channel(&own).await);
    request(&theirs).await.unwrap();
    request(&ours).await.unwrap();
    let before = trust.revision();

    broker_api.offer(pki.offer("/carnet", &[]));
    eventually(|| !trust.trusts(&domain(FOREIGN))).await;

    // The very next request on the open connection.
    assert_eq!(request(&theirs).await, Err("TRUST_DOMAIN_UNKNOWN".into()));
    request(&ours).await.unwrap();
    assert!(trust.revision() > before);
    assert_eq!(trust.status().missing, [domain(FOREIGN)]);
    assert!(!trust.trusts(&domain(FOREIGN)) && trust.trusts(&domain(DOMAIN)));
    // Soon after, the connection itself is gone, and nobody gets a new one.
    let refusal = refused_at_last(&mut server, &theirs).await;
    assert_eq!(refusal.reason(), ReasonCode::TrustDomainUnknown);
    assert_eq!(refusal.shown.unwrap().as_str(), foreign_id("/agent").as_str());
    assert!(refusal.address.is_some());
    request(&ours).await.unwrap();

    // Back again: it recovers by itself.
    broker_api.offer(pki.offer("/carnet", &[foreign]));
    eventually(|| trust.trusts(&domain(FOREIGN))).await;
    request(&theirs).await.unwrap();
}

/// Asks until the connection is gone and a new one is refused.
async fn refused_at_last(server: &mut Server, channel: &Channel) -> Refusal {
    soon(async {
        loop {
            if request(channel).await == Err(BROKEN.into())
                && let Ok(refusal) = server.refused.try_recv()
            {
                return refusal;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_federated_trust_domain_that_is_not_listed_is_refused() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[Arc::clone(&pki.foreign)], &[DOMAIN]).await;
    let svid = pki.foreign.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap();
    let Outcome::Refused(refusal) = present(&trust, &svid).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::TrustDomainUnknown);
    assert_eq!(trust.status().domains, [(domain(DOMAIN), 1)]);
}

#[tokio::test]
async fn a_listed_trust_domain_without_a_trust_bundle_is_refused() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN, FOREIGN]).await;
    let svid = pki.foreign.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap();
    let Outcome::Refused(refusal) = present(&trust, &svid).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::TrustDomainUnknown);
}

/// An SVID in a trust bundle would make a workload an authority: such entries are left out, and an empty bundle trusts nobody.
#[tokio::test]
async fn entries_of_a_trust_bundle_that_are_no_authorities_are_left_out() {
    let pki = Pki::new();
    let leaf = pki.foreign.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap();
    let mut offer = pki.offer("/carnet", &[Arc::clone(&pki.foreign)]);
    offer.bundles.insert(domain(FOREIGN), vec![leaf.chain[0].to_vec()]);
    let (api, trust) = pki.trust(&[], &[DOMAIN, FOREIGN]).await;
    let mut changes = trust.changes();
    api.offer(offer.clone());
    assert!(soon(changes.changed()).await);
    let Outcome::Refused(refusal) = present(&trust, &leaf).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::TrustDomainUnknown);

    offer.bundles.insert(domain(FOREIGN), Vec::new());
    api.offer(offer.clone());
    assert!(soon(changes.changed()).await);
    let Outcome::Refused(refusal) = present(&trust, &leaf).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::TrustDomainUnknown, "an empty bundle is no bundle");

    offer.bundles.insert(domain(FOREIGN), vec![leaf.chain[0].to_vec(), pki.foreign.root().to_vec()]);
    api.offer(offer);
    eventually(|| trust.trusts(&domain(FOREIGN))).await;
    assert!(matches!(present(&trust, &leaf).await, Outcome::Accepted(_)));
    assert_eq!(trust.status().domains, [(domain(FOREIGN), 1), (domain(DOMAIN), 1)]);
}

#[tokio::test]
async fn rotations_of_svids_and_roots_need_no_restart() {
    let pki = Pki::new();
    let (broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (agent_api, agent) = pki.workload("/agent").await;
    let server = Server::start(&trust, ListenLimits::default()).await;
    let dialer = Dialer::new(&server.address, &agent, broker()).unwrap();
    let presented = async || {
        let connection = soon(dialer.dial()).await.unwrap();
        assert_eq!(connection.spiffe_id(), &id("/carnet"));
        *connection.certificate_thumbprint()
    };
    let old_connection = server.channel(&agent).await;
    request(&old_connection).await.unwrap();
    let before = presented().await;

    // A new root beside the old one, then SVIDs under it, then the old root is taken away.
    let next = Arc::new(DevCa::new(domain(DOMAIN), pki.now(), HOUR).unwrap());
    let both = vec![pki.ca.root().to_vec(), next.root().to_vec()];
    let offer = |ca: &Arc<DevCa>, path: &str, roots: &[Vec<u8>]| {
        let mut offer = Offer::fresh(ca, &id(path), &[], &pki.clock, HOUR).unwrap();
        offer.bundles.insert(domain(DOMAIN), roots.to_vec());
        offer
    };
    let (mut of_broker, mut of_agent) = (trust.changes(), agent.changes());
    agent_api.offer(offer(&pki.ca, "/agent", &both));
    broker_api.offer(offer(&pki.ca, "/carnet", &both));
    assert!(soon(of_broker.changed()).await && soon(of_agent.changed()).await);
    broker_api.offer(offer(&next, "/carnet", &both));
    assert!(soon(of_broker.changed()).await);
    request(&old_connection).await.unwrap();
    assert_ne!(presented().await, before, "the broker presents its new certificate");

    broker_api.offer(offer(&next, "/carnet", &both[1..]));
    assert!(soon(of_broker.changed()).await);
    assert_eq!(request(&old_connection).await, Err("SVID_INVALID".into()), "its root is gone");
    agent_api.offer(offer(&next, "/agent", &both[1..]));
    assert!(soon(of_agent.changed()).await);
    request(&server.channel(&agent).await).await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_when_the_svid_that_opened_it_expires() {
    let pki = Pki::wound_by_hand();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let minute = Duration::from_secs(60);
    let short = Offer::fresh(&pki.ca, &id("/short"), &[], &pki.clock, minute).unwrap();
    let (_short_api, short) = pki.workload_offered(short).await;
    let (_long_api, long) = pki.workload("/long").await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let tls = soon(Dialer::new(&server.address, &short, broker()).unwrap().dial()).await.unwrap();
    let (short, long) = (server.channel(&short).await, server.channel(&long).await);
    request(&short).await.unwrap();
    let peer = server.seen.recv().await.unwrap();
    request(&long).await.unwrap();
    let mut open = tls;
    let mut settings = [0; 9];
    open.read_exact(&mut settings).await.unwrap();

    pki.clock.advance(minute);

    assert_eq!(trust.recheck(&peer, pki.now()).unwrap_err(), CallerError::Expired(peer.expires_at()));
    let mut rest = Vec::new();
    let _end = soon(open.read_to_end(&mut rest)).await;
    // Its client connects again, and is refused.
    let refusal = refused_at_last(&mut server, &short).await;
    assert_eq!(refusal.reason(), ReasonCode::SvidExpired);
    request(&long).await.unwrap();
}

/// A client that rotates its SVID as it should never has a request fail because its connection ends.
#[tokio::test]
async fn a_connection_is_wound_down_before_its_svid_expires() {
    let pki = Pki::wound_by_hand();
    let (_broker_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let minute = Duration::from_secs(60);
    let offer = || Offer::fresh(&pki.ca, &id("/agent"), &[], &pki.clock, minute).unwrap();
    let (api, agent) = pki.workload_offered(offer()).await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let channel = server.channel(&agent).await;
    request(&channel).await.unwrap();
    let first = server.seen.recv().await.unwrap().certificate_thumbprint().copied();

    pki.clock.advance(minute / 2);
    let mut changes = agent.changes();
    api.offer(offer());
    assert!(soon(changes.changed()).await);
    request(&channel).await.unwrap();
    assert_eq!(server.seen.recv().await.unwrap().certificate_thumbprint(), first.as_ref(), "nothing hurries it");

    pki.clock.advance(minute / 4);
    soon(async {
        loop {
            request(&channel).await.unwrap();
            if server.seen.recv().await.unwrap().certificate_thumbprint() != first.as_ref() {
                break;
            }
        }
    })
    .await;
    assert!(server.refused.try_recv().is_err());
}

#[tokio::test]
async fn an_intermediate_that_ends_earlier_ends_the_connection() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let below = pki.ca.intermediate(pki.now(), HOUR / 2).unwrap();
    let svid = below.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    let Outcome::Accepted(peer) = present(&trust, &svid).await else { panic!("it is refused") };
    assert!(peer.expires_at() < peer.not_after());
    assert!(peer.expires_at() <= pki.now().after(HOUR / 2));
}

#[tokio::test]
async fn with_its_own_svid_expired_the_broker_trusts_nobody() {
    let pki = Pki::wound_by_hand();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let svid = pki.ca.issue(&id("/agent"), pki.now(), 3 * HOUR).unwrap();
    let Outcome::Accepted(peer) = present(&trust, &svid).await else { panic!("it is refused") };
    assert!(trust.recheck(&peer, pki.now()).is_ok());

    pki.clock.advance(HOUR);

    let unready = CallerError::Unready(Unready::OwnSvidExpired);
    assert_eq!(trust.recheck(&peer, pki.now()).unwrap_err(), unready);
    assert_eq!(unready.reason(), ReasonCode::Unavailable);
    assert_eq!(trust.status().own, Err(Unready::OwnSvidExpired));
    let Outcome::Refused(refusal) = present(&trust, &svid).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::Unavailable);
}

#[tokio::test]
async fn a_withdrawn_identity_is_retained_nowhere_and_comes_back_by_itself() {
    let pki = Pki::new();
    let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let svid = pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    let Outcome::Accepted(peer) = present(&trust, &svid).await else { panic!("it is refused") };

    let mut changes = trust.changes();
    api.refuse();
    assert!(soon(changes.changed()).await);
    assert_eq!(trust.recheck(&peer, pki.now()).unwrap_err(), CallerError::Unready(Unready::Withdrawn));
    let Outcome::Refused(refusal) = present(&trust, &svid).await else { panic!("it is accepted") };
    assert!(matches!(refusal.error, HandshakeError::Unready(Unready::Withdrawn)), "{:?}", refusal.error);

    api.offer(pki.offer("/carnet", &[]));
    eventually(|| trust.recheck(&peer, pki.now()).is_ok()).await;
    assert!(matches!(present(&trust, &svid).await, Outcome::Accepted(_)));
}

#[tokio::test]
async fn without_the_workload_api_what_is_still_valid_is_served() {
    let pki = Pki::new();
    let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let svid = pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    eventually(|| trust.status().connected).await;
    let socket = api.socket().to_owned();
    drop(api);
    eventually(|| !trust.status().connected).await;
    assert!(trust.status().failures > 0);
    assert!(matches!(present(&trust, &svid).await, Outcome::Accepted(_)));

    let offer = pki.offer("/carnet", &[]);
    let back = carnet::dev::workload_api::WorkloadApi::serve(&socket, offer, pki.clock.clone()).unwrap();
    eventually(|| trust.status().connected).await;
    drop(back);
}

#[tokio::test]
async fn a_closed_source_trusts_nobody() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let svid = pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    let Outcome::Accepted(peer) = present(&trust, &svid).await else { panic!("it is refused") };
    trust.close().await;
    assert_eq!(trust.recheck(&peer, pki.now()).unwrap_err(), CallerError::Unready(Unready::Closed));
    assert!(matches!(present(&trust, &svid).await, Outcome::Refused(_)));
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_refused() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let mut server = Server::start(&trust, ListenLimits::default()).await;
    let mut tcp = TcpStream::connect(&server.address).await.unwrap();
    tcp.write_all(&tls_1_2_hello()).await.unwrap();
    let mut answer = Vec::new();
    let _end = soon(tcp.read_to_end(&mut answer)).await;
    // A fatal alert (2) in an alert record (21): protocol_version (70).
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "{answer:?}");
    let refusal = soon(server.refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::Tls(_)), "{:?}", refusal.error);
}

/// A hello without `supported_versions`, as RFC 5246 has it.
fn tls_1_2_hello() -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms: ecdsa_secp256r1_sha256
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: secp256r1
    ];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]); // no session, ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat()
}

#[tokio::test]
async fn no_session_is_resumed() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let server = Server::start(&trust, ListenLimits::default()).await;
    // This client would resume, and remembers tickets from one connection to the next.
    let config = Arc::new(client_config(Some(&pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap())));
    for _ in 0..2 {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let tcp = TcpStream::connect(&server.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("carnet.test").unwrap();
        let mut tls = soon(connector.connect(name, tcp)).await.unwrap();
        let mut settings = [0; 9];
        soon(tls.read_exact(&mut settings)).await.unwrap();
        let session = tls.get_ref().1;
        assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_sent_away() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let limits = ListenLimits { handshake_within: Duration::from_millis(50), ..ListenLimits::default() };
    let mut server = Server::start(&trust, limits).await;
    let mut silent = TcpStream::connect(&server.address).await.unwrap();
    let refusal = soon(server.refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TimedOut), "{:?}", refusal.error);
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0, "the connection is closed");
}

#[tokio::test]
async fn connections_have_a_greatest_number() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let (_agent_api, agent) = pki.workload("/agent").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (hook, mut refused) = refusals();
    let limits = ListenLimits { connections_max: 1, ..ListenLimits::default() };
    let mut incoming = listen(listener, PeerAcceptor::new(&trust, hook).unwrap(), limits);
    let dialer = Dialer::new(&address, &agent, broker()).unwrap();

    let (first, near) = soon(async { tokio::join!(incoming.next(), dialer.dial()) }).await;
    let _second = TcpStream::connect(&address).await.unwrap();
    let refusal = soon(refused.recv()).await.unwrap();
    assert!(matches!(refusal.error, HandshakeError::TooManyConnections), "{:?}", refusal.error);
    assert_eq!(refusal.reason(), ReasonCode::RateLimited);

    drop((first, near));
    let (third, _near) = soon(async { tokio::join!(incoming.next(), dialer.dial()) }).await;
    assert_eq!(third.unwrap().unwrap().peer().spiffe_id(), &id("/agent"));
}

#[tokio::test]
async fn an_authority_that_is_over_vouches_for_nobody() {
    let pki = Pki::wound_by_hand();
    let short = Arc::new(DevCa::new(domain(DOMAIN), pki.now(), HOUR).unwrap());
    let mut offer = pki.offer_for("/carnet", &[], 6 * HOUR);
    offer.bundles.insert(domain(DOMAIN), vec![pki.ca.root().to_vec(), short.root().to_vec()]);
    let (_api, workload) = pki.workload_offered(offer).await;
    let accepted = AcceptedDomains::Listed([domain(DOMAIN)].into());
    let trust = Trust::over(workload, accepted, pki.clock.clone()).unwrap();
    let of_short = short.issue(&id("/agent"), pki.now(), 6 * HOUR).unwrap();
    let of_other = pki.ca.issue(&id("/agent"), pki.now(), 6 * HOUR).unwrap();
    assert!(matches!(present(&trust, &of_short).await, Outcome::Accepted(_)), "control");
    assert_eq!(trust.status().domains, [(domain(DOMAIN), 2)]);
    pki.clock.advance(2 * HOUR);
    assert_eq!(trust.status().domains, [(domain(DOMAIN), 1)]);
    let Outcome::Refused(refusal) = present(&trust, &of_short).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::SvidInvalid);
    assert!(matches!(present(&trust, &of_other).await, Outcome::Accepted(_)), "it concerns no other");
}

/// The message as a whole is of no use to a library that reads all of it or nothing; what it withdraws is withdrawn.
#[tokio::test]
async fn a_withdrawal_in_a_message_with_a_flaw_is_one() {
    let pki = Pki::new();
    let (own, foreign) = (
        pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap(),
        pki.foreign.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap(),
    );
    let good = pki.offer("/carnet", &[Arc::clone(&pki.foreign)]);
    let spoiled = |change: &dyn Fn(&mut Offer)| {
        let mut offer = good.clone();
        change(&mut offer);
        offer
    };
    let garbage = vec![vec![1, 2, 3]];
    let third: TrustDomain = "third.test".parse().unwrap();
    for (name, offer, refused) in [
        ("its bundle is no DER", spoiled(&|o| drop(o.bundles.insert(domain(FOREIGN), garbage.clone()))), false),
        (
            "it is gone, and another's is no DER",
            spoiled(&|o| {
                o.bundles.remove(&domain(FOREIGN));
                o.bundles.insert(third.clone(), garbage.clone());
            }),
            false,
        ),
        ("ours is no DER", spoiled(&|o| drop(o.bundles.insert(domain(DOMAIN), garbage.clone()))), true),
        ("ours is gone", spoiled(&|o| drop(o.bundles.remove(&domain(DOMAIN)))), true),
        ("no identity", spoiled(&|o| o.svids.clear()), true),
    ] {
        let (api, trust) = pki.trust(&[Arc::clone(&pki.foreign)], &[DOMAIN, FOREIGN]).await;
        assert!(matches!(present(&trust, &foreign).await, Outcome::Accepted(_)), "control");
        api.offer(offer);
        eventually(|| !trust.trusts(&domain(FOREIGN))).await;
        assert!(matches!(present(&trust, &foreign).await, Outcome::Refused(_)), "{name}");
        assert_eq!(matches!(present(&trust, &own).await, Outcome::Refused(_)), refused, "{name}");
        // It is heard at once when it is good again.
        api.offer(good.clone());
        eventually(|| trust.trusts(&domain(FOREIGN)) && trust.trusts(&domain(DOMAIN))).await;
        assert!(matches!(present(&trust, &foreign).await, Outcome::Accepted(_)), "{name}");
    }
}

#[tokio::test]
async fn an_authority_that_is_still_to_come_vouches_for_nobody_yet() {
    let pki = Pki::wound_by_hand();
    let to_come = Arc::new(DevCa::new(domain(DOMAIN), pki.now().after(HOUR), 6 * HOUR).unwrap());
    let mut offer = pki.offer_for("/carnet", &[], 6 * HOUR);
    offer.bundles.insert(domain(DOMAIN), vec![pki.ca.root().to_vec(), to_come.root().to_vec()]);
    let (_api, workload) = pki.workload_offered(offer).await;
    let accepted = AcceptedDomains::Listed([domain(DOMAIN)].into());
    let trust = Trust::over(workload, accepted, pki.clock.clone()).unwrap();
    let leaf = to_come.issue(&id("/agent"), pki.now(), 6 * HOUR).unwrap();
    assert_eq!(trust.status().domains, [(domain(DOMAIN), 1)]);
    let Outcome::Refused(refusal) = present(&trust, &leaf).await else { panic!("it is accepted") };
    assert_eq!(refusal.reason(), ReasonCode::SvidInvalid);
    pki.clock.advance(2 * HOUR);
    assert!(matches!(present(&trust, &leaf).await, Outcome::Accepted(_)), "from then on it does");
}
