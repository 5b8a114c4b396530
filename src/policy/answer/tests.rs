//! What an answer of people does to a decision, and what it never does.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;

use crate::model::approval::{ApprovalFacts, Cure, Verdict, doubts};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{Facts, Question};
use crate::model::id::ApprovalId;
use crate::model::provenance::Provenance;
use crate::model::reason::ReasonCode;
use crate::model::risk::Band;
use crate::model::time::Timestamp;
use crate::policy::cases::in_band;
use crate::policy::decide::decide_at;
use crate::policy::decide::tests::{facts, shipped, sink};

/// A mail to somebody whom only a text names, after private data and untrusted input.
fn doubtful() -> Facts {
    let mut facts = facts(&["mail.send"]);
    facts.entries[0].sinks = vec![sink("mail.send", "to", Provenance::None)];
    facts.session.untrusted_input = true;
    facts
}

fn approved(decision: &Decision, facts: &Facts, band: Band) -> ApprovalFacts {
    ApprovalFacts {
        id: ApprovalId::new(Timestamp::from_secs(1), [7; 10]),
        verdict: Verdict::Approved,
        by: vec!["rae".parse().unwrap()],
        policy_digest: shipped().digest().to_string(),
        band,
        cures: doubts(decision),
        until: facts.now.after(std::time::Duration::from_secs(60)),
        used: false,
    }
}

fn decided(facts: &Facts, band: Band) -> Decision {
    decide_at(shipped(), facts, in_band(band))
}

#[test]
fn an_approval_takes_away_what_was_shown_and_is_named_in_the_decision() {
    let mut facts = doubtful();
    let before = decided(&facts, Band::High);
    assert_eq!(before.outcome, Outcome::Review);
    assert_eq!(before.approval, None);
    let approval = approved(&before, &facts, Band::High);
    facts.approval = Some(approval.clone());
    let after = decided(&facts, Band::High);
    // In such a band it lives shorter, approved or not.
    assert_eq!((after.outcome, after.approval), (Outcome::Narrowed, Some(approval.id)), "{:?}", after.reasons);
    assert_eq!(after.ttl_max, before.ttl_max, "it lives no longer for having been approved");
}

#[test]
fn an_approval_is_good_for_nothing_that_was_not_shown() {
    let facts = doubtful();
    let shown = decided(&facts, Band::High);
    let approval = approved(&shown, &facts, Band::High);
    type Change = fn(&mut Facts, &mut ApprovalFacts);
    let changes: [(&str, Band, Change); 8] = [
        ("another bundle", Band::High, |_, a| a.policy_digest = "00".repeat(32)),
        // In both the same is in doubt.
        ("a higher band", Band::High, |_, a| a.band = Band::Elevated),
        ("other data", Band::High, |f, _| f.session.carries = vec!["personal".parse().unwrap()]),
        ("another sink", Band::High, |f, _| f.entries[0].sinks.push(sink("mail.send", "cc", Provenance::None))),
        ("its time is over", Band::High, |f, a| f.now = a.until),
        ("another doubt", Band::High, |f, _| f.session.overflowed = true),
        ("one doubt was not shown", Band::High, |_, a| drop(a.cures.pop())),
        ("it was about another entry", Band::High, |_, a| {
            a.cures.iter_mut().for_each(|c| c.entry = c.entry.map(|n| n + 1));
        }),
    ];
    for (name, band, change) in changes {
        let (mut facts, mut approval) = (facts.clone(), approval.clone());
        change(&mut facts, &mut approval);
        let without = decided(&facts, band);
        facts.approval = Some(approval);
        let with = decided(&facts, band);
        assert_eq!(with, without, "{name}");
        assert!(!with.outcome.is_grant(), "{name}");
    }
}

#[test]
fn an_approval_is_good_for_the_data_that_was_shown_whatever_brought_it() {
    use crate::model::facts::LetInBy;
    let mut facts = facts(&["mail.search", "mail.send"]);
    facts.entries[1].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    facts.entries[0].data_classes = vec!["pii".parse().unwrap()];
    let shown = decided(&facts, Band::Low);
    assert_eq!(shown.outcome, Outcome::StepUp);
    facts.approval = Some(approved(&shown, &facts, Band::Low));
    assert_eq!(decided(&facts, Band::Low).outcome, Outcome::Granted);
    // As it stands once it was granted, and reported.
    facts.question = Question::Retain;
    let by = LetInBy { tool: Some("mail.search".parse().unwrap()), call: Some(0), position: 7 };
    facts.session.untrusted_input = true;
    facts.session.untrusted_by = Some(by.clone());
    for class in ["correspondence", "pii"] {
        facts.session.carries.push(class.parse().unwrap());
        facts.session.carries_by.insert(class.parse().unwrap(), by.clone());
    }
    assert_eq!(decided(&facts, Band::Low).outcome, Outcome::Granted);
    facts.session.carries.push("records".parse().unwrap());
    facts.session.carries_by.insert("records".parse().unwrap(), by);
    assert_eq!(decided(&facts, Band::Low).outcome, Outcome::StepUp, "other data is another doubt");
}

#[test]
fn an_approval_is_good_for_no_class_that_was_read_since_though_the_tool_that_sends_touches_it() {
    let mail = shipped().catalogue().tool(&"mail.send".parse().unwrap()).unwrap();
    assert_eq!(mail.sensitive, ["correspondence".parse().unwrap()], "which it does not read");
    let mut facts = facts(&["mail.send"]);
    facts.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    facts.session.untrusted_input = true;
    facts.session.carries = vec!["pii".parse().unwrap()];
    let shown = decided(&facts, Band::Low);
    assert_eq!((shown.outcome, shown.reasons[0].code), (Outcome::StepUp, ReasonCode::TaintedExit));
    let approval = approved(&shown, &facts, Band::Low);
    let uses = [
        ("the retry", Question::Request, approval.clone()),
        ("the grant that lives", Question::Retain, approval.of_granted(&granted(&shown))),
        ("its renewal", Question::Request, approval.of_granted(&granted(&shown))),
    ];
    for (name, question, approval) in uses {
        let mut later = Facts { question, approval: Some(approval), ..facts.clone() };
        assert!(decided(&later, Band::Low).outcome.is_grant(), "{name}: nothing came since");
        later.session.carries.push("correspondence".parse().unwrap());
        assert_eq!(decided(&later, Band::Low).outcome, Outcome::StepUp, "{name}: nobody was shown that mail was read");
    }
}

#[test]
fn what_is_denied_stays_denied_whatever_was_approved() {
    let mut facts = doubtful();
    facts.session.carries = vec!["credentials".parse().unwrap()];
    let denied = decided(&facts, Band::Low);
    assert_eq!(denied.outcome, Outcome::Denied);
    facts.approval = Some(approved(&denied, &facts, Band::Critical));
    assert_eq!(decided(&facts, Band::Low), denied);
}

#[test]
fn a_denial_answers_what_would_be_asked_again_and_nothing_else() {
    let mut facts = doubtful();
    let shown = decided(&facts, Band::Low);
    let denial = ApprovalFacts { verdict: Verdict::Denied, ..approved(&shown, &facts, Band::Low) };
    facts.approval = Some(denial.clone());
    let denied = decided(&facts, Band::Low);
    assert_eq!((denied.outcome, denied.reasons[0].code), (Outcome::Denied, ReasonCode::ApprovalDenied));
    facts.approval = Some(ApprovalFacts { verdict: Verdict::Unanswered, ..denial.clone() });
    assert_eq!(decided(&facts, Band::Low).reasons[0].code, ReasonCode::ApprovalUnanswered);
    // It stands for a while.
    facts.approval = Some(denial.clone());
    facts.now = denial.until;
    assert_eq!(decided(&facts, Band::Low).outcome, shown.outcome);
    // Where policy asks nobody, nobody's answer counts.
    let mut clear = super::super::decide::tests::facts(&["tickets.read"]);
    let granted = decided(&clear, Band::Low);
    clear.approval = Some(denial);
    assert_eq!((decided(&clear, Band::Low).outcome, granted.outcome), (Outcome::Granted, Outcome::Granted));
}

#[test]
fn a_step_up_that_nobody_could_confirm_is_a_review() {
    let mut facts = doubtful();
    facts.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Text)];
    facts.session.untrusted_input = false;
    assert_eq!(decided(&facts, Band::Low).outcome, Outcome::StepUp);
    facts.initiator.verified = false;
    let review = decided(&facts, Band::Low);
    assert_eq!((review.outcome, review.approvals_needed), (Outcome::Review, 1));
}

#[test]
fn when_nothing_would_be_left_an_approval_lets_in_what_it_showed() {
    use crate::model::ceiling::{Breach, CeilingFit};
    let outside = || CeilingFit::Outside { breaches: vec![Breach::Tool] };
    let mut facts = facts(&["tickets.read"]);
    facts.entries[0].ceiling = outside();
    let shown = decided(&facts, Band::Low);
    assert_eq!(shown.outcome, Outcome::StepUp);
    facts.approval = Some(approved(&shown, &facts, Band::Low));
    let granted = decided(&facts, Band::Low);
    assert_eq!((granted.outcome, granted.entries[0].included), (Outcome::Granted, true));
    // All of what was asked for, not what happens to lie within.
    facts.approval = None;
    facts.entries[0].resources = vec!["queue/a".to_owned(), "queue/b".to_owned()];
    let beyond = |resource: &str| Breach::Resource { resource: resource.to_owned() };
    facts.entries[0].ceiling = CeilingFit::Outside { breaches: vec![beyond("queue/a"), beyond("queue/b")] };
    let shown = decided(&facts, Band::Low);
    assert_eq!(shown.outcome, Outcome::StepUp);
    facts.approval = Some(approved(&shown, &facts, Band::Low));
    assert_eq!(decided(&facts, Band::Low).entries[0].resources, ["queue/a", "queue/b"]);
    // Beside something that is left, what goes beyond the ceiling is still left out.
    let mut two = super::super::decide::tests::facts(&["tickets.read", "tickets.search"]);
    two.entries[1].ceiling = outside();
    let narrowed = decided(&two, Band::Low);
    assert_eq!(narrowed.outcome, Outcome::Narrowed);
    two.approval = Some(approved(&narrowed, &two, Band::Low));
    assert_eq!(decided(&two, Band::Low), narrowed);
}

/// The entries of a decision as they are when all of them were granted.
fn granted(decision: &Decision) -> Vec<crate::model::decision::EntryDecision> {
    let included = |entry: &crate::model::decision::EntryDecision| {
        let mut entry = entry.clone();
        entry.included = true;
        entry
    };
    decision.entries.iter().map(included).collect()
}

#[test]
fn a_live_grant_keeps_its_approval_past_the_time_in_which_it_could_be_used() {
    let mut facts = doubtful();
    let shown = decided(&facts, Band::Low);
    let approval = approved(&shown, &facts, Band::Low);
    for question in [Question::Retain, Question::Request] {
        facts.question = question;
        facts.now = approval.until;
        facts.approval = Some(approval.of_granted(&granted(&shown)));
        assert_eq!(decided(&facts, Band::Low).outcome, Outcome::Granted, "{question:?}");
    }
    // A doubt that came since was not shown.
    facts.session.overflowed = true;
    assert!(!decided(&facts, Band::Low).outcome.is_grant());
}

#[test]
fn of_what_was_left_out_nothing_is_carried_on() {
    let mut facts = facts(&["tickets.search", "mail.send"]);
    facts.entries[1].sinks = vec![sink("mail.send", "to", Provenance::None)];
    let mut decision = decided(&facts, Band::Low);
    decision.entries[1].included = true;
    let cures = vec![
        Cure::new(ReasonCode::SinkUnseen, Some(1), None, "`to`"),
        Cure::new(ReasonCode::CeilingExceeded, Some(0), None, ""),
        Cure::new(ReasonCode::RiskHigh, None, None, "score 60, band high"),
    ];
    let approval = ApprovalFacts { cures, ..approved(&decision, &facts, Band::Low) };
    let (carried, known) = (approval.of_granted(&decision.entries), BTreeSet::new());
    assert!(carried.cures(&Cure::new(ReasonCode::SinkUnseen, Some(0), None, "`to`"), &known), "{carried:?}");
    assert!(
        carried.cures(&Cure::new(ReasonCode::RiskHigh, None, None, "score 61, band high"), &known),
        "a score is no doubt of its own"
    );
    assert_eq!((carried.cures.len(), carried.used), (2, true));
}
