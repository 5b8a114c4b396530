//! What is remembered of guards, and for how long.

use super::*;
use crate::model::id::TaskId;

fn task(n: u8) -> GuardKey {
    GuardKey::task(&TaskId::new(Timestamp::from_millis(1), [n; 10]))
}

fn usage(n: u8) -> GuardKey {
    GuardKey::usage(&TaskId::new(Timestamp::from_millis(1), [n; 10]))
}

fn of(task: GuardKey, key: GuardKey) -> Touch {
    Touch::Bump { key, life: Life::Task(task) }
}

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

fn registered(n: u8, parent: Option<u8>) -> [Touch; 2] {
    [Touch::Register { task: task(n), parent: parent.map(task) }, of(task(n), task(n))]
}

#[test]
fn a_guard_stands_at_the_last_event_that_touched_it() {
    let mut table = GuardTable::default();
    assert_eq!(table.at(&GuardKey::policy()), 0);
    let policy = Touch::Bump { key: GuardKey::policy(), life: Life::Lasting };
    table.apply(&[policy], 0, at(0));
    assert_eq!(table.at(&GuardKey::policy()), 1);
    table.apply(&[policy], 41, at(0));
    assert_eq!(table.at(&GuardKey::policy()), 42);
    table.apply(&[], 50, at(100_000));
    assert_eq!(table.at(&GuardKey::policy()), 42);
}

#[test]
fn what_a_task_kept_is_forgotten_some_time_after_its_end() {
    let mut table = GuardTable::default();
    table.apply(&registered(1, None), 0, at(0));
    table.apply(&[of(task(1), usage(1))], 1, at(0));
    table.apply(&[], 2, at(600));
    assert_eq!((table.at(&task(1)), table.at(&usage(1))), (1, 2), "an open task is remembered");
    table.apply(&[of(task(1), task(1)), Touch::End { task: task(1) }], 3, at(600));
    assert_eq!((table.at(&task(1)), table.at(&usage(1))), (4, 2), "so that a request in flight learns of the end");
    table.apply(&[], 4, at(610));
    assert_eq!(table.at(&task(1)), 4);
    table.apply(&[], 5, at(621));
    assert_eq!((table.at(&task(1)), table.len()), (0, 0));
}

#[test]
fn the_end_of_a_task_is_the_end_of_all_below() {
    let mut table = GuardTable::default();
    table.apply(&registered(1, None), 0, at(0));
    table.apply(&registered(2, Some(1)), 1, at(0));
    table.apply(&registered(3, Some(2)), 2, at(0));
    table.apply(&registered(4, None), 3, at(0));
    table.apply(&[Touch::End { task: task(1) }], 4, at(0));
    table.apply(&[], 5, at(1000));
    assert_eq!([1, 2, 3, 4].map(|n| table.at(&task(n))), [0, 0, 0, 4]);
    // Ending one below leaves those above.
    table.apply(&registered(5, Some(4)), 6, at(1000));
    table.apply(&[Touch::End { task: task(5) }], 7, at(1000));
    table.apply(&[], 8, at(2000));
    assert_eq!([4, 5].map(|n| table.at(&task(n))), [4, 0]);
}

#[test]
fn what_is_touched_after_the_end_is_not_kept() {
    let mut table = GuardTable::default();
    table.apply(&registered(1, None), 0, at(0));
    table.apply(&[Touch::End { task: task(1) }], 1, at(0));
    table.apply(&[of(task(1), usage(1))], 2, at(0));
    assert_eq!(table.at(&usage(1)), 3);
    table.apply(&[], 3, at(1000));
    assert!(table.is_empty());
}

#[test]
fn a_passing_guard_is_remembered_for_its_time() {
    let mut table = GuardTable::default();
    let passing = Touch::Bump { key: usage(9), life: Life::Passing };
    table.apply(&[passing], 0, at(9));
    table.apply(&[], 1, at(10));
    assert_eq!(table.at(&usage(9)), 1);
    table.apply(&[passing], 2, at(11));
    table.apply(&[], 3, at(29));
    assert_eq!(table.at(&usage(9)), 3);
    table.apply(&[], 4, at(30));
    assert_eq!(table.at(&usage(9)), 0);
}

#[test]
fn a_grant_that_is_known_keeps_its_place_when_it_is_revoked() {
    let mut table = GuardTable::default();
    table.apply(&registered(1, None), 0, at(0));
    table.apply(&[of(task(1), usage(7))], 1, at(0));
    table.apply(&[Touch::Bump { key: usage(7), life: Life::Passing }], 2, at(0));
    table.apply(&[], 3, at(1000));
    assert_eq!(table.at(&usage(7)), 3);
}

#[test]
fn the_table_survives_being_saved() {
    let mut table = GuardTable::default();
    table.apply(&registered(1, None), 0, at(0));
    table.apply(&registered(2, Some(1)), 1, at(12));
    let saved = postcard::to_stdvec(&table).unwrap();
    assert_eq!(postcard::from_bytes::<GuardTable>(&saved).unwrap(), table);
}
