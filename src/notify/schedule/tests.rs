//! Waits.

use super::*;

#[test]
fn waits_grow_to_hours_are_scattered_and_fill_a_day() {
    let mut whole = Duration::ZERO;
    for tries in 1..TRIES_MAX {
        let (least, most) = (wait_after(tries, [0; 4]), wait_after(tries, 40_u32.to_be_bytes()));
        assert!(least < most && most <= AHEAD_MAX, "{tries}: {least:?} to {most:?}");
        whole += least;
    }
    assert_eq!(wait_after(1, 20_u32.to_be_bytes()), WAIT_FIRST);
    assert_eq!(wait_after(2, 20_u32.to_be_bytes()), WAIT_FIRST * 4);
    assert_eq!(wait_after(u32::MAX, 20_u32.to_be_bytes()), WAIT_MAX);
    assert!(whole > AGE_MAX / 2 && whole < AGE_MAX, "{whole:?}");
}

#[test]
fn a_receiver_asks_for_seconds_or_a_date_and_gets_it_within_bounds() {
    let now = Timestamp::from_secs(784_111_777);
    let second = Duration::from_secs(1);
    for (text, expected) in [
        ("120", Some(second * 120)),
        ("0", Some(second)),
        ("99999999", Some(second * 3600)),
        ("99999999999999999999999999", Some(second * 3600)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(second * 60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(second)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(retry_after(text, now), expected, "{text}");
    }
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    let then = Timestamp::from_secs(1_000_000);
    let due = then.after(WAIT_MAX);
    let now = Timestamp::from_secs(1000);
    assert_eq!(within_reach(due, now), now.after(AHEAD_MAX));
    assert_eq!(within_reach(due, then), due);
}
