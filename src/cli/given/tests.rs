//! Times as people write them.

use super::*;

#[test]
fn a_time_is_a_moment_or_a_span_from_now() {
    assert!(matches!(when("30m").unwrap(), When::In(span) if span.as_secs() == 1800));
    let When::At(at) = when("2027-01-31T12:00:00.250Z").unwrap() else { panic!("a span") };
    assert_eq!(rfc3339(at), "2027-01-31T12:00:00.25Z");
    assert_eq!(wire_time(at).nanos, 250_000_000);
    for text in ["", "soon", "-5m", "1960-01-01T00:00:00Z", "2027-01-31", "30 m"] {
        assert!(when(text).is_err(), "{text}");
    }
}

#[test]
fn request_ids_are_chosen_or_made() {
    assert_eq!(request_id(Some("mine")).unwrap(), "mine");
    assert_ne!(request_id(None).unwrap(), request_id(None).unwrap());
}

#[test]
fn text_stands_in_place_or_in_a_file() {
    assert_eq!(text("{\"a\":1}").unwrap(), "{\"a\":1}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arguments.json");
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(text(&format!("@{}", path.display())).unwrap(), "{}");
    assert!(text("@/nowhere/at/all").is_err());
}

#[test]
fn a_secret_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handle");
    keep_secret(&path, "s3cret").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kept_secret(&path).unwrap().as_str(), "s3cret");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(kept_secret(&path).is_err());
}
