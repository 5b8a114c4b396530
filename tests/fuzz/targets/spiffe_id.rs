//! A text as a SPIFFE ID: what is accepted has one spelling, within the limits of the standard.
#![no_main]

use carnet::model::limits::{SPIFFE_ID_BYTES_MAX, TRUST_DOMAIN_BYTES_MAX};
use carnet::model::spiffe_id::SpiffeId;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(id) = text.parse::<SpiffeId>() else { return };
    assert_eq!(id.as_str(), text);
    assert!(text.len() <= SPIFFE_ID_BYTES_MAX && id.trust_domain_name().len() <= TRUST_DOMAIN_BYTES_MAX);
    assert_eq!(format!("spiffe://{}{}", id.trust_domain_name(), id.path()), text);
    assert!(!id.trust_domain_name().bytes().any(|b| b.is_ascii_uppercase()));
    assert!(text.bytes().all(|b| b.is_ascii_graphic() && !b"%?#@\\".contains(&b)));
    assert!(id.path().split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")));
});
