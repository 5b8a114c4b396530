//! Secrets and signatures, held against a published example.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    secret_file::create(&path, content.as_bytes()).unwrap();
    path
}

/// The example that the libraries of Standard Webhooks test themselves with.
#[test]
fn a_signature_is_what_the_standards_libraries_make() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let secrets = Secrets::read(&[path]).unwrap();
    let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(!format!("{secrets:?}").contains("MfKQ"));
}

#[test]
fn each_secret_signs() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(&folder, "a", &format!("whsec_{}", STANDARD.encode([1; 24])));
    let two = file(&folder, "b", &format!("whsec_{}", STANDARD.encode([2; 64])));
    let alone = [&one, &two].map(|path| Secrets::read(&[path]).unwrap().sign("a", 1, "b"));
    assert_eq!(Secrets::read(&[one, two]).unwrap().sign("a", 1, "b"), alone.join(" "));
}

#[test]
fn what_is_no_secret_or_open_to_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("short", format!("whsec_{}", STANDARD.encode([1; 23]))),
        ("long", format!("whsec_{}", STANDARD.encode([1; 65]))),
        ("bare", STANDARD.encode([1; 32])),
        ("asymmetric", format!("whsk_{}", STANDARD.encode([1; 32]))),
        ("words", "whsec_not base64".to_owned()),
        ("empty", String::new()),
    ] {
        let path = file(&folder, name, &content);
        let error = Secrets::read(&[path]).unwrap_err();
        assert!(matches!(error, SecretError::Malformed(_)), "{name}: {error:?}");
    }
    let open = file(&folder, "open", &format!("whsec_{}", STANDARD.encode([1; 32])));
    std::fs::set_permissions(&open, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Secrets::read(&[&open]), Err(SecretError::File(SecretFileError::TooOpen { .. }))));
    assert!(matches!(Secrets::read(&[&open; 4]), Err(SecretError::Count(4))));
    assert!(matches!(Secrets::read::<PathBuf>(&[]), Err(SecretError::Count(0))));
}
