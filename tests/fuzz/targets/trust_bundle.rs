//! A text as the JWT authorities of a trust domain: every entry is either a key that can verify or left out.
#![no_main]

use carnet::identity::jwt_svid::{JwtAuthorities, parse_authorities};
use carnet::jose::key_set::KEYS_MAX;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let known = JwtAuthorities::of([("a.test".parse().unwrap(), text)]);
    match parse_authorities(text) {
        Ok(set) => {
            assert!(set.len() <= KEYS_MAX);
            assert_eq!(known.trust_domains().count(), usize::from(!set.is_empty()));
        }
        Err(_) => assert_eq!(known.trust_domains().count(), 0),
    }
});
