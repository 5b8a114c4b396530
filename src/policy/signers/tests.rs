//! A bundle counts as signed when enough of those who may have signed just it, and in no other case.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::mint::author::AuthorKey;
use crate::token::header::SigningAlgorithm;

const ALL: [SigningAlgorithm; 2] = [SigningAlgorithm::Ed25519, SigningAlgorithm::Es256];

fn key(algorithm: SigningAlgorithm) -> AuthorKey {
    let folder = tempfile::tempdir().unwrap();
    AuthorKey::create(&folder.path().join("key"), algorithm).unwrap().0
}

fn public(name: &str, key: &AuthorKey) -> SignerKey {
    SignerKey::parse(name, &key.public().to_json().to_text()).unwrap()
}

fn bundle(extra: &[(&str, &str)]) -> BundleFiles {
    let least = [("a.cedar", "permit;"), ("risk.toml", "x = 1")];
    let all = least.iter().chain(extra);
    BundleFiles::new(all.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))).unwrap()
}

fn statement(files: &BundleFiles) -> Statement {
    Statement { digest: files.digest().to_string(), revision: 7, owner: "group:security".parse().unwrap() }
}

fn manifest(files: &BundleFiles, keys: &[&AuthorKey]) -> Manifest {
    let mut manifest = Manifest::new(statement(files));
    keys.iter().for_each(|key| key.sign(&mut manifest).unwrap());
    manifest
}

fn with(files: &BundleFiles, manifest: &str) -> BundleFiles {
    let kept = files.iter().map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(kept.chain([(MANIFEST.to_owned(), manifest.as_bytes().to_vec())])).unwrap()
}

fn signed(files: &BundleFiles, keys: &[&AuthorKey]) -> BundleFiles {
    with(files, &manifest(files, keys).to_text())
}

fn signers(keys: &[(&str, &AuthorKey)], needed: usize) -> Signers {
    Signers::new(keys.iter().map(|(name, key)| public(name, key)), needed).unwrap()
}

fn names(endorsed: &Endorsement) -> Vec<&str> {
    endorsed.signed_by.iter().map(|signer| signer.name.as_str()).collect()
}

#[test]
fn what_was_signed_is_known_by_whom_with_either_algorithm() {
    for algorithm in ALL {
        let (ada, files) = (key(algorithm), bundle(&[]));
        let endorsed = endorsement(&signed(&files, &[&ada]), Some(&signers(&[("ada", &ada)], 1))).unwrap();
        assert_eq!((names(&endorsed), endorsed.statement.as_ref()), (vec!["ada"], Some(&statement(&files))));
        assert_eq!(endorsed.signed_by[0].key_id, ada.id());
    }
}

#[test]
fn the_manifest_is_no_part_of_the_digest() {
    let (ada, files) = (key(SigningAlgorithm::Ed25519), bundle(&[]));
    let signed = signed(&files, &[&ada]);
    assert_eq!(signed.digest(), files.digest());
    assert_eq!(signed.iter().count(), files.iter().count());
    assert_eq!(signed.iter_with_manifest().last().unwrap().0, MANIFEST);
    assert_eq!(Manifest::parse(signed.manifest().unwrap()).unwrap(), manifest(&files, &[&ada]));
}

#[test]
fn what_nobody_signed_counts_for_nothing() {
    let ada = key(SigningAlgorithm::Ed25519);
    let refused = endorsement(&bundle(&[]), Some(&signers(&[("ada", &ada)], 1)));
    assert!(matches!(refused, Err(EndorsementError::Unsigned)), "{refused:?}");
    assert_eq!(endorsement(&bundle(&[]), None).unwrap(), Endorsement::default());
}

#[test]
fn files_that_were_changed_added_or_taken_away_are_not_what_was_signed() {
    let ada = key(SigningAlgorithm::Ed25519);
    let signers = signers(&[("ada", &ada)], 1);
    let files = bundle(&[("b.cedar", "forbid;")]);
    let text = manifest(&files, &[&ada]).to_text();
    for (name, other) in [
        ("changed", bundle(&[("b.cedar", "forbid ;")])),
        ("taken away", bundle(&[])),
        ("added", bundle(&[("b.cedar", "forbid;"), ("c.cedar", "permit;")])),
        ("renamed", bundle(&[("c.cedar", "forbid;")])),
    ] {
        let refused = endorsement(&with(&other, &text), Some(&signers));
        assert!(matches!(refused, Err(EndorsementError::Files)), "{name}: {refused:?}");
        // Who verifies nothing takes nothing from it.
        assert_eq!(endorsement(&with(&other, &text), None).unwrap(), Endorsement::default(), "{name}");
    }
}

#[test]
fn a_manifest_in_which_anything_was_changed_is_refused() {
    let (ada, files) = (key(SigningAlgorithm::Es256), bundle(&[]));
    let signers = signers(&[("ada", &ada)], 1);
    let good: Value = serde_json::from_str(&manifest(&files, &[&ada]).to_text()).unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let says = |revision: u64, owner: &str| {
        encode(&json!({ "digest": files.digest().as_str(), "revision": revision, "owner": owner }))
    };
    let with_payload = |payload: String| json!({ "payload": payload, "signatures": good["signatures"] });
    let of = |protected: Value, signature: Value| json!({ "payload": good["payload"], "signatures": [{ "protected": protected, "signature": signature }] });
    let header = |header: Value| of(encode(&header).into(), good["signatures"][0]["signature"].clone());
    let kid = ada.id();
    let mut torn = good["signatures"][0]["signature"].as_str().unwrap().to_owned();
    torn.replace_range(..1, if torn.starts_with('A') { "B" } else { "A" });
    for (name, changed) in [
        ("another revision", with_payload(says(8, "group:security"))),
        ("another owner", with_payload(says(7, "group:attackers"))),
        ("revision 0", with_payload(says(0, "group:security"))),
        ("more than is known", with_payload(encode(&json!({ "digest": "", "revision": 7, "owner": "o", "x": 1 })))),
        ("a torn signature", of(good["signatures"][0]["protected"].clone(), torn.into())),
        ("no signature", json!({ "payload": good["payload"], "signatures": [] })),
        ("an algorithm that is none", header(json!({ "typ": "carnet-policy+jws", "alg": "none", "kid": kid }))),
        ("another algorithm", header(json!({ "typ": "carnet-policy+jws", "alg": "Ed25519", "kid": kid }))),
        ("another type", header(json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }))),
        ("no type", header(json!({ "alg": "ES256", "kid": kid }))),
        ("no key", header(json!({ "typ": "carnet-policy+jws", "alg": "ES256" }))),
        ("a key of its own", header(json!({ "typ": "carnet-policy+jws", "alg": "ES256", "kid": kid, "jwk": {} }))),
        ("more members", json!({ "payload": good["payload"], "signatures": good["signatures"], "header": {} })),
        ("no object", json!([good])),
        ("too many", json!({ "payload": good["payload"], "signatures": vec![good["signatures"][0].clone(); 17] })),
    ] {
        let refused = endorsement(&with(&files, &changed.to_string()), Some(&signers));
        assert!(matches!(refused, Err(EndorsementError::Manifest(_))), "{name}: {refused:?}");
    }
    endorsement(&with(&files, &good.to_string()), Some(&signers)).unwrap();
}

#[test]
fn keys_that_nobody_configured_count_for_nothing_and_spoil_nothing() {
    let (ada, eve, files) = (key(ALL[0]), key(ALL[1]), bundle(&[]));
    let signers = signers(&[("ada", &ada)], 1);
    let refused = endorsement(&signed(&files, &[&eve]), Some(&signers));
    assert!(matches!(refused, Err(EndorsementError::TooFew { needed: 1, found: 0, foreign: 1 })), "{refused:?}");
    assert_eq!(names(&endorsement(&signed(&files, &[&eve, &ada]), Some(&signers)).unwrap()), ["ada"]);
}

#[test]
fn whoever_calls_his_key_by_another_is_found_out() {
    let (ada, eve, files) = (key(ALL[0]), key(ALL[0]), bundle(&[]));
    let forged = manifest(&files, &[&eve]).signing_input(Algorithm::Ed25519, &ada.id());
    let mut forgery = manifest(&files, &[&ada, &eve]);
    // Eve's signature under Ada's name, in place of Ada's.
    let by_eve: Value = serde_json::from_str(&manifest(&files, &[&eve]).to_text()).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(by_eve["signatures"][0]["signature"].as_str().unwrap()).unwrap();
    forgery.add(&forged, &signature);
    let refused = endorsement(&with(&files, &forgery.to_text()), Some(&signers(&[("ada", &ada), ("eve", &eve)], 1)));
    let is_adas =
        matches!(&refused, Err(EndorsementError::Manifest(ManifestError::Broken { key_id })) if *key_id == ada.id());
    assert!(is_adas, "{refused:?}");
}

#[test]
fn each_signer_counts_once_however_often_and_with_however_many_keys() {
    let (ada, adas_next, bob, files) = (key(ALL[0]), key(ALL[1]), key(ALL[0]), bundle(&[]));
    let signers = signers(&[("ada", &ada), ("ada", &adas_next), ("bob", &bob)], 2);
    let once: Value = serde_json::from_str(&manifest(&files, &[&ada]).to_text()).unwrap();
    let first = &once["signatures"][0];
    let twice = json!({ "payload": once["payload"], "signatures": [first, first] }).to_string();
    for (name, bundle) in [
        ("one signature", signed(&files, &[&ada])),
        ("the same twice", with(&files, &twice)),
        ("signed again", signed(&files, &[&ada, &ada])),
        ("two keys of one signer", signed(&files, &[&ada, &adas_next])),
    ] {
        let refused = endorsement(&bundle, Some(&signers));
        assert!(
            matches!(refused, Err(EndorsementError::TooFew { needed: 2, found: 1, foreign: 0 })),
            "{name}: {refused:?}"
        );
    }
    let endorsed = endorsement(&signed(&files, &[&bob, &adas_next]), Some(&signers)).unwrap();
    assert_eq!(names(&endorsed), ["ada", "bob"]);
}

#[test]
fn keys_that_cannot_be_meant_are_refused() {
    let (ada, bob) = (key(ALL[0]), key(ALL[1]));
    let all = |keys: &[(&str, &AuthorKey)], needed| Signers::new(keys.iter().map(|(n, k)| public(n, k)), needed).err();
    assert_eq!(all(&[("ada", &ada), ("bob", &ada)], 1), Some(SignersError::Twice("bob".to_owned())));
    assert_eq!(all(&[("ada", &ada)], 2), Some(SignersError::Needed { needed: 2, names: 1 }));
    assert_eq!(all(&[("ada", &ada), ("bob", &bob)], 0), Some(SignersError::Needed { needed: 0, names: 2 }));
    assert_eq!(all(&[("ada", &ada), ("bob", &bob)], 2), None);
    let mut jwk: Value = serde_json::from_str(&ada.public().to_json().to_text()).unwrap();
    let parsed = |name: &str, jwk: &Value| SignerKey::parse(name, &jwk.to_string());
    assert!(matches!(parsed("", &jwk), Err(SignerKeyError::Name)));
    jwk["use"] = "enc".into();
    assert!(matches!(parsed("ada", &jwk), Err(SignerKeyError::Kind)));
    jwk["use"] = "sig".into();
    jwk["d"] = "AAAA".into();
    assert!(
        matches!(parsed("ada", &jwk), Err(SignerKeyError::Key(KeyError::Private))),
        "a private key is no public one"
    );
    assert!(matches!(SignerKey::parse("ada", "-----BEGIN PUBLIC KEY-----"), Err(SignerKeyError::Json)));
}
