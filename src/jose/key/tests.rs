//! Keys named by their defect, and sets in which one bad key does not spoil the rest.

use super::*;
use crate::jose::key_set::{KEYS_MAX, KeySet, Unmarked, Wanted};

// RFC 7515 A.3, RFC 8037 A.2, RFC 7638 §3.1.
const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
const OKP: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
const RSA: &str = r#""kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw""#;

const SIGNING: Wanted = Wanted { key_use: "sig", unmarked: Unmarked::LeftOut, algorithm_needed: true };

fn parse(members: &str) -> Result<PublicKey, KeyError> {
    Jwk::parse(&Json::parse(&format!("{{{members}}}"), 1 << 16).unwrap()).and_then(|jwk| jwk.public_key())
}

fn defect(members: &str) -> Option<KeyError> {
    parse(members).err()
}

#[test]
fn known_keys_are_read_and_written_alike() {
    for (members, algorithm) in [(EC, "ES256"), (OKP, "Ed25519"), (RSA, "PS384")] {
        let text = format!(r#"{{{members},"kid":"k","use":"sig","alg":"{algorithm}"}}"#);
        let jwk = Jwk::parse(&Json::parse(&text, 1 << 16).unwrap()).unwrap();
        assert!(jwk.public_key().is_ok(), "{algorithm}");
        assert_eq!(Jwk::parse(&jwk.to_json()).unwrap(), jwk);
    }
}

#[test]
fn thumbprints_are_those_of_the_rfc() {
    let jwk = Jwk::parse(&Json::parse(&format!(r#"{{{RSA},"kid":"2011-04-29","alg":"RS256"}}"#), 1 << 16).unwrap());
    assert_eq!(URL_SAFE_NO_PAD.encode(jwk.unwrap().thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let okp = Jwk::parse(&Json::parse(&format!("{{{OKP}}}"), 1 << 16).unwrap()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(okp.thumbprint()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn keys_are_refused_by_their_defect() {
    assert_eq!(defect(EC), None, "control");
    for (name, members, expected) in [
        ("symmetric", r#""kty":"oct","k":"AAAA""#.to_owned(), KeyError::Private),
        ("symmetric without its value", r#""kty":"oct""#.to_owned(), KeyError::Type),
        ("no type", r#""crv":"P-256""#.to_owned(), KeyError::Type),
        ("private", format!(r#"{EC},"d":"AAAA""#), KeyError::Private),
        ("curve of another name", EC.replace("P-256", "secp256k1"), KeyError::Curve),
        ("curve of another size", EC.replace("P-256", "P-384"), KeyError::Member("x")),
        ("Ed448", OKP.replace("Ed25519", "Ed448"), KeyError::Curve),
        ("X25519", OKP.replace("Ed25519", "X25519"), KeyError::Curve),
        ("off the curve", EC.replace("x_FE", "x_FF"), KeyError::Value),
        ("short coordinate", EC.replace("f83OJ3D2", ""), KeyError::Member("x")),
        ("padded coordinate", EC.replace("RVEU\"", "RVEU=\""), KeyError::Member("x")),
        ("coordinate number", r#""kty":"EC","crv":"P-256","x":1,"y":2"#.to_owned(), KeyError::Member("x")),
        ("RSA algorithm on a curve", format!(r#"{EC},"alg":"RS256""#), KeyError::Algorithm),
        ("larger algorithm on a curve", format!(r#"{EC},"alg":"ES384""#), KeyError::Algorithm),
        ("HMAC", format!(r#"{EC},"alg":"HS256""#), KeyError::Algorithm),
        ("for encryption", format!(r#"{EC},"key_ops":["deriveKey"]"#), KeyError::Operation),
        ("key_ops no list", format!(r#"{EC},"key_ops":"verify""#), KeyError::Operation),
        ("exponent one", RSA.replace("AQAB", "AQ"), KeyError::Value),
        ("exponent even", RSA.replace("AQAB", "AQAA"), KeyError::Value),
        ("exponent endless", RSA.replace("AQAB", "AQAAAAAB"), KeyError::Value),
        ("modulus with a leading zero", RSA.replace("0vx7", "AAAA0vx7"), KeyError::Member("n")),
        ("modulus of 2024 bits", RSA.replace("0vx7", ""), KeyError::Value),
    ] {
        assert_eq!(defect(&members), Some(expected), "{name}");
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_set() {
    let text = format!(
        r#"{{"keys":[{{{EC},"kid":"a","use":"sig","alg":"ES256"}},{{"kty":"oct","k":"AA","kid":"b","use":"sig","alg":"HS256"}},{{{OKP},"kid":"c","use":"enc","alg":"Ed25519"}},{{{OKP},"kid":"d","alg":"Ed25519"}},{{{OKP},"use":"sig","alg":"Ed25519"}},{{{EC},"kid":"e","use":"sig"}},7]}}"#
    );
    let set = KeySet::parse(&text, SIGNING).unwrap();
    assert_eq!(set.len(), 1);
    assert!(set.find("a").is_some());
    let left_out: Vec<_> = set.left_out().iter().map(|l| (l.place, l.cause.clone())).collect();
    assert_eq!(
        left_out,
        [(1, Some(KeyError::Private)), (2, None), (3, None), (4, None), (5, None), (6, Some(KeyError::Type))]
    );
}

#[test]
fn sets_are_refused_by_their_defect() {
    let entry = format!(r#"{{{EC},"kid":"a","use":"sig","alg":"ES256"}}"#);
    for (name, text, good) in [
        ("control", format!(r#"{{"keys":[{entry}],"more":1}}"#), true),
        ("empty", r#"{"keys":[]}"#.to_owned(), true),
        ("keys twice", format!(r#"{{"keys":[],"keys":[{entry}]}}"#), false),
        ("no keys", "{}".to_owned(), false),
        ("keys no list", r#"{"keys":{}}"#.to_owned(), false),
        ("a list", format!("[{entry}]"), false),
        ("no JSON", "keys".to_owned(), false),
    ] {
        assert_eq!(KeySet::parse(&text, SIGNING).is_ok(), good, "{name}");
    }
    assert!(KeySet::parse(r#"{"keys":[]}"#, SIGNING).unwrap().is_empty());
}

#[test]
fn what_is_wrong_with_an_entry_concerns_no_other() {
    let entry = |id: &str| format!(r#"{{{EC},"kid":"{id}","use":"sig","alg":"ES256"}}"#);
    let junk = vec!["1".to_owned(); KEYS_MAX + 1].join(",");
    for (name, others, left_out) in [
        ("the same id twice", format!("{},{}", entry("b"), entry("b")), 2),
        ("the same id thrice", format!("{0},{0},{0}", entry("b")), 3),
        ("a member twice", format!(r#"{{{EC},"kid":"b","kid":"b","use":"sig","alg":"ES256"}}"#), 1),
        ("many that are none", junk, KEYS_MAX + 1),
    ] {
        let set = KeySet::parse(&format!(r#"{{"keys":[{others},{}]}}"#, entry("a")), SIGNING).unwrap();
        assert!(set.find("a").is_some() && set.find("b").is_none(), "{name}");
        assert_eq!((set.len(), set.left_out().len()), (1, left_out), "{name}");
    }
    let many: Vec<String> = (0..=KEYS_MAX).map(|n| entry(&n.to_string())).collect();
    let set = KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, many.join(",")), SIGNING).unwrap();
    assert_eq!((set.len(), set.left_out().len()), (KEYS_MAX, 1));
}
