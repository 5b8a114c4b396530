//! Calls named by their defect, each beside the call that it was made from (RFC 9068 §4, RFC 8705 §3).

use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::model::id::{Jti, ToolName};
use crate::model::json::Json;
use crate::model::time::Timestamp;
use crate::pb::v1::watch_response::Body;
use crate::pb::v1::{GrantChange, GrantState, Heartbeat, WatchResponse};
use crate::token::header::{SigningAlgorithm, TokenType, signing_input};
use crate::token::jwks::{self, PublishedKey};

const NOW: u64 = 1_790_000_000;
const JTI: [u8; 16] = [7; 16];

struct Scene {
    verifier: Verifier,
    clock: Clock,
    pair: EcdsaKeyPair,
    published: PublishedKey,
    told: Arc<Mutex<Vec<String>>>,
}

fn pair() -> (EcdsaKeyPair, PublishedKey) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let published = PublishedKey::es256(pair.public_key().as_ref()).unwrap();
    (pair, published)
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let scene = Self::unheard(NOW, change);
        scene.watch(Body::Heartbeat(Heartbeat {}));
        scene
    }

    /// A verifier that starts at that time of its own, and has heard nothing of its issuer yet.
    fn unheard(now: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::manual(Timestamp::from_secs(now));
        let mut settings = Settings::new("https://carnet.test".parse().unwrap(), "https://mail.test".parse().unwrap());
        change(&mut settings);
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        let audit: AuditSink = Box::new(move |checked| sink.lock().unwrap().push(format!("{checked:?}")));
        let verifier = Verifier::new(settings, clock.clone(), audit);
        let (pair, published) = pair();
        verifier.keys().install(&jwks::document([&published])).unwrap();
        let scene = Self { verifier, clock, pair, published, told };
        scene.verifier.revocations().begin();
        scene
    }

    fn watch(&self, body: Body) {
        self.watch_at(self.clock.now().as_secs(), body);
    }

    /// A message that the issuer sent at that time of its clock.
    fn watch_at(&self, secs: u64, body: Body) {
        let seconds = i64::try_from(secs).unwrap();
        let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        self.verifier.revocations().apply(&WatchResponse { position: 1, time, body: Some(body) }).unwrap();
    }

    fn tell(&self, state: GrantState) {
        let jti = Jti::new(JTI).to_string();
        self.watch(Body::Change(GrantChange { jti, state: state.into(), ..GrantChange::default() }));
    }

    fn sign(&self, payload: &str) -> String {
        self.sign_with(&self.pair, TokenType::AccessToken, payload)
    }

    fn sign_with(&self, pair: &EcdsaKeyPair, kind: TokenType, payload: &str) -> String {
        let input = signing_input(kind, SigningAlgorithm::Es256, self.published.id(), payload.as_bytes());
        let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn call(&self, token: &str) -> &'static str {
        self.call_as(token, Some("certificate"), "spiffe://a.test/agent", ARGUMENTS)
    }

    fn call_as(&self, token: &str, certificate: Option<&str>, spiffe_id: &str, arguments: &str) -> &'static str {
        let tool: ToolName = "send".parse().unwrap();
        let arguments = Json::parse(arguments, 4096).unwrap();
        let call = Call { tool: &tool, actions: &["tools/call"], resources: &[], arguments: &arguments };
        let spiffe_id = spiffe_id.parse().unwrap();
        let peer = certificate.map(|c| Peer { certificate: Thumbprint::of(c.as_bytes()), spiffe_id: &spiffe_id });
        self.verifier.verify(token, peer, &call).err().map_or("ACCEPTED", |r| r.code())
    }
}

const ARGUMENTS: &str = r#"{"to":"a@x.test","body":"hello"}"#;

/// Claims that hold, with no limit on calls, so that one token serves many tries.
fn payload() -> String {
    format!(
        concat!(
            r#"{{"iss":"https://carnet.test","sub":"user:alice","client_id":"spiffe://a.test/agent","#,
            r#""act":{{"sub":"spiffe://a.test/agent"}},"aud":"https://mail.test","iat":{iat},"nbf":{nbf},"exp":{exp},"#,
            r#""jti":"{jti}","txn":"run","scope":"send:tools/call","authorization_details":[{{"type":"#,
            r#""https://carnet.dev/ad/tool/v1","locations":["https://mail.test"],"identifier":"send","actions":["tools/call"],"#,
            r#""constraints":{{"sinks":{{"to":{{"kind":"address","eq":["a@x.test"]}}}}}}}}],"cnf":{{"x5t#S256":"{x5t}"}},"#,
            r#""https://carnet.dev/claims/task":{{"id":"{task}","grant":"{grant}","intent_hash":"sha-256:abc","#,
            r#""risk_band":"low","policy_version":"7"}}}}"#,
        ),
        iat = NOW,
        nbf = NOW - 5,
        exp = NOW + 300,
        jti = Jti::new(JTI),
        x5t = Thumbprint::of(b"certificate"),
        task = crate::model::id::TaskId::new(Timestamp::from_secs(NOW), [1; 10]),
        grant = crate::model::id::GrantId::new(Timestamp::from_secs(NOW), [2; 10]),
    )
}

fn changed(from: &str, to: &str) -> String {
    let text = payload().replacen(from, to, 1);
    assert_ne!(text, payload(), "{from}");
    text
}

fn once() -> String {
    changed(r#"{"sinks""#, r#"{"max_calls":1,"sinks""#)
}

/// The issuer's clock is ahead by as much as is borne: what it granted before a restart must not look as if it came after.
#[test]
fn a_restart_gives_no_second_use_when_clocks_differ() {
    let token = |scene: &Scene| scene.sign(&once());
    let first = Scene::unheard(NOW - 5, |_| {});
    first.watch_at(NOW, Body::Heartbeat(Heartbeat {}));
    assert_eq!(first.call(&token(&first)), "ACCEPTED");
    let restarted = Scene::unheard(NOW - 4, |_| {});
    restarted.watch_at(NOW + 1, Body::Heartbeat(Heartbeat {}));
    assert_eq!(restarted.call(&token(&restarted)), "USES_UNKNOWN");
}

#[test]
fn tokens_are_refused_by_their_defect() {
    let scene = Scene::new();
    let number = |from: u64, to: u64| changed(&from.to_string(), &to.to_string());
    for (name, payload, expected) in [
        ("control", payload(), "ACCEPTED"),
        ("aud as a list of one", changed(r#""aud":"https://mail.test""#, r#""aud":["https://mail.test"]"#), "ACCEPTED"),
        ("another issuer", changed("https://carnet.test", "https://carnet.test.evil"), "ISSUER_MISMATCH"),
        ("issuer with a slash", changed("https://carnet.test", "https://carnet.test/"), "ISSUER_MISMATCH"),
        ("issuer in another case", changed("https://carnet.test", "https://Carnet.test"), "ISSUER_MISMATCH"),
        ("issuer absent", changed(r#""iss":"https://carnet.test","#, ""), "CLAIMS_MALFORMED"),
        (
            "another audience",
            changed(r#""aud":"https://mail.test""#, r#""aud":"https://bank.test""#),
            "AUDIENCE_MISMATCH",
        ),
        (
            "audience that begins alike",
            changed(r#""aud":"https://mail.test""#, r#""aud":"https://mail.test.evil""#),
            "AUDIENCE_MISMATCH",
        ),
        (
            "audience with a slash",
            changed(r#""aud":"https://mail.test""#, r#""aud":"https://mail.test/""#),
            "AUDIENCE_MISMATCH",
        ),
        (
            "audience in another case",
            changed(r#""aud":"https://mail.test""#, r#""aud":"https://Mail.test""#),
            "AUDIENCE_MISMATCH",
        ),
        (
            "two audiences",
            changed(r#""aud":"https://mail.test""#, r#""aud":["https://mail.test","x"]"#),
            "CLAIMS_MALFORMED",
        ),
        ("expired this moment", number(NOW + 300, NOW), "TOKEN_EXPIRED"),
        ("expired long ago", number(NOW + 300, NOW - 100), "TOKEN_EXPIRED"),
        ("not valid yet", number(NOW - 5, NOW + 6), "TOKEN_NOT_YET_VALID"),
        ("issued ahead", number(NOW, NOW + 6), "TOKEN_NOT_YET_VALID"),
        ("issued a little ahead, as clocks differ", number(NOW, NOW + 5), "ACCEPTED"),
        ("life as long as may be", number(NOW + 300, NOW + 900), "ACCEPTED"),
        ("life too long", number(NOW + 300, NOW + 901), "TOKEN_LIFE_TOO_LONG"),
        ("expires in the year 9999", number(NOW + 300, 253_402_300_799), "TOKEN_LIFE_TOO_LONG"),
        (
            "expires as a string",
            changed(&format!("\"exp\":{}", NOW + 300), &format!("\"exp\":\"{}\"", NOW + 300)),
            "CLAIMS_MALFORMED",
        ),
        ("expires at 1e19", changed(&(NOW + 300).to_string(), "1e19"), "CLAIMS_MALFORMED"),
        (
            "bound to another certificate",
            changed(&Thumbprint::of(b"certificate").to_string(), &Thumbprint::of(b"other").to_string()),
            "CERTIFICATE_MISMATCH",
        ),
        (
            "bound to nothing",
            changed(&format!(r#""cnf":{{"x5t#S256":"{}"}},"#, Thumbprint::of(b"certificate")), ""),
            "TOKEN_UNBOUND",
        ),
        (
            "bound by null",
            changed(&format!(r#"{{"x5t#S256":"{}"}}"#, Thumbprint::of(b"certificate")), "null"),
            "TOKEN_UNBOUND",
        ),
        ("bound by a second method", changed(r#"{"x5t"#, r#"{"jkt":"x","x5t"#), "CLAIMS_MALFORMED"),
        (
            "another agent",
            changed(
                r#""client_id":"spiffe://a.test/agent","act":{"sub":"spiffe://a.test/agent"}"#,
                r#""client_id":"spiffe://a.test/agent-evil","act":{"sub":"spiffe://a.test/agent-evil"}"#,
            ),
            "CALLER_MISMATCH",
        ),
        (
            "actor that is not the agent",
            changed(r#""act":{"sub":"spiffe://a.test/agent"}"#, r#""act":{"sub":"spiffe://a.test/other"}"#),
            "CLAIMS_MALFORMED",
        ),
        ("details of an unknown type", changed("ad/tool/v1", "ad/tool/v9"), "DETAILS_UNKNOWN"),
        ("details with an unknown constraint", changed(r#"{"sinks""#, r#"{"weekdays":[1],"sinks""#), "DETAILS_UNKNOWN"),
        ("no details", changed("authorization_details", "authorization_detail"), "CLAIMS_MALFORMED"),
        ("another tool", changed(r#""identifier":"send""#, r#""identifier":"read""#), "TOOL_NOT_GRANTED"),
        (
            "another place",
            changed(r#""locations":["https://mail.test"]"#, r#""locations":["https://bank.test"]"#),
            "LOCATION_NOT_GRANTED",
        ),
        ("another action", changed(r#""actions":["tools/call"]"#, r#""actions":["tools/list"]"#), "ACTION_NOT_GRANTED"),
        ("another recipient", changed("a@x.test", "b@x.test"), "SINK_DIFFERS"),
        ("no calls", changed(r#"{"sinks""#, r#"{"max_calls":0,"sinks""#), "CALLS_SPENT"),
    ] {
        assert_eq!(scene.call(&scene.sign(&payload)), expected, "{name}");
    }
}

#[test]
fn keys_and_kinds_are_refused_by_their_defect() {
    let scene = Scene::new();
    let good = scene.sign(&payload());
    assert_eq!(scene.call(&good), "ACCEPTED", "control");
    let (stranger, strange_key) = pair();
    assert_eq!(scene.call(&scene.sign_with(&stranger, TokenType::AccessToken, &payload())), "SIGNATURE_INVALID");
    assert_eq!(scene.call(&scene.sign_with(&scene.pair, TokenType::Plain, &payload())), "TOKEN_MALFORMED");
    let input = signing_input(TokenType::AccessToken, SigningAlgorithm::Es256, strange_key.id(), payload().as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(stranger.sign(&SystemRandom::new(), input.as_bytes()).unwrap());
    assert_eq!(scene.call(&format!("{input}.{signature}")), "KEY_UNKNOWN");
    assert_eq!(scene.call(&format!("{good}=")), "TOKEN_MALFORMED");
    assert_eq!(scene.call(""), "TOKEN_MALFORMED");
    let plain = Scene::with(|s| s.kind = TokenType::Plain);
    assert_eq!(plain.call(&plain.sign_with(&plain.pair, TokenType::Plain, &payload())), "ACCEPTED");
    assert_eq!(plain.call(&plain.sign(&payload())), "TOKEN_MALFORMED", "one kind or the other, never both");
}

#[test]
fn the_connection_must_be_the_agents_own() {
    let scene = Scene::new();
    let token = scene.sign(&payload());
    let agent = "spiffe://a.test/agent";
    assert_eq!(scene.call_as(&token, Some("certificate"), agent, ARGUMENTS), "ACCEPTED", "control");
    assert_eq!(scene.call_as(&token, None, agent, ARGUMENTS), "CERTIFICATE_ABSENT");
    assert_eq!(
        scene.call_as(&token, Some("sibling"), agent, ARGUMENTS),
        "CERTIFICATE_MISMATCH",
        "the same ID, another key"
    );
    assert_eq!(scene.call_as(&token, Some("certificate"), "spiffe://a.test/agent2", ARGUMENTS), "CALLER_MISMATCH");
    let unbound = changed(&format!(r#""cnf":{{"x5t#S256":"{}"}},"#, Thumbprint::of(b"certificate")), "");
    let lenient = Scene::with(|s| s.binding = Binding::DangerUnboundAccepted);
    let token = lenient.sign(&unbound);
    assert_eq!(lenient.call_as(&token, None, agent, ARGUMENTS), "ACCEPTED");
    assert_eq!(lenient.call_as(&token, Some("x"), "spiffe://a.test/other", ARGUMENTS), "CALLER_MISMATCH");
    let bound = lenient.sign(&payload());
    assert_eq!(lenient.call_as(&bound, None, agent, ARGUMENTS), "CERTIFICATE_ABSENT", "what is bound stays bound");
}

#[test]
fn calls_must_carry_what_was_granted() {
    let scene = Scene::new();
    let token = scene.sign(&payload());
    let call = |arguments: &str| scene.call_as(&token, Some("certificate"), "spiffe://a.test/agent", arguments);
    assert_eq!(call(r#"{"to":"a@X.TEST","body":"anything"}"#), "ACCEPTED");
    assert_eq!(call(r#"{"to":["a@x.test","b@x.test"]}"#), "SINK_DIFFERS");
    assert_eq!(call(r#"{"body":"hello"}"#), "SINK_DIFFERS");
}

#[test]
fn revocations_are_heeded_and_a_stale_view_refuses() {
    let scene = Scene::new();
    let token = scene.sign(&payload());
    for (state, expected) in [
        (GrantState::Live, "ACCEPTED"),
        (GrantState::Suspended, "TOKEN_SUSPENDED"),
        (GrantState::Live, "ACCEPTED"),
        (GrantState::Released, "TOKEN_RELEASED"),
        (GrantState::Revoked, "TOKEN_REVOKED"),
    ] {
        scene.tell(state);
        assert_eq!(scene.call(&token), expected);
    }
    scene.tell(GrantState::Live);
    scene.clock.advance(Duration::from_secs(16));
    assert_eq!(scene.call(&token), "REVOCATIONS_STALE");
}

#[test]
fn a_use_is_taken_by_the_call_that_is_served_and_by_no_other() {
    let scene = Scene::new();
    let token = scene.sign(&once());
    let agent = "spiffe://a.test/agent";
    assert_eq!(scene.call_as(&token, Some("certificate"), agent, "{}"), "SINK_DIFFERS");
    assert_eq!(scene.call_as(&token, Some("other"), agent, ARGUMENTS), "CERTIFICATE_MISMATCH");
    assert_eq!(scene.call(&token), "ACCEPTED");
    assert_eq!(scene.call(&token), "CALLS_SPENT");
    let renewed = once().replace(&Jti::new(JTI).to_string(), &Jti::new([8; 16]).to_string());
    assert_eq!(scene.call(&scene.sign(&renewed)), "CALLS_SPENT", "another token of the same grant");
}

#[test]
fn a_verifier_that_has_just_started_refuses_everything() {
    let clock = Clock::manual(Timestamp::from_secs(NOW));
    let settings = Settings::new("https://carnet.test".parse().unwrap(), "https://mail.test".parse().unwrap());
    let fresh = Scene { verifier: Verifier::new(settings, clock, Box::new(|_| {})), ..Scene::new() };
    let token = fresh.sign(&payload());
    assert_eq!(fresh.call(&token), "KEYS_STALE");
    fresh.verifier.keys().install(&jwks::document([&fresh.published])).unwrap();
    assert_eq!(fresh.call(&token), "REVOCATIONS_STALE");
}

#[test]
fn each_check_leaves_one_audit_event_and_none_shows_the_token() {
    let scene = Scene::new();
    let token = scene.sign(&payload());
    scene.call(&token);
    scene.call(&format!("{token}x"));
    scene.call_as(&token, Some("other"), "spiffe://a.test/agent", ARGUMENTS);
    scene.call_as(&token, Some("certificate"), "spiffe://a.test/agent", "{}");
    let told = scene.told.lock().unwrap();
    let codes = ["ACCEPTED", "TOKEN_MALFORMED", "CERTIFICATE_MISMATCH", "SINK_DIFFERS"];
    assert_eq!(told.len(), codes.len());
    for (event, code) in told.iter().zip(codes) {
        assert!(event.contains(code), "{event}");
        assert!(!event.contains(token.rsplit('.').next().unwrap()) && !event.contains("a@x.test"));
        assert_eq!(
            event.contains("spiffe://a.test/agent"),
            code != "TOKEN_MALFORMED",
            "nobody is named before the signature"
        );
    }
}

#[test]
fn callers_learn_nothing_of_why_a_token_is_invalid() {
    use crate::token::check::ConstraintError;
    let invalid =
        [Refusal::Issuer, Refusal::Revoked, Refusal::OtherCertificate, Refusal::ViewStale, Refusal::KeyUnknown];
    for refusal in invalid {
        assert_eq!(
            (refusal.answer().status(), refusal.answer().www_authenticate()),
            (401, r#"Bearer error="invalid_token""#)
        );
    }
    for refusal in [Refusal::Constraint(ConstraintError::Tool), Refusal::Spent, Refusal::UsesUnknown] {
        assert_eq!(
            (refusal.answer().status(), refusal.answer().www_authenticate()),
            (403, r#"Bearer error="insufficient_scope""#)
        );
    }
    assert_eq!((Refusal::NoToken.answer().status(), Refusal::NoToken.answer().www_authenticate()), (401, "Bearer"));
}

struct Fetched(String);

impl FetchKeys for Fetched {
    fn fetch(
        &self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, super::super::keys::FetchError>> + Send + '_>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_is_fetched_once() {
    let scene = Scene::new();
    let token = scene.sign(&payload());
    let document = jwks::document([&scene.published]);
    scene.verifier.keys().install(r#"{"keys":[]}"#).unwrap();
    let tool: ToolName = "send".parse().unwrap();
    let arguments = Json::parse(ARGUMENTS, 4096).unwrap();
    let call = Call { tool: &tool, actions: &["tools/call"], resources: &[], arguments: &arguments };
    let spiffe_id = "spiffe://a.test/agent".parse().unwrap();
    let peer = Some(Peer { certificate: Thumbprint::of(b"certificate"), spiffe_id: &spiffe_id });
    let accepted = scene.verifier.verify_fetching(&token, peer, &call, &Fetched(document)).await.unwrap();
    assert_eq!(accepted.calls_left(), None);
    assert_eq!(accepted.claims().sub, "user:alice");
    // The key is withdrawn, and within the cooldown nobody is asked again.
    scene.verifier.keys().install(r#"{"keys":[]}"#).unwrap();
    let again = scene.verifier.verify_fetching(&token, peer, &call, &Fetched(String::new())).await;
    assert!(matches!(again, Err(Refusal::KeyUnknown)));
    assert_eq!(scene.told.lock().unwrap().len(), 2, "one event for each check");
}
