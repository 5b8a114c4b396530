//! Signing through the program: keys, signatures, what is found out about them, and a broker that asks for them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use carnet::broker::proposals::{ActivationSettings, Persons};
use carnet::policy::bundle::BundleFiles;
use carnet::policy::signers::{SignerKey, Signers};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{carnet, ends, told};
use crate::support::broker::{Setup, TestBroker, shipped_policy};

/// A folder with a bundle and the keys of two signers.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        for (path, content) in shipped_policy().iter() {
            let path = desk.policy().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        for (name, algorithm) in [("ada", "ed25519"), ("bob", "es256")] {
            let made = desk.json(&["policy", "keygen", &desk.key(name), "--algorithm", algorithm], 0);
            assert_eq!(made["public_key_file"], desk.public(name));
        }
        desk
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("policy")
    }

    fn bundle(&self) -> String {
        self.policy().to_str().unwrap().to_owned()
    }

    fn files(&self) -> BundleFiles {
        BundleFiles::read_dir(&self.policy()).unwrap()
    }

    fn key(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn public(&self, name: &str) -> String {
        format!("{}.pub", self.key(name))
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        parsed(&ends(&[arguments, &["--output", "json"]].concat(), code))
    }

    fn sign(&self, name: &str, more: &[&str]) -> Value {
        self.json(&[&["policy", "sign", &self.bundle(), "--key", &self.key(name)], more].concat(), 0)
    }

    /// What `check` says, with the public keys of those who must have signed.
    fn check(&self, names: &[&str], code: i32) -> (Value, String) {
        let public: Vec<String> = names.iter().map(|name| self.public(name)).collect();
        let bundle = self.bundle();
        let keys = public.iter().flat_map(|path| ["--public-key", path.as_str()]);
        let arguments: Vec<&str> = ["policy", "check", &bundle, "--output", "json"].into_iter().chain(keys).collect();
        let output = ends(&arguments, code);
        (parsed(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn note(&self, text: &str) {
        std::fs::write(self.policy().join("note.md"), text).unwrap();
    }

    /// The settings of a broker that wants that many signatures.
    fn wants(&self, needed: usize) -> ActivationSettings {
        let key = |name: &str| SignerKey::parse(name, &std::fs::read_to_string(self.public(name)).unwrap()).unwrap();
        let signers = Some(Arc::new(Signers::new(["ada", "bob"].map(key), needed).unwrap()));
        ActivationSettings { signers, ..ActivationSettings::default() }
    }
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", told(output)))
}

async fn at(broker: &TestBroker, arguments: &[&str], code: i32) -> Output {
    let mut command = carnet(arguments);
    command.args(["--output", "json", "--operator-socket"]).arg(broker.running().operator_socket().unwrap());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
    output
}

#[test]
fn a_key_is_made_once_and_used_only_by_its_owner() {
    let desk = Desk::new();
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&desk.key("ada")), 0o600);
    let before = std::fs::read(desk.key("ada")).unwrap();
    assert!(told(&ends(&["policy", "keygen", &desk.key("ada")], 1)).contains("no key was made"));
    assert_eq!(std::fs::read(desk.key("ada")).unwrap(), before);
    std::fs::set_permissions(desk.key("ada"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (bundle, key) = (desk.bundle(), desk.key("ada"));
    let sign = ["policy", "sign", &bundle, "--key", &key, "--revision", "1", "--owner", "group:security"];
    assert!(told(&ends(&sign, 1)).contains("may be used by others (mode 644)"));
    assert!(!desk.policy().join("bundle.sig").exists());
}

#[test]
fn check_tells_whether_a_bundle_is_signed_and_by_whom() {
    let desk = Desk::new();
    let (unsigned, said) = desk.check(&[], 0);
    assert_eq!((&unsigned["signatures"], said.contains("nobody has signed it")), (&json!([]), true));
    assert!(desk.check(&["ada"], 5).1.contains("it has no `bundle.sig`"));
    let (bundle, key) = (desk.bundle(), desk.key("ada"));
    let first = ends(&["policy", "sign", &bundle, "--key", &key, "--owner", "group:security"], 1);
    assert!(told(&first).contains("`--revision` is missing"), "{}", told(&first));
    let ada = desk.sign("ada", &["--revision", "7", "--owner", "group:security"]);
    let (signed, said) = desk.check(&[], 0);
    assert_eq!((&signed["revision"], &signed["owner"]), (&7.into(), &"group:security".into()));
    assert_eq!(signed["signatures"], json!([{ "key": ada["key"], "verified": false }]));
    assert!(said.contains("are not verified"), "{said}");
    // The next signs what the first has signed.
    let bob = desk.sign("bob", &[]);
    assert_eq!((&bob["revision"], &bob["owner"], &bob["digest"]), (&ada["revision"], &ada["owner"], &ada["digest"]));
    let (signed, _) = desk.check(&["ada", "bob"], 0);
    let of = |key: &Value, verified: bool| json!({ "key": key, "verified": verified });
    assert_eq!(signed["signatures"], json!([of(&ada["key"], true), of(&bob["key"], true)]));
    assert_eq!(desk.check(&["bob"], 0).0["signatures"], json!([of(&ada["key"], false), of(&bob["key"], true)]));
    desk.note("more");
    let none: &[&str] = &[];
    for names in [none, &["ada"]] {
        assert!(desk.check(names, 5).1.contains("some were changed, added or taken away since it was signed"));
    }
    let output = ends(&["policy", "sign", &bundle, "--key", &key, "--revision", "8", "--owner", "group:security"], 0);
    assert!(told(&output).contains("those signatures are gone"), "{}", told(&output));
    assert!(desk.check(&["ada", "bob"], 5).1.contains("2 signers must have signed"));
    desk.check(&["ada"], 0);
}

#[test]
fn what_fails_its_tests_is_not_signed() {
    let desk = Desk::new();
    std::fs::create_dir(desk.policy().join("tests")).unwrap();
    let case = "[[case]]\nname = \"x\"\ntool = \"mail.send\"\noutcome = \"granted\"\ncarries = [\"credentials\"]\n\
                sinks = [{ name = \"to\", from = \"intent\" }]\n";
    std::fs::write(desk.policy().join("tests/x.toml"), case).unwrap();
    let (bundle, key) = (desk.bundle(), desk.key("ada"));
    let sign = ["policy", "sign", &bundle, "--key", &key, "--revision", "1", "--owner", "o"];
    assert!(told(&ends(&sign, 5)).contains("1 tests fail"));
    assert!(!desk.policy().join("bundle.sig").exists());
}

#[tokio::test]
async fn a_signed_bundle_is_activated_kept_and_gone_back_to() {
    let desk = Desk::new();
    desk.sign("ada", &["--revision", "3", "--owner", "group:security"]);
    let setup = Setup { policy: desk.files(), activation: desk.wants(1), activate: false, ..Setup::default() };
    let broker = TestBroker::with(setup).await;
    let bundle = desk.bundle();
    let activate = ["policy", "activate", bundle.as_str()];
    let active = parsed(&at(&broker, &["policy", "active"], 0).await);
    assert_eq!((&active["revision"], &active["owner"]), (&3.into(), &"group:security".into()));
    assert_eq!(active["signed_by"][0]["name"], "ada");

    desk.note("more");
    let refused = at(&broker, &activate, 5).await;
    assert!(told(&refused).contains("is for other files"), "{}", told(&refused));
    desk.sign("bob", &["--revision", "4", "--owner", "bob@example.org"]);
    let found = parsed(&at(&broker, &["policy", "check", &bundle, "--remote"], 0).await);
    assert_eq!((&found["revision"], &found["signatures"][0]["name"]), (&4.into(), &"bob".into()));
    let done = parsed(&at(&broker, &activate, 0).await);
    assert_eq!((&done["revision"], &done["owner"]), (&4.into(), &"bob@example.org".into()));
    assert_eq!((&done["signed_by"][0]["name"], &done["returns_to"]), (&"bob".into(), &Value::Null));

    // What is in force can be had with its signatures.
    let saved = desk.folder.path().join("saved");
    at(&broker, &["policy", "active", "--save", saved.to_str().unwrap()], 0).await;
    assert_eq!(BundleFiles::read_dir(&saved).unwrap(), desk.files());

    std::fs::remove_file(desk.policy().join("note.md")).unwrap();
    desk.sign("ada", &["--revision", "5", "--owner", "group:security"]);
    let refused = told(&at(&broker, &activate, 5).await);
    assert!(refused.contains("GOING BACK: these files were in force before, as revision 3"), "{refused}");
    assert!(refused.contains("--going-back"), "{refused}");
    let output = at(&broker, &["policy", "activate", &bundle, "--going-back"], 0).await;
    assert!(told(&output).contains("GOING BACK"), "{}", told(&output));
    let done = parsed(&output);
    assert_eq!((&done["revision"], &done["returns_to"]), (&5.into(), &3.into()));
}

#[tokio::test]
async fn where_two_persons_are_needed_the_operator_is_told_so() {
    let activation = ActivationSettings { persons: Persons::Two, ..ActivationSettings::default() };
    let broker = TestBroker::with(Setup { activation, ..Setup::default() }).await;
    let desk = Desk::new();
    let refused = told(&at(&broker, &["policy", "activate", &desk.bundle()], 2).await);
    assert!(refused.contains("TWO_PERSONS_NEEDED"), "{refused}");
    assert_eq!(parsed(&at(&broker, &["policy", "proposals"], 0).await), json!([]));
    let unknown = format!("proposal_{}", "0".repeat(12) + "7000" + "8000" + &"0".repeat(12));
    assert!(told(&at(&broker, &["policy", "withdraw", &unknown], 2).await).contains("NOT_FOUND"));
    assert!(Path::new(&desk.key("ada")).exists());
}
