//! The reader of certificates: what cannot be read is refused, and never a panic.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::dev::ca::{DevCa, Shape};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

fn issued() -> Vec<u8> {
    let ca = DevCa::new("example.org".parse().unwrap(), now(), HOUR).unwrap();
    ca.issue(&"spiffe://example.org/agent".parse().unwrap(), now(), HOUR).unwrap().chain[0].to_vec()
}

#[test]
fn a_leaf_is_read() {
    let leaf = read_leaf(&issued()).unwrap();
    assert_eq!(leaf.spiffe_id.as_str(), "spiffe://example.org/agent");
    assert_eq!(leaf.not_after, now().after(HOUR));
    assert!(leaf.not_before < now());
}

#[test]
fn nothing_may_follow_a_certificate() {
    let der = issued();
    assert_eq!(read_leaf(&[der.as_slice(), &[0]].concat()), Err(SvidError::Malformed));
    assert_eq!(read_leaf(&[der.clone(), der.clone()].concat()), Err(SvidError::Malformed));
    for end in 0..der.len() {
        assert_eq!(read_leaf(&der[..end]), Err(SvidError::Malformed), "{end}");
    }
}

#[test]
fn who_may_issue_is_told_from_who_may_not() {
    let ca = DevCa::new("example.org".parse().unwrap(), now(), HOUR).unwrap();
    assert!(may_issue(ca.root()) && is_authority(ca.root()));
    let leaf = issued();
    assert!(!may_issue(&leaf) && !is_authority(&leaf));
    // RFC 5280 §6.1.4 (n): without key usage it may issue; that it is no authority is for the path's basic constraints to say.
    let mut shape = Shape::svid(&"spiffe://example.org/agent".parse().unwrap(), now(), HOUR);
    shape.key_usages.clear();
    let bare = ca.issue_shaped(&shape).unwrap().chain[0].to_vec();
    assert!(may_issue(&bare) && !is_authority(&bare));
    assert!(!may_issue(b"") && !is_authority(b""));
}

proptest! {
    #[test]
    fn a_spoilt_certificate_is_refused_or_read_but_never_a_panic(at in 0_usize..600, to in any::<u8>()) {
        let mut der = issued();
        let at = at % der.len();
        der[at] = to;
        let _read_or_not = read_leaf(&der);
        let _shown_or_not = ShownIdentity::of(&der);
        let _either = (may_issue(&der), is_authority(&der), validity(&der));
    }

    #[test]
    fn noise_is_refused(der in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(read_leaf(&der), Err(SvidError::Malformed));
        prop_assert!(ShownIdentity::of(&der).is_none());
    }
}
