//! What an external scorer does to a decision, whatever it says and whether it says anything: nothing becomes milder, and no token
//! lives longer. Over whole decisions, with what people answered before among the facts.

use super::*;
use crate::model::approval::{ApprovalFacts, Verdict, doubts};
use crate::model::id::ApprovalId;
use crate::model::risk::{SCORE_SIGNAL, SCORER_SOURCE, keep_higher};
use crate::policy::bundle::tests::shipped as shipped_files;

/// A bundle in which a band narrows by its floor, not only by a policy.
fn narrowing() -> &'static PolicyBundle {
    static BUNDLE: OnceLock<PolicyBundle> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let files = shipped_files();
        let (_, risk) = files.iter().find(|(path, _)| *path == "risk.toml").unwrap();
        let risk = String::from_utf8(risk.to_vec()).unwrap();
        let risk = risk.replace("[floors]\n", "[floors]\nelevated = \"narrowed\"\n");
        load(&[("risk.toml", &risk), ("50-risk.cedar", ""), ("tests/risk.toml", "")])
    })
}

fn score(scorer: &str, points: u32) -> Signal {
    signal(SCORE_SIGNAL, &format!("{SCORER_SOURCE}{scorer}"), points)
}

fn any_scores() -> impl Strategy<Value = Vec<Signal>> {
    let one = (prop::sample::select(vec!["a", "b"]), 0_u32..=100);
    prop::collection::vec(one.prop_map(|(scorer, points)| score(scorer, points)), 1..4)
}

/// What a person answered who was shown the facts with these scores, or a part of what was in doubt.
fn any_approval() -> impl Strategy<Value = (Verdict, Vec<Signal>, usize, usize, bool)> {
    let verdict =
        prop::sample::select(vec![Verdict::Approved, Verdict::Approved, Verdict::Denied, Verdict::Unanswered]);
    (
        verdict,
        prop::collection::vec((0_u32..=100).prop_map(|points| score("a", points)), 0..2),
        0_usize..4,
        0_usize..8,
        any::<bool>(),
    )
}

fn with(facts: &Facts, scores: &[Signal]) -> Facts {
    let mut facts = facts.clone();
    keep_higher(&mut facts.signals, scores.iter().cloned());
    facts
}

fn answered(
    bundle: &PolicyBundle,
    facts: &Facts,
    (verdict, shown, band, left, used): (Verdict, Vec<Signal>, usize, usize, bool),
) -> ApprovalFacts {
    let mut cures = doubts(&decide(bundle, &with(facts, &shown)));
    cures.truncate(left);
    ApprovalFacts {
        id: ApprovalId::new(Timestamp::from_secs(1), [7; 10]),
        verdict,
        by: vec!["rae".parse().unwrap()],
        policy_digest: bundle.digest().to_string(),
        band: Band::ALL[band],
        cures,
        until: facts.now.after(std::time::Duration::from_secs(60)),
        used,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_and_any_silence_is_at_least_as_strict_as_no_scorer(
        f in any_facts(),
        said in any_scores(),
        approval in prop::option::of(any_approval()),
        asked in prop::option::of(30_u64..900),
        narrows in any::<bool>(),
    ) {
        let bundle = if narrows { narrowing() } else { shipped() };
        let mut f = f;
        f.ttl_asked = asked.and_then(|ttl| Ttl::from_secs(ttl).ok());
        f.approval = approval.map(|approval| answered(bundle, &f, approval));
        let (without, scored) = (decide(bundle, &f), decide(bundle, &with(&f, &said)));
        assert_no_milder(&without, &scored)?;
        prop_assert!(scored.risk.score >= without.risk.score);
    }

    #[test]
    fn a_higher_score_is_at_least_as_strict_as_a_lower_one(
        f in any_facts(),
        (low, high) in (0_u32..=100, 0_u32..=100),
        approval in prop::option::of(any_approval()),
        narrows in any::<bool>(),
    ) {
        let bundle = if narrows { narrowing() } else { shipped() };
        let mut f = f;
        f.approval = approval.map(|approval| answered(bundle, &f, approval));
        let at = |points| decide(bundle, &with(&f, &[score("a", points)]));
        assert_no_milder(&at(low.min(high)), &at(low.max(high)))?;
    }
}

#[test]
fn what_people_approved_of_a_higher_band_lives_no_longer_than_a_lower_one_would() {
    let bundle = narrowing();
    let f = facts(&["tickets.read"]);
    let at = |points, approval: Option<ApprovalFacts>| {
        decide(bundle, &Facts { approval, ..with(&f, &[score("a", points)]) })
    };
    let (low, elevated, high) = (at(0, None), at(35, None), at(60, None));
    assert_eq!((low.outcome, elevated.outcome, high.outcome), (Outcome::Granted, Outcome::Narrowed, Outcome::StepUp));
    let approved = answered(bundle, &f, (Verdict::Approved, vec![score("a", 60)], 2, 8, false));
    let cured = at(60, Some(approved));
    assert!(cured.approval.is_some(), "{cured:?}");
    assert_eq!((cured.outcome, cured.ttl_max), (Outcome::Narrowed, elevated.ttl_max));
}
