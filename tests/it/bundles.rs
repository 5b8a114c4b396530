//! Policy bundles that are signed: what is refused for want of a signature, what is told of who stands for a bundle, and that
//! nothing comes back unnoticed.

mod persons;

use std::sync::Arc;

use carnet::broker::proposals::{ActivationSettings, Persons};
use carnet::mint::author::AuthorKey;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::policy::bundle::BundleFiles;
use carnet::policy::manifest::{MANIFEST, Manifest, Statement};
use carnet::policy::signers::{SignerKey, Signers};
use carnet::token::header::SigningAlgorithm;

use super::support::broker::{Setup, TestBroker, shipped_policy};
use super::support::caller::{Caller, Refused};

const OWNER: &str = "group:security";

/// A new key of a signer.
pub fn key(algorithm: SigningAlgorithm) -> AuthorKey {
    let folder = tempfile::tempdir().unwrap();
    AuthorKey::create(&folder.path().join("key"), algorithm).unwrap().0
}

/// The shipped bundle with a note, so that it is another one.
pub fn noted(note: &str) -> BundleFiles {
    with(&shipped_policy(), "note.md", note.as_bytes())
}

/// The files with another, or with other content of it.
fn with(files: &BundleFiles, path: &str, content: &[u8]) -> BundleFiles {
    let kept = files.iter_with_manifest().filter(|(known, _)| *known != path);
    let all = kept.chain([(path, content)]).map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(all).unwrap()
}

/// The files, signed as that revision.
pub fn signed(files: &BundleFiles, revision: u64, keys: &[&AuthorKey]) -> BundleFiles {
    let digest = files.digest().to_string();
    let mut manifest = Manifest::new(Statement { digest, revision, owner: OWNER.parse().unwrap() });
    keys.iter().for_each(|key| key.sign(&mut manifest).unwrap());
    with(files, MANIFEST, manifest.to_text().as_bytes())
}

/// So many of these must have signed.
fn signers(keys: &[(&str, &AuthorKey)], needed: usize) -> ActivationSettings {
    let keys = keys.iter().map(|(name, key)| SignerKey::parse(name, &key.public().to_json().to_text()).unwrap());
    let signers = Some(Arc::new(Signers::new(keys, needed).unwrap()));
    ActivationSettings { signers, ..ActivationSettings::default() }
}

pub fn activation(files: &BundleFiles, revision: u64) -> v1::ActivatePolicyRequest {
    let file =
        |(path, content): (&str, &[u8])| v1::PolicyFile { path: path.to_owned(), content: content.to_vec().into() };
    v1::ActivatePolicyRequest {
        bundle: Some(v1::PolicyBundle { files: files.iter_with_manifest().map(file).collect() }),
        revision,
        digest: files.digest().to_string(),
        going_back: false,
    }
}

/// The same, and it is meant.
fn going_back(files: &BundleFiles, revision: u64) -> v1::ActivatePolicyRequest {
    v1::ActivatePolicyRequest { going_back: true, ..activation(files, revision) }
}

pub async fn active(caller: &Caller) -> v1::GetActivePolicyResponse {
    let request = v1::GetActivePolicyRequest { include_files: true };
    caller.policy().get_active_policy(request).await.unwrap().into_inner()
}

async fn checked(caller: &Caller, files: &BundleFiles) -> v1::CheckPolicyResponse {
    let request = v1::CheckPolicyRequest { bundle: activation(files, 0).bundle };
    caller.policy().check_policy(request).await.unwrap().into_inner()
}

fn rejected(refused: Refused) -> String {
    assert_eq!(refused.reason, "POLICY_REJECTED", "{refused:?}");
    refused.message
}

fn names(signers: &[v1::PolicySigner]) -> Vec<&str> {
    signers.iter().map(|signer| signer.name.as_str()).collect()
}

/// How a list shows the last event of that kind.
async fn summary(operator: &Caller, kind: &str) -> String {
    let request = v1::SearchEventsRequest { kind: kind.to_owned(), ..v1::SearchEventsRequest::default() };
    let events = operator.audit().search_events(request).await.unwrap().into_inner().events;
    events.into_iter().max_by_key(|event| event.position).unwrap().summary
}

#[tokio::test]
async fn a_first_start_puts_in_force_only_what_is_signed() {
    let (ada, eve) = (key(SigningAlgorithm::Ed25519), key(SigningAlgorithm::Es256));
    let files = noted("first");
    let tampered = with(&signed(&files, 5, &[&ada]), "note.md", b"second");
    for (name, policy, expected) in [
        ("unsigned", files.clone(), "the bundle is not signed"),
        ("by a foreign key", signed(&files, 5, &[&eve]), "1 signers must have signed"),
        ("changed afterwards", tampered, "is for other files"),
        ("no manifest", with(&files, MANIFEST, b"{}"), "no JWS in general JSON serialization"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let activation = signers(&[("ada", &ada)], 1);
        let setup = Setup { policy, activation, activate: false, ..Setup::default() };
        let refused = TestBroker::in_folder(setup, folder.path()).await.map(drop).unwrap_err();
        assert!(refused.contains(expected), "{name}: {refused}");
    }
    let (policy, activation) = (signed(&files, 5, &[&ada]), signers(&[("ada", &ada)], 1));
    let mut broker = TestBroker::with(Setup { policy, activation, activate: false, ..Setup::default() }).await;
    let told = active(&broker.operator().await).await;
    assert_eq!((told.revision, told.owner.as_str(), names(&told.signed_by)), (5, OWNER, vec!["ada"]));
    assert_eq!(told.bundle.unwrap().files.last().unwrap().path, MANIFEST, "whoever has the files can verify them too");
    let started = broker.record.of_kind("broker_started").await;
    let Payload::BrokerStarted(started) = &started[0].payload else { panic!("{started:?}") };
    assert_eq!((started.activation_persons, started.signatures_required), (1, 1), "what was asked for is on record");
    assert_eq!(started.signing_keys[0].key_id, ada.id());
    // What is in force stays so, whatever is configured afterwards.
    broker.configure(files);
    broker.restart().await;
    assert_eq!(active(&broker.operator().await).await.revision, 5);
}

#[tokio::test]
async fn what_is_not_signed_as_it_must_be_is_not_activated() {
    let (ada, bob, eve) =
        (key(SigningAlgorithm::Ed25519), key(SigningAlgorithm::Es256), key(SigningAlgorithm::Ed25519));
    let policy = signed(&shipped_policy(), 1, &[&ada, &bob]);
    let activation_settings = signers(&[("ada", &ada), ("bob", &bob)], 2);
    let setup = Setup { policy, activation: activation_settings, activate: false, ..Setup::default() };
    let broker = TestBroker::with(setup).await;
    let operator = broker.operator().await;
    let files = noted("next");
    let good = signed(&files, 2, &[&ada, &bob]);
    for (name, bundle, revision, expected) in [
        ("unsigned", files.clone(), 2, "is not signed"),
        ("by one of two", signed(&files, 2, &[&ada]), 2, "1 of those who count have"),
        ("by one of two, twice", signed(&files, 2, &[&ada, &ada]), 2, "1 of those who count have"),
        ("by one of two and a stranger", signed(&files, 2, &[&ada, &eve]), 2, "1 signatures are by keys"),
        ("as another revision", good.clone(), 3, "is not the one that is signed, 2"),
        ("with another file", with(&good, "more.md", b"x"), 2, "is for other files"),
        ("with a file changed", with(&good, "note.md", b"other"), 2, "is for other files"),
        (
            "with the manifest of another",
            with(&files, MANIFEST, signed(&noted("x"), 2, &[&ada, &bob]).manifest().unwrap()),
            2,
            "is for other files",
        ),
        ("as a revision that is over", signed(&files, 1, &[&ada, &bob]), 1, "is not above the one in force"),
        ("as the last revision", signed(&files, u64::MAX, &[&ada, &bob]), u64::MAX, "is above 9007199254740991"),
        ("far ahead", signed(&files, 1 << 42, &[&ada, &bob]), 1 << 42, "by more than 2199023255552 above"),
    ] {
        let refused = rejected(operator.activate_policy(activation(&bundle, revision)).await.unwrap_err());
        assert!(refused.contains(expected), "{name}: {refused}");
        let problems = checked(&operator, &bundle).await.problems;
        let of_signatures =
            ["is not the one", "is not above", "is above", "by more"].iter().all(|e| !expected.starts_with(e));
        assert_eq!(problems.iter().any(|p| p.path == MANIFEST), of_signatures, "{name}: {problems:?}");
    }
    let found = checked(&operator, &good).await;
    assert_eq!((found.problems.len(), found.revision, found.owner.as_str()), (0, 2, OWNER));
    let done = operator.activate_policy(activation(&good, 2)).await.unwrap();
    assert_eq!((done.owner.as_str(), names(&done.signed_by), done.returns_to), (OWNER, vec!["ada", "bob"], None));
    let told = summary(&operator, "policy_activated").await;
    assert!(told.starts_with("policy revision 2 in force, owned by group:security, signed by ada and bob: "), "{told}");
    let events = broker.record.of_kind("policy_activated").await;
    let Payload::PolicyActivated(event) = &events.last().unwrap().payload else { panic!("{events:?}") };
    assert_eq!(event.manifest, good.manifest().unwrap(), "the evidence is on record as it was sent");
    assert!(event.files.iter().all(|file| file.path != MANIFEST));
}

#[tokio::test]
async fn without_keys_nothing_is_verified_and_a_manifest_only_says_who_answers() {
    let eve = key(SigningAlgorithm::Ed25519);
    let broker = TestBroker::start().await;
    let operator = broker.operator().await;
    let done = operator.activate_policy(activation(&noted("unsigned"), 2)).await.unwrap();
    assert_eq!((done.owner.as_str(), done.signed_by.len()), ("", 0));
    let done = operator.activate_policy(activation(&signed(&noted("signed"), 3, &[&eve]), 3)).await.unwrap();
    assert_eq!((done.owner.as_str(), done.signed_by.len()), (OWNER, 0));
    // What a manifest says of another revision it does not say of this one.
    let done = operator.activate_policy(activation(&signed(&noted("again"), 9, &[&eve]), 4)).await.unwrap();
    assert_eq!((done.revision, done.owner.as_str()), (4, ""));
    let other = with(&noted("more"), MANIFEST, signed(&noted("else"), 5, &[&eve]).manifest().unwrap());
    operator.activate_policy(activation(&other, 5)).await.unwrap();
    // So one that is about something else is not kept for others to find beside it.
    let events = broker.record.of_kind("policy_activated").await.into_iter();
    let kept = events.filter_map(|event| match event.payload {
        Payload::PolicyActivated(event) => Some((event.revision, !event.manifest.is_empty())),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), [(1, false), (2, false), (3, true), (4, false), (5, false)]);
    assert!(active(&operator).await.bundle.unwrap().files.iter().all(|file| file.path != MANIFEST));
}

#[tokio::test]
async fn what_was_in_force_before_comes_back_only_when_that_is_said() {
    let ada = key(SigningAlgorithm::Ed25519);
    let (one, two) = (noted("one"), noted("two"));
    let (policy, activation_settings) = (signed(&one, 1, &[&ada]), signers(&[("ada", &ada)], 1));
    let setup = Setup { policy, activation: activation_settings, activate: false, ..Setup::default() };
    let mut broker = TestBroker::with(setup).await;
    let operator = broker.operator().await;
    // The same once more is no going back.
    let same = operator.activate_policy(activation(&signed(&one, 2, &[&ada]), 2)).await.unwrap();
    assert_eq!(same.returns_to, None);
    operator.activate_policy(activation(&signed(&two, 3, &[&ada]), 3)).await.unwrap();
    let back = signed(&one, 4, &[&ada]);
    let refused = rejected(operator.activate_policy(activation(&back, 4)).await.unwrap_err());
    let position = same.position;
    assert!(refused.contains(&format!("was in force as revision 2 (position {position})")), "{refused}");
    // Nor with an old revision, whatever is said.
    let old = rejected(operator.activate_policy(going_back(&signed(&one, 2, &[&ada]), 2)).await.unwrap_err());
    assert!(old.contains("is not above the one in force"), "{old}");
    // Who starts anew has forgotten nothing.
    broker.restart().await;
    let operator = broker.operator().await;
    rejected(operator.activate_policy(activation(&back, 4)).await.unwrap_err());
    let before = Some(v1::PolicyReturn { revision: 2, position });
    assert_eq!(checked(&operator, &back).await.returns_to, before);
    let done = operator.activate_policy(going_back(&back, 4)).await.unwrap();
    assert_eq!((done.revision, done.returns_to), (4, before));
    assert_eq!(active(&operator).await.returns_to, before);
    let told = summary(&operator, "policy_activated").await;
    assert!(told.contains(", GOING BACK to revision 2: "), "{told}");
    // It is in force now, and what it replaced is what was.
    assert_eq!(checked(&operator, &back).await.returns_to, None);
    assert_eq!(checked(&operator, &two).await.returns_to.unwrap().revision, 3);
}

#[tokio::test]
async fn with_two_persons_needed_starting_anew_activates_nothing() {
    let activation = ActivationSettings { persons: Persons::Two, ..ActivationSettings::default() };
    let mut broker = TestBroker::with(Setup { activation, ..Setup::default() }).await;
    assert_eq!(active(&broker.operator().await).await.revision, 1, "at the first start there is nobody to ask");
    broker.configure(noted("other"));
    broker.restart().await;
    let told = active(&broker.operator().await).await;
    assert_eq!((told.revision, told.digest), (1, shipped_policy().digest().to_string()));
}
