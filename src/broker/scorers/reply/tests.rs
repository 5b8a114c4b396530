//! What an answer comes to, and what does not count as one.

use proptest::prelude::*;

use super::*;
use crate::broker::scorers::ScorerMode;

fn options() -> ScorerOptions {
    ScorerOptions {
        name: "fraud".to_owned(),
        mode: ScorerMode::Inline,
        deadline: Duration::from_secs(1),
        points: 40,
        absent: 30,
        absent_reading: 10,
        effects: BTreeSet::from([Effect::Read, Effect::Send]),
        at_once: 1,
        failures_max: 1,
        pause: Duration::from_secs(1),
    }
}

fn answer(score: Option<f64>) -> ScoreResponse {
    ScoreResponse { score, model: "m".to_owned(), ..ScoreResponse::default() }
}

fn came_to(outcome: &Result<Said, Absence>, effects: &[Effect]) -> Signal {
    signal(&options(), outcome, &effects.iter().copied().collect(), Timestamp::EPOCH).unwrap()
}

#[test]
fn a_score_counts_in_proportion_and_is_recorded_with_its_maker() {
    let mut said = answer(Some(0.5));
    said.reason_code = "EXFILTRATION".to_owned();
    said.explanation = "sends what it read".to_owned();
    said.model_version = "3".to_owned();
    let signal = came_to(&Said::read(&said), &[Effect::Send]);
    assert_eq!((signal.points, signal.source.as_str(), signal.scorer.as_str()), (20, "scorer:fraud", "m 3"));
    assert_eq!(signal.explanation, "`fraud` (m 3) scored it 0.500 (EXFILTRATION): sends what it read");
    assert!(signal.is_score() && !signal.is_absence());
    for (score, points) in [(0.0, 0), (-0.0, 0), (f64::MIN_POSITIVE, 1), (0.001, 1), (0.975, 39), (1.0, 40)] {
        assert_eq!(came_to(&Said::read(&answer(Some(score))), &[Effect::Send]).points, points, "{score}");
    }
}

#[test]
fn what_is_no_score_counts_as_silence() {
    let none = [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(-0.001), Some(1.001)];
    let mut hostile: Vec<ScoreResponse> = none.into_iter().map(answer).collect();
    hostile.push(ScoreResponse { score: Some(0.0), ..ScoreResponse::default() });
    hostile.push(ScoreResponse { reason_code: "a b".to_owned(), ..answer(Some(0.0)) });
    hostile.push(ScoreResponse { reason_code: "x".repeat(65), ..answer(Some(0.0)) });
    for answer in hostile {
        let read = Said::read(&answer);
        assert!(matches!(read, Err(Absence::Form(_))), "{answer:?}");
        let signal = came_to(&read, &[Effect::Send]);
        assert!(signal.is_absence() && signal.points == 30, "{signal:?}");
    }
}

#[test]
fn silence_counts_by_what_is_asked_for_and_what_is_too_large_counts_the_cap() {
    let silent = |absence, effects: &[Effect]| came_to(&Err(absence), effects).points;
    assert_eq!(silent(Absence::Failed, &[Effect::Read]), 10);
    assert_eq!(silent(Absence::Failed, &[Effect::Read, Effect::Send]), 30);
    assert_eq!(silent(Absence::Busy, &[Effect::Send]), 30);
    assert_eq!(silent(Absence::TooLarge, &[Effect::Read]), 40);
    assert_eq!(silent(Absence::Crowded, &[Effect::Read]), 40);
}

#[test]
fn what_is_too_large_is_judged_and_no_silence() {
    let is_absence = |absence| came_to(&Err(absence), &[Effect::Send]).is_absence();
    assert!(!is_absence(Absence::TooLarge));
    for absence in [Absence::Failed, Absence::Busy, Absence::Crowded, Absence::Paused, Absence::Changed] {
        assert!(is_absence(absence), "{absence:?}");
    }
}

#[test]
fn what_it_says_stands_on_one_line_and_is_cut_off() {
    let mut said = answer(Some(0.1));
    said.explanation = format!("a\u{1b}[2Jb\r\nc\u{202e}d{}", "é".repeat(1000));
    let signal = came_to(&Said::read(&said), &[Effect::Send]);
    assert!(signal.explanation.contains("a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d"), "{}", signal.explanation);
    assert!(signal.explanation.len() < TEXT_BYTES_MAX + 64);
    assert!(!signal.explanation.chars().any(char::is_control));
}

proptest! {
    #[test]
    fn no_answer_counts_for_more_than_the_cap_and_more_never_for_less(a in any::<f64>(), b in 0.0..=1.0_f64, c in 0.0..=1.0_f64) {
        let points = |score| came_to(&Said::read(&answer(Some(score))), &[Effect::Send]).points;
        prop_assert!(points(a) <= 40);
        prop_assert!(points(b.max(c)) >= points(b.min(c)));
    }
}
