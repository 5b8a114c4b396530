//! What follows from what is kept.

use std::time::Duration;

use super::*;
use crate::disk::RealDisk;
use crate::notify::schedule::AHEAD_MAX;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn later(position: u64, seconds: u64) -> Waiting {
    Waiting { position, tries: 1, due: NOW.after(Duration::from_secs(seconds)) }
}

fn kept() -> Kept {
    Kept::new("as it is".to_owned(), 100)
}

#[test]
fn what_is_due_comes_before_what_is_new_in_the_order_in_which_it_happened() {
    let mut kept = kept();
    assert_eq!(kept.step(NOW, false), Step::Wait { until: None, reads: true });
    assert_eq!(kept.step(NOW, true), Step::Take);
    kept.later(later(102, 5));
    kept.later(later(101, 60));
    assert_eq!(kept.next(), 103);
    assert_eq!(kept.step(NOW, true), Step::Take, "one that waits holds up no other");
    assert_eq!(kept.step(NOW, false), Step::Wait { until: Some(later(102, 5).due), reads: true });
    let then = NOW.after(Duration::from_secs(60));
    assert_eq!(kept.step(then, true), Step::Again(later(101, 60)));
    kept.done(101);
    assert_eq!(kept.step(then, true), Step::Again(later(102, 5)));
    kept.done(102);
    assert_eq!(kept.step(then, true), Step::Take);
}

#[test]
fn no_more_wait_than_may_and_who_asks_for_quiet_gets_it() {
    let mut kept = kept();
    for position in 0..WAITING_MAX as u64 {
        kept.later(later(100 + position, 60));
    }
    let until = Some(later(0, 60).due);
    assert_eq!(kept.step(NOW, true), Step::Wait { until, reads: false });
    assert_eq!(kept.step(NOW, false), Step::Wait { until, reads: false });
    kept.quiet(NOW.after(Duration::from_secs(90)));
    let then = NOW.after(Duration::from_secs(60));
    assert_eq!(kept.step(then, true), Step::Wait { until: Some(NOW.after(Duration::from_secs(90))), reads: false });
    assert!(matches!(kept.step(NOW.after(Duration::from_secs(90)), true), Step::Again(_)));
    kept.switch_off();
    assert_eq!(kept.step(then, true), Step::End);
}

#[test]
fn a_clock_that_was_set_back_lets_nothing_wait_longer_than_the_longest_wait() {
    let mut kept = kept();
    kept.later(later(101, 60));
    kept.quiet(NOW);
    let before = Timestamp::from_secs(1000);
    let until = before.after(AHEAD_MAX);
    assert_eq!(kept.step(before, false), Step::Wait { until: Some(until), reads: false });
    assert!(matches!(kept.step(before.after(AHEAD_MAX / 2), false), Step::Wait { until: Some(at), .. } if at == until));
    assert!(matches!(kept.step(until, false), Step::Again(_)));
}

#[test]
fn who_wanted_no_more_begins_anew_once_configured_otherwise() {
    let mut off = kept();
    off.later(later(101, 60));
    off.switch_off();
    let same = off.clone().resumed("as it is".to_owned(), 200);
    assert!(same.is_switched_off());
    let other = off.resumed("otherwise".to_owned(), 200);
    assert_eq!((other.is_switched_off(), other.next()), (false, 200));

    let mut on = kept();
    on.later(later(101, 60));
    let other = on.clone().resumed("otherwise".to_owned(), 200);
    assert_eq!((other.next(), other.count_waiting()), (102, 1), "it goes on where it was");
    let shorter = on.resumed("as it is".to_owned(), 50);
    assert_eq!((shorter.next(), shorter.count_waiting()), (50, 0));
}

#[test]
fn the_log_is_bounded_and_tells_what_is_too_old_together() {
    let mut kept = kept();
    for position in 0..1000 {
        kept.log_too_old(position.to_string(), NoticeType::GrantSuspended, position, NOW);
    }
    let told: Vec<_> = kept.deliveries().cloned().collect();
    assert_eq!((told.len(), told[0].events, told[0].position), (1, 1000, Some(999)));
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
    assert_eq!(files.read().await.unwrap(), None);
    let mut kept = kept();
    kept.later(later(101, 60));
    kept.log_lost(NOW);
    files.write(|| kept.clone()).await.unwrap();
    assert_eq!(files.read().await.unwrap(), Some(kept.clone()));
    files.close().await;
    files.write(self::kept).await.unwrap();
    assert_eq!(files.read().await.unwrap(), Some(kept));
    std::fs::write(place.dir.join("pager.json"), "{").unwrap();
    assert!(files.read().await.is_err());
}
