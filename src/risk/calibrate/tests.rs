//! Thresholds against small sets that were counted by hand.

use super::*;

fn sample(harmful: &[(u32, u64)], benign: &[(u32, u64)], unlabelled: &[(u32, u64)]) -> Sample {
    let mut sample = Sample::default();
    for (list, label) in [(harmful, Some(Label::Harmful)), (benign, Some(Label::Benign)), (unlabelled, None)] {
        for (points, times) in list {
            for _ in 0..*times {
                let score = Score::from_points(*points);
                sample.decided(score);
                label.into_iter().for_each(|label| sample.labelled(score, label));
            }
        }
    }
    sample
}

#[test]
fn alerts_are_of_all_decisions_and_misses_only_of_labelled_ones() {
    let sample = sample(&[(20, 1), (60, 2), (90, 1)], &[(10, 3), (60, 1)], &[(0, 10), (60, 5)]);
    let share = |count, of| Share { count, of };
    let rows = [
        (1, 13, share(0, 4), share(4, 4)),
        (10, 13, share(0, 4), share(4, 4)),
        (11, 10, share(0, 4), share(1, 4)),
        (20, 10, share(0, 4), share(1, 4)),
        (21, 9, share(1, 4), share(1, 4)),
        (60, 9, share(1, 4), share(1, 4)),
        (61, 1, share(3, 4), share(0, 4)),
        (101, 0, share(4, 4), share(0, 4)),
    ];
    for (threshold, alerts, misses, false_alarms) in rows {
        assert_eq!(sample.row(threshold), Row { threshold, alerts, misses, false_alarms }, "{threshold}");
    }
}

#[test]
fn bands_are_proposed_in_their_order_from_enough_labels_of_both_kinds() {
    let enough = sample(&[(25, 1), (60, 29)], &[(10, 20), (45, 9), (70, 1)], &[]);
    // At 46: 29 of 30 caught, 1 of 30 benign; at 25: 30 of 30, but 10 of 30 benign.
    let bands = Bands { elevated: 25, high: 46, critical: 71 };
    assert_eq!(enough.propose(), Some(bands));
    let too_few = sample(&[(25, 1), (60, 28)], &[(10, 20), (45, 9), (70, 1)], &[(60, 100)]);
    assert_eq!((too_few.labels(), too_few.propose()), ((29, 30), None), "who is not labelled is not counted");
    let too_few = sample(&[(25, 1), (60, 29)], &[(10, 20), (45, 9)], &[(0, 100)]);
    assert_eq!((too_few.labels(), too_few.propose()), ((30, 29), None), "nor counted as benign");
}

#[test]
fn what_scores_separate_wholly_has_one_threshold_and_what_they_do_not_has_none() {
    let apart = sample(&[(80, 30)], &[(20, 30)], &[]);
    assert_eq!(apart.propose(), Some(Bands { elevated: 21, high: 21, critical: 21 }));
    assert_eq!(sample(&[(40, 30)], &[(40, 30)], &[]).propose(), None, "no threshold is better than chance");
    assert_eq!(sample(&[(20, 30)], &[(80, 30)], &[]).propose(), None, "nor one that is worse");
    let lowest = sample(&[(0, 1), (100, 29)], &[(0, 29), (100, 1)], &[]);
    assert_eq!(lowest.propose(), Some(Bands { elevated: 1, high: 1, critical: 101 }), "within what a table accepts");
}

#[test]
fn intervals_are_wilsons() {
    // Textbook values: 0 of 30, 1 of 10, 5 of 10, 81 of 263.
    let rows = [(0, 30, 0.0, 0.1135), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)];
    for (count, of, low, high) in rows {
        let found = Share { count, of }.interval();
        assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{count} of {of}: {found:?}");
    }
    assert_eq!(Share { count: 0, of: 0 }.interval(), (0.0, 1.0));
}

#[test]
fn contradiction_is_unsure_and_doubt_beside_a_label_is_none() {
    use Label::{Benign, Harmful, Unsure};
    let rows = [
        (vec![Harmful], Harmful, false),
        (vec![Benign, Benign], Benign, false),
        (vec![Harmful, Unsure], Harmful, false),
        (vec![Benign, Harmful], Unsure, true),
        (vec![Benign, Harmful, Unsure], Unsure, true),
        (vec![Unsure], Unsure, false),
    ];
    for (labels, label, contradicted) in rows {
        assert_eq!(settle(labels.clone()), Settled { label, contradicted }, "{labels:?}");
    }
}
