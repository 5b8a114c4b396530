//! An authority comes back as it was, and only as long as it should.

use super::*;

const LIFE: Duration = Duration::from_secs(3600);

fn domain() -> TrustDomain {
    "dev.carnet.test".parse().unwrap()
}

#[test]
fn an_authority_comes_back_with_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.json");
    let now = Timestamp::from_secs(1_800_000_000);
    let first = DevCa::load_or_create(&path, &domain(), now, LIFE).unwrap();
    let later = now.after(LIFE / 4);
    let second = DevCa::load_or_create(&path, &domain(), later, LIFE).unwrap();
    assert_eq!(first.root(), second.root());
    assert_eq!(first.jwt().bundle(), second.jwt().bundle());
    // What the second issues chains to the root of the first.
    let id = "spiffe://dev.carnet.test/agent/a".parse().unwrap();
    let svid = second.issue(&id, later, LIFE / 4).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(first.root().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let at = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(later.as_secs()));
    verifier.build().unwrap().verify_client_cert(svid.chain.first().unwrap(), &[], at).unwrap();
}

#[test]
fn an_authority_that_grows_old_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.json");
    let now = Timestamp::from_secs(1_800_000_000);
    let first = DevCa::load_or_create(&path, &domain(), now, LIFE).unwrap();
    let second = DevCa::load_or_create(&path, &domain(), now.after(LIFE / 2), LIFE).unwrap();
    assert_ne!(first.root(), second.root());
}

#[test]
fn something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.json");
    let now = Timestamp::from_secs(1_800_000_000);
    DevCa::load_or_create(&path, &"elsewhere.test".parse().unwrap(), now, LIFE).unwrap();
    let other = DevCa::load_or_create(&path, &domain(), now, LIFE).unwrap_err();
    assert!(matches!(other, SavedCaError::Content { .. }), "{other}");
    secret_file::replace(&path, b"{}").unwrap();
    assert!(DevCa::load_or_create(&path, &domain(), now, LIFE).is_err());
}
