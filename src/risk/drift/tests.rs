//! The index against values that were worked out by hand, and windows at their limits.

use super::counts::{Counts, What};
use super::watched::{Added, Set, Watched, Window};
use super::*;
use crate::model::id::ToolName;
use crate::model::time::Timestamp;

const DAY: u64 = 24 * 3600;

fn tool(name: &str) -> ToolName {
    name.parse().unwrap()
}

/// So many decisions of that score about a tool, on a day, each of a family of its own.
fn learn(watched: &mut Watched, times: u64, points: u32, name: &str, day: u64) {
    for _ in 0..times {
        learn_of(watched, &mut Added::default(), (points, name), day);
    }
}

fn learn_of(watched: &mut Watched, family: &mut Added, (points, name): (u32, &str), day: u64) {
    let at = Timestamp::from_secs(day * DAY + 60);
    watched.learn(family, Score::from_points(points), &[Some(&tool(name))], at);
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 5e-5, "{found} is not {expected}");
}

#[test]
fn the_index_is_that_of_textbooks() {
    // 50:50 against 80:20: 0.3 ln 1.6 − 0.3 ln 0.4.
    close(index(&[0.5, 0.5], &[0.8, 0.2]), 0.41589);
    close(index(&[0.8, 0.2], &[0.5, 0.5]), 0.41589);
    // Four bins of a quarter against 0.1, 0.2, 0.3, 0.4: 0.13744 + 0.01116 + 0.00912 + 0.07050.
    close(index(&[0.25; 4], &[0.1, 0.2, 0.3, 0.4]), 0.22821);
    close(index(&[0.25; 4], &[0.25; 4]), 0.0);
}

#[test]
fn bins_have_half_a_sample_more_so_that_none_is_empty() {
    // 10:0 becomes 10.5/11 and 0.5/11: 10/11 · ln 21, twice.
    close(psi(&[10, 0], &[0, 10]), 2.0 * 10.0 / 11.0 * 21.0_f64.ln());
    close(psi(&[0, 0], &[0, 0]), 0.0);
    // 500:500 becomes 500.5/1001, as before.
    close(psi(&[500, 500], &[50, 50]), 0.0);
}

#[test]
fn scores_have_ten_bins_of_which_the_last_holds_a_hundred() {
    let bins = [(0, 0), (9, 0), (10, 1), (55, 5), (89, 8), (90, 9), (99, 9), (100, 9)];
    for (points, expected) in bins {
        assert_eq!(bin(Score::from_points(points)), expected, "{points}");
    }
}

#[test]
fn nothing_is_said_of_fewer_than_five_hundred() {
    let mut watched = Watched::default();
    learn(&mut watched, 499, 5, "read", 1);
    assert!(!watched.has_reference());
    learn(&mut watched, 1, 5, "read", 1);
    assert!(watched.has_reference());
    assert_eq!(watched.current().counts.samples, 0, "what makes the reference is not compared with it");
    learn(&mut watched, 499, 95, "send", 2);
    assert_eq!((watched.psi(What::Scores), watched.crossings(1)), (None, vec![]));
    learn(&mut watched, 1, 95, "send", 2);
    // 500 of 500 in another bin: (500.5 − 0.5)/505 · ln 1001, twice.
    close(watched.psi(What::Scores).unwrap(), 2.0 * 500.0 / 505.0 * 1001.0_f64.ln());
    // Of tools there are two bins: the one of the reference, and others.
    close(watched.psi(What::Tools).unwrap(), 2.0 * 500.0 / 501.0 * 1001.0_f64.ln());
}

#[test]
fn a_crossing_is_told_once_and_back_only_well_below() {
    let mut watched = Watched::default();
    learn(&mut watched, 500, 5, "read", 1);
    learn(&mut watched, 400, 5, "read", 2);
    learn(&mut watched, 99, 15, "read", 2);
    assert_eq!(watched.crossings(250), vec![]);
    learn(&mut watched, 1, 15, "read", 2);
    let crossings = watched.crossings(250);
    assert_eq!(crossings.len(), 1, "the tools are the same");
    assert_eq!((crossings[0].what, crossings[0].begins), (What::Scores, true));
    let psi = crossings[0].psi_milli;
    watched.crossed(What::Scores, true);
    assert!(watched.is_drifting(What::Scores) && watched.crossings(250).is_empty());
    // Just below the threshold is not over, four fifths are.
    assert_eq!(watched.crossings(psi + 1), vec![]);
    assert_eq!(watched.crossings(psi * 5 / 4), vec![]);
    let back = watched.crossings(psi * 5 / 4 + 5);
    assert_eq!((back.len(), back[0].begins), (1, false));
    watched.crossed(What::Scores, false);
    assert!(!watched.is_drifting(What::Scores));
}

#[test]
fn the_window_slides_by_days_and_never_below_five_hundred() {
    let mut watched = Watched::default();
    learn(&mut watched, 500, 5, "read", 0);
    learn(&mut watched, 300, 15, "read", 10);
    learn(&mut watched, 300, 25, "read", 12);
    learn(&mut watched, 1, 35, "read", 17);
    assert_eq!(watched.current().counts.samples, 601, "300 and one are too few without the oldest day");
    learn(&mut watched, 198, 35, "read", 18);
    learn(&mut watched, 1, 35, "read", 18);
    assert_eq!(watched.current().counts.scores[1], 300, "499 others when it came, and 500 after it");
    learn(&mut watched, 1, 35, "read", 18);
    assert_eq!(watched.current().counts.scores[..4], [0, 0, 300, 201]);
    assert_eq!(watched.current().from, Timestamp::from_secs(12 * DAY));
    // However little came after, what is too old goes.
    learn(&mut watched, 1, 45, "read", 12 + WINDOW_DAYS_MAX);
    assert_eq!(watched.current().counts.scores[..5], [0, 0, 0, 201, 1]);
    assert_eq!(watched.current().counts.tools[&tool("read")], 202);
}

#[test]
fn names_that_anybody_can_make_up_take_no_place_of_those_of_the_reference() {
    let mut watched = Watched::default();
    learn(&mut watched, 500, 5, "read", 1);
    for n in 0..2 * TOOLS_MAX {
        learn(&mut watched, 1, 5, &format!("new-{n}"), 2);
    }
    learn(&mut watched, 300, 5, "read", 2);
    let counts = &watched.current().counts;
    assert_eq!((counts.tools.len(), counts.tools_other), (TOOLS_MAX + 1, TOOLS_MAX as u64));
    assert_eq!(counts.tools[&tool("read")], 300);
    watched.learn(&mut Added::default(), Score::ZERO, &[None], Timestamp::from_secs(2 * DAY));
    assert_eq!(watched.current().counts.tools_other, TOOLS_MAX as u64 + 1, "one that the catalogue does not know");
}

#[test]
fn the_rarest_tools_of_a_reference_share_a_bin() {
    let mut reference = Counts::default();
    for n in 0..=TOOL_BINS_MAX {
        let rare = tool(&format!("tool-{n:03}"));
        let times = if n == 0 { 1 } else { 20 };
        (0..times).for_each(|_| reference.add(Score::ZERO, &[Some(&rare)].into(), true));
    }
    let mut current = reference.clone();
    current.tools.remove(&tool("tool-000"));
    current.tools_other = 1;
    close(current.psi(&reference, What::Tools), 0.0);
}

#[test]
fn a_reference_that_was_chosen_outlasts_a_bundle_and_the_first_does_not() {
    let mut watched = Watched::default();
    learn(&mut watched, 500, 5, "read", 1);
    learn(&mut watched, 500, 95, "read", 2);
    watched.crossed(What::Scores, true);
    let chosen = Set { by: "paul".into(), at: Timestamp::from_secs(3 * DAY) };
    watched.refer_to(watched.current().clone(), chosen.clone());
    close(watched.psi(What::Scores).unwrap(), 0.0);
    assert!(!watched.is_drifting(What::Scores));
    watched.begin_again();
    assert_eq!((watched.set(), watched.reference().counts.samples), (Some(&chosen), 500));
    assert_eq!(watched.current(), &Window::default());
    watched.clear();
    learn(&mut watched, 500, 5, "read", 4);
    watched.begin_again();
    assert_eq!((watched.reference(), watched.current(), watched.set()), (&Window::default(), &Window::default(), None));
}

#[test]
fn one_family_adds_so_many_a_day_and_counts_as_one_in_a_week() {
    let mut watched = Watched::default();
    let mut family = Added::default();
    let counted = |watched: &Watched| (watched.reference().counts.samples, watched.reference().counts.families);
    let share = u64::from(FAMILY_DAY_MAX);
    for (day, expected) in [(1, (share, 1)), (2, (2 * share, 1)), (7, (3 * share, 1)), (8, (4 * share, 2))] {
        (0..100).for_each(|_| learn_of(&mut watched, &mut family, (5, "read"), day));
        assert_eq!(counted(&watched), expected, "day {day}");
    }
    // In a window that begins anew it counts anew, on the same day too.
    watched.begin_again();
    (0..100).for_each(|_| learn_of(&mut watched, &mut family, (5, "read"), 8));
    assert_eq!(counted(&watched), (share, 1));
}

#[test]
fn five_hundred_decisions_of_few_families_are_no_window() {
    let few = FAMILIES_MIN / 2;
    let mut families = vec![Added::default(); 2 * few as usize];
    let mut watched = Watched::default();
    let share = |watched: &mut Watched, family: &mut Added, what, day| {
        (0..FAMILY_DAY_MAX).for_each(|_| learn_of(watched, family, what, day));
    };
    families[..few as usize].iter_mut().for_each(|family| share(&mut watched, family, (5, "read"), 1));
    assert_eq!((watched.reference().counts.samples, watched.has_reference()), (SAMPLES_MIN, false));
    let (last, others) = families[few as usize..].split_last_mut().unwrap();
    others.iter_mut().for_each(|family| share(&mut watched, family, (5, "read"), 1));
    assert!(!watched.has_reference());
    learn_of(&mut watched, last, (5, "read"), 1);
    assert!(watched.has_reference());
    families[..few as usize].iter_mut().for_each(|family| share(&mut watched, family, (95, "send"), 2));
    let counts = &watched.current().counts;
    assert_eq!((counts.samples, counts.families), (SAMPLES_MIN, few), "who made the reference is new in the window");
    assert_eq!((watched.psi(What::Scores), watched.crossings(1)), (None, vec![]));
    watched.crossed(What::Scores, true);
    assert!(!watched.is_drifting(What::Scores), "what cannot be told is not known to drift");
    families[few as usize..].iter_mut().for_each(|family| share(&mut watched, family, (95, "send"), 2));
    assert_eq!(watched.crossings(250).len(), 2);
}

#[test]
fn drift_that_can_no_longer_be_told_is_told_again() {
    let mut watched = Watched::default();
    learn(&mut watched, 500, 5, "read", 1);
    learn(&mut watched, 500, 95, "read", 2);
    watched.crossed(What::Scores, true);
    assert!(watched.is_drifting(What::Scores));
    // All of it has left the window.
    learn(&mut watched, 1, 95, "read", 2 + WINDOW_DAYS_MAX);
    assert_eq!((watched.psi(What::Scores), watched.is_drifting(What::Scores)), (None, false));
    learn(&mut watched, 499, 95, "read", 2 + WINDOW_DAYS_MAX);
    let crossings = watched.crossings(250);
    assert_eq!((crossings.len(), crossings[0].begins), (1, true));
}

#[test]
fn a_tool_counts_once_for_a_decision() {
    let mut watched = Watched::default();
    let (read, at) = (tool("read"), Timestamp::from_secs(DAY));
    watched.learn(&mut Added::default(), Score::ZERO, &[Some(&read), Some(&read), None, None], at);
    assert_eq!((watched.reference().counts.tools[&read], watched.reference().counts.tools_other), (1, 1));
}
