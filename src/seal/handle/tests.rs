//! Handles: the same again, nobody else's, never shown.

use super::*;

fn task(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

#[test]
fn a_retry_gets_the_same_handle_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handles");
    let key = HandleKey::load_or_create(&path, &Entropy::system()).unwrap();
    let again = HandleKey::load_or_create(&path, &Entropy::system()).unwrap();
    assert_eq!(key.handle(task(1)).expose(), again.handle(task(1)).expose());
    assert!(again.check(task(1), key.handle(task(1)).expose()));
}

#[test]
fn another_tasks_handle_is_wrong_and_so_is_another_keys() {
    let dir = tempfile::tempdir().unwrap();
    let key = HandleKey::load_or_create(&dir.path().join("a"), &Entropy::system()).unwrap();
    let other = HandleKey::load_or_create(&dir.path().join("b"), &Entropy::system()).unwrap();
    let handle = key.handle(task(1));
    assert!(key.check(task(1), handle.expose()), "control");
    assert!(!key.check(task(2), handle.expose()));
    assert!(!other.check(task(1), handle.expose()));
    for wrong in ["", " ", &format!("{} ", handle.expose()), &handle.expose()[1..]] {
        assert!(!key.check(task(1), wrong), "{wrong:?}");
    }
}

#[test]
fn a_handle_is_never_shown_by_debug() {
    let dir = tempfile::tempdir().unwrap();
    let key = HandleKey::load_or_create(&dir.path().join("a"), &Entropy::system()).unwrap();
    let handle = key.handle(task(1));
    assert_eq!(handle.expose().len(), 43);
    assert!(!format!("{handle:?}{key:?}").contains(handle.expose()));
}

#[test]
fn a_key_file_that_holds_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [("short", "ab".to_owned()), ("letters", "xy".repeat(32)), ("long", "ab".repeat(40))] {
        let path = dir.path().join(name);
        crate::entropy::secret_file::create(&path, content.as_bytes()).unwrap();
        let loaded = HandleKey::load_or_create(&path, &Entropy::system());
        assert!(matches!(loaded, Err(SealError::NotAKey { .. })), "{name}");
    }
}
