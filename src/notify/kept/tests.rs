//! What follows from what is kept.

use std::time::Duration;

use super::*;
use crate::disk::RealDisk;
use crate::notify::schedule::AHEAD_MAX;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn later(position: u64, seconds: u64) -> Waiting {
    let due = NOW.after(Duration::from_secs(seconds));
    Waiting { tries: 1, due, ..Waiting::new(position, NoticeType::GrantSuspended) }
}

fn configured(url: &str, all: &str) -> Configured {
    Configured { url: url.to_owned(), all: all.to_owned() }
}

fn kept() -> Kept {
    Kept::new(configured("there", "as it is"), 100)
}

#[test]
fn what_is_due_and_what_is_new_take_turns_in_the_order_in_which_it_happened() {
    let mut kept = kept();
    assert_eq!(kept.step(NOW, false), Step::Wait(None));
    assert_eq!(kept.step(NOW, true), Step::Take);
    assert!(!kept.later(later(102, 5), NOW));
    assert!(!kept.later(later(101, 60), NOW));
    assert_eq!(kept.next(), 103);
    assert_eq!(kept.step(NOW, true), Step::Take, "one that waits holds up no other");
    assert_eq!(kept.step(NOW, false), Step::Wait(Some(later(102, 5).due)));
    let then = NOW.after(Duration::from_secs(60));
    assert_eq!(kept.step(then, true), Step::Again(later(101, 60)));
    kept.done(101);
    assert_eq!(kept.step(then, true), Step::Take, "what is new does not wait for all that is due");
    assert_eq!(kept.step(then, true), Step::Again(later(102, 5)));
    assert_eq!(kept.step(then, false), Step::Again(later(102, 5)));
    kept.done(102);
    assert_eq!(kept.step(then, true), Step::Take);
}

#[test]
fn when_too_much_waits_the_oldest_makes_room_and_what_is_about_approvals_last() {
    let mut kept = kept();
    assert!(!kept.later(Waiting { kind: NoticeType::ApprovalPending, ..later(100, 60) }, NOW));
    let delivery = Delivery { id: "its id".to_owned(), position: Some(101), ..given_up(DeliveryProblem::Status, NOW) };
    kept.log(delivery);
    for position in 1..WAITING_MAX as u64 {
        assert!(!kept.later(later(100 + position, 60), NOW), "{position}");
    }
    assert!(kept.later(later(1000, 60), NOW));
    assert_eq!(kept.count_waiting(), WAITING_MAX as u64);
    let told = kept.deliveries().next().cloned().unwrap();
    assert_eq!((told.id.as_str(), told.position, told.kind), ("its id", Some(101), NoticeType::GrantSuspended));
    assert_eq!((told.outcome, told.problem), (DeliveryOutcome::GivenUp, Some(DeliveryProblem::Overflow)));
    assert_eq!(kept.step(NOW, true), Step::Take, "it goes on");
    assert!(kept.waiting.iter().any(|waiting| waiting.position == 100), "an approval waits on");
    for position in 2000..2000 + WAITING_MAX as u64 {
        kept.later(Waiting { kind: NoticeType::ApprovalDecided, ..later(position, 60) }, NOW);
    }
    assert!(kept.waiting.iter().all(|waiting| waiting.position >= 2000), "then the oldest of those");
}

#[test]
fn who_takes_one_notice_is_told_the_others_at_once_and_each_once() {
    let mut kept = kept();
    kept.later(later(101, 7000), NOW);
    kept.taken(102, NOW);
    let Step::Again(again) = kept.step(NOW, false) else { panic!("it waits on") };
    assert_eq!(again.position, 101);
    kept.later(Waiting { tries: 2, due: later(0, 7000).due, ..again }, NOW);
    kept.taken(103, NOW);
    assert_eq!(kept.step(NOW, false), Step::Wait(Some(later(0, 7000).due)), "it does not use up its tries");
}

#[test]
fn who_asks_for_quiet_gets_it() {
    let mut kept = kept();
    kept.later(later(100, 60), NOW);
    let until = NOW.after(Duration::from_secs(90));
    kept.quiet(until);
    assert_eq!(kept.step(NOW.after(Duration::from_secs(60)), true), Step::Wait(Some(until)));
    assert!(matches!(kept.step(until, true), Step::Again(_)));
    kept.switch_off();
    assert_eq!(kept.step(until, true), Step::End);
}

#[test]
fn a_clock_that_was_set_back_lets_nothing_wait_longer_than_the_longest_wait() {
    let mut kept = kept();
    kept.later(later(101, 60), NOW);
    kept.quiet(NOW);
    let before = Timestamp::from_secs(1000);
    let until = before.after(AHEAD_MAX);
    assert_eq!(kept.step(before, false), Step::Wait(Some(until)));
    assert_eq!(kept.step(before.after(AHEAD_MAX / 2), false), Step::Wait(Some(until)));
    assert!(matches!(kept.step(until, false), Step::Again(_)));
}

#[test]
fn who_wanted_no_more_begins_anew_once_configured_otherwise_and_so_does_who_moved() {
    let mut off = kept();
    off.later(later(101, 60), NOW);
    off.switch_off();
    let same = off.clone().resumed(configured("there", "as it is"), 200);
    assert!(same.is_switched_off());
    let other = off.resumed(configured("there", "otherwise"), 200);
    assert_eq!((other.is_switched_off(), other.next()), (false, 200));

    let mut on = kept();
    on.later(later(101, 60), NOW);
    let other = on.clone().resumed(configured("there", "otherwise"), 200);
    assert_eq!((other.next(), other.count_waiting()), (102, 1), "it goes on where it was");
    let moved = on.clone().resumed(configured("elsewhere", "otherwise"), 200);
    assert_eq!((moved.next(), moved.count_waiting()), (200, 0), "what another was not told is not told to it");
    let shorter = on.resumed(configured("there", "as it is"), 50);
    assert_eq!((shorter.next(), shorter.count_waiting()), (50, 0));
}

#[test]
fn the_log_is_bounded_and_tells_what_is_too_old_together() {
    let mut kept = kept();
    for position in 0..1000 {
        let kind = if position % 2 == 0 { NoticeType::GrantSuspended } else { NoticeType::GrantRestored };
        kept.log_given_up(DeliveryProblem::TooOld, (position.to_string(), kind, position), NOW);
    }
    let told: Vec<_> = kept.deliveries().map(|told| (told.kind, told.events, told.position)).collect();
    let expected = [(NoticeType::GrantRestored, 500, Some(999)), (NoticeType::GrantSuspended, 500, Some(998))];
    assert_eq!(told, expected);
    for _ in 0..2 * DELIVERIES_KEPT_MAX {
        kept.log_lost(NOW);
    }
    assert_eq!(kept.deliveries().count(), DELIVERIES_KEPT_MAX);
}

#[tokio::test]
async fn what_was_written_is_read_again_and_nothing_is_written_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let place = NotifyFolder { dir: folder.path().join("notify"), disk: Arc::new(RealDisk) };
    let name: WebhookName = "pager".parse().unwrap();
    let files = Files::new(&place, &name);
    assert_eq!(files.read().await.unwrap(), Found::Nothing);
    let mut kept = kept();
    kept.later(later(101, 60), NOW);
    kept.log_lost(NOW);
    files.write(|| kept.clone()).await.unwrap();
    assert_eq!(files.read().await.unwrap(), Found::Kept(kept.clone()));
    files.close().await;
    files.write(self::kept).await.unwrap();
    assert_eq!(files.read().await.unwrap(), Found::Kept(kept));
}

#[tokio::test]
async fn what_is_not_understood_is_set_aside_and_what_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let place = NotifyFolder { dir: folder.path().to_owned(), disk: Arc::new(RealDisk) };
    let files = Files::new(&place, &"pager".parse().unwrap());
    let (path, aside) = (place.dir.join("pager.json"), place.dir.join("pager.json.damaged"));
    let mut kept = kept();
    kept.later(later(101, 60), NOW);
    kept.log_lost(NOW);
    let written = serde_json::to_string(&kept).unwrap();

    // A type that a later version knows costs its own entry, and no position.
    let later = written.replace("grant.suspended", "sun.set").replace("\"unreadable\"", "\"eclipsed\"");
    std::fs::write(&path, later).unwrap();
    let Found::Kept(read) = files.read().await.unwrap() else { panic!("it is not understood") };
    assert_eq!((read.next(), read.count_waiting(), read.deliveries().count()), (102, 0, 0));

    for text in ["{", "", &written.replace("\"form\":2", "\"form\":3")] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(files.read().await.unwrap(), Found::Malformed, "{text}");
        files.set_aside().await.unwrap();
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), text);
        assert_eq!(files.read().await.unwrap(), Found::Nothing);
    }
    std::fs::create_dir(&path).unwrap();
    assert!(files.read().await.is_err(), "a folder cannot be read");
}
