//! Writes `tests/vectors/spiffe`: SPIFFE IDs, X.509-SVIDs, JWT-SVIDs and JWT bundles, each named by its defect and by the rule
//! that it breaks, each kind beside controls, and with the error that it is to be refused by, so that none passes for another
//! reason. Its keys are made anew and thrown away. `corpus DIR` writes what stands in the vectors as files, one folder for each
//! fuzz target.

#[path = "spiffe_vectors/jwt.rs"]
mod jwt;
#[path = "spiffe_vectors/rsa.rs"]
mod rsa;
#[path = "spiffe_vectors/x509.rs"]
mod x509;

use std::error::Error;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/spiffe");
/// Every file, with the fuzz target that it feeds, and what of a case goes there.
const FILES: [(&str, &str, &str); 4] = [
    ("spiffe_id.json", "spiffe_id", "id"),
    ("x509_svid.json", "certificate", "chain"),
    ("jwt_svid.json", "jose", "token"),
    ("jwt_bundle.json", "trust_bundle", "bundle"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => write(),
        ["corpus", folder] => corpus(Path::new(folder)),
        _ => Err("usage: spiffe_vectors [corpus DIR]".into()),
    }
}

fn write() -> Result<(), Box<dyn Error>> {
    let made = [spiffe_ids(), x509::vectors()?, jwt::svids()?, jwt::bundles()?];
    for ((name, ..), value) in FILES.into_iter().zip(made) {
        std::fs::write(Path::new(FOLDER).join(name), serde_json::to_string_pretty(&value)? + "\n")?;
    }
    Ok(())
}

fn corpus(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (name, target, member) in FILES {
        let vectors: Value = serde_json::from_slice(&std::fs::read(Path::new(FOLDER).join(name))?)?;
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        let cases = vectors.get("cases").and_then(Value::as_array).into_iter().flatten();
        for (n, case) in cases.enumerate() {
            let bytes = match case.get(member) {
                Some(Value::Array(chain)) => {
                    STANDARD.decode(chain.first().and_then(Value::as_str).unwrap_or_default())?
                }
                text => text.and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec(),
            };
            std::fs::write(folder.join(format!("vector-{n:03}")), bytes)?;
        }
    }
    Ok(())
}

/// SPIFFE-ID §2.
fn spiffe_ids() -> Value {
    let long = |bytes: usize| {
        let head = "spiffe://a.test/";
        format!("{head}{}", "a".repeat(bytes - head.len()))
    };
    let (name_255, name_256) = (format!("spiffe://{}", "a".repeat(255)), format!("spiffe://{}", "a".repeat(256)));
    let rows: &[(&str, &str, &str, Option<&str>)] = &[
        ("control", "2", "spiffe://a.test/agent", None),
        ("control: every character of a path", "2.2", "spiffe://a.test/aZ09.-_/x", None),
        ("control: every character of a trust domain", "2.1", "spiffe://a-z_0.9/x", None),
        ("control: a trust domain alone", "2.2", "spiffe://a.test", None),
        ("control: an IPv4 address", "2.1", "spiffe://10.0.0.1/x", None),
        ("control: dots in a segment", "2.2", "spiffe://a.test/.../a..b", None),
        ("control: 2048 bytes", "2.3", &long(2048), None),
        ("control: a trust domain of 255 bytes", "2.1", &name_255, None),
        ("empty", "2", "", Some("Scheme")),
        ("another scheme", "2", "https://a.test/agent", Some("Scheme")),
        ("scheme in upper case", "2.4", "SPIFFE://a.test/agent", Some("Scheme")),
        ("scheme alone", "2", "spiffe://", Some("TrustDomainEmpty")),
        ("no slashes", "2", "spiffe:a.test/agent", Some("Scheme")),
        ("no trust domain", "2.1", "spiffe:///agent", Some("TrustDomainEmpty")),
        ("trust domain in upper case", "2.1", "spiffe://A.test/agent", Some("TrustDomainCharacter")),
        ("trust domain with percent-encoding", "2.1", "spiffe://a%2etest/agent", Some("TrustDomainCharacter")),
        ("trust domain with a port", "2.1", "spiffe://a.test:443/agent", Some("TrustDomainCharacter")),
        ("trust domain with a user", "2.1", "spiffe://user@a.test/agent", Some("TrustDomainCharacter")),
        ("trust domain of another alphabet", "2.1", "spiffe://ä.test/agent", Some("TrustDomainCharacter")),
        ("trust domain an IPv6 address", "2.1", "spiffe://[::1]/agent", Some("TrustDomainCharacter")),
        ("trust domain of 256 bytes", "2.1", &name_256, Some("TrustDomainTooLong")),
        ("query", "2", "spiffe://a.test/agent?x=1", Some("PathCharacter")),
        ("query without a path", "2", "spiffe://a.test?x", Some("TrustDomainCharacter")),
        ("fragment", "2", "spiffe://a.test/agent#x", Some("PathCharacter")),
        ("slash at the end", "2.2", "spiffe://a.test/agent/", Some("PathEmptySegment")),
        ("slash alone", "2.2", "spiffe://a.test/", Some("PathEmptySegment")),
        ("empty segment", "2.2", "spiffe://a.test/a//b", Some("PathEmptySegment")),
        ("segment of one dot", "2.2", "spiffe://a.test/./agent", Some("PathDotSegment")),
        ("segment of two dots", "2.2", "spiffe://a.test/a/../agent", Some("PathDotSegment")),
        ("two dots at the end", "2.2", "spiffe://a.test/a/..", Some("PathDotSegment")),
        ("path with percent-encoding", "2.2", "spiffe://a.test/%61gent", Some("PathCharacter")),
        ("path with white space", "2.2", "spiffe://a.test/a b", Some("PathCharacter")),
        ("path of another alphabet", "2.2", "spiffe://a.test/ä", Some("PathCharacter")),
        ("path with a colon", "2.2", "spiffe://a.test/a:b", Some("PathCharacter")),
        ("white space before", "2", " spiffe://a.test/agent", Some("Scheme")),
        ("line break after", "2", "spiffe://a.test/agent\n", Some("PathCharacter")),
        ("2049 bytes", "2.3", &long(2049), Some("TooLong")),
    ];
    let cases = rows.iter().map(
        |(name, rule, id, error)| json!({ "name": name, "rule": format!("SPIFFE-ID §{rule}"), "id": id, "error": error }),
    );
    json!({ "cases": cases.collect::<Vec<_>>() })
}
