//! X.509-SVIDs: certificates in Base64 of their DER, leaf first, beside the trust bundles that they are held against.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet::dev::ca::{CaError, DevCa, IssuedSvid, Shape};
use carnet::model::spiffe_id::{SpiffeId, TrustDomain};
use carnet::model::time::Timestamp;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use serde_json::{Value, json};

/// The beginning of 2026, and a life that outlasts whoever reads this.
const BEGAN: Timestamp = Timestamp::from_secs(1_767_225_600);
const LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate is wrong in one way.
type Spoil = fn(&mut Shape);

/// Shapes of a leaf: name, section of X509-SVID, what is otherwise, whether it is accepted.
const SHAPES: &[(&str, &str, Spoil, bool)] = &[
    ("control", "5.2", |_| {}, true),
    ("control: SANs of other kinds", "2", |s| s.dns_names.push("agent.a.test".into()), true),
    ("control: a subject", "4.2", |s| s.common_name = Some("agent".into()), true),
    ("control: no extended key usage", "4.4", |s| s.extended_key_usages.clear(), true),
    (
        "control: key encipherment and agreement",
        "4.3",
        |s| {
            s.key_usages.extend([KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyAgreement]);
        },
        true,
    ),
    ("no URI SAN", "2", |s| s.uris.clear(), false),
    (
        "the SPIFFE ID in a DNS SAN alone",
        "2",
        |s| {
            s.uris.clear();
            s.dns_names.push("a.test".into());
        },
        false,
    ),
    ("the SPIFFE ID in the subject alone", "2", |s| s.common_name = s.uris.pop(), false),
    ("two SPIFFE IDs", "2", |s| s.uris.push("spiffe://a.test/other".into()), false),
    ("the same SPIFFE ID twice", "2", |s| s.uris.push("spiffe://a.test/agent".into()), false),
    ("a URI SAN of another scheme after it", "2", |s| s.uris.push("https://a.test/".into()), false),
    ("a URI SAN of another scheme before it", "2", |s| s.uris.insert(0, "urn:a".into()), false),
    ("another scheme", "5.2", |s| s.uris = vec!["https://a.test/agent".into()], false),
    ("no path", "5.2", |s| s.uris = vec!["spiffe://a.test".into()], false),
    ("an empty path", "5.2", |s| s.uris = vec!["spiffe://a.test/".into()], false),
    ("a trust domain in upper case", "5.2", |s| s.uris = vec!["spiffe://A.test/agent".into()], false),
    ("percent-encoding", "5.2", |s| s.uris = vec!["spiffe://a.test/%61gent".into()], false),
    ("a certificate authority", "5.2", |s| s.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), false),
    ("key usage to sign certificates", "5.2", |s| s.key_usages.push(KeyUsagePurpose::KeyCertSign), false),
    ("key usage to sign revocation lists", "5.2", |s| s.key_usages.push(KeyUsagePurpose::CrlSign), false),
    ("expired", "5.1", |s| s.not_after = BEGAN.after(MONTH), false),
    ("not valid yet", "5.1", |s| s.not_before = BEGAN.after(LIFE - MONTH), false),
    // Stricter than §5.2, as §4 wants it of whoever issues.
    ("no basic constraints", "4.1", |s| s.is_ca = IsCa::NoCa, false),
    ("no key usage", "4.3", |s| s.key_usages.clear(), false),
    ("key usage without digital signature", "4.3", |s| s.key_usages = vec![KeyUsagePurpose::KeyAgreement], false),
    (
        "extended key usage of code alone",
        "4.4",
        |s| s.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        false,
    ),
];

fn ca(name: &str) -> Result<DevCa, Box<dyn Error>> {
    Ok(DevCa::new(name.parse::<TrustDomain>()?, BEGAN, LIFE)?)
}

fn shape() -> Result<Shape, Box<dyn Error>> {
    Ok(Shape::svid(&"spiffe://a.test/agent".parse::<SpiffeId>()?, BEGAN, LIFE - MONTH))
}

pub(crate) fn vectors() -> Result<Value, Box<dyn Error>> {
    let (own, other, unknown, address) = (ca("a.test")?, ca("b.test")?, ca("c.test")?, ca("10.0.0.1")?);
    let mut cases = Vec::new();
    let mut push = |name: &str, rule: &str, svid: &IssuedSvid, good: bool| {
        let chain: Vec<String> = svid.chain.iter().map(|der| STANDARD.encode(der)).collect();
        cases.push(json!({ "name": name, "rule": rule, "chain": chain, "good": good, "spiffe_id": svid.spiffe_id }));
    };
    for (name, rule, spoil, good) in SHAPES {
        let mut shape = shape()?;
        spoil(&mut shape);
        push(name, &format!("X509-SVID §{rule}"), &own.issue_shaped(&shape)?, *good);
    }
    let mut long = shape()?;
    let head = "spiffe://a.test/";
    long.uris = vec![format!("{head}{}", "a".repeat(2048 - head.len()))];
    push("control: a SPIFFE ID of 2048 bytes", "SPIFFE-ID §2.3", &own.issue_shaped(&long)?, true);
    for uri in &mut long.uris {
        uri.push('a');
    }
    push("a SPIFFE ID of 2049 bytes", "SPIFFE-ID §2.3", &own.issue_shaped(&long)?, false);
    let mut numbers = shape()?;
    numbers.uris = vec!["spiffe://10.0.0.1/agent".into()];
    push(
        "control: a trust domain that looks like an address",
        "SPIFFE-ID §2.1",
        &address.issue_shaped(&numbers)?,
        true,
    );

    // Paths (RFC 5280 §6).
    let path = "X509-SVID §5.1";
    let usual = shape()?;
    let below = |change: fn(&mut rcgen::CertificateParams)| -> Result<IssuedSvid, CaError> {
        own.intermediate_shaped(BEGAN, LIFE, change)?.issue_shaped(&usual)
    };
    push("control: by an intermediate", path, &below(|_| {})?, true);
    push("by an intermediate that is no authority", path, &below(|p| p.is_ca = IsCa::ExplicitNoCa)?, false);
    push(
        "by an intermediate whose key usage does not let it",
        path,
        &below(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign])?,
        false,
    );
    push(
        "by an intermediate that is over",
        path,
        &below(|p| p.not_after = p.not_before + Duration::from_secs(60))?,
        false,
    );
    let last = own.intermediate_shaped(BEGAN, LIFE, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)))?;
    push("control: by the last intermediate that may be", path, &last.issue_shaped(&usual)?, true);
    push(
        "by an intermediate below the last that may be",
        path,
        &last.intermediate(BEGAN, LIFE)?.issue_shaped(&usual)?,
        false,
    );
    let mut without = own.intermediate(BEGAN, LIFE)?.issue_shaped(&usual)?;
    without.chain.truncate(1);
    push("without its intermediate", path, &without, false);

    // Trust domains: roots are not pooled (Workload API §4.6, Federation §4.2).
    let federation = "Federation §4.2";
    let of = |ca: &DevCa, id: &str| -> Result<IssuedSvid, Box<dyn Error>> {
        Ok(ca.issue(&id.parse::<SpiffeId>()?, BEGAN, LIFE - MONTH)?)
    };
    push("control: of a federated trust domain", federation, &of(&other, "spiffe://b.test/agent")?, true);
    push("by another trust domain's authority", federation, &of(&other, "spiffe://a.test/agent")?, false);
    push("of another trust domain, by ours", federation, &of(&own, "spiffe://b.test/agent")?, false);
    push("of a trust domain without a bundle", federation, &of(&unknown, "spiffe://c.test/agent")?, false);
    push("of a trust domain without a bundle, by ours", federation, &of(&own, "spiffe://c.test/agent")?, false);
    let mut root = of(&own, "spiffe://a.test/agent")?;
    root.chain = vec![own.root().clone()];
    push("the authority itself", "X509-SVID §5.2", &root, false);
    let mut longer = of(&own, "spiffe://a.test/agent")?;
    longer.chain = longer.chain.iter().map(|der| [der.as_ref(), &[0]].concat().into()).collect();
    push("bytes after the end", path, &longer, false);
    let mut broken = of(&own, "spiffe://a.test/agent")?;
    broken.chain = broken.chain.iter().map(|der| spoilt(der).into()).collect();
    push("a signature that does not hold", path, &broken, false);

    let roots = [&own, &other, &address].map(|ca| (ca.trust_domain().to_string(), json!([STANDARD.encode(ca.root())])));
    Ok(json!({ "trust_domains": serde_json::Map::from_iter(roots), "cases": cases }))
}

/// The last byte of a certificate is one of its signature.
fn spoilt(der: &[u8]) -> Vec<u8> {
    let mut bytes = der.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}
