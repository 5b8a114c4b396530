//! Secrets in files: who may read them, and what a crash or a rival leaves behind.

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_created_is_read_again_and_is_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, b"secret").unwrap();
    assert_eq!(read(&path, 16).unwrap().as_slice(), b"secret");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays behind");
}

#[test]
fn a_file_that_others_may_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, b"secret").unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
        set_mode(&path, mode);
        assert!(matches!(read(&path, 16), Err(SecretFileError::TooOpen { .. })), "{mode:o}");
    }
    set_mode(&path, 0o400);
    assert!(read(&path, 16).is_ok());
}

#[test]
fn a_secret_is_never_overwritten_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, b"first").unwrap();
    assert!(create(&path, b"second").unwrap_err().is_present());
    assert_eq!(read(&path, 16).unwrap().as_slice(), b"first");
    replace(&path, b"third").unwrap();
    assert_eq!(read(&path, 16).unwrap().as_slice(), b"third");
}

#[test]
fn a_draft_that_a_crash_left_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key.new"), b"half").unwrap();
    create(&dir.path().join("key"), b"whole").unwrap();
    assert_eq!(read(&dir.path().join("key"), 16).unwrap().as_slice(), b"whole");
}

#[test]
fn absence_folders_and_excess_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(&dir.path().join("none"), 16).unwrap_err().is_absent());
    assert!(matches!(read(dir.path(), 16), Err(SecretFileError::NotAFile { .. })));
    let path = dir.path().join("key");
    create(&path, &[7; 17]).unwrap();
    assert!(matches!(read(&path, 16), Err(SecretFileError::TooLarge { .. })));
}

#[test]
fn a_folder_that_others_may_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    assert!(check_folder(&path).unwrap_err().is_absent(), "a look makes none");
    folder(&path).unwrap();
    check_folder(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for mode in [0o770, 0o755, 0o701, 0o740] {
        set_mode(&path, mode);
        assert!(matches!(folder(&path), Err(SecretFileError::TooOpen { .. })), "{mode:o}");
        assert!(matches!(check_folder(&path), Err(SecretFileError::TooOpen { .. })), "{mode:o}");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    let own = nix::unistd::geteuid().as_raw();
    let path = Path::new("/var/lib/carnet");
    assert!(refuse_others(path, own, &[]).is_ok());
    assert!(matches!(refuse_others(path, own + 1, &[]), Err(SecretFileError::NotOwned { .. })));
    assert!(refuse_others(path, own + 1, &[own + 1]).is_ok(), "a secret that root has put there");
}
