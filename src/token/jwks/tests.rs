//! Keys as they are published.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::*;

#[test]
fn what_is_published_can_be_read_by_its_name() {
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let keys = [
        PublishedKey::es256(ec.public_key().as_ref()).unwrap(),
        PublishedKey::ed25519(ed.public_key().as_ref()).unwrap(),
    ];
    let text = document(&keys);
    let set = parse(&text).unwrap();
    assert_eq!(set.len(), 2);
    for key in &keys {
        assert!(set.find(key.id().as_str()).is_some());
        assert!(key.id().as_str().starts_with(&key.algorithm().as_str().to_ascii_lowercase()));
    }
    assert!(!text.contains("\"d\""));
    assert_eq!(document(&[]), r#"{"keys":[]}"#);
}

#[test]
fn what_is_no_key_is_not_published() {
    assert!(PublishedKey::es256(&[4; 65]).is_err());
    assert!(PublishedKey::es256(&[]).is_err());
    assert!(PublishedKey::ed25519(&[1; 31]).is_err());
    assert!(PublishedKey::rs256(&[0xff; 128], &[1, 0, 1]).is_err());
}

#[test]
fn key_ids_are_safe_in_paths_and_logs() {
    assert!("es256-Ab_9.x".parse::<KeyId>().is_ok());
    for wrong in ["", "..", ".a", "a/b", "a b", "a\n", "ä", &"k".repeat(65)] {
        assert!(wrong.parse::<KeyId>().is_err(), "{wrong:?}");
    }
}
