//! What a bundle says of who approves, and that one which says nothing leaves it to what holds anyway.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;

use crate::model::approval::ApprovingFacts;
use crate::model::decision::Outcome;
use crate::model::facts::{Facts, Question};
use crate::model::risk::Band;
use crate::policy::bundle::tests::load;
use crate::policy::decide::decide;
use crate::policy::decide::tests::{facts, shipped};
use crate::policy::schema::SHIPPED;

/// Rae, who has nothing to do with task or agent, says the one yes that it takes.
fn by_rae() -> ApprovingFacts {
    ApprovingFacts {
        by: "rae".parse().unwrap(),
        initiated: false,
        answers_for_agents: false,
        outcome: Outcome::Review,
        band: Band::Elevated,
        amendment: false,
        owners: BTreeSet::new(),
        agent_owners: BTreeSet::new(),
        votes: BTreeSet::new(),
        needed: 1,
        settles: true,
        independent: true,
    }
}

fn asked(approving: ApprovingFacts) -> Facts {
    Facts { question: Question::Approve, approving: Some(approving), entries: Vec::new(), ..facts(&["mail.search"]) }
}

fn codes(facts: &Facts, bundle: &crate::policy::bundle::PolicyBundle) -> Vec<&'static str> {
    let decision = decide(bundle, facts);
    assert_eq!(decision.reasons.is_empty(), decision.outcome == Outcome::Granted, "{decision:?}");
    decision.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[test]
fn each_rule_of_separation_refuses_by_policy_too() {
    let rows = [
        (by_rae(), vec![]),
        (ApprovingFacts { band: Band::Critical, ..by_rae() }, vec![]),
        (ApprovingFacts { initiated: true, ..by_rae() }, vec!["NOT_INDEPENDENT"]),
        (
            ApprovingFacts { votes: BTreeSet::from(["rae".parse().unwrap()]), needed: 2, ..by_rae() },
            vec!["NOT_INDEPENDENT"],
        ),
        (ApprovingFacts { independent: false, ..by_rae() }, vec!["NOT_INDEPENDENT"]),
        (ApprovingFacts { independent: false, settles: false, ..by_rae() }, vec![]),
        (ApprovingFacts { outcome: Outcome::StepUp, ..by_rae() }, vec!["NOT_INITIATOR"]),
    ];
    for (approving, expected) in rows {
        assert_eq!(codes(&asked(approving.clone()), shipped()), expected, "{approving:?}");
    }
}

#[test]
fn a_bundle_may_ask_for_more_by_band_and_by_person() {
    let rule = |when: &str| {
        format!(
            "@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"denied\") forbid (principal is Carnet::Person, \
             action == Carnet::Action::\"approve\", resource) when {{ {when} }};"
        )
    };
    for (when, applies) in [
        ("context.risk.reached.contains(\"elevated\")", true),
        ("context.risk.reached.contains(\"high\")", false),
        ("context.votes_needed < 2", true),
        ("context.owners.contains(\"group:finance\")", false),
        ("context.approver.name == \"rae\"", true),
        ("principal == Carnet::Person::\"rae\"", true),
        ("principal == Carnet::Person::\"sam\"", false),
    ] {
        let bundle = load(&[("x.cedar", &rule(when)), ("tests/people.toml", "")]);
        let expected = if applies { vec!["FORBIDDEN"] } else { vec![] };
        assert_eq!(codes(&asked(by_rae()), &bundle), expected, "{when}");
    }
}

#[test]
fn without_a_permit_nobody_approves_and_without_the_action_nothing_is_said() {
    let people = include_str!("../../../deploy/policy/40-people.cedar");
    let (before, _) = people.split_once("// Who may approve.").unwrap();
    let bundle = load(&[("40-people.cedar", before), ("tests/people.toml", "")]);
    assert!(bundle.speaks_of_approvals());
    assert_eq!(codes(&asked(by_rae()), &bundle), ["NO_PERMIT"]);

    let (schema, _) = SHIPPED.split_once("  // ---- approving").unwrap();
    let older = format!("{schema}}}\n");
    let changes = [("schema.cedarschema", older.as_str()), ("40-people.cedar", before), ("tests/people.toml", "")];
    let bundle = load(&changes);
    assert!(!bundle.speaks_of_approvals());
    assert!(codes(&asked(ApprovingFacts { initiated: true, ..by_rae() }), &bundle).is_empty());
}
