//! Certificates with one defect each, every one beside a control that differs in nothing else and is accepted.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::Shape;
use carnet::identity::error::{HandshakeError, SvidError};
use carnet::model::reason::ReasonCode;
use carnet::model::time::Timestamp;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::support::pki::{DOMAIN, FOREIGN, HOUR, Outcome, Pki, client_config, foreign_id, id, present, present_with};

/// Which rule a certificate breaks.
fn broken_rule(outcome: &Outcome) -> Option<(&SvidError, ReasonCode)> {
    match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(refusal) => match &refusal.error {
            HandshakeError::Svid(error) => Some((error, refusal.reason())),
            other => panic!("refused for another reason: {other:?}"),
        },
    }
}

type Spoil = fn(&mut Shape, Timestamp);
type Rule = fn(&SvidError) -> bool;

/// Each row: a name, what is wrong, the rule that it breaks, and the reason code.
const DEFECTS: &[(&str, Spoil, Rule, ReasonCode)] = &[
    (
        "two SPIFFE IDs",
        |s, _| s.uris.push(format!("spiffe://{DOMAIN}/other")),
        |e| matches!(e, SvidError::SeveralUriSans),
        ReasonCode::SvidInvalid,
    ),
    (
        "a second URI SAN of another scheme",
        |s, _| s.uris.push("https://example.org/".into()),
        |e| matches!(e, SvidError::SeveralUriSans),
        ReasonCode::SvidInvalid,
    ),
    (
        "a second URI SAN before the SPIFFE ID",
        |s, _| s.uris.insert(0, "urn:a".into()),
        |e| matches!(e, SvidError::SeveralUriSans),
        ReasonCode::SvidInvalid,
    ),
    (
        "the same SPIFFE ID twice",
        |s, _| s.uris.push(s.uris[0].clone()),
        |e| matches!(e, SvidError::SeveralUriSans),
        ReasonCode::SvidInvalid,
    ),
    ("no SAN", |s, _| s.uris.clear(), |e| matches!(e, SvidError::NoUriSan), ReasonCode::SvidInvalid),
    (
        "only a DNS SAN",
        |s, _| {
            s.uris.clear();
            s.dns_names.push("example.org".into());
        },
        |e| matches!(e, SvidError::NoUriSan),
        ReasonCode::SvidInvalid,
    ),
    (
        "the SPIFFE ID in the common name alone",
        |s, _| s.common_name = s.uris.pop(),
        |e| matches!(e, SvidError::NoUriSan),
        ReasonCode::SvidInvalid,
    ),
    (
        "a URI SAN of another scheme",
        |s, _| s.uris = vec!["https://example.org/agent".into()],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "no path",
        |s, _| s.uris = vec![format!("spiffe://{DOMAIN}")],
        |e| matches!(e, SvidError::NoPath),
        ReasonCode::SvidInvalid,
    ),
    (
        "an empty path",
        |s, _| s.uris = vec![format!("spiffe://{DOMAIN}/")],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "an upper-case trust domain",
        |s, _| s.uris = vec!["spiffe://EXAMPLE.org/agent".into()],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "an upper-case scheme",
        |s, _| s.uris = vec!["SPIFFE://example.org/agent".into()],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    ("a query", |s, _| s.uris[0].push_str("?a=b"), |e| matches!(e, SvidError::SpiffeId(_)), ReasonCode::SvidInvalid),
    ("a fragment", |s, _| s.uris[0].push_str("#a"), |e| matches!(e, SvidError::SpiffeId(_)), ReasonCode::SvidInvalid),
    (
        "a port",
        |s, _| s.uris = vec![format!("spiffe://{DOMAIN}:443/agent")],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "a user",
        |s, _| s.uris = vec![format!("spiffe://root@{DOMAIN}/agent")],
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "percent-encoding",
        |s, _| s.uris[0].push_str("%2F"),
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "a dot segment",
        |s, _| s.uris[0].push_str("/../carnet"),
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "a slash at the end",
        |s, _| s.uris[0].push('/'),
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "a SPIFFE ID of more than 2048 bytes",
        |s, _| s.uris[0].push_str(&"a".repeat(2048)),
        |e| matches!(e, SvidError::SpiffeId(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "a certificate authority",
        |s, _| s.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        |e| matches!(e, SvidError::CertificateAuthority),
        ReasonCode::SvidInvalid,
    ),
    (
        "no basic constraints",
        |s, _| s.is_ca = IsCa::NoCa,
        |e| matches!(e, SvidError::NoBasicConstraints),
        ReasonCode::SvidInvalid,
    ),
    ("no key usage", |s, _| s.key_usages.clear(), |e| matches!(e, SvidError::NoKeyUsage), ReasonCode::SvidInvalid),
    (
        "keyCertSign",
        |s, _| s.key_usages.push(KeyUsagePurpose::KeyCertSign),
        |e| matches!(e, SvidError::SigningKeyUsage),
        ReasonCode::SvidInvalid,
    ),
    (
        "cRLSign",
        |s, _| s.key_usages.push(KeyUsagePurpose::CrlSign),
        |e| matches!(e, SvidError::SigningKeyUsage),
        ReasonCode::SvidInvalid,
    ),
    (
        "no digitalSignature",
        |s, _| s.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
        |e| matches!(e, SvidError::NoDigitalSignature),
        ReasonCode::SvidInvalid,
    ),
    (
        "extended key usage of a server only",
        |s, _| s.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        |e| matches!(e, SvidError::Chain(_)),
        ReasonCode::SvidInvalid,
    ),
    (
        "expired",
        |s, now| {
            s.not_before = Timestamp::from_secs(now.as_secs() - 100);
            s.not_after = Timestamp::from_secs(now.as_secs() - 1);
        },
        |e| matches!(e, SvidError::Expired),
        ReasonCode::SvidExpired,
    ),
    (
        "not yet valid",
        |s, now| s.not_before = now.after(Duration::from_secs(60)),
        |e| matches!(e, SvidError::NotYetValid),
        ReasonCode::SvidInvalid,
    ),
    (
        "a trust domain that is not accepted",
        |s, _| s.uris = vec![format!("spiffe://{FOREIGN}/agent")],
        |e| matches!(e, SvidError::TrustDomainNotAccepted(_)),
        ReasonCode::TrustDomainUnknown,
    ),
];

#[tokio::test]
async fn each_defect_is_refused_for_its_own_reason() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    for (name, spoil, is_broken, reason) in DEFECTS {
        let control = pki.shape("/agent");
        let mut spoilt = control.clone();
        spoil(&mut spoilt, pki.now());

        let accepted = present(&trust, &pki.ca.issue_shaped(&control).unwrap()).await;
        assert!(broken_rule(&accepted).is_none(), "the control of `{name}` is refused");

        let refused = present(&trust, &pki.ca.issue_shaped(&spoilt).unwrap()).await;
        let (rule, told) = broken_rule(&refused).unwrap_or_else(|| panic!("`{name}` is accepted"));
        assert!(is_broken(rule), "`{name}` is refused because {rule}");
        assert_eq!(told, *reason, "{name}");
    }
}

#[tokio::test]
async fn what_an_svid_may_have_besides_is_accepted() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let may: &[(&str, Spoil)] = &[
        ("DNS SANs", |s, _| s.dns_names = vec!["a.example.org".into(), "b.example.org".into()]),
        ("a subject", |s, _| s.common_name = Some("agent".into())),
        ("no extended key usage", |s, _| s.extended_key_usages.clear()),
        ("extended key usage of a client only", |s, _| {
            s.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
        ("keyEncipherment and keyAgreement", |s, _| {
            s.key_usages.extend([KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyAgreement]);
        }),
        ("a SPIFFE ID of 2048 bytes", |s, _| {
            let left = 2048 - s.uris[0].len();
            s.uris[0].push_str(&"a".repeat(left));
        }),
    ];
    for (name, change) in may {
        let mut shape = pki.shape("/agent");
        change(&mut shape, pki.now());
        let outcome = present(&trust, &pki.ca.issue_shaped(&shape).unwrap()).await;
        assert!(broken_rule(&outcome).is_none(), "{name}: {:?}", broken_rule(&outcome));
    }
}

#[tokio::test]
async fn a_refusal_tells_what_was_shown_and_keeps_it_printable() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let shown = async |uris: Vec<String>| {
        let mut shape = pki.shape("/agent");
        shape.uris = uris;
        match present(&trust, &pki.foreign.issue_shaped(&shape).unwrap()).await {
            Outcome::Refused(refusal) => refusal.shown.map(|shown| shown.as_str().to_owned()),
            Outcome::Accepted(peer) => panic!("{peer:?} is accepted"),
        }
    };
    assert_eq!(shown(vec![id("/carnet").to_string()]).await.unwrap(), id("/carnet").to_string());
    assert_eq!(shown(vec!["urn:a".into(), "urn:b".into()]).await.unwrap(), "urn:a urn:b");
    assert_eq!(shown(vec!["spiffe://a/\n\u{1b}[31mforged".into()]).await.unwrap(), "spiffe://a/\\n\\u{1b}[31mforged");
    assert_eq!(shown(vec!["x".repeat(10_000)]).await.unwrap().len(), 512);
    assert_eq!(shown(Vec::new()).await, None);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let Outcome::Refused(refusal) = present_with(&trust, client_config(None)).await else { panic!("it is accepted") };
    assert!(matches!(refusal.error, HandshakeError::NoCertificate), "{:?}", refusal.error);
    assert_eq!(refusal.reason(), ReasonCode::Unauthenticated);
    assert_eq!(refusal.shown, None);
}

#[tokio::test]
async fn a_client_that_does_not_speak_http2_is_refused() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let mut config = client_config(Some(&pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap()));
    config.alpn_protocols.clear();
    let Outcome::Refused(refusal) = present_with(&trust, config).await else { panic!("it is accepted") };
    assert!(matches!(refusal.error, HandshakeError::Protocol), "{:?}", refusal.error);
}

/// The certificate authority of the other trust domain signs for ours, and ours signs for it, while both are trusted.
#[tokio::test]
async fn roots_are_not_pooled() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[Arc::clone(&pki.foreign)], &[DOMAIN, FOREIGN]).await;
    let ours_by_them = pki.foreign.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    let theirs_by_us = pki.ca.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap();
    for forged in [ours_by_them, theirs_by_us] {
        let outcome = present(&trust, &forged).await;
        assert!(matches!(broken_rule(&outcome), Some((SvidError::Chain(_), ReasonCode::SvidInvalid))), "{forged:?}");
    }
    let ours = pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    let theirs = pki.foreign.issue(&foreign_id("/agent"), pki.now(), HOUR).unwrap();
    for genuine in [ours, theirs] {
        assert!(broken_rule(&present(&trust, &genuine).await).is_none(), "{genuine:?}");
    }
}

#[tokio::test]
async fn a_chain_through_an_intermediate_is_held_to_the_rules_of_authorities() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let issue = |ca: &carnet::dev::ca::DevCa| ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();

    let sound = pki.ca.intermediate(pki.now(), HOUR).unwrap();
    assert!(broken_rule(&present(&trust, &issue(&sound)).await).is_none());
    let below = sound.intermediate(pki.now(), HOUR).unwrap();
    assert!(broken_rule(&present(&trust, &issue(&below)).await).is_none());

    // rustls-webpki does not look at key usage, so this one is ours alone.
    let cannot_sign = |params: &mut rcgen::CertificateParams| params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let cannot_sign = pki.ca.intermediate_shaped(pki.now(), HOUR, cannot_sign).unwrap();
    let no_authority = |params: &mut rcgen::CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let no_authority = pki.ca.intermediate_shaped(pki.now(), HOUR, no_authority).unwrap();
    let constrained = |params: &mut rcgen::CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let too_deep = pki.ca.intermediate_shaped(pki.now(), HOUR, constrained).unwrap();
    let too_deep = too_deep.intermediate(pki.now(), HOUR).unwrap();
    let without = {
        let mut svid = issue(&sound);
        svid.chain.truncate(1);
        svid
    };
    for (name, svid) in [
        ("an intermediate that may not sign", issue(&cannot_sign)),
        ("an intermediate that is no authority", issue(&no_authority)),
        ("a path longer than allowed", issue(&too_deep)),
        ("a missing intermediate", without),
    ] {
        let outcome = present(&trust, &svid).await;
        assert!(matches!(broken_rule(&outcome), Some((SvidError::Chain(_), _))), "{name}: {:?}", broken_rule(&outcome));
    }
}

#[tokio::test]
async fn a_chain_has_a_greatest_length() {
    let pki = Pki::new();
    let (_api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let mut svid = pki.ca.issue(&id("/agent"), pki.now(), HOUR).unwrap();
    svid.chain.extend(std::iter::repeat_n(pki.ca.root().clone(), 7));
    assert!(broken_rule(&present(&trust, &svid).await).is_none());
    svid.chain.push(pki.ca.root().clone());
    assert!(matches!(broken_rule(&present(&trust, &svid).await), Some((SvidError::ChainTooLong, _))));
}

/// Our verifier stands in for that of `spiffe-rustls`, so it must refuse at least what that one refuses.
#[tokio::test]
async fn whatever_spiffe_rustls_refuses_is_refused() {
    let pki = Pki::new();
    let (api, trust) = pki.trust(&[], &[DOMAIN]).await;
    let source = spiffe::X509Source::builder().endpoint(api.endpoint()).build().await.unwrap();
    let allowed = spiffe_rustls::AllowList([spiffe::TrustDomain::new(DOMAIN).unwrap()].into());
    let reference = spiffe_rustls::mtls_server(source).trust_domain_policy(allowed).build().unwrap();
    let reference = tokio_rustls::TlsAcceptor::from(Arc::new(reference));
    let mut both_refuse = 0;
    for (name, spoil, _, _) in DEFECTS {
        let mut shape = pki.shape("/agent");
        spoil(&mut shape, pki.now());
        let svid = pki.ca.issue_shaped(&shape).unwrap();
        let (near, far) = tokio::io::duplex(64 << 10);
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(Some(&svid))));
        let server_name = rustls_pki_types::ServerName::try_from("carnet.test").unwrap();
        let (theirs, _) = tokio::join!(reference.accept(far), connector.connect(server_name, near));
        let ours = present(&trust, &svid).await;
        if theirs.is_err() {
            assert!(broken_rule(&ours).is_some(), "`{name}` is refused by spiffe-rustls and accepted here");
            both_refuse += 1;
        }
    }
    assert!(both_refuse > DEFECTS.len() / 2, "the comparison compares nothing");
}
