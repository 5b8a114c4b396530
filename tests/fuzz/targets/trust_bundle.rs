//! Bytes as the trust bundle of a trust domain, either kind. As JWT authorities every entry is either a key that can verify or left
//! out; as X.509 authorities it is certificates, one behind the other, or nothing.
#![no_main]

use carnet::identity::jwt_svid::{JwtAuthorities, parse_authorities};
use carnet::identity::svid::certificates;
use carnet::jose::key_set::KEYS_MAX;

libfuzzer_sys::fuzz_target!(|bundle: &[u8]| {
    if let Some(read) = certificates(bundle) {
        assert_eq!(read.concat(), bundle);
    }
    let Ok(text) = std::str::from_utf8(bundle) else { return };
    let known = JwtAuthorities::of([("a.test".parse().unwrap(), text)]);
    match parse_authorities(text) {
        Ok(set) => {
            assert!(set.len() <= KEYS_MAX);
            assert_eq!(known.trust_domains().count(), usize::from(!set.is_empty()));
        }
        Err(_) => assert_eq!(known.trust_domains().count(), 0),
    }
});
