//! X.509-SVIDs: certificates in Base64 of their DER, leaf first, beside the trust bundles that they are held against.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet::dev::ca::{CaError, DevCa, IssuedSvid, Shape};
use carnet::model::spiffe_id::{SpiffeId, TrustDomain};
use carnet::model::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

use super::rsa;

/// The beginning of 2026, and a life that outlasts whoever reads this.
const BEGAN: Timestamp = Timestamp::from_secs(1_767_225_600);
const LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate is wrong in one way.
type Spoil = fn(&mut Shape);

/// Shapes of a leaf: name, section of X509-SVID, what is otherwise, and the error that there is to be.
const SHAPES: &[(&str, &str, Spoil, Option<&str>)] = &[
    ("control", "5.2", |_| {}, None),
    ("control: SANs of other kinds", "2", |s| s.dns_names.push("agent.a.test".into()), None),
    ("control: a subject", "4.2", |s| s.common_name = Some("agent".into()), None),
    ("control: no extended key usage", "4.4", |s| s.extended_key_usages.clear(), None),
    (
        "control: key encipherment and agreement",
        "4.3",
        |s| {
            s.key_usages.extend([KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyAgreement]);
        },
        None,
    ),
    ("no URI SAN", "2", |s| s.uris.clear(), Some("NoUriSan")),
    (
        "the SPIFFE ID in a DNS SAN alone",
        "2",
        |s| {
            s.uris.clear();
            s.dns_names.push("a.test".into());
        },
        Some("NoUriSan"),
    ),
    ("the SPIFFE ID in the subject alone", "2", |s| s.common_name = s.uris.pop(), Some("NoUriSan")),
    ("two SPIFFE IDs", "2", |s| s.uris.push("spiffe://a.test/other".into()), Some("SeveralUriSans")),
    ("the same SPIFFE ID twice", "2", |s| s.uris.push("spiffe://a.test/agent".into()), Some("SeveralUriSans")),
    ("a URI SAN of another scheme after it", "2", |s| s.uris.push("https://a.test/".into()), Some("SeveralUriSans")),
    ("a URI SAN of another scheme before it", "2", |s| s.uris.insert(0, "urn:a".into()), Some("SeveralUriSans")),
    ("another scheme", "5.2", |s| s.uris = vec!["https://a.test/agent".into()], Some("SpiffeId Scheme")),
    ("no path", "5.2", |s| s.uris = vec!["spiffe://a.test".into()], Some("NoPath")),
    ("an empty path", "5.2", |s| s.uris = vec!["spiffe://a.test/".into()], Some("SpiffeId PathEmptySegment")),
    (
        "a trust domain in upper case",
        "5.2",
        |s| s.uris = vec!["spiffe://A.test/agent".into()],
        Some("SpiffeId TrustDomainCharacter"),
    ),
    ("percent-encoding", "5.2", |s| s.uris = vec!["spiffe://a.test/%61gent".into()], Some("SpiffeId PathCharacter")),
    (
        "a certificate authority",
        "5.2",
        |s| s.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Some("CertificateAuthority"),
    ),
    (
        "key usage to sign certificates",
        "5.2",
        |s| s.key_usages.push(KeyUsagePurpose::KeyCertSign),
        Some("SigningKeyUsage"),
    ),
    (
        "key usage to sign revocation lists",
        "5.2",
        |s| s.key_usages.push(KeyUsagePurpose::CrlSign),
        Some("SigningKeyUsage"),
    ),
    ("expired", "5.1", |s| s.not_after = BEGAN.after(MONTH), Some("Expired")),
    ("not valid yet", "5.1", |s| s.not_before = BEGAN.after(LIFE - MONTH), Some("NotYetValid")),
    ("control: an extension that nobody knows", "5.1", |s| s.extensions.push(unknown(false)), None),
    (
        "a critical extension that nobody knows",
        "5.1",
        |s| s.extensions.push(unknown(true)),
        Some("Chain UnsupportedCriticalExtension"),
    ),
    (
        "control: critical extended key usage",
        "4.4",
        |s| {
            s.extended_key_usages.clear();
            s.extensions.push(extension(EXTENDED_KEY_USAGE, SERVER_AND_CLIENT, true));
        },
        None,
    ),
    (
        "control: the SAN not critical, beside a subject",
        "4.2",
        |s| {
            s.common_name = Some("agent".into());
            san(s, false);
        },
        None,
    ),
    ("control: the SAN critical, without a subject", "4.2", |s| san(s, true), None),
    ("the SAN not critical, without a subject", "4.2", |s| san(s, false), Some("SanNotCritical")),
    // Stricter than §5.2, as §4 wants it of whoever issues.
    ("no basic constraints", "4.1", |s| s.is_ca = IsCa::NoCa, Some("NoBasicConstraints")),
    ("no key usage", "4.3", |s| s.key_usages.clear(), Some("NoKeyUsage")),
    (
        "key usage not critical",
        "4.3",
        |s| {
            s.key_usages.clear();
            s.extensions.push(extension(KEY_USAGE, DIGITAL_SIGNATURE, false));
        },
        Some("KeyUsageNotCritical"),
    ),
    (
        "key usage without digital signature",
        "4.3",
        |s| s.key_usages = vec![KeyUsagePurpose::KeyAgreement],
        Some("NoDigitalSignature"),
    ),
    (
        "extended key usage of code alone",
        "4.4",
        |s| s.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        Some("Chain InvalidPurposeContext"),
    ),
];

/// X509-SVID §4.4 wants both purposes of whoever issues and nothing of whoever verifies: each is good for its own part alone.
const ONE_SIDED: &[(&str, &str, ExtendedKeyUsagePurpose, Option<&str>)] = &[
    ("control: extended key usage of clients alone, by a client", "client", ExtendedKeyUsagePurpose::ClientAuth, None),
    ("control: extended key usage of servers alone, by a server", "server", ExtendedKeyUsagePurpose::ServerAuth, None),
    (
        "extended key usage of servers alone, by a client",
        "client",
        ExtendedKeyUsagePurpose::ServerAuth,
        Some("Chain InvalidPurposeContext"),
    ),
    (
        "extended key usage of clients alone, by a server",
        "server",
        ExtendedKeyUsagePurpose::ClientAuth,
        Some("Chain InvalidPurposeContext"),
    ),
];

/// Name constraints of an intermediate (RFC 5280 §4.2.1.10) above a leaf with the DNS SAN `agent.a.test`: name, the kind of list,
/// the kind of name, the name, and the error that there is to be. Those on URIs are not understood, and refused whatever they
/// say, as the RFC allows.
const CONSTRAINTS: &[(&str, u8, u8, &str, Option<&str>)] = &[
    ("control: name constraints that permit its DNS name", PERMITTED, DNS, "a.test", None),
    ("control: name constraints that exclude other DNS names", EXCLUDED, DNS, "b.test", None),
    ("name constraints that permit other DNS names", PERMITTED, DNS, "b.test", Some("Chain NameConstraintViolation")),
    ("name constraints that exclude its DNS name", EXCLUDED, DNS, "a.test", Some("Chain NameConstraintViolation")),
    ("name constraints that permit other URIs", PERMITTED, URI, "b.test", Some("Chain NameConstraintViolation")),
    ("name constraints that exclude its URI", EXCLUDED, URI, "a.test", Some("Chain NameConstraintViolation")),
    ("name constraints on URIs at all", PERMITTED, URI, "a.test", Some("Chain NameConstraintViolation")),
];
/// The tags of `permittedSubtrees` and `excludedSubtrees`, and those of names.
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const DIGITAL_SIGNATURE: &[u8] = &[0x03, 0x02, 0x07, 0x80];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const SERVER_AND_CLIENT: &[u8] =
    b"\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
const SUBJECT_ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];
const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
/// Of an arc that is free for examples (RFC 5612).
const UNKNOWN: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 1];

fn extension(oid: &[u64], content: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

fn unknown(critical: bool) -> CustomExtension {
    extension(UNKNOWN, &[0x05, 0x00], critical)
}

/// Something short in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or_default();
    [&[tag, length], content].concat()
}

/// The URI SANs as an extension that is critical or not, whatever the subject is.
fn san(shape: &mut Shape, critical: bool) {
    let names: Vec<u8> = shape.uris.drain(..).flat_map(|uri| der(URI, uri.as_bytes())).collect();
    shape.extensions.push(extension(SUBJECT_ALTERNATIVE_NAME, &der(0x30, &names), critical));
}

fn constraint(list: u8, kind: u8, name: &str) -> CustomExtension {
    let subtree = der(0x30, &der(kind, name.as_bytes()));
    extension(NAME_CONSTRAINTS, &der(0x30, &der(list, &subtree)), true)
}

fn ca(name: &str) -> Result<DevCa, Box<dyn Error>> {
    Ok(DevCa::new(name.parse::<TrustDomain>()?, BEGAN, LIFE)?)
}

fn shape() -> Result<Shape, Box<dyn Error>> {
    Ok(Shape::svid(&"spiffe://a.test/agent".parse::<SpiffeId>()?, BEGAN, LIFE - MONTH))
}

pub(crate) fn vectors() -> Result<Value, Box<dyn Error>> {
    let (own, other, unknown, address) = (ca("a.test")?, ca("b.test")?, ca("c.test")?, ca("10.0.0.1")?);
    let mut cases = Vec::new();
    let mut push = |name: &str, rule: &str, svid: &IssuedSvid, error: Option<&str>| {
        cases.push(case(name, rule, svid, error));
    };
    for (name, rule, spoil, error) in SHAPES {
        let mut shape = shape()?;
        spoil(&mut shape);
        let mut svid = own.issue_shaped(&shape)?;
        if shape.uris.is_empty() && error.is_none() {
            svid.spiffe_id = "spiffe://a.test/agent".to_owned();
        }
        push(name, &format!("X509-SVID §{rule}"), &svid, *error);
    }
    let mut long = shape()?;
    let head = "spiffe://a.test/";
    long.uris = vec![format!("{head}{}", "a".repeat(2048 - head.len()))];
    push("control: a SPIFFE ID of 2048 bytes", "SPIFFE-ID §2.3", &own.issue_shaped(&long)?, None);
    for uri in &mut long.uris {
        uri.push('a');
    }
    push("a SPIFFE ID of 2049 bytes", "SPIFFE-ID §2.3", &own.issue_shaped(&long)?, Some("SpiffeId TooLong"));
    let mut numbers = shape()?;
    numbers.uris = vec!["spiffe://10.0.0.1/agent".into()];
    push(
        "control: a trust domain that looks like an address",
        "SPIFFE-ID §2.1",
        &address.issue_shaped(&numbers)?,
        None,
    );

    paths(&own, &mut push)?;
    let path = "X509-SVID §5.1";
    let (root, chains) = rsa::chains(BEGAN, BEGAN.after(LIFE - MONTH))?;
    for (name, svid, error) in &chains {
        push(name, path, svid, *error);
    }

    // Trust domains: roots are not pooled (Workload API §4.6, Federation §4.2).
    let federation = "Federation §4.2";
    push("control: of a federated trust domain", federation, &of(&other, "spiffe://b.test/agent")?, None);
    let nobody = Some("Chain UnknownIssuer");
    push("by another trust domain's authority", federation, &of(&other, "spiffe://a.test/agent")?, nobody);
    push("of another trust domain, by ours", federation, &of(&own, "spiffe://b.test/agent")?, nobody);
    let without = Some("NoTrustBundle");
    push("of a trust domain without a bundle", federation, &of(&unknown, "spiffe://c.test/agent")?, without);
    push("of a trust domain without a bundle, by ours", federation, &of(&own, "spiffe://c.test/agent")?, without);
    let over = DevCa::new("over.test".parse()?, BEGAN, MONTH)?;
    push("by an authority that is over", path, &of(&over, "spiffe://over.test/agent")?, without);
    let early = DevCa::new("early.test".parse()?, BEGAN.after(LIFE - MONTH), MONTH)?;
    push("by an authority that is not valid yet", path, &of(&early, "spiffe://early.test/agent")?, without);

    let mut root_itself = of(&own, "spiffe://a.test/agent")?;
    root_itself.chain = vec![own.root().clone()];
    push("the authority itself", "X509-SVID §5.2", &root_itself, Some("NoPath"));
    let named = own.intermediate_shaped(BEGAN, LIFE, |p| {
        p.subject_alt_names = "spiffe://a.test/agent".try_into().map(SanType::URI).into_iter().collect();
    })?;
    let mut named = of(&named, "spiffe://a.test/agent")?;
    named.chain.remove(0);
    push("an intermediate that is named like a workload", "X509-SVID §5.2", &named, Some("CertificateAuthority"));
    let mut longer = of(&own, "spiffe://a.test/agent")?;
    longer.chain = longer.chain.iter().map(|der| [der.as_ref(), &[0]].concat().into()).collect();
    push("bytes after the end", path, &longer, Some("Malformed"));
    let mut broken = of(&own, "spiffe://a.test/agent")?;
    broken.chain = broken.chain.iter().map(|der| spoilt(der).into()).collect();
    push("a signature that does not hold", path, &broken, Some("Chain BadSignature"));

    for (name, part, purpose, error) in ONE_SIDED {
        let mut shape = shape()?;
        shape.extended_key_usages = vec![purpose.clone()];
        let mut case = case(name, "X509-SVID §4.4", &own.issue_shaped(&shape)?, *error);
        if let Some(members) = case.as_object_mut() {
            members.insert("shown_by".to_owned(), json!(part));
        }
        cases.push(case);
    }
    let authorities = [&own, &other, &address, &over, &early].map(|ca| (ca.trust_domain().to_string(), ca.root()));
    let roots = authorities.into_iter().chain([("rsa.test".to_owned(), &root)]);
    let roots = roots.map(|(name, root)| (name, json!([STANDARD.encode(root)])));
    Ok(json!({ "trust_domains": serde_json::Map::from_iter(roots), "cases": cases }))
}

fn case(name: &str, rule: &str, svid: &IssuedSvid, error: Option<&str>) -> Value {
    let chain: Vec<String> = svid.chain.iter().map(|der| STANDARD.encode(der)).collect();
    json!({ "name": name, "rule": rule, "chain": chain, "spiffe_id": svid.spiffe_id, "error": error })
}

fn of(ca: &DevCa, id: &str) -> Result<IssuedSvid, Box<dyn Error>> {
    Ok(ca.issue(&id.parse::<SpiffeId>()?, BEGAN, LIFE - MONTH)?)
}

/// Paths (RFC 5280 §6).
fn paths(own: &DevCa, push: &mut impl FnMut(&str, &str, &IssuedSvid, Option<&str>)) -> Result<(), Box<dyn Error>> {
    let path = "X509-SVID §5.1";
    let usual = shape()?;
    let below = |change: fn(&mut CertificateParams)| -> Result<IssuedSvid, CaError> {
        own.intermediate_shaped(BEGAN, LIFE, change)?.issue_shaped(&usual)
    };
    push("control: by an intermediate", path, &below(|_| {})?, None);
    push(
        "by an intermediate that is no authority",
        path,
        &below(|p| p.is_ca = IsCa::ExplicitNoCa)?,
        Some("Chain EndEntityUsedAsCa"),
    );
    push(
        "by an intermediate whose key usage does not let it",
        path,
        &below(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign])?,
        Some("Chain UnknownIssuer"),
    );
    push(
        "by an intermediate that is over",
        path,
        &below(|p| p.not_after = p.not_before + Duration::from_secs(60))?,
        Some("Expired"),
    );
    push(
        "by an intermediate that is not valid yet",
        path,
        &below(|p| p.not_before = p.not_after - Duration::from_secs(60))?,
        Some("NotYetValid"),
    );
    push(
        "by an intermediate with a critical extension that nobody knows",
        path,
        &below(|p| p.custom_extensions.push(unknown(true)))?,
        Some("Chain UnsupportedCriticalExtension"),
    );
    let last = own.intermediate_shaped(BEGAN, LIFE, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)))?;
    push("control: by the last intermediate that may be", path, &last.issue_shaped(&usual)?, None);
    // With a name of its own: one that its issuer has as well would not count (RFC 5280 §6.1.4 l).
    let beyond = last.intermediate_shaped(BEGAN, LIFE, |p| {
        p.distinguished_name = DistinguishedName::new();
        p.distinguished_name.push(DnType::CommonName, "a.test beyond");
    })?;
    push(
        "by an intermediate below the last that may be",
        path,
        &beyond.issue_shaped(&usual)?,
        Some("Chain PathLenConstraintViolated"),
    );
    let mut without = own.intermediate(BEGAN, LIFE)?.issue_shaped(&usual)?;
    without.chain.truncate(1);
    push("without its intermediate", path, &without, Some("Chain UnknownIssuer"));

    let mut named = usual.clone();
    named.dns_names.push("agent.a.test".into());
    for (name, list, kind, base, error) in CONSTRAINTS {
        let constraint = constraint(*list, *kind, base);
        let authority = own.intermediate_shaped(BEGAN, LIFE, |p| p.custom_extensions.push(constraint))?;
        push(name, "X509-SVID §4.5", &authority.issue_shaped(&named)?, *error);
    }
    Ok(())
}

/// The last byte of a certificate is one of its signature.
fn spoilt(der: &[u8]) -> Vec<u8> {
    let mut bytes = der.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}
