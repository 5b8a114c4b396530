//! What a check finds out about doors, what is told of them while they are open, and that no stream holds up the end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use carnet::config::settings::{CertificateSource, HttpsSettings};
use carnet::dev::workload_api::Offer;
use carnet::identity::client::connect_unix;
use carnet::identity::error::IdentityError;
use carnet::server::error::ServerError;
use carnet::server::serve::check;
use carnet::server::start::Drained;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use super::{Machine, get, unfinished};
use crate::support::pki::soon;

const BEARER: &str = "[bearer]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";

#[tokio::test]
async fn two_doors_at_one_address_are_found_by_a_check() {
    let machine = Machine::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let mut settings = machine.settings();
    settings.workloads.listen = at;
    soon(check(settings.clone())).await.unwrap();
    settings.https.as_mut().unwrap().listen = at;
    let error = soon(check(settings)).await.unwrap_err();
    assert!(matches!(error, ServerError::Listen { address, .. } if address == at), "{error:?}");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_found_by_a_check() {
    let machine = Machine::new();
    let (certificate, key) = (machine.pki.path("tls.crt"), machine.pki.path("tls.key"));
    let write = |until| {
        let mut params = rcgen::CertificateParams::new(["carnet.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let pair = rcgen::KeyPair::generate().unwrap();
        fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut settings = machine.settings();
    let listen = settings.https.unwrap().listen;
    let files = CertificateSource::Files { certificate: certificate.clone(), key: key.clone() };
    settings.https = Some(HttpsSettings { listen, certificate: files });
    write(2020);
    let error = soon(check(settings.clone())).await.unwrap_err();
    let over = matches!(error, ServerError::Identity(IdentityError::CertificateNotValid { .. }));
    assert!(over, "{error:?}");
    write(2999);
    let running = soon(soon(check(settings)).await.unwrap().start()).await.unwrap();
    let (_, figures) = get(running.addresses().https.unwrap(), "/metrics").await;
    let left = figures.lines().find_map(|line| line.strip_prefix("carnet_certificate_expiry_seconds{door=\"https\"} "));
    assert!(left.unwrap().parse::<u64>().unwrap() > 1_000_000_000, "{figures}");
    soon(running.shutdown()).await;
}

#[tokio::test]
async fn a_door_for_tokens_takes_keys_that_verify_them() {
    let machine = Machine::new();
    let settings = machine.settings_with(BEARER);
    let offer = |without: bool| {
        let offer = machine.pki.offer("/carnet", &[]);
        Offer { jwt_bundles: if without { Default::default() } else { offer.jwt_bundles.clone() }, ..offer }
    };
    machine.own.offer(offer(true));
    let error = soon(check(settings.clone())).await.unwrap_err();
    assert!(matches!(error, ServerError::Identity(IdentityError::NoJwtBundles { .. })), "{error:?}");
    machine.own.offer(offer(false));
    let running = soon(soon(check(settings)).await.unwrap().start()).await.unwrap();
    let at = running.addresses().https.unwrap();
    assert_eq!(get(at, "/readyz").await.1, "ready\n");
    let says = async |path: &str, line: &str| {
        soon(async {
            while !get(at, path).await.1.lines().any(|found| found.starts_with(line)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    };
    says("/metrics", "carnet_jwt_authorities{trust_domain=\"example.org\"} 1").await;
    machine.own.offer(offer(true));
    says("/readyz", "there is no JWT authority of `example.org`").await;
    says("/metrics", "carnet_jwt_authorities{trust_domain=\"example.org\"} 0").await;
    soon(running.shutdown()).await;
}

/// Following health is what clients do that look after their connections; a debugger keeps reflection open.
#[tokio::test]
async fn no_stream_of_any_service_holds_up_the_end() {
    let machine = Machine::new();
    let running = machine.start().await;
    let channel = soon(connect_unix(running.operator_socket().unwrap())).await.unwrap();
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    soon(health.message()).await.unwrap().unwrap();
    let asked = tokio_stream::pending();
    let mut reflected = ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap().into_inner();
    assert_eq!(soon(running.shutdown()).await, Drained::Whole);
    // It may say once more that it does not serve.
    while let Some(_status) = soon(health.message()).await.unwrap() {}
    assert!(matches!(soon(reflected.message()).await, Ok(None)), "it ends in good order");
}

#[tokio::test]
async fn what_is_cut_off_is_cut_off_at_every_door() {
    let machine = Machine::new();
    let running = machine.start().await;
    let channel = soon(connect_unix(running.operator_socket().unwrap())).await.unwrap();
    let unfinished = unfinished(&running, channel, "/carnet.v1.RevocationService/Revoke").await;
    assert_eq!(soon(running.shutdown_unless(std::future::ready(()))).await, Drained::CutOff);
    assert_ne!(soon(unfinished).await.unwrap().unwrap_err().code(), Code::Ok);
}
