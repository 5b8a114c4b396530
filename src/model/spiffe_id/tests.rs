//! The rules of SPIFFE-ID §2, each with its refusal beside a positive control.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn every_rule_of_the_standard_has_its_refusal() {
    use ParseSpiffeIdError as E;
    let cases = [
        ("Spiffe://td/a", E::Scheme),
        ("https://td/a", E::Scheme),
        ("", E::Scheme),
        ("spiffe://", E::TrustDomainEmpty),
        ("spiffe:///a", E::TrustDomainEmpty),
        ("spiffe://TD/a", E::TrustDomainCharacter),
        ("spiffe://td:80/a", E::TrustDomainCharacter),
        ("spiffe://user@td/a", E::TrustDomainCharacter),
        ("spiffe://[::1]/a", E::TrustDomainCharacter),
        ("spiffe://t%64/a", E::TrustDomainCharacter),
        ("spiffe://td?q", E::TrustDomainCharacter),
        ("spiffe://td/", E::PathEmptySegment),
        ("spiffe://td/a/", E::PathEmptySegment),
        ("spiffe://td//a", E::PathEmptySegment),
        ("spiffe://td/./a", E::PathDotSegment),
        ("spiffe://td/a/..", E::PathDotSegment),
        ("spiffe://td/a%20b", E::PathCharacter),
        ("spiffe://td/a?q", E::PathCharacter),
        ("spiffe://td/a#f", E::PathCharacter),
        ("spiffe://td/ä", E::PathCharacter),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<SpiffeId>().unwrap_err(), error, "{text}");
    }
    let long = format!("spiffe://td/{}", "a".repeat(2048));
    assert_eq!(long.parse::<SpiffeId>().unwrap_err(), E::TooLong);
    let domain = format!("spiffe://{}/a", "a".repeat(256));
    assert_eq!(domain.parse::<SpiffeId>().unwrap_err(), E::TrustDomainTooLong);
    for good in
        ["spiffe://td", "spiffe://td/a", "spiffe://1.2.3.4/a/B_c-d.e", "spiffe://t_d-x.y/...", "spiffe://td/..."]
    {
        assert!(good.parse::<SpiffeId>().is_ok(), "{good}");
    }
}

#[test]
fn parts_are_where_they_should_be() {
    let id: SpiffeId = "spiffe://example.org/ns/a".parse().unwrap();
    assert_eq!((id.trust_domain_name(), id.path()), ("example.org", "/ns/a"));
    let root: SpiffeId = "spiffe://example.org".parse().unwrap();
    assert_eq!((root.trust_domain_name(), root.path()), ("example.org", ""));
}

proptest! {
    #[test]
    fn parsing_never_panics_and_round_trips(s in "(spiffe://)?[a-zA-Z0-9./_%:@#?-]{0,60}") {
        if let Ok(id) = s.parse::<SpiffeId>() {
            prop_assert_eq!(id.to_string(), s);
        }
    }
}
