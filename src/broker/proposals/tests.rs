//! What was in force is found again, and only so much of it is kept.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn what_was_in_force_is_known_by_when_it_last_was() {
    let mut before = PoliciesBefore::default();
    before.insert("a", Before { revision: 1, position: 10 });
    before.insert("b", Before { revision: 2, position: 20 });
    before.insert("a", Before { revision: 3, position: 30 });
    assert_eq!(before.find("a"), Some(Before { revision: 3, position: 30 }));
    assert_eq!(before.find("b"), Some(Before { revision: 2, position: 20 }));
    assert_eq!(before.find("c"), None);
    assert_eq!(PoliciesBefore::from_saved(before.saved()), before);
}

#[test]
fn the_oldest_is_forgotten_when_there_are_more_than_are_remembered() {
    let mut before = PoliciesBefore::default();
    let many = POLICIES_REMEMBERED_MAX as u64;
    for at in 0..many {
        before.insert(&at.to_string(), Before { revision: at + 1, position: at });
    }
    // In force once more, so no longer the oldest.
    before.insert("0", Before { revision: many + 1, position: many });
    before.insert("new", Before { revision: many + 2, position: many + 1 });
    assert_eq!(before.find("1"), None);
    assert!(["0", "2", "new"].iter().all(|digest| before.find(digest).is_some()));
    assert_eq!(before.saved().len(), POLICIES_REMEMBERED_MAX);
}
