//! What is learned and what is not, that numbers are never told too low, and that nobody makes a thing usual alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::counts::{Counts, Key};
use super::model::{Model, Step, TAUGHT_MAX, Trail};
use super::words::signals;
use super::*;
use crate::model::behaviour::{BehaviourFacts, Unusual};
use crate::model::id::{Audience, ToolName};
use crate::model::time::Timestamp;

/// A Monday, nine o'clock.
const MONDAY_NINE_S: u64 = 1_793_610_000;
const DAY_S: u64 = 24 * 3600;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(MONDAY_NINE_S + seconds)
}

fn tool(name: &str) -> ToolName {
    name.parse().unwrap()
}

fn mail() -> Audience {
    "https://mail.test".parse().unwrap()
}

fn learn(model: &mut Model, trail: &mut Trail, name: &str, at: Timestamp) {
    model.learn(trail, &Step { at, audience: &mail(), tools: &[&tool(name)], resources: &[] });
}

/// A session that is granted these tools one after the other.
fn session(model: &mut Model, names: &[&str], at: Timestamp) -> Trail {
    let mut trail = Trail::default();
    names.iter().for_each(|name| learn(model, &mut trail, name, at));
    trail
}

/// So many sessions of these tools, ten a day.
fn known(sessions: u64, names: &[&str]) -> Model {
    let mut model = Model::new(at(0));
    (0..sessions).for_each(|n| drop(session(&mut model, names, at(n / 10 * DAY_S + n % 10))));
    model
}

/// The day after them.
fn after(sessions: u64) -> Timestamp {
    at((sessions / 10 + 1) * DAY_S)
}

fn look(model: &Model, trail: Option<&Trail>, names: &[&str], at: Timestamp) -> BehaviourFacts {
    let tools: Vec<_> = names.iter().map(|name| tool(name)).collect();
    model.look(trail, &Step { at, audience: &mail(), tools: &tools.iter().collect::<Vec<_>>(), resources: &[] })
}

fn told(facts: &BehaviourFacts) -> Vec<String> {
    signals(facts, Some(&mail())).into_iter().map(|s| format!("{} {}: {}", s.name, s.units, s.explanation)).collect()
}

#[test]
fn a_sequence_that_never_was_is_told_with_its_numbers() {
    let mut model = known(412, &["transfer", "read_mail"]);
    let trail = session(&mut model, &["transfer", "read_mail"], after(412));
    let found = look(&model, Some(&trail), &["transfer"], after(412));
    assert_eq!((found.sessions, found.enough), (412, true));
    assert_eq!(told(&found), ["unusual_sequence 2: calls `transfer` right after `read_mail`: 0 of 412 sessions"]);
    let usual = look(&model, None, &["transfer", "read_mail"], after(412));
    assert_eq!(told(&usual), [""; 0]);
    let turned = look(&model, None, &["read_mail", "transfer"], after(412));
    assert_eq!(
        told(&turned),
        [
            "unusual_sequence 2: begins with `read_mail`: 0 of 413 sessions",
            "unusual_sequence 2: calls `transfer` right after `read_mail`: 0 of 413 sessions"
        ]
    );
}

#[test]
fn a_tool_that_never_was_is_told_once_and_not_for_its_place_besides() {
    let model = known(30, &["read"]);
    let found = look(&model, None, &["pay", "read", "pay"], after(30));
    // What follows on a tool that was never seen cannot be told.
    assert_eq!(told(&found), ["unusual_tool 2: calls `pay`: 0 of 30 sessions"]);
    let elsewhere: Audience = "https://bank.test".parse().unwrap();
    let found =
        model.look(None, &Step { at: after(30), audience: &elsewhere, tools: &[&tool("read")], resources: &[] });
    let words: Vec<_> = signals(&found, Some(&elsewhere)).into_iter().map(|s| s.explanation).collect();
    assert_eq!(words, ["asks for a token for `https://bank.test`: 0 of 30 sessions"]);
}

/// One session a resource, and what is then told of a request for these.
fn told_of_resources(taught: impl Iterator<Item = u64>, asked: &[u64]) -> Vec<String> {
    let mut model = Model::new(at(0));
    let mut last = 0;
    for (n, resource) in (0..).zip(taught) {
        last = n / 10 * DAY_S + n % 10;
        let step = Step { at: at(last), audience: &mail(), tools: &[&tool("read")], resources: &[resource] };
        model.learn(&mut Trail::default(), &step);
    }
    assert!(model.is_bounded());
    let step = Step { at: at(last), audience: &mail(), tools: &[&tool("read")], resources: asked };
    told(&model.look(None, &step))
}

#[test]
fn a_resource_that_never_was_is_told_where_new_ones_are_seldom() {
    let settled = || (0..60).map(|n| n % 3);
    assert_eq!(told_of_resources(settled(), &[0, 1, 2]), [""; 0]);
    let one = "unusual_resource 2: names a resource that it had in 0 of 60 sessions";
    assert_eq!(told_of_resources(settled(), &[0, 7]), [one]);
    let two = "unusual_resource 2: names 2 resources that it rarely had, the rarest in 0 of 62 sessions";
    assert_eq!(told_of_resources(settled().chain([8, 8]), &[8, 7]), [two]);
    let rare = "unusual_resource 1: names a resource that it had in 1 of 61 sessions";
    assert_eq!(told_of_resources(settled().chain([8]), &[8]), [rare]);
    assert_eq!(told_of_resources(settled().chain([8, 8, 8]), &[8]), [""; 0], "three make it usual");
    assert_eq!(told_of_resources((0..19).map(|_| 0), &[7]).len(), 1, "too little is known, and that is said");
    for always_new in [0..60, 0..2000] {
        assert_eq!(told_of_resources(always_new, &[9999]), [""; 0], "what is new each time is nothing unusual");
    }
}

#[test]
fn a_session_makes_no_resource_usual_by_itself() {
    let mut model = known(60, &["read"]);
    let audience = mail();
    let step = |resources| Step { at: after(60), audience: &audience, tools: &[], resources };
    let mut trail = Trail::default();
    (0..10).for_each(|_| model.learn(&mut trail, &step(&[7])));
    let own = told(&model.look(Some(&trail), &step(&[7])));
    assert_eq!(own, ["unusual_resource 2: names a resource that it had in 0 of 60 sessions"]);
    let many: Vec<u64> = (100..100 + 2 * TAUGHT_MAX as u64).collect();
    model.learn(&mut trail, &step(&many));
    assert!(model.is_bounded() && trail.taught() <= TAUGHT_MAX);
}

#[test]
fn while_too_little_is_known_nothing_is_called_unusual() {
    let told_of = |model: &Model| told(&look(model, None, &["pay"], at(5 * DAY_S)));
    let mut model = Model::new(at(0));
    assert_eq!(told_of(&model), ["behaviour_unknown 1: not enough is known of it: 0 of 20 sessions, on 0 of 3 days"]);
    for n in 0..SESSIONS_ENOUGH {
        session(&mut model, &["read"], at(u64::from(n)));
    }
    assert_eq!(told_of(&model), ["behaviour_unknown 1: not enough is known of it: 20 of 20 sessions, on 1 of 3 days"]);
    for day in 1..u64::from(DAYS_ENOUGH) {
        session(&mut model, &["read"], at(day * DAY_S));
    }
    assert_eq!(told_of(&model), ["unusual_tool 2: calls `pay`: 0 of 22 sessions"]);
    let few = known(u64::from(SESSIONS_ENOUGH) - 1, &["read"]);
    assert!(!look(&few, None, &["pay"], after(30)).enough);
}

#[test]
fn what_follows_a_tool_that_is_seldom_called_cannot_be_told() {
    let mut model = known(100, &["read"]);
    (0..19).for_each(|_| drop(session(&mut model, &["list"], after(100))));
    let trail = session(&mut model, &["list"], after(100));
    let again = |model: &Model| told(&look(model, Some(&trail), &["read"], after(100)));
    assert_eq!(again(&model), [""; 0], "19 others had it");
    session(&mut model, &["list"], after(100));
    assert_eq!(again(&model), ["unusual_sequence 2: calls `read` right after `list`: 0 of 20 sessions"]);
}

#[test]
fn a_session_is_no_precedent_for_itself() {
    let mut model = known(40, &["read"]);
    let mut trail = session(&mut model, &["read"], after(40));
    for _ in 0..100 {
        let found = look(&model, Some(&trail), &["pay"], after(40));
        let words = told(&found);
        assert!(words.contains(&"unusual_tool 2: calls `pay`: 0 of 40 sessions".to_owned()), "{words:?}");
        learn(&mut model, &mut trail, "pay", after(40));
    }
}

#[test]
fn it_takes_three_sessions_to_make_a_thing_usual_and_one_of_a_hundred() {
    let mut model = known(97, &["read"]);
    let expected = ["2: calls `pay`: 0 of 97", "1: calls `pay`: 1 of 98", "1: calls `pay`: 2 of 99"];
    for expected in expected {
        assert_eq!(told(&look(&model, None, &["pay"], at(0))), [format!("unusual_tool {expected} sessions")]);
        session(&mut model, &["read", "pay", "read", "pay"], after(97));
    }
    assert_eq!(look(&model, None, &["read", "pay"], at(0)).unusual, []);
    let mut model = known(397, &["read"]);
    (0..3).for_each(|_| drop(session(&mut model, &["pay"], after(397))));
    assert_eq!(told(&look(&model, None, &["pay"], at(0))), ["unusual_tool 1: calls `pay`: 3 of 400 sessions"]);
}

#[test]
fn hours_and_days_that_are_free_are_told_apart_from_those_at_work() {
    let mut model = Model::new(at(0));
    let weekdays = (0..30).filter(|day| day % 7 < 5);
    for day in weekdays {
        session(&mut model, &["read"], at(day * DAY_S));
    }
    let on = |at: Timestamp| told(&look(&model, None, &["read"], at));
    let (saturday, monday) = (at(33 * DAY_S), at(35 * DAY_S));
    assert_eq!(on(monday), [""; 0]);
    assert_eq!(on(monday.after(Duration::from_secs(3600))), [""; 0], "within an hour");
    assert_eq!(on(saturday), ["unusual_hour 2: is at work on a Saturday (UTC): 0 of 22 sessions"]);
    assert_eq!(
        on(monday.after(Duration::from_secs(2 * 3600))),
        ["unusual_hour 2: is at work within an hour of 11:00 to 11:59 UTC: 0 of 22 sessions"]
    );
    // Ten days have not shown every weekday twice.
    let mut young = Model::new(at(0));
    for n in 0..30 {
        session(&mut young, &["read"], at(n / 6 * DAY_S + n % 6));
    }
    assert_eq!(told(&look(&young, None, &["read"], at(5 * DAY_S))), [""; 0]);
}

#[test]
fn a_pace_that_never_was_is_told_and_one_session_does_not_make_it_usual() {
    let mut model = Model::new(at(0));
    for n in 0..40 {
        session(&mut model, &["read"; 3], at(n / 10 * DAY_S + n % 10 * 60));
    }
    let burst = |model: &mut Model, trail: &mut Trail, at: Timestamp| {
        let mut words = Vec::new();
        for _ in 0..40 {
            words = told(&look(model, Some(trail), &["read"], at));
            learn(model, trail, "read", at);
        }
        words
    };
    let mut trail = Trail::default();
    let begun = 4 * DAY_S;
    let first = burst(&mut model, &mut trail, at(begun));
    assert_eq!(first, ["unusual_rate 2: 40 grants within one minute: 32 or more in 0 of 40 such minutes"]);
    for minute in 1..100 {
        let words = burst(&mut model, &mut trail, at(begun + minute * 60));
        let of = |n: u64, least: u64| format!("{least} of {} such minutes", n + 40);
        assert!(words.iter().any(|w| w.contains(&of(minute, 1))), "minute {minute}: {words:?}");
    }
    for (n, day) in (0..3).zip(5..) {
        let words = burst(&mut model, &mut Trail::default(), at(day * DAY_S));
        assert_eq!(words.iter().any(|w| w.starts_with("unusual_rate 1")), n < 2, "{n}: {words:?}");
    }
}

#[test]
fn few_grants_are_never_a_pace_that_is_too_fast() {
    let mut model = known(60, &["read"]);
    let trail = session(&mut model, &["read"; 14], after(60));
    assert_eq!(told(&look(&model, Some(&trail), &["read"], after(60))).len(), 1, "`read` right after `read`");
}

#[test]
fn what_is_long_ago_is_forgotten_unless_little_came_since() {
    let every = |model: &mut Model, days: std::ops::Range<u64>, a_day: u64, name: &str| {
        for n in days.start * a_day..days.end * a_day {
            session(model, &[name], at(n / a_day * DAY_S + n % a_day));
        }
    };
    let mut model = Model::new(at(0));
    every(&mut model, 0..30, 4, "old");
    every(&mut model, 30..60, 4, "new");
    let known = look(&model, None, &["old"], at(60 * DAY_S));
    assert_eq!((known.sessions, known.days, known.unusual.len()), (240, 60, 0), "two spans");
    every(&mut model, 60..61, 4, "new");
    let known = look(&model, None, &["old"], at(61 * DAY_S));
    assert_eq!((known.sessions, known.days), (124, 31), "the first is gone");
    assert_eq!(told(&known), ["unusual_tool 2: calls `old`: 0 of 124 sessions"]);
    let mut seldom = Model::new(at(0));
    (0..40).for_each(|n| drop(session(&mut seldom, &["old"], at(n * 30 * DAY_S))));
    assert_eq!(look(&seldom, None, &["old"], at(1200 * DAY_S)).sessions, 40);
}

#[test]
fn a_session_that_outlasts_its_span_is_counted_where_it_began() {
    let mut model = Model::new(at(0));
    let mut long = session(&mut model, &["read"], at(0));
    for n in 0..119 {
        session(&mut model, &["read"], at((n + 1) * DAY_S / 4));
    }
    session(&mut model, &["read"], at(31 * DAY_S));
    learn(&mut model, &mut long, "pay", at(31 * DAY_S));
    assert_eq!((model.now.sessions, model.before.sessions), (1, 120));
    assert!(model.counts(&long));
    let other = told(&look(&model, None, &["pay"], at(31 * DAY_S)));
    assert!(other.contains(&"unusual_tool 1: calls `pay`: 1 of 121 sessions".to_owned()), "{other:?}");
    let own = told(&look(&model, Some(&long), &["pay"], at(31 * DAY_S)));
    assert!(own.contains(&"unusual_tool 2: calls `pay`: 0 of 120 sessions".to_owned()), "{own:?}");
}

#[test]
fn whoever_does_more_than_is_counted_makes_numbers_vague_and_not_low() {
    let mut model = known(40, &["read"]);
    let mut trail = Trail::default();
    let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
    names.iter().for_each(|name| learn(&mut model, &mut trail, name, after(40)));
    assert_eq!(trail.taught(), TAUGHT_MAX);
    assert!(model.is_bounded());
    let words = told(&look(&model, None, &["pay"], after(40)));
    assert_eq!(
        words,
        ["unusual_tool 1: calls `pay`: at most 1 of 41 sessions"],
        "it may have been among what was not counted"
    );
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![(0..4_u8).prop_map(|n| format!("u{n}")), (0..200_u8).prop_map(|n| format!("t{n}"))]
}

/// What is unusual, without its numbers.
fn kinds(facts: &BehaviourFacts) -> BTreeSet<String> {
    let kind = |unusual: &Unusual| match unusual {
        Unusual::Tool { tool, .. } => format!("tool {tool}"),
        Unusual::Sequence { after, tool, .. } => format!("{after:?} {tool}"),
        Unusual::Audience { .. } => "audience".to_owned(),
        Unusual::Resource { number, .. } => format!("resource {number}"),
        Unusual::Hour { hour, .. } => format!("hour {hour}"),
        Unusual::Weekday { weekday, .. } => format!("weekday {weekday}"),
        Unusual::Rate { window_s, .. } => format!("rate {window_s}"),
    };
    facts.unusual.iter().map(kind).collect()
}

proptest! {
    #[test]
    fn no_number_is_told_too_low(added in prop::collection::vec(0..12_u8, 0..200), room in 1..8_usize) {
        let key = |n: u8| Key::tool(&tool(&format!("t{n}")));
        let (mut counts, mut exact) = (Counts::default(), BTreeMap::<u8, u32>::new());
        for n in added {
            counts.add(key(n), room);
            *exact.entry(n).or_default() += 1;
            prop_assert!(counts.len() <= room);
            for n in 0..12 {
                let (bounds, true_count) = (counts.of(key(n)), exact.get(&n).copied().unwrap_or_default());
                prop_assert!(bounds.least <= true_count && true_count <= bounds.most, "{n}: {bounds:?}, {true_count}");
                prop_assert!(exact.len() > room || bounds.least == bounds.most);
            }
        }
    }

    #[test]
    fn whatever_one_session_does_nothing_becomes_usual_by_it(
        steps in prop::collection::vec((any_name(), 0..100_u64), 0..400),
        probe in prop::collection::vec(any_name(), 1..4),
        hours in 0..48_u64,
    ) {
        let mut model = known(60, &["u0", "u1", "u2"]);
        let now = after(60).after(Duration::from_secs(hours * 3600));
        let asked: Vec<&str> = probe.iter().map(String::as_str).collect();
        let before = look(&model, None, &asked, now);
        let mut trail = Trail::default();
        let mut time = now;
        for (name, minutes) in &steps {
            learn(&mut model, &mut trail, name, time);
            time = time.after(Duration::from_secs(minutes * 60));
        }
        let after = look(&model, None, &asked, now);
        prop_assert!(kinds(&after).is_superset(&kinds(&before)), "{before:?}\n{after:?}");
        for unusual in &after.unusual {
            let never = before.unusual.iter().any(|b| kinds(&BehaviourFacts { unusual: vec![b.clone()], ..before.clone() })
                == kinds(&BehaviourFacts { unusual: vec![unusual.clone()], ..before.clone() }) && b.seen().times == 0);
            prop_assert!(!never || unusual.seen().times <= 2, "it counts once, and once as not counted: {unusual:?}");
        }
        prop_assert!(model.is_bounded() && trail.taught() <= TAUGHT_MAX);
    }

    #[test]
    fn sessions_that_run_side_by_side_teach_what_they_teach_in_turn(
        sessions in prop::collection::vec(prop::collection::vec(0..4_u8, 1..6), 1..6),
        order in prop::collection::vec(0..6_usize, 0..40),
        probe in prop::collection::vec(0..4_u8, 1..4),
    ) {
        let name = |n: &u8| format!("t{n}");
        let (mut in_turn, mut mixed) = (known(30, &["t0", "t1"]), known(30, &["t0", "t1"]));
        for names in &sessions {
            let names: Vec<String> = names.iter().map(name).collect();
            session(&mut in_turn, &names.iter().map(String::as_str).collect::<Vec<_>>(), after(30));
        }
        let mut waiting: Vec<_> = sessions.iter().map(|names| (Trail::default(), names.iter())).collect();
        let places = order.into_iter().chain((0..6).cycle().take(60));
        for place in places {
            if let Some((trail, names)) = waiting.get_mut(place)
                && let Some(next) = names.next()
            {
                learn(&mut mixed, trail, &name(next), after(30));
            }
        }
        let names: Vec<String> = probe.iter().map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (one, other) = (look(&in_turn, None, &names, at(31 * DAY_S)), look(&mixed, None, &names, at(31 * DAY_S)));
        prop_assert_eq!(one, other);
    }
}
