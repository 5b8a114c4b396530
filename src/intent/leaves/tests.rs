//! Values over many chunks, what is taken back of them, and more places than there are numbers.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const ROOM: usize = 64 << 20;

fn keep(leaves: &mut Leaves, values: impl IntoIterator<Item = (String, String, u16, Standing)>) {
    let tool_of = |_: u16| 0;
    let mut adding = leaves.adding(&tool_of);
    for (path, text, call, standing) in values {
        assert!(adding.keep(&path, &text, call, standing, ROOM), "{path} of call {call}");
    }
    leaves.tighten();
}

fn value(n: u16) -> String {
    format!("value-{n:05}@example.test")
}

fn many() -> Leaves {
    let mut leaves = Leaves::default();
    for call in 0..20 {
        let values = (0..100).map(|n| ("people.email".to_owned(), value(call * 100 + n), call, Standing::Field));
        keep(&mut leaves, values);
    }
    leaves
}

#[test]
fn values_are_found_in_every_chunk_whole_and_within() {
    let mut leaves = many();
    let long = format!("{} or {}", "x ".repeat(20_000), value(9999));
    keep(&mut leaves, [("note".to_owned(), long.clone(), 20, Standing::Outsider)]);
    keep(&mut leaves, [("last".to_owned(), value(9998), 21, Standing::Field)]);
    assert!(leaves.chunks.len() > 4, "{}", leaves.chunks.len());
    for n in (0..2000).chain([9998]) {
        let wanted = value(n);
        let found: Vec<_> = leaves.whole(SinkKind::Address, &wanted).collect();
        assert_eq!(found.len(), 1, "{wanted}");
        assert_eq!((found[0].text, found[0].call), (wanted.as_str(), if n == 9998 { 21 } else { n / 100 }));
        assert_eq!(leaves.within(SinkKind::Address, &wanted).count(), 1, "{wanted}");
        assert_eq!(leaves.holding(&wanted).count(), 1, "{wanted}");
    }
    let wanted = value(9999);
    assert_eq!(leaves.whole(SinkKind::Address, &wanted).count(), 0);
    let within: Vec<_> = leaves.within(SinkKind::Address, &wanted).collect();
    assert_eq!(within.iter().map(|l| (l.path, l.text == long)).collect::<Vec<_>>(), [("note", true)]);
    assert_eq!(leaves.holding("value-0").count(), 2002, "each value once");
}

#[test]
fn the_same_value_in_the_same_place_is_kept_once_wherever_it_stands() {
    let mut leaves = many();
    let before = leaves.clone();
    keep(&mut leaves, (0..2000).map(|n| ("people.email".to_owned(), value(n), 30, Standing::Field)));
    assert_eq!(leaves, before);
    keep(&mut leaves, [("other".to_owned(), value(0), 30, Standing::Field)]);
    keep(&mut leaves, [("people.email".to_owned(), value(0), 30, Standing::Echo)]);
    assert_eq!(leaves.whole(SinkKind::Address, &value(0)).count(), 3, "elsewhere and as something else it is another");
}

#[test]
fn who_holds_the_session_as_it_was_sees_nothing_of_what_comes_after() {
    let mut leaves = many();
    let (before, count) = (leaves.clone(), leaves.chunks.len());
    assert!(leaves.take_back(10).is_empty());
    keep(&mut leaves, [("people.email".to_owned(), value(9000), 20, Standing::Field)]);
    let standing = |leaves: &Leaves, n: u16| leaves.whole(SinkKind::Address, &value(n)).map(|l| l.standing).next();
    for n in [0, 999, 1000, 1999, 9000] {
        let then = (n < 9000).then_some(Standing::Field);
        let now = if (1000..9000).contains(&n) { Standing::TakenBack } else { Standing::Field };
        assert_eq!((standing(&before, n), standing(&leaves, n)), (then, Some(now)), "{n}");
    }
    let shared = leaves.chunks.iter().zip(&before.chunks).filter(|(now, then)| Arc::ptr_eq(now, then)).count();
    assert!(shared > 0 && shared < count, "what did not change is shared: {shared} of {count}");
}

#[test]
fn what_is_taken_back_is_no_ground_even_where_there_is_no_room_for_its_place() {
    let mut leaves = Leaves::default();
    let tool_of = |_: u16| 0;
    let mut adding = leaves.adding(&tool_of);
    let mut n = 0;
    while adding.keep(&format!("p{n}"), "a", 0, Standing::Field, ROOM) {
        n += 1;
    }
    assert_eq!(n, PLACES_MAX);
    leaves.take_back(0);
    assert_eq!(leaves.whole(SinkKind::Other, "a").count(), PLACES_MAX);
    assert!(leaves.whole(SinkKind::Other, "a").all(|leaf| leaf.standing == Standing::TakenBack));
}

#[test]
fn a_mark_takes_eight_bytes() {
    assert_eq!(size_of::<Mark>(), 8);
}
