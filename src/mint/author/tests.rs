//! The key of a signer is its own, and signs what it is shown.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        let path = folder.path().join(algorithm.as_str());
        let (made, public) = AuthorKey::create(&path, algorithm).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(AuthorKey::read(&path).unwrap().id(), made.id());
        assert_eq!(fs::read_to_string(&public).unwrap().trim(), made.public().to_json().to_text());
        assert!(!fs::read_to_string(&public).unwrap().contains("\"d\""));
        let again = AuthorKey::create(&path, algorithm).unwrap_err();
        assert!(matches!(again, AuthorKeyError::Public { .. }), "{again:?}");
        fs::remove_file(&public).unwrap();
        let again = AuthorKey::create(&path, algorithm).unwrap_err();
        assert!(matches!(&again, AuthorKeyError::File(error) if error.is_present()), "{again:?}");
        assert!(!public.exists(), "a public key without its private one is not left behind");
        assert_eq!(AuthorKey::read(&path).unwrap().id(), made.id(), "what was there is left alone");
    }
}

#[test]
fn nothing_is_left_half_when_a_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let full = |file: &mut File, text: &[u8]| -> std::io::Result<()> {
        file.write_all(&text[..8])?;
        Err(std::io::ErrorKind::StorageFull.into())
    };
    let failed = AuthorKey::create_with(&path, SigningAlgorithm::Ed25519, full).unwrap_err();
    assert!(matches!(failed, AuthorKeyError::Public { .. }), "{failed:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // So the next try is none over something.
    let (made, _) = AuthorKey::create(&path, SigningAlgorithm::Ed25519).unwrap();
    assert_eq!(AuthorKey::read(&path).unwrap().id(), made.id());
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    AuthorKey::create(&path, SigningAlgorithm::Ed25519).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let refused = AuthorKey::read(&path).unwrap_err();
    assert!(matches!(refused, AuthorKeyError::File(SecretFileError::TooOpen { mode: 0o640, .. })), "{refused:?}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    assert!(matches!(AuthorKey::read(&path).unwrap_err(), AuthorKeyError::Malformed(_)));
    let rsa = AuthorKey::create(&folder.path().join("rsa"), SigningAlgorithm::Rs256).unwrap_err();
    assert!(matches!(rsa, AuthorKeyError::Algorithm(_)), "{rsa:?}");
}
