//! The Workload API of `carnet dev`, as a client that knows nothing of Carnet sees it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use carnet::identity::client::connect_unix;
use carnet::pb::workload as pb;
use carnet::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use spiffe::WorkloadApiClient;
use tonic::{Code, Request};

use super::support::pki::{DOMAIN, FOREIGN, HOUR, Pki, id, soon};

fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", "true".parse().unwrap());
    request
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/agent", &[]));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(api.socket()), 0o600);
    assert_eq!(mode(api.socket().parent().unwrap()), 0o700);
    let socket = api.socket().to_owned();
    drop(api);
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_socket_is_taken_over_from_the_dead_and_not_from_the_living() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/agent", &[]));
    let again =
        || carnet::dev::workload_api::WorkloadApi::serve(api.socket(), pki.offer("/agent", &[]), pki.clock.clone());
    assert_eq!(again().unwrap_err().kind(), std::io::ErrorKind::AddrInUse);

    let dead = pki.socket();
    std::fs::create_dir_all(dead.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    assert!(dead.exists());
    let taken = carnet::dev::workload_api::WorkloadApi::serve(&dead, pki.offer("/agent", &[]), pki.clock.clone());
    assert!(taken.is_ok());
}

#[tokio::test]
async fn a_call_without_the_metadata_of_spiffe_is_refused() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/agent", &[]));
    let mut client = SpiffeWorkloadApiClient::new(connect_unix(api.socket()).await.unwrap());
    let mut wrong = Request::new(pb::X509svidRequest {});
    wrong.metadata_mut().insert("workload.spiffe.io", "TRUE".parse().unwrap());
    for request in [Request::new(pb::X509svidRequest {}), wrong] {
        assert_eq!(soon(client.fetch_x509svid(request)).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let refused = soon(client.fetch_jwtsvid(Request::new(pb::JwtsvidRequest::default()))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(soon(client.fetch_x509svid(asked(pb::X509svidRequest {}))).await.is_ok());
}

#[tokio::test]
async fn svids_and_bundles_reach_a_library_that_is_not_ours() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/agent", &[Arc::clone(&pki.foreign)]));
    let client = WorkloadApiClient::connect_to(api.endpoint()).await.unwrap();

    let context = soon(client.fetch_x509_context()).await.unwrap();
    assert_eq!(context.default_svid().unwrap().spiffe_id().to_string(), id("/agent").to_string());
    assert_eq!(context.bundle_set().len(), 2);
    let bundles = soon(client.fetch_x509_bundles()).await.unwrap();
    for (name, ca) in [(DOMAIN, &pki.ca), (FOREIGN, &pki.foreign)] {
        let bundle = bundles.get(&spiffe::TrustDomain::new(name).unwrap()).unwrap();
        assert_eq!(bundle.authorities()[0].as_bytes(), ca.root().as_ref());
    }
    let jwt_bundles = soon(client.fetch_jwt_bundles()).await.unwrap();
    let bundle = jwt_bundles.get(&spiffe::TrustDomain::new(DOMAIN).unwrap()).unwrap();
    assert!(bundle.find_jwt_authority(pki.ca.jwt().kid()).is_some());
    let svid = soon(client.fetch_jwt_svid(["carnet"], None)).await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), id("/agent").to_string());
    assert_eq!(svid.audience(), &["carnet".to_owned()]);
}

#[tokio::test]
async fn a_jwt_svid_is_signed_by_the_key_of_the_bundle() {
    let pki = Pki::new();
    let api = pki.serve(pki.offer("/agent", &[]));
    let mut client = SpiffeWorkloadApiClient::new(connect_unix(api.socket()).await.unwrap());
    let asks = |audience: &[&str], spiffe_id: &str| {
        let audience = audience.iter().map(|a| (*a).to_owned()).collect();
        asked(pb::JwtsvidRequest { audience, spiffe_id: spiffe_id.to_owned() })
    };
    let token = soon(client.fetch_jwtsvid(asks(&["carnet"], ""))).await.unwrap().into_inner().svids.remove(0).svid;
    let (input, signature) = token.rsplit_once('.').unwrap();
    let decode = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let bundle = pki.ca.jwt().bundle();
    let coordinate = |name: &str| decode(bundle["keys"][0][name].as_str().unwrap());
    let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point);
    key.verify(input.as_bytes(), &decode(signature)).unwrap();
    assert!(key.verify(b"something else", &decode(signature)).is_err());

    let none = soon(client.fetch_jwtsvid(asks(&[], ""))).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let other = soon(client.fetch_jwtsvid(asks(&["carnet"], id("/other").as_str()))).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied);
    let validate = client.validate_jwtsvid(asked(pb::ValidateJwtsvidRequest::default()));
    assert_eq!(soon(validate).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn rotations_are_pushed_and_a_withdrawal_is_told() {
    let pki = Pki::wound_by_hand();
    let api = pki.serve(pki.offer("/agent", &[]));
    let mut client = SpiffeWorkloadApiClient::new(connect_unix(api.socket()).await.unwrap());
    let mut stream = client.fetch_x509svid(asked(pb::X509svidRequest {})).await.unwrap().into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();

    let agent = id("/agent");
    let rotation = api.rotate(&pki.ca, &agent, &[], &pki.clock, HOUR);
    let next = async {
        // The rotation waits for the clock; whenever it looks, half the life is over.
        let wind = async {
            loop {
                pki.clock.advance(HOUR / 2);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            message = stream.message() => message.unwrap().unwrap(),
            () = wind => unreachable!("it winds for ever"),
        }
    };
    let second = tokio::select! {
        result = rotation => panic!("the rotation ended: {result:?}"),
        second = soon(next) => second,
    };
    assert_eq!(first.svids[0].spiffe_id, second.svids[0].spiffe_id);
    assert_ne!(first.svids[0].x509_svid, second.svids[0].x509_svid);
    assert_ne!(first.svids[0].x509_svid_key, second.svids[0].x509_svid_key);
    assert_eq!(first.svids[0].bundle, second.svids[0].bundle);

    api.refuse();
    let told = soon(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a word"),
                Err(status) => break status,
            }
        }
    })
    .await;
    assert_eq!(told.code(), Code::PermissionDenied);
}
