//! What is kept of evidence, and what is not lost.

use super::*;

fn signal(name: &str, source: &str, points: u32) -> Signal {
    Signal {
        name: name.parse().unwrap(),
        source: source.to_owned(),
        scorer: String::new(),
        points,
        explanation: String::new(),
        observed: Timestamp::from_secs(1),
    }
}

#[test]
fn of_one_name_and_source_the_strongest_is_kept() {
    let mut signals = Vec::new();
    for (points, changes) in [(10, true), (5, false), (10, false), (30, true), (0, false)] {
        assert_eq!(take_in(&mut signals, signal("anomaly", "a", points)), changes, "{points}");
    }
    assert!(take_in(&mut signals, signal("anomaly", "b", 1)), "another source is other evidence");
    let kept: Vec<_> = signals.iter().map(|s| (s.source.as_str(), s.points)).collect();
    assert_eq!(kept, [("a", 30), ("b", 1)]);
}

#[test]
fn no_flood_of_signals_drops_another() {
    let mut signals = vec![signal("compromise_reported", "quiet", 20)];
    let mut refused = 0;
    for n in 0..2 * SIGNALS_PER_TASK_MAX {
        let next = signal(&format!("noise-{n}"), "loud", 100);
        if has_room(&signals, &next.name, &next.source) {
            take_in(&mut signals, next);
        } else {
            refused += 1;
        }
    }
    assert!(signals.contains(&signal("compromise_reported", "quiet", 20)));
    assert_eq!(refused, 2 * SIGNALS_PER_TASK_MAX - SIGNALS_PER_SOURCE_MAX);
    assert!(has_room(&signals, &"compromise_reported".parse().unwrap(), "other"), "others still have room");
    assert!(has_room(&signals, &"noise-1".parse().unwrap(), "loud"), "and so has what was reported before");
}

#[test]
fn words_of_signals_are_bounded_and_points_are_not_lost() {
    let mut signals = Vec::new();
    for n in 0..200 {
        let explanation = "x".repeat(2048);
        take_in(&mut signals, Signal { explanation, ..signal(&format!("s-{n}"), "a", n) });
    }
    assert_eq!(signals.len(), 200);
    assert!(signals.iter().map(words_of).sum::<usize>() <= SIGNAL_WORDS_BYTES_MAX);
    assert!((0..200).all(|n| signals.iter().any(|s| s.points == n)));
}

#[test]
fn reports_are_known_again_for_a_while_and_bounded() {
    let task = "task_00000000000070008000000000000001".parse().unwrap();
    let key = |n: usize| GuardKey::report(&task, "spiffe://td/scorer", &format!("r-{n}").parse().unwrap());
    let mut reports = Reports::default();
    for n in 0..3 * REPORTS_MAX {
        reports.keep((key(n), "scorer"), (n as u64, Timestamp::from_secs(n as u64 / 100)), Some([0; 32]));
    }
    assert_eq!(reports.0["scorer"].len(), REPORTS_MAX);
    let last = reports.find((key(3 * REPORTS_MAX - 1), "scorer")).unwrap();
    let is_same = |asked| last.is_same(|| Ok::<_, ()>(asked)).unwrap();
    assert!(is_same([0; 32]) && !is_same([1; 32]));
    assert_eq!(reports.find((key(3 * REPORTS_MAX - 1), "agent")), None, "each has its own");
    let end = Timestamp::from_secs(3 * REPORTS_MAX as u64 / 100);
    reports.forget(end.after(REPORT_RETENTION));
    assert_eq!((reports.0.len(), reports.oldest()), (0, None));
}

#[test]
fn no_flood_of_reports_makes_those_of_another_unknown() {
    let task = "task_00000000000070008000000000000001".parse().unwrap();
    let key = |who: &str, n: usize| GuardKey::report(&task, who, &format!("r-{n}").parse().unwrap());
    let (mut reports, at) = (Reports::default(), Timestamp::from_secs(1));
    reports.keep((key("scorer", 0), "scorer"), (0, at), None);
    for n in 0..2 * REPORTS_MAX {
        reports.keep((key("agent", n), "agent"), (n as u64, at), None);
    }
    assert!(reports.find((key("scorer", 0), "scorer")).is_some());
    assert_eq!(reports.0["agent"].len(), REPORTS_MAX);
}
