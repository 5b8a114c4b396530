//! JWT-SVIDs and JWT bundles. Tokens end in 2100; the audience is `carnet`.

use std::error::Error;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::rsa::RsaKey;

const AUDIENCE: &str = "carnet";
/// The beginning of 2100.
const EXP: u64 = 4_102_444_800;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn input(header: &str, payload: &str) -> String {
    format!("{}.{}", b64(header), b64(payload))
}

/// A key on a curve, with its entry in a JWK set.
struct Ec {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    jwk: Value,
}

impl Ec {
    fn new(algorithm: &'static EcdsaSigningAlgorithm, curve: &str, kid: &str) -> Result<Self, Box<dyn Error>> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?.as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8)?;
        let (_, point) = pair.public_key().as_ref().split_first().ok_or("a key without a point")?;
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({ "kty": "EC", "crv": curve, "use": "jwt-svid", "kid": kid, "x": b64(x), "y": b64(y) });
        Ok(Self { pair, pkcs8, jwk })
    }

    fn p256(kid: &str) -> Result<Self, Box<dyn Error>> {
        Self::new(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", kid)
    }

    fn sign(&self, header: &str, payload: &str) -> Result<String, Box<dyn Error>> {
        let input = input(header, payload);
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes())?;
        Ok(format!("{input}.{}", b64(signature)))
    }

    /// The same with the signature in ASN.1.
    fn sign_der(&self, header: &str, payload: &str) -> Result<String, Box<dyn Error>> {
        let input = input(header, payload);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8)?;
        Ok(format!("{input}.{}", b64(pair.sign(&SystemRandom::new(), input.as_bytes())?)))
    }
}

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

fn payload() -> String {
    format!(r#"{{"sub":"spiffe://a.test/agent","aud":["{AUDIENCE}"],"exp":{EXP}}}"#)
}

/// Headers of a token that is good otherwise (JWT-SVID §2).
const HEADERS: &[(&str, &str, &str, Option<&str>)] = &[
    ("control", "2", HEADER, None),
    ("control: typ JWT", "2.3", r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, None),
    ("control: typ JOSE", "2.3", r#"{"alg":"ES256","kid":"k","typ":"JOSE"}"#, None),
    ("typ of an access token", "2.3", r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#, Some("Form Type")),
    ("typ in lower case", "2.3", r#"{"alg":"ES256","kid":"k","typ":"jwt"}"#, Some("Form Type")),
    ("typ null", "2.3", r#"{"alg":"ES256","kid":"k","typ":null}"#, Some("Form HeaderShape typ")),
    ("no alg", "2.1", r#"{"kid":"k"}"#, Some("Form HeaderAbsent alg")),
    ("alg none", "2.1", r#"{"alg":"none","kid":"k"}"#, Some("Form Algorithm")),
    ("alg None", "2.1", r#"{"alg":"None","kid":"k"}"#, Some("Form Algorithm")),
    ("alg HS256", "2.1", r#"{"alg":"HS256","kid":"k"}"#, Some("Form Algorithm")),
    ("alg EdDSA", "2.1", r#"{"alg":"EdDSA","kid":"k"}"#, Some("Form Algorithm")),
    (
        "alg of a longer curve, and the signature of a shorter one",
        "2.1",
        r#"{"alg":"ES384","kid":"k"}"#,
        Some("Form SignatureLength"),
    ),
    ("alg of another type of key", "2.1", r#"{"alg":"RS256","kid":"k"}"#, Some("Form AlgorithmOfKey")),
    ("crit", "2", r#"{"alg":"ES256","kid":"k","crit":["x"],"x":1}"#, Some("Form Critical")),
    ("crit b64", "2", r#"{"alg":"ES256","kid":"k","crit":["b64"],"b64":false}"#, Some("Form Critical")),
    ("jku", "2", r#"{"alg":"ES256","kid":"k","jku":"https://evil.test/keys"}"#, Some("Form HeaderMember")),
    ("jwk", "2", r#"{"alg":"ES256","kid":"k","jwk":{"kty":"oct","k":"AA"}}"#, Some("Form HeaderMember")),
    ("x5u", "2", r#"{"alg":"ES256","kid":"k","x5u":"https://evil.test/cert"}"#, Some("Form HeaderMember")),
    ("x5c", "2", r#"{"alg":"ES256","kid":"k","x5c":["AA"]}"#, Some("Form HeaderMember")),
    ("cty", "2", r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#, Some("Form HeaderMember")),
    ("a member that nobody knows", "2", r#"{"alg":"ES256","kid":"k","foo":1}"#, Some("Form HeaderMember")),
    ("alg twice", "2", r#"{"alg":"none","alg":"ES256","kid":"k"}"#, Some("Form Json Header")),
    ("kid of no key", "2.2", r#"{"alg":"ES256","kid":"other"}"#, Some("KeyUnknown")),
    (
        "no kid, which the standard allows and every issuer sets",
        "2.2",
        r#"{"alg":"ES256"}"#,
        Some("Form HeaderAbsent kid"),
    ),
];

/// A name, a section, claims in place of the usual ones, and the error that there is to be.
type ClaimsRow = (&'static str, &'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

/// Claims of a token that is good otherwise (JWT-SVID §3): those of the control, with some replaced, or left out by an empty text.
const CLAIMS: &[ClaimsRow] = &[
    ("control: aud a string", "3.2", &[("aud", r#""carnet""#)], None),
    ("control: aud among others", "3.2", &[("aud", r#"["other","carnet"]"#)], None),
    (
        "control: further claims",
        "3",
        &[("jti", r#""j""#), ("iss", r#""https://evil.test""#), ("nbf", "1767225600")],
        None,
    ),
    ("no sub", "3.1", &[("sub", "")], Some("Claim Absent sub")),
    ("sub a number", "3.1", &[("sub", "7")], Some("Claim Shape sub")),
    ("sub no SPIFFE ID", "3.1", &[("sub", r#""agent""#)], Some("SpiffeId Scheme")),
    ("sub without a path", "3.1", &[("sub", r#""spiffe://a.test""#)], Some("NoPath")),
    ("sub in upper case", "3.1", &[("sub", r#""spiffe://A.test/agent""#)], Some("SpiffeId TrustDomainCharacter")),
    (
        "the SPIFFE ID in iss alone",
        "3.1",
        &[("sub", r#""agent""#), ("iss", r#""spiffe://a.test/agent""#)],
        Some("SpiffeId Scheme"),
    ),
    ("sub of another trust domain", "3.1", &[("sub", r#""spiffe://b.test/agent""#)], Some("Form Signature")),
    ("sub of a trust domain without a bundle", "3.1", &[("sub", r#""spiffe://c.test/agent""#)], Some("NoTrustBundle")),
    ("no aud", "3.2", &[("aud", "")], Some("Claim Absent aud")),
    ("aud empty", "3.2", &[("aud", "[]")], Some("Claim Shape aud")),
    ("aud null", "3.2", &[("aud", "null")], Some("Claim Shape aud")),
    ("aud mixed", "3.2", &[("aud", r#"["carnet",7]"#)], Some("Claim Shape aud")),
    ("aud of somebody else", "3.2", &[("aud", r#""other""#)], Some("Audience")),
    ("aud that begins like ours", "3.2", &[("aud", r#""carnet.evil.test""#)], Some("Audience")),
    ("aud in another case", "3.2", &[("aud", r#""CARNET""#)], Some("Audience")),
    ("no exp", "3.3", &[("exp", "")], Some("Claim Absent exp")),
    ("expired", "3.3", &[("exp", "1767225600")], Some("Time Expired")),
    ("exp a string", "3.3", &[("exp", r#""4102444800""#)], Some("Claim Shape exp")),
    ("exp null", "3.3", &[("exp", "null")], Some("Claim Shape exp")),
    ("exp beyond all time", "3.3", &[("exp", "1e19")], Some("Claim Shape exp")),
    ("exp beyond all numbers", "3.3", &[("exp", "1e400")], Some("Claim Shape exp")),
    ("exp negative", "3.3", &[("exp", "-1")], Some("Claim Shape exp")),
    ("nbf ahead", "3", &[("nbf", "4102444799")], Some("Time NotYet")),
    ("exp a fraction", "3.3", &[("exp", "4102444800.5")], Some("Claim Shape exp")),
    ("control: nbf and iat in the past", "3", &[("nbf", "1767225600"), ("iat", "1767225600")], None),
    ("nbf a string", "3", &[("nbf", r#""1767225600""#)], Some("Claim Shape nbf")),
    ("nbf null", "3", &[("nbf", "null")], Some("Claim Shape nbf")),
    ("nbf negative", "3", &[("nbf", "-1")], Some("Claim Shape nbf")),
    ("iat a string", "3", &[("iat", r#""1767225600""#)], Some("Claim Shape iat")),
    ("iat an object", "3", &[("iat", "{}")], Some("Claim Shape iat")),
    ("iat beyond all time", "3", &[("iat", "1e19")], Some("Claim Shape iat")),
    ("iat ahead", "3", &[("iat", "4102444799")], Some("Time IssuedAhead")),
    ("exp twice", "3.3", &[("exp\":1,\"exp", "4102444800")], Some("Form Json Payload")),
    (
        "sub twice",
        "3.1",
        &[("sub\":\"spiffe://a.test/other\",\"sub", r#""spiffe://a.test/agent""#)],
        Some("Form Json Payload"),
    ),
];

fn with_claims(changes: &[(&str, &str)]) -> String {
    let exp = EXP.to_string();
    let audience = format!(r#"["{AUDIENCE}"]"#);
    let mut members = vec![("sub", r#""spiffe://a.test/agent""#), ("aud", audience.as_str()), ("exp", exp.as_str())];
    for (name, value) in changes {
        // A name that stands twice takes the place of the one that it ends with.
        members.retain(|(known, _)| !name.ends_with(known));
        if !value.is_empty() {
            members.push((name, value));
        }
    }
    let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}

pub(crate) fn svids() -> Result<Value, Box<dyn Error>> {
    let (own, other) = (Ec::p256("k")?, Ec::p256("k")?);
    let mut keys = vec![own.jwk.clone()];
    let mut cases = Vec::new();
    let mut push = |name: &str, rule: &str, token: String, error: Option<&str>| {
        let rule = if rule.contains('§') { rule.to_owned() } else { format!("JWT-SVID §{rule}") };
        cases.push(json!({ "name": name, "rule": rule, "token": token, "error": error }));
    };
    for (name, rule, header, error) in HEADERS {
        push(name, rule, own.sign(header, &payload())?, *error);
    }
    for (name, rule, changes, error) in CLAIMS {
        push(name, rule, own.sign(HEADER, &with_claims(changes))?, *error);
    }
    for (name, token, error) in encodings(&own, &other)? {
        push(name, "2", token, Some(error));
    }
    for (name, token, jwk, error) in algorithms()? {
        push(&name, "2.1", token, error);
        keys.extend(Some(jwk).filter(Value::is_object));
    }
    let federation = "Federation §4.2";
    let elsewhere = with_claims(&[("sub", r#""spiffe://b.test/agent""#)]);
    push("control: of a federated trust domain", federation, other.sign(HEADER, &elsewhere)?, None);
    push(
        "by another trust domain's key of the same id",
        federation,
        other.sign(HEADER, &payload())?,
        Some("Form Signature"),
    );
    push("of another trust domain, by ours", federation, own.sign(HEADER, &elsewhere)?, Some("Form Signature"));
    let bundles = json!({ "a.test": { "keys": keys }, "b.test": { "keys": [other.jwk] } });
    Ok(json!({ "audience": AUDIENCE, "trust_domains": bundles, "cases": cases }))
}

type Encoded = (&'static str, String, &'static str);

/// Tokens that are no JWS in compact serialization that holds, and what is wrong with each.
fn encodings(own: &Ec, other: &Ec) -> Result<Vec<Encoded>, Box<dyn Error>> {
    let good = own.sign(HEADER, &payload())?;
    let (signed, signature) = good.rsplit_once('.').ok_or("a token has dots")?;
    let (header, body) = signed.split_once('.').ok_or("a token has two dots")?;
    let flattened = json!({ "protected": header, "payload": body, "signature": signature });
    let general = json!({ "payload": body, "signatures": [{ "protected": header, "signature": signature }] });
    Ok(vec![
        ("JSON serialization, flattened", flattened.to_string(), "Form NotCompact"),
        ("JSON serialization, general", general.to_string(), "Form NotCompact"),
        ("five parts, as a JWE has", format!("{good}.AA.AA"), "Form NotCompact"),
        ("two parts", signed.to_owned(), "Form NotCompact"),
        ("no signature", format!("{signed}."), "Form SignatureLength"),
        ("signature padded", format!("{good}=="), "Form Base64 Signature"),
        ("signature in ASN.1", own.sign_der(HEADER, &payload())?, "Form SignatureLength"),
        ("signature of zeros", format!("{signed}.{}", b64([0; 64])), "Form Signature"),
        ("white space after", format!("{good} "), "Form Base64 Signature"),
        ("payload detached", format!("{header}..{signature}"), "Form Json Payload"),
        (
            "payload of another",
            format!("{header}.{}.{signature}", b64(with_claims(&[("jti", r#""x""#)]))),
            "Form Signature",
        ),
        ("by another key", other.sign(HEADER, &payload())?, "Form Signature"),
        ("payload no object", own.sign(HEADER, "[]")?, "Form Json Payload"),
        ("empty", String::new(), "Form NotCompact"),
    ])
}

type Signed = (String, String, Value, Option<&'static str>);

/// One token for each of the nine algorithms, some by keys of another curve than theirs, and some by keys that no JWT-SVID is
/// signed with.
fn algorithms() -> Result<Vec<Signed>, Box<dyn Error>> {
    let rng = SystemRandom::new();
    let mut out = Vec::new();
    let header = |algorithm: &str| format!(r#"{{"alg":"{algorithm}","kid":"{algorithm}"}}"#);
    for (name, algorithm, curve) in [
        ("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        ("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        ("ES512", &ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
    ] {
        let key = Ec::new(algorithm, curve, name)?;
        for (other, length) in [("ES256", 64), ("ES384", 96), ("ES512", 132)].into_iter().filter(|(n, _)| *n != name) {
            let header = format!(r#"{{"alg":"{other}","kid":"{name}"}}"#);
            let token = key.sign(&header, &payload())?;
            out.push((format!("{other} that says so of {name}"), token, Value::Null, Some("Form SignatureLength")));
            // As long as a signature of this name is, so that the key alone is wrong.
            let token = format!("{}.{}", input(&header, &payload()), b64(vec![1; length]));
            out.push((format!("{other} by a key of {curve}"), token, Value::Null, Some("Form AlgorithmOfKey")));
        }
        out.push((format!("control: {name}"), key.sign(&header(name), &payload())?, key.jwk, None));
    }
    let encodings: [(&str, &'static dyn RsaEncoding); 6] = [
        ("RS256", &RSA_PKCS1_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
        ("PS384", &RSA_PSS_SHA384),
        ("PS512", &RSA_PSS_SHA512),
    ];
    for (name, encoding) in encodings {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let input = input(&header(name), &payload());
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &rng, input.as_bytes(), &mut signature)?;
        let n = b64(key.public_key().modulus().big_endian_without_leading_zero());
        let e = b64(key.public_key().exponent().big_endian_without_leading_zero());
        let jwk = json!({ "kty": "RSA", "use": "jwt-svid", "kid": name, "n": n, "e": e });
        out.push((format!("control: {name}"), format!("{input}.{}", b64(signature)), jwk, None));
    }
    let weak = RsaKey::weak()?;
    let short = input(r#"{"alg":"RS256","kid":"short"}"#, &payload());
    let signed = format!("{short}.{}", b64(weak.signature(short.as_bytes())));
    out.push(("by an RSA key of 1024 bits".to_owned(), signed, weak_jwk(&weak, "short"), Some("KeyUnknown")));
    let key = Ed25519KeyPair::generate()?;
    let input = input(&header("Ed25519"), &payload());
    let x = b64(key.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "use": "jwt-svid", "kid": "Ed25519", "x": x });
    let token = format!("{input}.{}", b64(key.sign(input.as_bytes())));
    out.push(("alg Ed25519, with a key for it".to_owned(), token, jwk, Some("Form Algorithm")));
    Ok(out)
}

fn weak_jwk(key: &RsaKey, kid: &str) -> Value {
    json!({ "kty": "RSA", "use": "jwt-svid", "kid": kid, "n": b64(key.modulus()), "e": "AQAB" })
}

/// JWT bundles (SPIFFE Trust Domain and Bundle §4): whether a good token holds under each.
pub(crate) fn bundles() -> Result<Value, Box<dyn Error>> {
    let (own, other) = (Ec::p256("k")?, Ec::p256("other")?);
    let with = |name: &str, value: Value| {
        let mut jwk = own.jwk.as_object().cloned().unwrap_or_default();
        jwk.insert(name.to_owned(), value);
        Value::Object(jwk)
    };
    let without = |name: &str| {
        let mut jwk: Map<String, Value> = own.jwk.as_object().cloned().unwrap_or_default();
        jwk.remove(name);
        Value::Object(jwk)
    };
    let key = || own.jwk.clone();
    let twin = Ec::p256("k")?.jwk;
    let keys = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let rows: Vec<(&str, &str, String, Option<&str>)> = vec![
        ("control", "4.2", keys(vec![key()]), None),
        (
            "control: members that nobody knows",
            "4.1",
            json!({ "keys": [key()], "spiffe_sequence": 1, "x": {} }).to_string(),
            None,
        ),
        (
            "control: a type that nobody knows beside it",
            "4.2.1",
            keys(vec![json!({ "kty": "new", "use": "jwt-svid", "kid": "n" }), key()]),
            None,
        ),
        ("control: a use that nobody knows beside it", "4.2.2", keys(vec![with("use", json!("new")), key()]), None),
        ("control: an entry that is no object beside it", "4.2", keys(vec![json!(7), key()]), None),
        ("control: an entry without kid beside it", "JWT-SVID §6.1", keys(vec![without("kid"), key()]), None),
        (
            "control: an authority for X.509-SVIDs beside it",
            "X509-SVID §6.2",
            keys(vec![json!({ "kty": "EC", "use": "x509-svid", "x5c": [] }), key()]),
            None,
        ),
        (
            "control: no entry says its use, as in SPIRE's Workload API",
            "Workload API §6",
            keys(vec![without("use")]),
            None,
        ),
        (
            "no entry says its use, in a bundle with a sequence",
            "4.2.2",
            json!({ "keys": [without("use")], "spiffe_sequence": 1 }).to_string(),
            Some("NoTrustBundle LeftOut None"),
        ),
        ("no keys", "4.1.3", keys(vec![]), Some("NoTrustBundle")),
        ("no member keys", "4.1.3", "{}".to_owned(), Some("NoTrustBundle Json")),
        ("keys no list", "4.1.3", r#"{"keys":{}}"#.to_owned(), Some("NoTrustBundle Json")),
        ("no JSON", "4.1", "keys".to_owned(), Some("NoTrustBundle Shape")),
        ("keys twice", "4.1", format!(r#"{{"keys":[],"keys":[{}]}}"#, key()), Some("NoTrustBundle Json")),
        ("no kty", "4.2.1", keys(vec![without("kty")]), Some("NoTrustBundle Type")),
        ("kty in another case", "4.2.1", keys(vec![with("kty", json!("ec"))]), Some("NoTrustBundle Type")),
        (
            "no use beside one that says it",
            "4.2.2",
            keys(vec![without("use"), other.jwk.clone()]),
            Some("KeyUnknown LeftOut None"),
        ),
        (
            "use of X.509-SVIDs",
            "JWT-SVID §6.1",
            keys(vec![with("use", json!("x509-svid"))]),
            Some("NoTrustBundle LeftOut None"),
        ),
        (
            "use of signatures of any kind",
            "JWT-SVID §6.1",
            keys(vec![with("use", json!("sig"))]),
            Some("NoTrustBundle LeftOut None"),
        ),
        (
            "use in another case",
            "4.2.2",
            keys(vec![with("use", json!("JWT-SVID"))]),
            Some("NoTrustBundle LeftOut None"),
        ),
        ("no kid", "JWT-SVID §6.1", keys(vec![without("kid")]), Some("NoTrustBundle LeftOut None")),
        ("kid of another", "JWT-SVID §6.1", keys(vec![with("kid", json!("x"))]), Some("KeyUnknown")),
        ("a private key", "4.2", keys(vec![with("d", json!("AA"))]), Some("NoTrustBundle Private")),
        ("another algorithm", "4.2", keys(vec![with("alg", json!("ES384"))]), Some("NoTrustBundle Algorithm")),
        ("not to verify with", "4.2", keys(vec![with("key_ops", json!(["sign"]))]), Some("NoTrustBundle Operation")),
        ("no point of its curve", "4.2", keys(vec![with("x", json!(b64([1; 32])))]), Some("NoTrustBundle Value")),
        (
            "control: an entry of the same id that is no key beside it",
            "4.2",
            keys(vec![key(), with("x", json!("AA"))]),
            None,
        ),
        ("an RSA key of 1024 bits", "4.2", keys(vec![weak_jwk(&RsaKey::weak()?, "k")]), Some("NoTrustBundle Value")),
        ("two keys of one id", "4.2", keys(vec![key(), twin]), Some("NoTrustBundle LeftOut None")),
    ];
    let token = own.sign(HEADER, &payload())?;
    let cases = rows.into_iter().map(|(name, rule, bundle, error)| {
        let rule = if rule.contains('§') { rule.to_owned() } else { format!("Trust Domain and Bundle §{rule}") };
        json!({ "name": name, "rule": rule, "bundle": bundle, "error": error })
    });
    Ok(json!({ "audience": AUDIENCE, "trust_domain": "a.test", "token": token, "cases": cases.collect::<Vec<_>>() }))
}
