//! Doors that ask for no certificate: what they present, also while that changes, and what verifies the tokens shown at them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use carnet::identity::certificate_files::CertificateFiles;
use carnet::identity::error::{IdentityError, JwtSvidError, Unready};
use carnet::identity::https::{ServerCertificate, listen_tls};
use carnet::identity::jwt_svid::JwtSvidRules;
use carnet::identity::listen::ListenLimits;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

use crate::support::pki::{DOMAIN, HOUR, Pki, client_config, eventually, id, refusals, soon};

#[tokio::test]
async fn a_certificate_from_files_is_presented_and_replaced_while_running() {
    let pki = Pki::new();
    let (chain, key) = (pki.path("tls.crt"), pki.path("tls.key"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(["carnet.test".to_owned()]).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        made.cert.der().clone()
    };
    let over = over();
    assert!(CertificateFiles::load(&chain, &key, &pki.clock).is_err(), "there are none yet");
    let first = write();
    let files = CertificateFiles::load(&chain, &key, &pki.clock).unwrap();
    let tls = ServerCertificate::Files(Arc::clone(&files)).tls(&[b"http/1.1"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut incoming = listen_tls(listener, tls, ListenLimits::default(), None, refusals().0);
    let mut presented = async || {
        let mut config = client_config(None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("carnet.test").unwrap();
        let (near, far) = soon(async { tokio::join!(connector.connect(name, tcp), incoming.next()) }).await;
        assert!(far.unwrap().unwrap().address().ip().is_loopback());
        near.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    assert_eq!(presented().await, first);

    assert!(!files.reload().unwrap(), "nothing has changed");
    let second = write();
    assert!(files.reload().unwrap());
    assert_eq!(presented().await, second);

    for mode in [0o644, 0o604, 0o660] {
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        assert!(matches!(files.reload(), Err(IdentityError::KeyTooOpen { .. })), "{mode:o}");
    }
    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    assert!(!files.reload().unwrap(), "a group of its own may read it");

    std::fs::write(&chain, &over.0).unwrap();
    std::fs::write(&key, &over.1).unwrap();
    assert!(matches!(files.reload(), Err(IdentityError::CertificateNotValid { .. })), "it is over");
    assert_eq!(presented().await, second);
    assert!(matches!(CertificateFiles::load(&chain, &key, &pki.clock), Err(IdentityError::CertificateNotValid { .. })));

    std::fs::write(&key, "no key").unwrap();
    assert!(files.reload().is_err());
    assert_eq!(presented().await, second, "what cannot be read replaces nothing");
}

/// A certificate that ended in 2020, and its key, in PEM.
fn over() -> (String, String) {
    let mut params = rcgen::CertificateParams::new(["carnet.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn an_svid_serves_a_door_that_asks_for_none() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let tls = ServerCertificate::Svid(trust).tls(&[b"http/1.1"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut incoming = listen_tls(listener, tls, ListenLimits::default(), None, refusals().0);
    let mut config = client_config(None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let (near, far) = soon(async { tokio::join!(connector.connect(name, tcp), incoming.next()) }).await;
    assert!(near.is_ok() && far.unwrap().is_ok());
}

#[tokio::test]
async fn a_handshake_at_a_door_that_asks_for_none_waits_for_the_next_svid() {
    let pki = Pki::new();
    let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let tls = ServerCertificate::Svid(trust.clone()).tls(&[b"h2"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _incoming = listen_tls(listener, tls, ListenLimits::default(), None, refusals().0);
    api.refuse();
    eventually(|| trust.is_unsettled()).await;
    let shaking = tokio::spawn(async move {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(None)));
        let tcp = TcpStream::connect(address).await.unwrap();
        connector.connect(rustls_pki_types::ServerName::try_from("localhost").unwrap(), tcp).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!shaking.is_finished(), "there is nothing to present");
    api.offer(pki.offer("/carnet", &[]));
    soon(shaking).await.unwrap().unwrap();
}

#[tokio::test]
async fn no_token_is_judged_before_anything_was_heard_of_what_verifies_it() {
    let pki = Pki::new();
    let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let rules = JwtSvidRules { audience: "carnet".to_owned(), life_max: None };
    let token = pki.ca.jwt().issue(id("/agent").as_str(), &["carnet".to_owned()], pki.now(), HOUR).unwrap();
    let unready = || match trust.authenticate(&token, &rules, None).map_err(|refused| refused.error) {
        Err(JwtSvidError::Unready(unready)) => Some(unready),
        _ => None,
    };
    trust.accept_jwt_svids();
    assert_eq!(unready(), Some(Unready::JwtBundlesUnheard));
    soon(trust.settled_for_tokens()).await;
    assert!(trust.authenticate(&token, &rules, None).is_ok());
    // Nor in the moment after they were taken back.
    api.refuse();
    eventually(|| unready() == Some(Unready::Withdrawn)).await;
    assert!(trust.is_unsettled_for_tokens());
    api.offer(pki.offer("/carnet", &[]));
    soon(trust.settled_for_tokens()).await;
    assert!(trust.authenticate(&token, &rules, None).is_ok());
}
