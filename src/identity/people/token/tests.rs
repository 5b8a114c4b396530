//! Tokens of people named by their defect, each beside the token that it was made from (RFC 9068 §4;
//! OpenID Connect Core §3.1.3.7).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::jose::error::{JoseError, TimeError};
use crate::jose::key::{Curve, Jwk, Material};
use crate::jose::key_set::{Unmarked, Wanted};

const NOW: u64 = 1_790_000_000;
const ISSUER: &str = "https://idp.test";
const AUDIENCE: &str = "carnet";
const CLIENT: &str = "cli";

struct Signer {
    pair: EcdsaKeyPair,
    keys: KeySet,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let material = Material::Ec { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() };
        let jwk = Jwk { key_id: Some("k".into()), key_use: Some("sig".into()), algorithm: None, material };
        let set = format!(r#"{{"keys":[{}]}}"#, jwk.to_json().to_text());
        let wanted = Wanted { key_use: "sig", unmarked: Unmarked::LeftOut, algorithm_needed: false };
        Self { pair, keys: KeySet::parse(&set, wanted).unwrap() }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", b64(signature))
    }

    fn verify(&self, kind: PersonTokenKind, header: &str, payload: &str) -> Result<Said, PersonError> {
        self.verify_by(&rules(kind), None, &self.sign(header, payload))
    }

    fn verify_by(
        &self,
        rules: &TokenRules,
        clients: Option<&InitiatorClients>,
        token: &str,
    ) -> Result<Said, PersonError> {
        let unverified = Unverified::parse(token, profile(rules.kind)).map_err(PersonError::Form)?;
        let key = rules.key(&unverified, &self.keys)?;
        let expected = Expected { audience: AUDIENCE, clients };
        rules.verify(unverified, key, expected, Timestamp::from_secs(NOW))
    }
}

fn rules(kind: PersonTokenKind) -> TokenRules {
    TokenRules {
        issuer: ISSUER.to_owned(),
        kind,
        algorithms: vec![Algorithm::Es256],
        clients: vec![CLIENT.to_owned()],
        life_max: Duration::from_secs(3600),
    }
}

const ACCESS_HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#;
const ID_HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

/// The claims of a good token of that kind, and what is to stand in place of them or beside them; empty takes one away.
fn claims(kind: PersonTokenKind, changes: &[(&str, &str)]) -> String {
    let (iat, exp) = (NOW.to_string(), (NOW + 600).to_string());
    let mut members = vec![
        ("iss", r#""https://idp.test""#),
        ("sub", r#""1001""#),
        ("aud", r#""carnet""#),
        ("iat", iat.as_str()),
        ("exp", exp.as_str()),
        ("auth_time", iat.as_str()),
        ("acr", r#""mfa""#),
        ("amr", r#"["pwd","otp"]"#),
    ];
    match kind {
        PersonTokenKind::AccessToken => members.extend([("client_id", r#""cli""#), ("jti", r#""j""#)]),
        PersonTokenKind::IdToken => members.push(("nonce", r#""n""#)),
    }
    for (name, value) in changes {
        members.retain(|(known, _)| known != name);
        if !value.is_empty() {
            members.push((name, value));
        }
    }
    let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}

/// The rule that is broken.
fn defect(result: Result<Said, PersonError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(PersonError::Form(error)) => format!("form: {error}"),
        Err(PersonError::Claim(error)) => error.to_string(),
        Err(PersonError::Time(error)) => format!("time: {error}"),
        Err(error) => format!("{error:?}"),
    }
}

const BOTH: [(PersonTokenKind, &str); 2] =
    [(PersonTokenKind::AccessToken, ACCESS_HEADER), (PersonTokenKind::IdToken, ID_HEADER)];

#[test]
fn a_good_token_of_either_kind_says_who_and_how() {
    let signer = Signer::new();
    for (kind, header) in BOTH {
        let said = signer.verify(kind, header, &claims(kind, &[])).unwrap();
        assert_eq!(said.expires, Timestamp::from_secs(NOW + 600));
        let evidence = said.evidence;
        assert_eq!(
            (evidence.issuer.as_str(), evidence.subject.as_str(), evidence.acr.as_str()),
            (ISSUER, "1001", "mfa")
        );
        assert_eq!(evidence.amr, ["pwd", "otp"]);
        assert_eq!(evidence.authenticated, Some(Timestamp::from_secs(NOW)));
        let least = signer.verify(kind, header, &claims(kind, &[("acr", ""), ("amr", ""), ("auth_time", "")])).unwrap();
        assert_eq!((least.evidence.acr.as_str(), least.evidence.authenticated), ("", None));
    }
}

#[test]
fn claims_are_refused_by_their_defect_in_either_kind() {
    let signer = Signer::new();
    let at = |secs: u64| secs.to_string();
    let long = format!("\"{}\"", "s".repeat(256));
    let many = format!("[{}]", vec![r#""m""#; 17].join(","));
    for (name, claim, value, expected) in [
        ("no issuer", "iss", "", "claim `iss` is absent"),
        ("another issuer", "iss", r#""https://evil.test""#, "Issuer"),
        ("the issuer with a slash", "iss", r#""https://idp.test/""#, "Issuer"),
        ("issuers", "iss", r#"["https://idp.test"]"#, "claim `iss` is malformed"),
        ("no audience", "aud", "", "claim `aud` is absent"),
        ("an empty list of audiences", "aud", "[]", "claim `aud` is malformed"),
        ("another audience", "aud", r#""carnets""#, "Audience"),
        ("an audience in capitals", "aud", r#""CARNET""#, "Audience"),
        ("ours among others", "aud", r#"["carnet","other"]"#, "Audience"),
        ("a mixed audience", "aud", r#"["carnet",7]"#, "claim `aud` is malformed"),
        ("no subject", "sub", "", "claim `sub` is absent"),
        ("an empty subject", "sub", r#""""#, "claim `sub` is malformed"),
        ("a subject that is too long", "sub", &long, "claim `sub` is malformed"),
        ("a subject outside ASCII", "sub", r#""sören""#, "claim `sub` is malformed"),
        ("a control character", "sub", r#""a\nb""#, "claim `sub` is malformed"),
        ("no time of issue", "iat", "", "claim `iat` is absent"),
        ("issued ahead", "iat", &at(NOW + 16), "time: issued in the future"),
        ("no end", "exp", "", "claim `exp` is absent"),
        ("an end in words", "exp", r#""1790000600""#, "claim `exp` is malformed"),
        ("an end with a fraction", "exp", "1790000600.5", "claim `exp` is malformed"),
        ("over this second", "exp", &at(NOW), "time: expired"),
        ("an end too far away", "exp", &at(NOW + 3601), "time: lives longer than is accepted"),
        ("not valid yet", "nbf", &at(NOW + 16), "time: not valid yet"),
        ("a login in the future", "auth_time", &at(NOW + 16), "claim `auth_time` is malformed"),
        ("a login in words", "auth_time", r#""yesterday""#, "claim `auth_time` is malformed"),
        ("a class that is no text", "acr", "2", "claim `acr` is malformed"),
        ("methods that are no list", "amr", r#""pwd""#, "claim `amr` is malformed"),
        ("methods that are no text", "amr", "[1]", "claim `amr` is malformed"),
        ("too many methods", "amr", &many, "claim `amr` is malformed"),
        ("bound to a key", "cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#, "Bound"),
        ("bound to a certificate", "cnf", r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#, "Bound"),
        ("bound to nothing that is known", "cnf", "null", "Bound"),
    ] {
        for (kind, header) in BOTH {
            let found = defect(signer.verify(kind, header, &claims(kind, &[(claim, value)])));
            assert_eq!(found, expected, "{name}, {kind:?}");
        }
    }
}

#[test]
fn a_clock_may_differ_a_little_and_the_end_is_kept_to_the_second() {
    let signer = Signer::new();
    let kind = PersonTokenKind::AccessToken;
    for (claim, secs) in [("iat", NOW + 15), ("nbf", NOW + 15), ("auth_time", NOW + 15), ("exp", NOW + 1)] {
        let found = defect(signer.verify(kind, ACCESS_HEADER, &claims(kind, &[(claim, &secs.to_string())])));
        assert_eq!(found, "accepted", "{claim}");
    }
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    let signer = Signer::new();
    for (kind, header) in BOTH {
        let good = claims(kind, &[]);
        let twice = good.replacen('{', r#"{"sub":"1002","#, 1);
        assert!(defect(signer.verify(kind, header, &twice)).starts_with("form: payload is not a JSON object"));
    }
}

#[test]
fn an_access_token_is_one_for_a_person_by_a_client_that_we_know() {
    let signer = Signer::new();
    let kind = PersonTokenKind::AccessToken;
    for (name, claim, value, expected) in [
        ("no client", "client_id", "", "claim `client_id` is absent"),
        ("another client", "client_id", r#""other""#, "Client"),
        ("no id", "jti", "", "claim `jti` is absent"),
        ("a program that asked for itself", "sub", r#""cli""#, "NoPerson"),
    ] {
        assert_eq!(defect(signer.verify(kind, ACCESS_HEADER, &claims(kind, &[(claim, value)]))), expected, "{name}");
    }
}

#[test]
fn a_program_that_asked_for_itself_is_told_by_its_client_or_because_it_never_logged_in() {
    let signer = Signer::new();
    let kind = PersonTokenKind::AccessToken;
    let any = TokenRules { clients: Vec::new(), ..rules(kind) };
    let desk = InitiatorClients::from([("desk".to_owned(), Vec::new())]);
    let program: &[_] = &[("sub", r#""desk@clients""#), ("client_id", r#""desk""#), ("auth_time", "")];
    let person: &[_] = &[("client_id", r#""desk""#)];
    let person_of_a_silent_issuer: &[_] = &[("client_id", r#""desk""#), ("auth_time", "")];
    for (name, rules, clients, changes, expected) in [
        ("a program, where any client may come", &any, None, program, "NoPerson"),
        ("a person there", &any, None, person, "accepted"),
        ("a person there, of whom nobody says when", &any, None, person_of_a_silent_issuer, "NoPerson"),
        ("a client that is listed for initiators", &any, Some(&desk), person_of_a_silent_issuer, "accepted"),
        ("a program that is none of the clients", &rules(kind), None, program, "Client"),
    ] {
        let token = signer.sign(ACCESS_HEADER, &claims(kind, changes));
        assert_eq!(defect(signer.verify_by(rules, clients, &token)), expected, "{name}");
    }
}

#[test]
fn a_workload_is_no_person_whoever_vouches_for_it() {
    let signer = Signer::new();
    for (kind, header) in BOTH {
        for subject in [r#""spiffe://a.test/agent/triage""#, r#""SPIFFE://a.test/agent""#, r#""spiffe:a""#] {
            assert_eq!(
                defect(signer.verify(kind, header, &claims(kind, &[("sub", subject)]))),
                "NoPerson",
                "{subject}"
            );
        }
        assert_eq!(defect(signer.verify(kind, header, &claims(kind, &[("sub", r#""spiffeline""#)]))), "accepted");
    }
    // As an issuer of JWT-SVIDs writes them that is also one of OpenID Connect.
    let svid = format!(
        r#"{{"iss":"{ISSUER}","sub":"spiffe://a.test/agent","aud":["{AUDIENCE}"],"iat":{NOW},"exp":{}}}"#,
        NOW + 300
    );
    let header = r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#;
    assert_eq!(defect(signer.verify(PersonTokenKind::IdToken, header, &svid)), "NoPerson");
}

#[test]
fn the_client_says_who_may_have_asked_for_a_token() {
    let signer = Signer::new();
    let listed = InitiatorClients::from([("desk".to_owned(), Vec::new()), (AUDIENCE.to_owned(), Vec::new())]);
    let (access, id) = (PersonTokenKind::AccessToken, PersonTokenKind::IdToken);
    for (name, kind, claim, clients, expected) in [
        ("of the issuer's list", access, ("client_id", r#""cli""#), None, Ok("cli")),
        ("of the table", access, ("client_id", r#""desk""#), Some(&listed), Ok("desk")),
        ("of the list, where there is a table", access, ("client_id", r#""cli""#), Some(&listed), Err("Client")),
        ("of the table, where it does not count", access, ("client_id", r#""desk""#), None, Err("Client")),
        ("named by `azp`", id, ("azp", r#""desk""#), Some(&listed), Ok("desk")),
        ("whom it is for", id, ("azp", ""), Some(&listed), Ok(AUDIENCE)),
        ("of the list alone", id, ("azp", r#""cli""#), Some(&listed), Err("Client")),
    ] {
        let header = if kind == access { ACCESS_HEADER } else { ID_HEADER };
        let said = signer.verify_by(&rules(kind), clients, &signer.sign(header, &claims(kind, &[claim])));
        assert_eq!(
            said.map(|said| said.client).map_err(|e| format!("{e:?}")),
            expected.map(str::to_owned).map_err(str::to_owned),
            "{name}"
        );
    }
}

#[test]
fn an_id_token_is_for_us_and_no_other_statement_of_the_issuer() {
    let signer = Signer::new();
    let kind = PersonTokenKind::IdToken;
    for (name, claim, value, expected) in [
        ("issued to us", "azp", r#""carnet""#, "accepted"),
        ("issued to a client that we know", "azp", r#""cli""#, "accepted"),
        ("issued to somebody else", "azp", r#""other""#, "Client"),
        ("an access token by its scope", "scope", r#""openid""#, "NoPerson"),
        ("an access token by its list of scopes", "scp", r#"["a"]"#, "NoPerson"),
        ("an access token by its client", "client_id", r#""cli""#, "NoPerson"),
        ("what calls itself a bearer's", "typ", r#""Bearer""#, "NoPerson"),
        ("what calls itself an ID token", "typ", r#""ID""#, "accepted"),
        ("a logout token", "events", r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#, "NoPerson"),
    ] {
        assert_eq!(defect(signer.verify(kind, ID_HEADER, &claims(kind, &[(claim, value)]))), expected, "{name}");
    }
}

#[test]
fn neither_kind_is_taken_for_the_other() {
    let signer = Signer::new();
    let (access, id) = (PersonTokenKind::AccessToken, PersonTokenKind::IdToken);
    let of_type = |kind: &str| format!(r#"{{"alg":"ES256","typ":"{kind}","kid":"k"}}"#);
    for (name, kind, header, expected) in [
        ("no type for an access token", access, ID_HEADER.to_owned(), "form: header member `typ` is absent"),
        ("`JWT` for an access token", access, of_type("JWT"), "form: `typ` is that of another kind of token"),
        ("an access token for an ID token", id, of_type("at+jwt"), "form: `typ` is that of another kind of token"),
        ("a security event", id, of_type("secevent+jwt"), "form: `typ` is that of another kind of token"),
        ("a logout token", id, of_type("logout+jwt"), "form: `typ` is that of another kind of token"),
        ("the long form", access, of_type("application/at+jwt"), "accepted"),
        ("`JWT` for an ID token", id, of_type("JWT"), "accepted"),
    ] {
        assert_eq!(defect(signer.verify(kind, &header, &claims(kind, &[]))), expected, "{name}");
    }
}

#[test]
fn headers_and_keys_are_refused_by_their_defect() {
    let signer = Signer::new();
    let kind = PersonTokenKind::AccessToken;
    let payload = claims(kind, &[]);
    for (name, header, expected) in [
        (
            "no algorithm",
            r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#,
            "form: `alg` is not allowed for this kind of token",
        ),
        (
            "a shared secret",
            r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#,
            "form: `alg` is not allowed for this kind of token",
        ),
        ("what this issuer does not sign with", r#"{"alg":"Ed25519","typ":"at+jwt","kid":"k"}"#, "Algorithm"),
        ("a key of nobody", r#"{"alg":"ES256","typ":"at+jwt","kid":"x"}"#, "KeyUnknown"),
        ("no key", r#"{"alg":"ES256","typ":"at+jwt"}"#, "form: header member `kid` is absent"),
        (
            "its own key",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","jwk":{}}"#,
            "form: header has a member that this kind of token does not have",
        ),
        (
            "an address of keys",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","jku":"https://evil.test"}"#,
            "form: header has a member that this kind of token does not have",
        ),
        (
            "an extension",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":["b64"],"b64":false}"#,
            "form: header has critical extensions",
        ),
        ("a thumbprint, which is passed over", r#"{"alg":"ES256","typ":"at+jwt","kid":"k","x5t":"AA"}"#, "accepted"),
    ] {
        assert_eq!(defect(signer.verify(kind, header, &payload)), expected, "{name}");
    }
    let other = Signer::new().sign(ACCESS_HEADER, &payload);
    let refused = signer.verify_by(&rules(kind), None, &other).unwrap_err();
    assert!(matches!(refused, PersonError::Form(JoseError::Signature)), "{refused:?}");
    let expired = signer.verify(
        kind,
        ACCESS_HEADER,
        &claims(kind, &[("exp", &(NOW - 1).to_string()), ("iat", &(NOW - 9).to_string()), ("auth_time", "")]),
    );
    assert!(matches!(expired, Err(PersonError::Time(TimeError::Expired))));
    assert_eq!(expired.unwrap_err().reason(), crate::model::reason::ReasonCode::TokenExpired);
}
