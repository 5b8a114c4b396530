//! From permit to token and back: what is recorded is what is signed, and a retry signs it again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::audit::note::SignerKey;
use crate::clock::Clock;
use crate::identity::caller::VerifiedCaller;
use crate::journal::Journal;
use crate::journal::error::AppendError;
use crate::journal::options::Options;
use crate::journal::projection::{NoProjection, Recorded};
use crate::mint::ring::{KeySettings, TokenFormat};
use crate::model::decision::{Decision, EntryDecision, Outcome};
use crate::model::id::ToolName;
use crate::model::json::Json;
use crate::model::risk::Assessment;
use crate::model::sink::SinkKind;
use crate::model::time::{Timestamp, Ttl};
use crate::pb::journal::Event;
use crate::pb::v1::watch_response::Body;
use crate::pb::v1::{Heartbeat, WatchResponse};
use crate::token::check::Call;
use crate::token::header::{SigningAlgorithm, TokenType};
use crate::token::life::Bounds;
use crate::verifier::check::{Peer, Verifier};
use crate::verifier::settings::Settings;

const AGENT: &str = "spiffe://a.test/agent";
const ARGUMENTS: &str = r#"{"to":"a@x.test","body":"hello"}"#;

fn now() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

struct Scene {
    dir: tempfile::TempDir,
    keys: KeyRing,
    journal: Journal,
}

impl Scene {
    fn new() -> Self {
        Self::with(KeySettings::default())
    }

    fn with(settings: KeySettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyRing::open(&dir.path().join("keys"), settings, now()).unwrap();
        let journal = open_journal(dir.path());
        Self { dir, keys, journal }
    }

    fn draft(&self, permit: Permit, plan: &Plan) -> Result<Draft, MintError> {
        Draft::new(permit, plan, &self.keys, entry(vec![event()]), |payload| Ok(seal(payload)))
    }

    async fn token(&self, permit: Permit, plan: &Plan) -> (Token, u64) {
        let draft = self.draft(permit, plan).unwrap();
        let committed = self.journal.append(draft).await.unwrap();
        let position = committed.first();
        (self.keys.release(committed).unwrap(), position)
    }

    fn reissue(&self, position: u64) -> Result<Token, MintError> {
        self.keys.reissue(&self.journal, position, |sealed| Ok(open(sealed)))
    }

    /// What a verifier at the audience says to a call with this token.
    fn verify(&self, token: &Token, arguments: &str, kind: TokenType) -> &'static str {
        let settings = Settings { kind, ..Settings::new(plan().issuer, plan().audience) };
        let verifier = Verifier::new(settings, Clock::manual(now()), Box::new(|_| {}));
        verifier.keys().install(&self.keys.jwks(now())).unwrap();
        verifier.revocations().begin();
        let seconds = i64::try_from(now().as_secs()).unwrap();
        let beat = WatchResponse {
            position: 1,
            time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            body: Some(Body::Heartbeat(Heartbeat {})),
        };
        verifier.revocations().apply(&beat).unwrap();
        let tool: ToolName = "send".parse().unwrap();
        let arguments = Json::parse(arguments, 4096).unwrap();
        let call = Call { tool: &tool, actions: &["tools/call"], resources: &[], arguments: &arguments };
        let caller = VerifiedCaller::stand_in(AGENT);
        let peer = Peer { certificate: *caller.certificate_thumbprint().unwrap(), spiffe_id: caller.spiffe_id() };
        verifier.verify(token.expose(), Some(peer), &call).err().map_or("ACCEPTED", |r| r.code())
    }
}

fn open_journal(dir: &Path) -> Journal {
    let signer = Arc::new(SignerKey::from_seed("carnet.test", &[1; 32]).unwrap());
    let options = Options { reserve_bytes: 0, ..Options::new(dir.join("journal"), Arc::new(now), signer, [3; 16]) };
    Journal::open(options, Arc::new(NoProjection)).unwrap().0
}

fn permit() -> Permit {
    permit_for(decision())
}

fn permit_for(decision: Decision) -> Permit {
    Permit::from_decision(VerifiedCaller::stand_in(AGENT), decision).unwrap()
}

fn decision() -> Decision {
    Decision {
        outcome: Outcome::Granted,
        reasons: vec![],
        policies: vec![],
        entries: vec![EntryDecision {
            tool: "send".parse().unwrap(),
            outcome: Outcome::Granted,
            included: true,
            actions: vec!["tools/call".into()],
            resources: vec![],
            calls_max: Some(1),
            observed_only: false,
        }],
        risk: Assessment::default(),
        ttl_max: Ttl::from_secs(300).unwrap(),
        approvals_needed: 0,
        approval: None,
        glass: None,
        instead: None,
        unbound: false,
    }
}

fn life(ttl: u64, deadline: u64) -> Life {
    let at = |secs| now().after(Duration::from_secs(secs));
    let bounds = Bounds { deadline: at(deadline), svid_not_after: Timestamp::MAX };
    Life::new(now(), Ttl::from_secs(ttl).unwrap(), bounds).unwrap()
}

fn plan() -> Plan {
    let access = Access {
        tool: "send".parse().unwrap(),
        actions: vec![],
        resources: vec!["inbox".into()],
        arguments: Json::parse(ARGUMENTS, 4096).unwrap(),
        data_classes: vec![],
    };
    Plan {
        grant: GrantId::new(now(), [2; 10]),
        jti: Jti::new([3; 16]),
        renews: None,
        issuer: "https://carnet.test".parse().unwrap(),
        subject: "user:alice".into(),
        agents_above: vec![],
        audience: "https://mail.test".parse().unwrap(),
        life: life(300, 3600),
        entries: vec![(access, vec![SinkSpec { name: "to".into(), kind: SinkKind::Address }])],
        task: TaskId::new(now(), [1; 10]),
        root: TaskId::new(now(), [1; 10]),
        intent_hash: "sha-256:abc".into(),
        authority_hash: None,
        policy_version: "7".into(),
    }
}

// A stand-in for the sealer: what is recorded is not what is signed, and can be turned back.
fn seal(payload: &[u8]) -> Vec<u8> {
    payload.iter().map(|b| !b).collect()
}

fn open(sealed: &[u8]) -> Vec<u8> {
    seal(sealed)
}

fn event() -> Event {
    let decided = CredentialDecided {
        task_id: plan().task.to_string(),
        audience: plan().audience.to_string(),
        agent: AGENT.into(),
        request_id: "r1".into(),
        ..CredentialDecided::default()
    };
    let stream = format!("task/{}", plan().task);
    Event { stream, payload: Some(Payload::CredentialDecided(decided)), ..Event::default() }
}

fn entry(events: Vec<Event>) -> Entry {
    Entry { events, expects: vec![], class: EntryClass::Ordinary }
}

fn grant_of(recorded: &Recorded) -> Grant {
    match recorded.event.payload.clone() {
        Some(Payload::CredentialDecided(decided)) => decided.grant.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn defect(result: Result<Draft, MintError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |_| "drafted".to_owned())
}

#[tokio::test]
async fn what_is_recorded_is_what_is_signed() {
    let scene = Scene::new();
    let (token, position) = scene.token(permit(), &plan()).await;
    let grant = grant_of(&scene.journal.read(position).unwrap());
    let (input, _) = token.expose().rsplit_once('.').unwrap();
    assert_eq!(grant.signing_input_sha256, sha256(input));
    assert_eq!((grant.jti, grant.grant_id), (plan().jti.to_string(), plan().grant.to_string()));
    assert_eq!((grant.issued_s, grant.not_before_s, grant.expires_s), (1_790_000_000, 1_789_999_995, 1_790_000_300));
    assert_eq!(grant.tools, ["send"]);
    let claims = Claims::parse(&open(&grant.sealed_claims)).unwrap();
    assert_eq!((claims.sub.as_str(), claims.client_id.as_str()), ("user:alice", AGENT));
    assert_eq!(claims.act.unwrap().sub.as_str(), AGENT);
    assert_eq!(grant.certificate_thumbprint, claims.cnf.unwrap().certificate.to_string());
    assert_eq!(scene.verify(&token, ARGUMENTS, TokenType::AccessToken), "ACCEPTED");
    assert_eq!(scene.verify(&token, r#"{"to":"b@x.test"}"#, TokenType::AccessToken), "SINK_DIFFERS");
}

#[tokio::test]
async fn a_token_is_bound_to_no_key_only_where_the_decision_says_so() {
    let scene = Scene::new();
    let with_token = |decision| Permit::from_decision(VerifiedCaller::stand_in_with_token(AGENT), decision).unwrap();
    let short = Plan { life: life(60, 3600), ..plan() };
    assert_eq!(defect(scene.draft(with_token(decision()), &short)), "KeyNotProven");
    let unbound = || Decision { unbound: true, ..decision() };
    assert_eq!(defect(scene.draft(with_token(unbound()), &Plan { life: life(61, 3600), ..plan() })), "LifeTooLong");
    let (token, position) = scene.token(with_token(unbound()), &short).await;
    let grant = grant_of(&scene.journal.read(position).unwrap());
    assert!(grant.unbound && grant.certificate_thumbprint.is_empty());
    assert!(Claims::parse(&open(&grant.sealed_claims)).unwrap().cnf.is_none());
    assert_eq!(scene.verify(&token, ARGUMENTS, TokenType::AccessToken), "TOKEN_UNBOUND");
    // Who proved a key gets a bound token, whatever the decision would allow.
    let (_, position) = scene.token(permit_for(unbound()), &Plan { jti: Jti::new([4; 16]), ..plan() }).await;
    let grant = grant_of(&scene.journal.read(position).unwrap());
    assert!(!grant.unbound && !grant.certificate_thumbprint.is_empty());
}

#[tokio::test]
async fn a_retry_gets_the_same_claims_signed_again_also_after_a_restart() {
    let scene = Scene::new();
    let (first, position) = scene.token(permit(), &plan()).await;
    let again = scene.reissue(position).unwrap();
    let input = |t: &Token| t.expose().rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(input(&again), input(&first));
    let Scene { dir, journal, .. } = scene;
    journal.close().await;
    let keys = KeyRing::open(&dir.path().join("keys"), KeySettings::default(), now()).unwrap();
    let journal = open_journal(dir.path());
    let scene = Scene { dir, keys, journal };
    assert_eq!(input(&scene.reissue(position).unwrap()), input(&first));
    assert_eq!(scene.verify(&scene.reissue(position).unwrap(), ARGUMENTS, TokenType::AccessToken), "ACCEPTED");
}

#[tokio::test]
async fn nothing_but_what_was_recorded_is_signed_again() {
    let scene = Scene::new();
    let (_, position) = scene.token(permit(), &plan()).await;
    let changed = |sealed: &[u8]| Ok(String::from_utf8(open(sealed)).unwrap().replace("a@x", "b@x").into_bytes());
    assert!(matches!(scene.keys.reissue(&scene.journal, position, changed), Err(MintError::NotRecorded)));
    let erased = |_: &[u8]| Err("erased".into());
    assert!(matches!(scene.keys.reissue(&scene.journal, position, erased), Err(MintError::Unseal(_))));
    assert!(matches!(scene.reissue(position + 1), Err(MintError::Unread(_))));
    for event in [event(), Event { payload: None, ..event() }] {
        let position = scene.journal.append(entry(vec![event])).await.unwrap().first();
        assert!(matches!(scene.reissue(position), Err(MintError::NotRecorded)), "no grant stands there");
    }
}

#[tokio::test]
async fn a_distrusted_key_signs_nothing_any_more() {
    let scene = Scene::new();
    let (token, position) = scene.token(permit(), &plan()).await;
    let committed = scene.journal.append(scene.draft(permit(), &plan()).unwrap()).await.unwrap();
    let key = scene.keys.current(SigningAlgorithm::Es256, now()).unwrap();
    scene.keys.distrust(&key, now()).unwrap();
    assert!(matches!(scene.keys.release(committed), Err(MintError::Distrusted(_))), "though it was recorded");
    assert!(matches!(scene.reissue(position), Err(MintError::Distrusted(_))));
    assert_eq!(scene.verify(&token, ARGUMENTS, TokenType::AccessToken), "KEY_UNKNOWN");
    let (next, _) = scene.token(permit(), &one_second_later()).await;
    assert_eq!(scene.verify(&next, ARGUMENTS, TokenType::AccessToken), "ACCEPTED", "and the next key signs");
}

fn one_second_later() -> Plan {
    let bounds = Bounds { deadline: Timestamp::MAX, svid_not_after: Timestamp::MAX };
    let life = Life::new(now().after(Duration::from_secs(1)), Ttl::from_secs(300).unwrap(), bounds).unwrap();
    Plan { life, ..plan() }
}

#[tokio::test]
async fn tokens_of_both_keys_hold_while_a_rotation_overlaps() {
    let scene = Scene::with(KeySettings { lead: Duration::ZERO, ..KeySettings::default() });
    let (old, position) = scene.token(permit(), &plan()).await;
    scene.keys.rotate(SigningAlgorithm::Es256, now()).unwrap();
    let (new, _) = scene.token(permit(), &one_second_later()).await;
    let header = |t: &Token| t.expose().split('.').next().unwrap().to_owned();
    assert_ne!(header(&old), header(&new));
    for token in [&old, &new, &scene.reissue(position).unwrap()] {
        assert_eq!(scene.verify(token, ARGUMENTS, TokenType::AccessToken), "ACCEPTED");
    }
}

#[tokio::test]
async fn other_algorithms_and_types_are_for_audiences_that_are_configured_so() {
    for (algorithm, kind) in [
        (SigningAlgorithm::Rs256, TokenType::AccessToken),
        (SigningAlgorithm::Ed25519, TokenType::Plain),
        (SigningAlgorithm::Es256, TokenType::Plain),
    ] {
        let formats = BTreeMap::from([(plan().audience, TokenFormat { algorithm, kind })]);
        let scene = Scene::with(KeySettings { formats, ..KeySettings::default() });
        let (token, position) = scene.token(permit(), &plan()).await;
        assert_eq!(scene.verify(&token, ARGUMENTS, kind), "ACCEPTED", "{algorithm} {kind:?}");
        assert_eq!(scene.verify(&scene.reissue(position).unwrap(), ARGUMENTS, kind), "ACCEPTED");
    }
}

#[test]
fn a_plan_that_is_not_what_was_decided_gives_no_draft() {
    let scene = Scene::new();
    let try_plan = |change: &dyn Fn(&mut Plan, &mut Decision)| {
        let (mut plan, mut decision) = (plan(), decision());
        change(&mut plan, &mut decision);
        defect(scene.draft(permit_for(decision), &plan))
    };
    assert_eq!(try_plan(&|_, _| {}), "drafted");
    type Change<'c> = (&'c str, &'c dyn Fn(&mut Plan, &mut Decision));
    let changes: [Change<'_>; 8] = [
        ("another tool", &|p, _| p.entries[0].0.tool = "pay".parse().unwrap()),
        ("one access more", &|p, _| p.entries.push(p.entries[0].clone())),
        ("an access less", &|p, _| p.entries.clear()),
        ("an action that nobody asked for", &|p, _| p.entries[0].0.actions = vec!["tools/list".into()]),
        ("no action", &|_, d| d.entries[0].actions.clear()),
        ("a resource that nobody asked for", &|_, d| d.entries[0].resources = vec!["outbox".into()]),
        ("nothing included", &|_, d| d.entries[0].included = false),
        ("no entries at all", &|p, d| {
            p.entries.clear();
            d.entries.clear();
        }),
    ];
    for (name, change) in changes {
        assert!(try_plan(change).starts_with("Mismatch"), "{name}: {}", try_plan(change));
    }
    let arguments = |text: &str| Json::parse(text, 1 << 16).unwrap();
    let sink = format!(r#"{{"to":"{}"}}"#, "x".repeat(5000));
    assert!(try_plan(&|p, _| p.entries[0].0.arguments = arguments(&sink)).starts_with("Detail"));
    let long = format!(r#"{{"to":[{}]}}"#, vec![format!("\"{}\"", "x".repeat(1000)); 7].join(","));
    assert!(try_plan(&|p, _| p.entries[0].0.arguments = arguments(&long)).starts_with("TooLong"));
}

#[test]
fn no_token_outlives_the_svid_or_what_policy_allows() {
    let scene = Scene::new();
    let with = |ttl_max: u64, life: Life| {
        let decision = Decision { ttl_max: Ttl::from_secs(ttl_max).unwrap(), ..decision() };
        defect(scene.draft(permit_for(decision), &Plan { life, ..plan() }))
    };
    assert_eq!(with(300, life(300, 3600)), "drafted");
    assert_eq!(with(299, life(300, 3600)), "LifeTooLong");
    assert_eq!(with(299, life(300, 40)), "drafted");
}

#[test]
fn the_subject_that_acts_itself_has_no_actor_and_chains_are_history() {
    let scene = Scene::new();
    let claims = |plan: &Plan| scene.draft(permit(), plan).unwrap().claims().clone();
    assert_eq!(claims(&Plan { subject: AGENT.into(), ..plan() }).act, None);
    let agents_above = ["spiffe://a.test/lead", "spiffe://a.test/head"].map(|s| s.parse().unwrap()).to_vec();
    let chained = claims(&Plan { agents_above, ..plan() });
    assert_eq!(
        serde_json::to_string(&chained.act).unwrap(),
        r#"{"sub":"spiffe://a.test/agent","act":{"sub":"spiffe://a.test/lead","act":{"sub":"spiffe://a.test/head"}}}"#
    );
    assert!(Claims::parse(&chained.to_payload().unwrap()).is_ok());
    let observed = permit_for(Decision { outcome: Outcome::Denied, instead: Some(Outcome::Granted), ..decision() });
    assert!(scene.draft(observed, &plan()).unwrap().claims().task.observed_only);
}

#[test]
fn an_entry_without_exactly_one_place_for_the_grant_is_refused() {
    let scene = Scene::new();
    let with = |events: Vec<Event>| {
        defect(Draft::new(permit(), &plan(), &scene.keys, entry(events), |payload| Ok(seal(payload))))
    };
    let changed = |change: &dyn Fn(&mut CredentialDecided)| {
        let mut event = event();
        if let Some(Payload::CredentialDecided(decided)) = &mut event.payload {
            change(decided);
        }
        vec![event]
    };
    assert_eq!(with(vec![event()]), "drafted");
    assert_eq!(with(vec![Event::default(), event()]), "drafted");
    assert_eq!(with(changed(&|d| d.grant = Some(Grant::default()))), "drafted", "a grant with nothing signed yet");
    let signed = Grant { signing_input_sha256: vec![1; 32].into(), ..Grant::default() };
    for (name, events) in [
        ("no event", vec![]),
        ("another event", vec![Event::default()]),
        ("two decisions", vec![event(), event()]),
        ("a grant that is there already", changed(&|d| d.grant = Some(signed.clone()))),
        ("another task", changed(&|d| d.task_id = "task_x".into())),
        ("another audience", changed(&|d| d.audience = "https://bank.test".into())),
        ("another agent", changed(&|d| d.agent = "spiffe://a.test/other".into())),
    ] {
        assert_eq!(with(events), "NoEvidence", "{name}");
    }
    let unsealed = Draft::new(permit(), &plan(), &scene.keys, entry(vec![event()]), |_| Err("erased".into()));
    assert!(matches!(unsealed, Err(MintError::Seal(_))));
}

#[tokio::test]
async fn a_draft_leaves_one_entry_and_no_more() {
    let scene = Scene::new();
    let mut drafted = scene.draft(permit(), &plan()).unwrap();
    assert_eq!(drafted.entry().events.len(), 1);
    // Whoever took the entry out cannot have the draft committed without it.
    assert!(matches!(scene.journal.append(drafted).await, Err(AppendError::Empty)));
}

#[tokio::test]
async fn neither_draft_nor_token_is_shown() {
    let scene = Scene::new();
    let shown = format!("{:?}", scene.draft(permit(), &plan()).unwrap());
    assert!(!shown.contains("a@x.test") && !shown.contains("alice"), "{shown}");
    let (token, _) = scene.token(permit(), &plan()).await;
    assert_eq!(format!("{token:?}"), "Token(redacted)");
}
