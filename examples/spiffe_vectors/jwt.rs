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
const HEADERS: &[(&str, &str, &str, bool)] = &[
    ("control", "2", HEADER, true),
    ("control: typ JWT", "2.3", r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, true),
    ("control: typ JOSE", "2.3", r#"{"alg":"ES256","kid":"k","typ":"JOSE"}"#, true),
    ("typ of an access token", "2.3", r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#, false),
    ("typ in lower case", "2.3", r#"{"alg":"ES256","kid":"k","typ":"jwt"}"#, false),
    ("typ null", "2.3", r#"{"alg":"ES256","kid":"k","typ":null}"#, false),
    ("no alg", "2.1", r#"{"kid":"k"}"#, false),
    ("alg none", "2.1", r#"{"alg":"none","kid":"k"}"#, false),
    ("alg None", "2.1", r#"{"alg":"None","kid":"k"}"#, false),
    ("alg HS256", "2.1", r#"{"alg":"HS256","kid":"k"}"#, false),
    ("alg EdDSA", "2.1", r#"{"alg":"EdDSA","kid":"k"}"#, false),
    ("alg of a longer curve", "2.1", r#"{"alg":"ES384","kid":"k"}"#, false),
    ("alg of another type of key", "2.1", r#"{"alg":"RS256","kid":"k"}"#, false),
    ("crit", "2", r#"{"alg":"ES256","kid":"k","crit":["x"],"x":1}"#, false),
    ("crit b64", "2", r#"{"alg":"ES256","kid":"k","crit":["b64"],"b64":false}"#, false),
    ("jku", "2", r#"{"alg":"ES256","kid":"k","jku":"https://evil.test/keys"}"#, false),
    ("jwk", "2", r#"{"alg":"ES256","kid":"k","jwk":{"kty":"oct","k":"AA"}}"#, false),
    ("x5u", "2", r#"{"alg":"ES256","kid":"k","x5u":"https://evil.test/cert"}"#, false),
    ("x5c", "2", r#"{"alg":"ES256","kid":"k","x5c":["AA"]}"#, false),
    ("cty", "2", r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#, false),
    ("a member that nobody knows", "2", r#"{"alg":"ES256","kid":"k","foo":1}"#, false),
    ("alg twice", "2", r#"{"alg":"none","alg":"ES256","kid":"k"}"#, false),
    ("kid of no key", "2.2", r#"{"alg":"ES256","kid":"other"}"#, false),
    ("no kid, which the standard allows and every issuer sets", "2.2", r#"{"alg":"ES256"}"#, false),
];

/// A name, a section, claims in place of the usual ones, and whether that is accepted.
type ClaimsRow = (&'static str, &'static str, &'static [(&'static str, &'static str)], bool);

/// Claims of a token that is good otherwise (JWT-SVID §3): those of the control, with some replaced, or left out by an empty text.
const CLAIMS: &[ClaimsRow] = &[
    ("control: aud a string", "3.2", &[("aud", r#""carnet""#)], true),
    ("control: aud among others", "3.2", &[("aud", r#"["other","carnet"]"#)], true),
    (
        "control: further claims",
        "3",
        &[("jti", r#""j""#), ("iss", r#""https://evil.test""#), ("nbf", "1767225600")],
        true,
    ),
    ("no sub", "3.1", &[("sub", "")], false),
    ("sub a number", "3.1", &[("sub", "7")], false),
    ("sub no SPIFFE ID", "3.1", &[("sub", r#""agent""#)], false),
    ("sub in upper case", "3.1", &[("sub", r#""spiffe://A.test/agent""#)], false),
    ("the SPIFFE ID in iss alone", "3.1", &[("sub", r#""agent""#), ("iss", r#""spiffe://a.test/agent""#)], false),
    ("sub of another trust domain", "3.1", &[("sub", r#""spiffe://b.test/agent""#)], false),
    ("sub of a trust domain without a bundle", "3.1", &[("sub", r#""spiffe://c.test/agent""#)], false),
    ("no aud", "3.2", &[("aud", "")], false),
    ("aud empty", "3.2", &[("aud", "[]")], false),
    ("aud null", "3.2", &[("aud", "null")], false),
    ("aud mixed", "3.2", &[("aud", r#"["carnet",7]"#)], false),
    ("aud of somebody else", "3.2", &[("aud", r#""other""#)], false),
    ("aud that begins like ours", "3.2", &[("aud", r#""carnet.evil.test""#)], false),
    ("aud in another case", "3.2", &[("aud", r#""CARNET""#)], false),
    ("no exp", "3.3", &[("exp", "")], false),
    ("expired", "3.3", &[("exp", "1767225600")], false),
    ("exp a string", "3.3", &[("exp", r#""4102444800""#)], false),
    ("exp null", "3.3", &[("exp", "null")], false),
    ("exp beyond all time", "3.3", &[("exp", "1e19")], false),
    ("exp beyond all numbers", "3.3", &[("exp", "1e400")], false),
    ("exp negative", "3.3", &[("exp", "-1")], false),
    ("nbf ahead", "3", &[("nbf", "4102444799")], false),
    ("exp twice", "3.3", &[("exp\":1,\"exp", "4102444800")], false),
    ("sub twice", "3.1", &[("sub\":\"spiffe://a.test/other\",\"sub", r#""spiffe://a.test/agent""#)], false),
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
    let mut push = |name: &str, rule: &str, token: String, good: bool| {
        let rule = if rule.contains('§') { rule.to_owned() } else { format!("JWT-SVID §{rule}") };
        cases.push(json!({ "name": name, "rule": rule, "token": token, "good": good }));
    };
    for (name, rule, header, good) in HEADERS {
        push(name, rule, own.sign(header, &payload())?, *good);
    }
    for (name, rule, changes, good) in CLAIMS {
        push(name, rule, own.sign(HEADER, &with_claims(changes))?, *good);
    }
    for (name, token) in encodings(&own, &other)? {
        push(name, "2", token, false);
    }
    for (name, token, jwk, good) in algorithms()? {
        push(&name, "2.1", token, good);
        keys.push(jwk);
    }
    let federation = "Federation §4.2";
    let elsewhere = with_claims(&[("sub", r#""spiffe://b.test/agent""#)]);
    push("control: of a federated trust domain", federation, other.sign(HEADER, &elsewhere)?, true);
    push("by another trust domain's key of the same id", federation, other.sign(HEADER, &payload())?, false);
    push("of another trust domain, by ours", federation, own.sign(HEADER, &elsewhere)?, false);
    let bundles = json!({ "a.test": { "keys": keys }, "b.test": { "keys": [other.jwk] } });
    Ok(json!({ "audience": AUDIENCE, "trust_domains": bundles, "cases": cases }))
}

/// Tokens that are no JWS in compact serialization that holds.
fn encodings(own: &Ec, other: &Ec) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let good = own.sign(HEADER, &payload())?;
    let (signed, signature) = good.rsplit_once('.').ok_or("a token has dots")?;
    let (header, body) = signed.split_once('.').ok_or("a token has two dots")?;
    let flattened = json!({ "protected": header, "payload": body, "signature": signature });
    let general = json!({ "payload": body, "signatures": [{ "protected": header, "signature": signature }] });
    Ok(vec![
        ("JSON serialization, flattened", flattened.to_string()),
        ("JSON serialization, general", general.to_string()),
        ("five parts, as a JWE has", format!("{good}.AA.AA")),
        ("two parts", signed.to_owned()),
        ("no signature", format!("{signed}.")),
        ("signature padded", format!("{good}==")),
        ("signature in ASN.1", own.sign_der(HEADER, &payload())?),
        ("signature of zeros", format!("{signed}.{}", b64([0; 64]))),
        ("white space after", format!("{good} ")),
        ("payload detached", format!("{header}..{signature}")),
        ("payload of another", format!("{header}.{}.{signature}", b64(with_claims(&[("jti", r#""x""#)])))),
        ("by another key", other.sign(HEADER, &payload())?),
        ("payload no object", own.sign(HEADER, "[]")?),
        ("empty", String::new()),
    ])
}

type Signed = (String, String, Value, bool);

/// One token for each of the nine algorithms, and one by a key that no JWT-SVID is signed with.
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
        out.push((format!("control: {name}"), key.sign(&header(name), &payload())?, key.jwk, true));
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
        out.push((format!("control: {name}"), format!("{input}.{}", b64(signature)), jwk, true));
    }
    let key = Ed25519KeyPair::generate()?;
    let input = input(&header("Ed25519"), &payload());
    let x = b64(key.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "use": "jwt-svid", "kid": "Ed25519", "x": x });
    let token = format!("{input}.{}", b64(key.sign(input.as_bytes())));
    out.push(("alg Ed25519, with a key for it".to_owned(), token, jwk, false));
    Ok(out)
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
    let keys = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let rows: Vec<(&str, &str, String, bool)> = vec![
        ("control", "4.2", keys(vec![key()]), true),
        (
            "control: members that nobody knows",
            "4.1",
            json!({ "keys": [key()], "spiffe_sequence": 1, "x": {} }).to_string(),
            true,
        ),
        (
            "control: a type that nobody knows beside it",
            "4.2.1",
            keys(vec![json!({ "kty": "new", "use": "jwt-svid", "kid": "n" }), key()]),
            true,
        ),
        ("control: a use that nobody knows beside it", "4.2.2", keys(vec![with("use", json!("new")), key()]), true),
        ("control: an entry that is no object beside it", "4.2", keys(vec![json!(7), key()]), true),
        ("control: an entry without kid beside it", "JWT-SVID §6.1", keys(vec![without("kid"), key()]), true),
        (
            "control: an authority for X.509-SVIDs beside it",
            "X509-SVID §6.2",
            keys(vec![json!({ "kty": "EC", "use": "x509-svid", "x5c": [] }), key()]),
            true,
        ),
        (
            "control: no entry says its use, as in SPIRE's Workload API",
            "Workload API §6",
            keys(vec![without("use")]),
            true,
        ),
        ("no keys", "4.1.3", keys(vec![]), false),
        ("no member keys", "4.1.3", "{}".to_owned(), false),
        ("keys no list", "4.1.3", r#"{"keys":{}}"#.to_owned(), false),
        ("no JSON", "4.1", "keys".to_owned(), false),
        ("keys twice", "4.1", format!(r#"{{"keys":[],"keys":[{}]}}"#, key()), false),
        ("no kty", "4.2.1", keys(vec![without("kty")]), false),
        ("kty in another case", "4.2.1", keys(vec![with("kty", json!("ec"))]), false),
        ("no use beside one that says it", "4.2.2", keys(vec![without("use"), other.jwk.clone()]), false),
        ("use of X.509-SVIDs", "JWT-SVID §6.1", keys(vec![with("use", json!("x509-svid"))]), false),
        ("use of signatures of any kind", "JWT-SVID §6.1", keys(vec![with("use", json!("sig"))]), false),
        ("use in another case", "4.2.2", keys(vec![with("use", json!("JWT-SVID"))]), false),
        ("no kid", "JWT-SVID §6.1", keys(vec![without("kid")]), false),
        ("kid of another", "JWT-SVID §6.1", keys(vec![with("kid", json!("x"))]), false),
        ("a private key", "4.2", keys(vec![with("d", json!("AA"))]), false),
        ("another algorithm", "4.2", keys(vec![with("alg", json!("ES384"))]), false),
        ("not to verify with", "4.2", keys(vec![with("key_ops", json!(["sign"]))]), false),
        ("no point of its curve", "4.2", keys(vec![with("x", json!(b64([1; 32])))]), false),
        (
            "control: an entry of the same id that is no key beside it",
            "4.2",
            keys(vec![key(), with("x", json!("AA"))]),
            true,
        ),
        ("the same id twice", "4.2", keys(vec![key(), key()]), false),
    ];
    let token = own.sign(HEADER, &payload())?;
    let cases = rows.into_iter().map(|(name, rule, bundle, good)| {
        let rule = if rule.contains('§') { rule.to_owned() } else { format!("Trust Domain and Bundle §{rule}") };
        json!({ "name": name, "rule": rule, "bundle": bundle, "good": good })
    });
    Ok(json!({ "audience": AUDIENCE, "trust_domain": "a.test", "token": token, "cases": cases.collect::<Vec<_>>() }))
}
