//! The vectors of `tests/vectors/spiffe`, each held against the code that a caller's identity goes through.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet::identity::jwt_svid::{JwtAuthorities, JwtSvidRules, parse_authorities};
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::model::spiffe_id::{SpiffeId, TrustDomain};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::support::pki::Pki;

#[derive(Deserialize)]
struct File<T> {
    #[serde(default)]
    audience: String,
    #[serde(default)]
    trust_domains: Map<String, Value>,
    #[serde(default)]
    trust_domain: String,
    #[serde(default)]
    token: String,
    cases: Vec<Case<T>>,
}

#[derive(Clone, Deserialize)]
struct Case<T> {
    name: String,
    rule: String,
    /// Words that stand in the error, the first of them first.
    error: Option<String>,
    #[serde(flatten)]
    about: T,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Clone, Deserialize)]
struct Chain {
    chain: Vec<String>,
    spiffe_id: String,
    shown_by: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Client,
    Server,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Bundle {
    bundle: String,
}

/// Reads a file, and holds it to what makes a vector worth having: a name of its own, a rule, and controls beside it.
fn read<T: DeserializeOwned>(name: &str) -> File<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/spiffe").join(name);
    let file: File<T> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let names: BTreeSet<&str> = file.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), file.cases.len(), "{name}: a name stands twice");
    for case in &file.cases {
        assert!(case.rule.contains('§'), "{name}: `{}` names no rule", case.name);
        assert_eq!(case.error.is_none(), case.name.starts_with("control"), "{name}: `{}`", case.name);
        assert_ne!(case.error.as_deref(), Some(""), "{name}: `{}`", case.name);
    }
    assert!(file.cases.iter().filter(|case| case.error.is_none()).count() >= 5, "{name}: controls");
    assert!(file.cases.iter().filter(|case| case.error.is_some()).count() >= 15, "{name}: defects");
    file
}

/// What was judged otherwise than the vectors say.
fn otherwise<T>(cases: &[Case<T>], judge: impl Fn(&T) -> Result<(), String>) -> Vec<String> {
    let wrong = cases.iter().filter_map(|case| match (judge(&case.about), &case.error) {
        (Ok(()), None) => None,
        (Err(why), Some(error)) if names(&why, error) => None,
        (Ok(()), Some(_)) => Some(format!("`{}` ({}) is accepted", case.name, case.rule)),
        (Err(why), None) => Some(format!("`{}` ({}) is refused: {why}", case.name, case.rule)),
        (Err(why), Some(error)) => Some(format!("`{}` is refused for {why} and not for {error}", case.name)),
    });
    wrong.collect()
}

/// Whether an error, as Rust writes it, begins with the first of these words and has the others further on, in that order.
fn names(why: &str, words: &str) -> bool {
    let mut written = why.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).peekable();
    written.peek().copied() == words.split(' ').next()
        && words.split(' ').all(|word| written.any(|other| other == word))
}

#[test]
fn an_error_is_not_taken_for_another() {
    let why = "Chain(InvalidCertificate(UnknownIssuer))";
    assert!(names(why, "Chain") && names(why, "Chain UnknownIssuer"));
    for other in ["UnknownIssuer", "Chain Unknown", "Chain BadSignature", "UnknownIssuer Chain", "Chain Chain", ""] {
        assert!(!names(why, other), "{other}");
    }
}

#[test]
fn spiffe_ids_are_judged_as_their_vectors_say() {
    let file: File<Id> = read("spiffe_id.json");
    let parse = |case: &Id| case.id.parse::<SpiffeId>().map(drop).map_err(|e| format!("{e:?}"));
    assert_eq!(otherwise(&file.cases, parse), Vec::<String>::new());
}

#[tokio::test]
async fn x509_svids_are_judged_as_their_vectors_say() {
    let file: File<Chain> = read("x509_svid.json");
    let pki = Pki::new();
    let mut offer = pki.offer("/carnet", &[]);
    for (name, roots) in &file.trust_domains {
        let roots: Vec<String> = serde_json::from_value(roots.clone()).unwrap();
        let roots = roots.iter().map(|root| STANDARD.decode(root).unwrap());
        offer.bundles.insert(name.parse().unwrap(), roots.collect());
    }
    let (_api, workload) = pki.workload_offered(offer).await;
    let trust = Trust::over(workload, AcceptedDomains::DangerWhoeverIsFederated, pki.clock.clone()).unwrap();
    for side in [Side::Client, Side::Server] {
        let judge = |case: &Chain| {
            let chain: Vec<_> =
                case.chain.iter().map(|der| CertificateDer::from(STANDARD.decode(der).unwrap())).collect();
            let judged = match side {
                Side::Client => trust.check_chain(&chain),
                Side::Server => trust.check_server_chain(&chain),
            };
            match judged {
                Ok(id) if id.as_str() == case.spiffe_id => Ok(()),
                Ok(other) => Err(format!("it is `{other}`")),
                Err(error) => Err(format!("{error:?}")),
            }
        };
        let shown = |case: &&Case<Chain>| case.about.shown_by.is_none_or(|by| by == side);
        let cases: Vec<_> = file.cases.iter().filter(shown).cloned().collect();
        assert_eq!(otherwise(&cases, judge), Vec::<String>::new(), "{side:?}");
    }
}

#[test]
fn jwt_svids_are_judged_as_their_vectors_say() {
    let file: File<Token> = read("jwt_svid.json");
    let bundles: Vec<(TrustDomain, String)> =
        file.trust_domains.iter().map(|(name, keys)| (name.parse().unwrap(), keys.to_string())).collect();
    let authorities = JwtAuthorities::of(bundles.iter().map(|(name, keys)| (name.clone(), keys.as_str())));
    let judge = |case: &Token| verify(&authorities, &case.token, &file.audience);
    assert_eq!(otherwise(&file.cases, judge), Vec::<String>::new());
}

#[test]
fn jwt_bundles_are_judged_as_their_vectors_say() {
    let file: File<Bundle> = read("jwt_bundle.json");
    let name: TrustDomain = file.trust_domain.parse().unwrap();
    let judge = |case: &Bundle| {
        let authorities = JwtAuthorities::of([(name.clone(), case.bundle.as_str())]);
        verify(&authorities, &file.token, &file.audience).map_err(|why| match parse_authorities(&case.bundle) {
            Ok(keys) => format!("{why} {:?}", keys.left_out()),
            Err(error) => format!("{why} {error:?}"),
        })
    };
    assert_eq!(otherwise(&file.cases, judge), Vec::<String>::new());
}

fn verify(authorities: &JwtAuthorities, token: &str, audience: &str) -> Result<(), String> {
    let rules = JwtSvidRules { audience: audience.to_owned(), life_max: None };
    authorities.verify(token, &rules, carnet::clock::Clock::system().now()).map(drop).map_err(|e| format!("{e:?}"))
}
