//! Callers who showed a token and proved no key: what it takes to grant them anything.

use super::*;

#[test]
fn a_caller_who_proved_no_key_is_granted_only_by_a_permit_that_says_so() {
    let shown = |tools: &[&str]| {
        let mut facts = facts(tools);
        facts.principal.authentication = Authentication::JwtSvid;
        facts
    };
    let low = || in_band(Band::Low);
    let denied = decide_at(shipped(), &shown(&["tickets.read"]), low());
    assert_eq!((denied.outcome, codes(&denied), denied.unbound), (Outcome::Denied, vec!["KEY_NOT_PROVEN"], false));

    let opted = load(&[(
        "90-unbound.cedar",
        "@id(\"unbound-read\") @unbound(\"45s\") permit (principal, action == Carnet::Action::\"read\", resource) \
         when { context.caller.authentication == \"jwt_svid\" };",
    )]);
    let granted = decide_at(&opted, &shown(&["tickets.read"]), low());
    assert_eq!((granted.outcome, granted.unbound, granted.ttl_max.as_secs()), (Outcome::Granted, true, 45));
    assert_eq!(granted.policies, ["unbound-read".parse().unwrap()], "other permits are none for it");
    // It opens nothing else, and changes nothing for who proved a key.
    assert_eq!(codes(&decide_at(&opted, &shown(&["mail.send"]), low())), ["KEY_NOT_PROVEN"]);
    let bound = decide_at(&opted, &facts(&["tickets.read"]), low());
    let usual = decide_at(shipped(), &facts(&["tickets.read"]), low());
    assert_eq!((bound.outcome, bound.unbound, bound.ttl_max), (usual.outcome, false, usual.ttl_max));
    // Neither of those whom no permit could mean.
    for authentication in [Authentication::Oidc, Authentication::Unix] {
        let mut facts = facts(&["tickets.read"]);
        facts.principal.authentication = authentication;
        assert_eq!(codes(&decide_at(&opted, &facts, low())).first(), Some(&"KEY_NOT_PROVEN"), "{authentication:?}");
    }
}

#[test]
fn how_somebody_proved_himself_never_makes_an_outcome_milder() {
    for tool in ["tickets.read", "mail.send", "files.write"] {
        for band in [Band::Low, Band::Elevated, Band::High, Band::Critical] {
            let bound = facts(&[tool]);
            let mut shown = bound.clone();
            shown.principal.authentication = Authentication::JwtSvid;
            let of = |facts: &Facts| decide_at(shipped(), facts, in_band(band)).outcome;
            assert!(of(&shown) >= of(&bound), "{tool} {band}");
        }
    }
}
