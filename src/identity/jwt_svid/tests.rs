//! JWT-SVIDs named by their defect, each beside the token that it was made from (JWT-SVID §2 to
//! §6; RFC 7515 §4; RFC 8725 §3).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;
use crate::jose::algorithm::Algorithm;
use crate::jose::key::{Curve, Jwk, Material};

const NOW: u64 = 1_790_000_000;
const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(material: Material, key_id: &str) -> String {
    Jwk { key_id: Some(key_id.to_owned()), key_use: Some("jwt-svid".to_owned()), algorithm: None, material }
        .to_json()
        .to_text()
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: Curve) -> (EcdsaKeyPair, Material) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let material = Material::Ec { curve, x: x.to_vec(), y: y.to_vec() };
    (pair, material)
}

/// One trust domain with one key.
struct Domain {
    name: TrustDomain,
    pair: EcdsaKeyPair,
    key: String,
}

impl Domain {
    fn new(name: &str) -> Self {
        let (pair, material) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256);
        Self { name: name.parse().unwrap(), pair, key: jwk(material, "k") }
    }

    fn set(&self) -> String {
        format!(r#"{{"keys":[{}]}}"#, self.key)
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", b64(signature))
    }

    fn authorities(&self) -> JwtAuthorities {
        JwtAuthorities::of([(self.name.clone(), self.set().as_str())])
    }
}

/// The claims of a good token, and what is to stand in place of them or beside them.
fn claims(changes: &[(&str, &str)]) -> String {
    let exp = (NOW + 300).to_string();
    let mut members = vec![("sub", r#""spiffe://a.test/agent""#), ("aud", r#"["carnet"]"#), ("exp", exp.as_str())];
    for (name, value) in changes {
        members.retain(|(known, _)| known != name);
        if !value.is_empty() {
            members.push((name, value));
        }
    }
    let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn verify(authorities: &JwtAuthorities, token: &str) -> Result<JwtSvid, JwtSvidError> {
    let rules = JwtSvidRules { audience: "carnet".to_owned(), life_max: None };
    authorities.verify(token, &rules, Timestamp::from_secs(NOW))
}

/// The rule that is broken; of a form, which.
fn defect(result: Result<JwtSvid, JwtSvidError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(JwtSvidError::Form(error)) => word(&format!("{error:?}")),
        Err(error) => word(&format!("{error:?}")),
    }
}

fn word(debug: &str) -> String {
    debug.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn a_good_token_says_whom_it_names_and_until_when() {
    let domain = Domain::new("a.test");
    let svid = verify(&domain.authorities(), &domain.sign(HEADER, &claims(&[("iat", "1790000000")]))).unwrap();
    assert_eq!(svid.spiffe_id.as_str(), "spiffe://a.test/agent");
    assert_eq!((svid.issued, svid.expires), (Some(Timestamp::from_secs(NOW)), Timestamp::from_secs(NOW + 300)));
    assert!(!format!("{svid:?}").contains("carnet"), "claims are not told");
}

#[test]
fn headers_are_refused_by_their_defect() {
    let domain = Domain::new("a.test");
    let authorities = domain.authorities();
    for (name, header, expected) in [
        ("control", HEADER, "accepted"),
        ("typ JWT", r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, "accepted"),
        ("typ JOSE", r#"{"alg":"ES256","kid":"k","typ":"JOSE"}"#, "accepted"),
        ("typ in lower case", r#"{"alg":"ES256","kid":"k","typ":"jwt"}"#, "Type"),
        ("typ of an access token", r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#, "Type"),
        ("typ of a WIT", r#"{"alg":"ES256","kid":"k","typ":"wit+jwt"}"#, "Type"),
        ("typ of a logout token", r#"{"alg":"ES256","kid":"k","typ":"logout+jwt"}"#, "Type"),
        ("kid of another key", r#"{"alg":"ES256","kid":"other"}"#, "KeyUnknown"),
        ("no kid", r#"{"alg":"ES256"}"#, r#"HeaderAbsent("kid")"#),
        ("no alg", r#"{"kid":"k"}"#, r#"HeaderAbsent("alg")"#),
        ("alg none", r#"{"alg":"none","kid":"k"}"#, "Algorithm"),
        ("alg nOnE", r#"{"alg":"nOnE","kid":"k"}"#, "Algorithm"),
        ("alg HS256", r#"{"alg":"HS256","kid":"k"}"#, "Algorithm"),
        ("alg EdDSA", r#"{"alg":"EdDSA","kid":"k"}"#, "Algorithm"),
        ("alg Ed25519", r#"{"alg":"Ed25519","kid":"k"}"#, "Algorithm"),
        ("alg ES256K", r#"{"alg":"ES256K","kid":"k"}"#, "Algorithm"),
        ("alg of a type of key that it is not", r#"{"alg":"RS256","kid":"k"}"#, "AlgorithmOfKey(Rs256)"),
        ("crit", r#"{"alg":"ES256","kid":"k","crit":["x"],"x":1}"#, "Critical"),
        ("crit b64", r#"{"alg":"ES256","kid":"k","crit":["b64"],"b64":false}"#, "Critical"),
        ("b64", r#"{"alg":"ES256","kid":"k","b64":true}"#, "HeaderMember"),
        ("jku", r#"{"alg":"ES256","kid":"k","jku":"https://evil.test/keys"}"#, "HeaderMember"),
        ("jwk", r#"{"alg":"ES256","kid":"k","jwk":{}}"#, "HeaderMember"),
        ("x5u", r#"{"alg":"ES256","kid":"k","x5u":"https://evil.test/cert"}"#, "HeaderMember"),
        ("x5c", r#"{"alg":"ES256","kid":"k","x5c":["AA"]}"#, "HeaderMember"),
        ("x5t", r#"{"alg":"ES256","kid":"k","x5t":"AA"}"#, "HeaderMember"),
        ("cty", r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#, "HeaderMember"),
        ("a member that nobody knows", r#"{"alg":"ES256","kid":"k","foo":1}"#, "HeaderMember"),
        ("alg twice", r#"{"alg":"none","alg":"ES256","kid":"k"}"#, "Json"),
        ("kid twice", r#"{"alg":"ES256","kid":"x","kid":"k"}"#, "Json"),
    ] {
        assert_eq!(defect(verify(&authorities, &domain.sign(header, &claims(&[])))), expected, "{name}");
    }
}

/// A name, claims in place of the usual ones, and the rule that is broken.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn claims_are_refused_by_their_defect() {
    let domain = Domain::new("a.test");
    let authorities = domain.authorities();
    let past = (NOW - 1).to_string();
    let now = NOW.to_string();
    let ahead = (NOW + 16).to_string();
    let near = (NOW + 15).to_string();
    let rows: &[Row] = &[
        ("control", &[], "accepted"),
        ("aud a string", &[("aud", r#""carnet""#)], "accepted"),
        ("aud among others", &[("aud", r#"["x","carnet"]"#)], "accepted"),
        ("jti, iss and others", &[("jti", r#""j""#), ("iss", r#""https://evil.test""#), ("x", "{}")], "accepted"),
        ("far exp, for which the standard sets no limit", &[("exp", "253402300799")], "accepted"),
        ("nbf within the skew", &[("nbf", near.as_str())], "accepted"),
        ("no sub", &[("sub", "")], r#"Claim(Absent("sub"))"#),
        ("sub a number", &[("sub", "7")], r#"Claim(Shape("sub"))"#),
        ("sub a list", &[("sub", r#"["spiffe://a.test/agent"]"#)], r#"Claim(Shape("sub"))"#),
        ("sub no SPIFFE ID", &[("sub", r#""https://a.test/agent""#)], "SpiffeId(Scheme)"),
        (
            "the SPIFFE ID in iss alone",
            &[("sub", r#""agent""#), ("iss", r#""spiffe://a.test/agent""#)],
            "SpiffeId(Scheme)",
        ),
        ("sub in upper case", &[("sub", r#""spiffe://A.test/agent""#)], "SpiffeId(TrustDomainCharacter)"),
        ("sub with a slash at the end", &[("sub", r#""spiffe://a.test/agent/""#)], "SpiffeId(PathEmptySegment)"),
        ("sub without a path", &[("sub", r#""spiffe://a.test""#)], "NoPath"),
        ("sub of another trust domain", &[("sub", r#""spiffe://b.test/agent""#)], "NoTrustBundle(b.test)"),
        ("no aud", &[("aud", "")], r#"Claim(Absent("aud"))"#),
        ("aud null", &[("aud", "null")], r#"Claim(Shape("aud"))"#),
        ("aud a number", &[("aud", "7")], r#"Claim(Shape("aud"))"#),
        ("aud an object", &[("aud", r#"{"carnet":1}"#)], r#"Claim(Shape("aud"))"#),
        ("aud empty", &[("aud", "[]")], r#"Claim(Shape("aud"))"#),
        ("aud mixed", &[("aud", r#"["carnet",7]"#)], r#"Claim(Shape("aud"))"#),
        ("aud longer than ours", &[("aud", r#""carnet2""#)], "Audience"),
        ("aud shorter than ours", &[("aud", r#""carne""#)], "Audience"),
        ("aud in another case", &[("aud", r#""Carnet""#)], "Audience"),
        ("aud with a slash", &[("aud", r#""carnet/""#)], "Audience"),
        ("aud with white space", &[("aud", r#"" carnet""#)], "Audience"),
        ("aud of several in one string", &[("aud", r#""x carnet""#)], "Audience"),
        ("no exp", &[("exp", "")], r#"Claim(Absent("exp"))"#),
        ("exp a string", &[("exp", r#""1790000300""#)], r#"Claim(Shape("exp"))"#),
        ("exp null", &[("exp", "null")], r#"Claim(Shape("exp"))"#),
        ("exp a fraction", &[("exp", "1790000300.5")], r#"Claim(Shape("exp"))"#),
        ("exp negative", &[("exp", "-1")], r#"Claim(Shape("exp"))"#),
        ("exp beyond all numbers", &[("exp", "1e400")], r#"Claim(Shape("exp"))"#),
        ("exp beyond all time", &[("exp", "1e19")], r#"Claim(Shape("exp"))"#),
        ("expired", &[("exp", past.as_str())], "Time(Expired)"),
        ("expired now", &[("exp", now.as_str())], "Time(Expired)"),
        ("nbf ahead", &[("nbf", ahead.as_str())], "Time(NotYet)"),
        ("nbf a string", &[("nbf", r#""0""#)], r#"Claim(Shape("nbf"))"#),
        ("iat ahead", &[("iat", ahead.as_str())], "Time(IssuedAhead)"),
    ];
    for (name, changes, expected) in rows {
        assert_eq!(defect(verify(&authorities, &domain.sign(HEADER, &claims(changes)))), *expected, "{name}");
    }
    for (name, twice) in [
        ("sub", r#""sub":"spiffe://a.test/other","sub":"spiffe://a.test/agent""#),
        ("aud", r#""aud":"x","aud":"carnet""#),
        ("exp", r#""exp":1,"exp":1790000300"#),
        ("a member that nobody knows", r#""x":1,"x":2"#),
        ("a member of a member", r#""cnf":{"a":1,"a":2}"#),
    ] {
        let payload = claims(&[]).replacen('{', &format!("{{{twice},"), 1);
        assert_ne!(defect(verify(&authorities, &domain.sign(HEADER, &payload))), "accepted", "{name} twice");
    }
    for payload in ["[]", "7", "", "{", "null"] {
        assert_ne!(defect(verify(&authorities, &domain.sign(HEADER, payload))), "accepted", "payload `{payload}`");
    }
}

#[test]
fn a_life_longer_than_accepted_is_refused_where_a_limit_is_set() {
    let domain = Domain::new("a.test");
    let authorities = domain.authorities();
    let check = |exp: u64, iat: u64| {
        let (exp, iat) = (exp.to_string(), iat.to_string());
        let token = domain.sign(HEADER, &claims(&[("exp", &exp), ("iat", &iat)]));
        let rules = JwtSvidRules { audience: "carnet".to_owned(), life_max: Some(Duration::from_secs(3600)) };
        defect(authorities.verify(&token, &rules, Timestamp::from_secs(NOW)))
    };
    assert_eq!(check(NOW + 3600, NOW), "accepted");
    assert_eq!(check(NOW + 3601, NOW), "Time(Life)");
}

#[test]
fn the_nine_algorithms_verify_and_no_other() {
    let rng = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = rsa.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let exponent = rsa.public_key().exponent().big_endian_without_leading_zero().to_vec();
    let (p256, m256) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256);
    let (p384, m384) = ec(&ECDSA_P384_SHA384_FIXED_SIGNING, Curve::P384);
    let (p521, m521) = ec(&ECDSA_P521_SHA512_FIXED_SIGNING, Curve::P521);
    let ed = Ed25519KeyPair::generate().unwrap();
    let keys = [
        jwk(Material::Rsa { n: modulus, e: exponent }, "rsa"),
        jwk(m256, "p256"),
        jwk(m384, "p384"),
        jwk(m521, "p521"),
        jwk(Material::Ed25519 { x: ed.public_key().as_ref().to_vec() }, "ed"),
    ];
    let set = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let authorities = JwtAuthorities::of([("a.test".parse().unwrap(), set.as_str())]);
    for algorithm in Algorithm::ALL {
        let kid = match algorithm {
            Algorithm::Es256 => "p256",
            Algorithm::Es384 => "p384",
            Algorithm::Es512 => "p521",
            Algorithm::Ed25519 => "ed",
            _ => "rsa",
        };
        let input = format!("{}.{}", b64(format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#)), b64(claims(&[])));
        let message = input.as_bytes();
        let rsa_sign = |encoding| {
            let mut out = vec![0; rsa.public_modulus_len()];
            rsa.sign(encoding, &rng, message, &mut out).unwrap();
            out
        };
        let signature = match algorithm {
            Algorithm::Rs256 => rsa_sign(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa_sign(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa_sign(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa_sign(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa_sign(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa_sign(&RSA_PSS_SHA512),
            Algorithm::Es256 => p256.sign(&rng, message).unwrap().as_ref().to_vec(),
            Algorithm::Es384 => p384.sign(&rng, message).unwrap().as_ref().to_vec(),
            Algorithm::Es512 => p521.sign(&rng, message).unwrap().as_ref().to_vec(),
            Algorithm::Ed25519 => ed.sign(message).as_ref().to_vec(),
        };
        let expected = if algorithm == Algorithm::Ed25519 { "Algorithm" } else { "accepted" };
        assert_eq!(defect(verify(&authorities, &format!("{input}.{}", b64(&signature)))), expected, "{algorithm}");
        let mut broken = signature;
        broken[3] ^= 1;
        assert_ne!(defect(verify(&authorities, &format!("{input}.{}", b64(&broken)))), "accepted", "{algorithm}");
    }
}

#[test]
fn a_key_verifies_for_its_own_trust_domain_alone() {
    let (own, other) = (Domain::new("a.test"), Domain::new("b.test"));
    let both = JwtAuthorities::of([(own.name.clone(), own.set().as_str()), (other.name.clone(), other.set().as_str())]);
    let of_other = [("sub", r#""spiffe://b.test/agent""#)];
    assert_eq!(defect(verify(&both, &own.sign(HEADER, &claims(&[])))), "accepted");
    assert_eq!(defect(verify(&both, &other.sign(HEADER, &claims(&of_other)))), "accepted");
    // Both keys have the same id.
    assert_eq!(defect(verify(&both, &other.sign(HEADER, &claims(&[])))), "Signature");
    assert_eq!(defect(verify(&both, &own.sign(HEADER, &claims(&of_other)))), "Signature");
    let without = JwtAuthorities::of([(own.name.clone(), own.set().as_str())]);
    assert_eq!(defect(verify(&without, &other.sign(HEADER, &claims(&of_other)))), "NoTrustBundle(b.test)");
}

#[test]
fn keys_of_a_bundle_are_taken_by_their_use() {
    let domain = Domain::new("a.test");
    let token = domain.sign(HEADER, &claims(&[]));
    let marked = |key_use: &str| domain.key.replace(r#""jwt-svid""#, key_use);
    let unmarked = domain.key.replace(r#","use":"jwt-svid""#, "");
    let other = Domain::new("a.test").key.replace(r#""kid":"k""#, r#""kid":"other""#);
    for (name, keys, expected) in [
        ("control", domain.key.clone(), "accepted"),
        ("for X.509-SVIDs", marked(r#""x509-svid""#), "NoTrustBundle(a.test)"),
        ("for WIT-SVIDs", marked(r#""wit-svid""#), "NoTrustBundle(a.test)"),
        ("for signatures of any kind", marked(r#""sig""#), "NoTrustBundle(a.test)"),
        ("in another case", marked(r#""JWT-SVID""#), "NoTrustBundle(a.test)"),
        ("use a number", marked("7"), "NoTrustBundle(a.test)"),
        ("no use beside one that says it", format!("{unmarked},{other}"), "KeyUnknown"),
        ("no use, in a bundle with a sequence", unmarked.clone(), "NoTrustBundle(a.test)"),
        ("another id twice beside it", format!("{},{},{}", domain.key, other.clone(), other.clone()), "accepted"),
        (
            "an entry with a member twice beside it",
            format!(r#"{{"kty":"EC","kty":"EC","kid":"z","use":"jwt-svid"}},{}"#, domain.key),
            "accepted",
        ),
        ("no kid", domain.key.replace(r#""kid":"k","#, ""), "NoTrustBundle(a.test)"),
        (
            "a key that nobody knows beside it",
            format!(r#"{{"kty":"new","use":"jwt-svid"}},7,{}"#, domain.key),
            "accepted",
        ),
        ("the same id twice", format!("{},{}", domain.key, domain.key), "NoTrustBundle(a.test)"),
        ("none", String::new(), "NoTrustBundle(a.test)"),
    ] {
        let set = format!(r#"{{"keys":[{keys}],"spiffe_sequence":1,"more":{{}}}}"#);
        let authorities = JwtAuthorities::of([(domain.name.clone(), set.as_str())]);
        assert_eq!(defect(verify(&authorities, &token)), expected, "{name}");
    }
    let (certified, nameless) =
        (unmarked.replace(r#""kid":"k""#, r#""kid":"c","x5c":["MAo="]"#), unmarked.replace(r#""kid":"k","#, ""));
    for (name, keys, expected) in [
        ("no use in a bare set, as SPIRE sends it", unmarked.clone(), "accepted"),
        ("beside one with a certificate", format!("{unmarked},{certified}"), "NoTrustBundle(a.test)"),
        ("beside one without an id", format!("{unmarked},{nameless}"), "NoTrustBundle(a.test)"),
    ] {
        let set = format!(r#"{{"keys":[{keys}]}}"#);
        let authorities = JwtAuthorities::of([(domain.name.clone(), set.as_str())]);
        assert_eq!(defect(verify(&authorities, &token)), expected, "{name}");
    }
    for set in ["", "[]", r#"{"keys":{}}"#, "{}"] {
        let authorities = JwtAuthorities::of([(domain.name.clone(), set)]);
        assert_eq!(defect(verify(&authorities, &token)), "NoTrustBundle(a.test)", "`{set}`");
    }
}

#[test]
fn a_refusal_says_whom_the_token_was_signed_for_once_its_signature_holds() {
    let (domain, other) = (Domain::new("a.test"), Domain::new("a.test"));
    let authorities = domain.authorities();
    let rules = JwtSvidRules { audience: "carnet".to_owned(), life_max: None };
    let proven = |token: &str| {
        authorities.judge(token, &rules, Timestamp::from_secs(NOW)).unwrap_err().proven.map(|id| id.to_string())
    };
    for (name, changes) in [
        ("another audience", [("aud", r#""elsewhere""#)]),
        ("no audience", [("aud", "7")]),
        ("expired", [("exp", "1")]),
    ] {
        let token = domain.sign(HEADER, &claims(&changes));
        assert_eq!(proven(&token).as_deref(), Some("spiffe://a.test/agent"), "{name}");
        assert_eq!(proven(&other.sign(HEADER, &claims(&changes))), None, "{name}, by another's key");
    }
}

proptest! {
    #[test]
    fn no_token_makes_it_panic(header in ".{0,60}", payload in ".{0,120}", tail in any::<Vec<u8>>()) {
        let domain = Domain::new("a.test");
        let token = format!("{}.{}.{}", b64(header), b64(payload), b64(tail));
        prop_assert!(verify(&domain.authorities(), &token).is_err());
    }
}
