//! Every state that a key goes through is told.

use std::time::Duration;

use super::*;
use crate::mint::ring::KeySettings;

#[test]
fn keys_are_told_by_what_they_do() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_secs(1_800_000_000);
    let ring = KeyRing::open(&folder.path().join("keys"), KeySettings::default(), now).unwrap();
    let states = |at| ring.keys(at).iter().map(|key| key.state).collect::<Vec<_>>();
    assert_eq!(states(now), [KeyState::Active, KeyState::Next]);
    let rotation = ring.rotate(SigningAlgorithm::Es256, now).unwrap();
    assert_eq!(states(now), [KeyState::Active, KeyState::Scheduled, KeyState::Next]);
    let later = rotation.signs_from.after(Duration::from_secs(1));
    assert_eq!(states(later), [KeyState::Retired, KeyState::Active, KeyState::Next]);
    ring.distrust(&rotation.key_id, later).unwrap();
    assert!(states(later).contains(&KeyState::Distrusted));
}
