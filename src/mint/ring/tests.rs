//! Keys: first start, restart, rotation with overlap, distrust, and a folder that others touched.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::jose::key_set::KeySet;
use crate::model::limits::TTL_SECONDS_MAX;

const HOUR: u64 = 3600;
const ES: SigningAlgorithm = SigningAlgorithm::Es256;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 + secs)
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    fn open(&self, now: Timestamp) -> Result<KeyRing, KeyRingError> {
        KeyRing::open(&self.folder(), KeySettings::default(), now)
    }

    fn ring(&self, now: Timestamp) -> KeyRing {
        self.open(now).unwrap()
    }

    fn pem_files(&self) -> usize {
        let names = fs::read_dir(self.folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n.ends_with(".pem")).count()
    }
}

fn published(ring: &KeyRing, now: Timestamp) -> KeySet {
    jwks::parse(&ring.jwks(now)).unwrap()
}

fn knows(ring: &KeyRing, key: &KeyId, now: Timestamp) -> bool {
    published(ring, now).find(key.as_str()).is_some()
}

#[test]
fn the_first_start_makes_a_key_that_signs_and_the_next_one() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let current = ring.current(ES, at(0)).unwrap();
    assert_eq!(published(&ring, at(0)).len(), 2);
    assert!(knows(&ring, &current, at(0)));
    for entry in fs::read_dir(home.folder()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn keys_survive_a_restart() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let (current, jwks) = (ring.current(ES, at(0)), ring.jwks(at(0)));
    drop(ring);
    let ring = home.ring(at(10));
    assert_eq!(ring.current(ES, at(10)), current);
    assert_eq!(ring.jwks(at(10)), jwks);
}

#[test]
fn work_beside_the_broker_keeps_to_its_lead_and_makes_nothing() {
    let home = Home::new();
    assert!(KeyRing::open_kept(&home.folder()).is_err(), "there is no broker");
    assert!(!home.folder().exists());
    let day = KeySettings { lead: Duration::from_secs(24 * HOUR), ..KeySettings::default() };
    let ring = KeyRing::open(&home.folder(), day, at(0)).unwrap();
    let beside = KeyRing::open_kept(&home.folder()).unwrap();
    assert_eq!(beside.jwks(at(0)), ring.jwks(at(0)));
    assert_eq!(beside.rotate(ES, at(60)).unwrap().signs_from, at(24 * HOUR), "as the broker was told");
    assert!(ring.reload().unwrap());
    let mode = |mode| fs::set_permissions(home.folder(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o750);
    assert!(matches!(KeyRing::open_kept(&home.folder()), Err(KeyRingError::SecretFile(_))));
}

#[test]
fn a_key_is_published_before_it_signs() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let old = ring.current(ES, at(0)).unwrap();
    let rotation = ring.rotate(ES, at(60)).unwrap();
    assert_eq!(rotation.previous.as_ref(), Some(&old));
    assert_eq!(rotation.signs_from, at(HOUR), "an hour after it was published");
    assert!(knows(&ring, &rotation.key_id, at(0)), "it was published before anybody asked for a rotation");
    assert_eq!(ring.current(ES, at(HOUR - 1)).unwrap(), old);
    assert_eq!(ring.current(ES, at(HOUR)).unwrap(), rotation.key_id);
    assert_eq!(ring.rotate(ES, at(120)).unwrap(), rotation, "a rotation under way is told again");
    drop(ring);
    assert_eq!(home.ring(at(HOUR)).current(ES, at(HOUR)).unwrap(), rotation.key_id, "also across a restart");
}

#[test]
fn a_key_that_was_published_long_enough_takes_over_at_once() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let rotation = ring.rotate(ES, at(2 * HOUR)).unwrap();
    assert_eq!(rotation.signs_from, at(2 * HOUR));
    assert_eq!(ring.current(ES, at(2 * HOUR)).unwrap(), rotation.key_id);
}

#[test]
fn a_retired_key_stays_until_its_last_token_has_expired() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let old = ring.current(ES, at(0)).unwrap();
    let now = 2 * HOUR;
    ring.rotate(ES, at(now)).unwrap();
    let last_token = now + TTL_SECONDS_MAX;
    assert!(knows(&ring, &old, at(last_token)));
    assert!(ring.find(old.as_str()).is_ok(), "a retried grant is signed with it again");
    assert!(!knows(&ring, &old, at(last_token + 61)));
    ring.rotate(ES, at(last_token + 61)).unwrap();
    assert!(matches!(ring.find(old.as_str()), Err(MintError::KeyGone(_))));
    assert!(!home.folder().join(format!("{old}.pem")).exists());
}

#[test]
fn a_distrusted_key_is_gone_at_once_and_the_next_one_signs() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let old = ring.current(ES, at(10)).unwrap();
    assert!(knows(&ring, &old, at(10)), "control");
    let rotation = ring.distrust(&old, at(10)).unwrap().unwrap();
    assert_eq!(rotation.signs_from, at(10), "though it was published ten seconds ago only");
    for ring in [ring, home.ring(at(11))] {
        assert!(!knows(&ring, &old, at(11)));
        assert_eq!(ring.current(ES, at(11)).unwrap(), rotation.key_id);
        assert!(knows(&ring, &rotation.key_id, at(11)));
        assert!(matches!(ring.find(old.as_str()), Err(MintError::Distrusted(_))));
    }
    assert!(!home.folder().join(format!("{old}.pem")).exists());
    assert_eq!(home.pem_files(), 2);
}

#[test]
fn distrust_brings_a_rotation_that_is_under_way_forward_and_no_retired_key_back() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let first = ring.current(ES, at(0)).unwrap();
    let second = ring.rotate(ES, at(2 * HOUR)).unwrap().key_id;
    let third = ring.rotate(ES, at(2 * HOUR + 10)).unwrap().key_id;
    assert_eq!(ring.current(ES, at(2 * HOUR + 20)).unwrap(), second, "the third waits");
    let rotation = ring.distrust(&second, at(2 * HOUR + 20)).unwrap().unwrap();
    assert_eq!(ring.current(ES, at(2 * HOUR + 20)).unwrap(), rotation.key_id);
    assert_ne!(rotation.key_id, first);
    assert!(knows(&ring, &first, at(2 * HOUR + 20)), "the first is not distrusted, merely retired");
    assert!(rotation.key_id == third || knows(&ring, &third, at(2 * HOUR + 20)));
}

#[test]
fn a_key_that_waits_can_be_distrusted_too() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let current = ring.current(ES, at(0)).unwrap();
    let waiting = ring.loaded().state.keys.iter().find(|k| k.kid != current).unwrap().kid.clone();
    assert_eq!(ring.distrust(&waiting, at(5)).unwrap(), None);
    assert!(!knows(&ring, &waiting, at(5)));
    assert_eq!(ring.current(ES, at(5)).unwrap(), current);
    assert_ne!(ring.rotate(ES, at(2 * HOUR)).unwrap().key_id, waiting);
    assert!(matches!(ring.distrust(&"es256-nobody".parse().unwrap(), at(5)), Err(KeyRingError::Unknown(_))));
}

#[test]
fn what_another_process_rotates_is_taken_in() {
    let home = Home::new();
    let (broker, operator) = (home.ring(at(0)), home.ring(at(0)));
    assert_eq!(broker.jwks(at(0)), operator.jwks(at(0)), "who comes second finds the keys of the first");
    let rotation = operator.rotate(ES, at(2 * HOUR)).unwrap();
    assert_ne!(broker.current(ES, at(2 * HOUR)).unwrap(), rotation.key_id);
    assert!(broker.reload().unwrap());
    assert!(!broker.reload().unwrap());
    assert_eq!(broker.current(ES, at(2 * HOUR)).unwrap(), rotation.key_id);
    assert_eq!(broker.jwks(at(2 * HOUR)), operator.jwks(at(2 * HOUR)));
}

#[test]
fn rotations_at_once_lose_no_key() {
    let home = Home::new();
    home.ring(at(0));
    std::thread::scope(|scope| {
        for n in 0..4 {
            let home = &home;
            scope.spawn(move || home.ring(at(0)).rotate(ES, at(2 * HOUR + n * HOUR)).unwrap());
        }
    });
    let ring = home.ring(at(9 * HOUR));
    assert!(ring.current(ES, at(9 * HOUR)).is_some());
    assert_eq!(home.pem_files(), ring.loaded().keys.len());
}

#[test]
fn files_that_are_not_as_they_should_be_are_refused() {
    let break_one = |break_it: &dyn Fn(&Path)| {
        let home = Home::new();
        let key = home.ring(at(0)).current(ES, at(0)).unwrap();
        assert!(home.open(at(1)).is_ok(), "control");
        break_it(&home.folder().join(format!("{key}.pem")));
        home.open(at(1)).map(|_| ())
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    assert!(matches!(break_one(&|p| mode(p, 0o640)), Err(KeyRingError::SecretFile(_))));
    assert!(matches!(break_one(&|p| mode(p.parent().unwrap(), 0o777)), Err(KeyRingError::SecretFile(_))));
    assert!(matches!(break_one(&|p| fs::remove_file(p).unwrap()), Err(KeyRingError::SecretFile(_))));
    assert!(matches!(break_one(&|p| fs::write(p, "no key").unwrap()), Err(KeyRingError::KeyFile { .. })));
    let list = |text: &'static str| move |p: &Path| fs::write(p.with_file_name("keyring.json"), text).unwrap();
    assert!(matches!(break_one(&list("{}")), Err(KeyRingError::Format { .. })));
    assert!(matches!(break_one(&list(r#"{"version":2,"keys":[]}"#)), Err(KeyRingError::Format { .. })));
    let swapped = |p: &Path| {
        let other = SigningKey::generate(ES).unwrap();
        fs::write(p, pem::encode(&other).as_bytes()).unwrap();
    };
    assert!(matches!(break_one(&swapped), Err(KeyRingError::KeyFile { .. })), "a key under another's name");
}

#[test]
fn audiences_may_want_other_algorithms() {
    let home = Home::new();
    let audience = |n: &str| n.parse::<Audience>().unwrap();
    let format = |algorithm, kind| TokenFormat { algorithm, kind };
    let settings = KeySettings {
        formats: BTreeMap::from([
            (audience("rsa"), format(SigningAlgorithm::Rs256, TokenType::Plain)),
            (audience("ed"), format(SigningAlgorithm::Ed25519, TokenType::AccessToken)),
        ]),
        ..KeySettings::default()
    };
    let ring = KeyRing::open(&home.folder(), settings.clone(), at(0)).unwrap();
    assert_eq!(published(&ring, at(0)).len(), 6);
    for (name, algorithm, kind) in [
        ("rsa", SigningAlgorithm::Rs256, TokenType::Plain),
        ("ed", SigningAlgorithm::Ed25519, TokenType::AccessToken),
        ("any", ES, TokenType::AccessToken),
    ] {
        let signer = ring.signer(&audience(name), at(0)).unwrap();
        assert_eq!((signer.key.published().algorithm(), signer.kind), (algorithm, kind));
        assert!(!signer.key.sign(b"x").unwrap().is_empty());
    }
    let again = KeyRing::open(&home.folder(), settings, at(1)).unwrap();
    assert_eq!(again.jwks(at(1)), ring.jwks(at(1)));
    assert_eq!(
        home.ring(at(1)).jwks(at(1)),
        ring.jwks(at(1)),
        "keys of an algorithm that is out of use stay published"
    );
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let home = Home::new();
    let ring = home.ring(at(0));
    let shown = format!("{ring:?}{:?}", ring.signer(&"a".parse().unwrap(), at(0)).unwrap());
    let key = ring.current(ES, at(0)).unwrap();
    let pem = fs::read_to_string(home.folder().join(format!("{key}.pem"))).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(pem.lines().filter(|l| !l.starts_with('-')).all(|line| !shown.contains(line)));
}
