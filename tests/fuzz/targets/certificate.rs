//! Bytes as a certificate, and its identity: a leaf that is accepted names a workload, and what is shown of a refused one is
//! short and printable.
#![no_main]

use carnet::identity::svid::{SHOWN_BYTES_MAX, ShownIdentity, read_leaf};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let shown = ShownIdentity::of(bytes);
    if let Some(shown) = &shown {
        assert!(shown.as_str().len() <= SHOWN_BYTES_MAX && shown.as_str().bytes().all(|b| b.is_ascii_graphic() || b == b' '));
    }
    if let Ok(leaf) = read_leaf(bytes) {
        assert!(!leaf.spiffe_id.path().is_empty());
        assert!(leaf.spiffe_id.as_str().starts_with(&shown.unwrap().as_str()[..16]));
    }
});
