//! Entries of one request: what one lets in, the others meet.

use super::*;
use crate::model::facts::LetInBy;
use crate::policy::structure;
use crate::risk::beside::{is_left_out, session_beside};

fn reading_and_sending() -> Facts {
    let mut facts = facts(&["mail.search", "mail.send"]);
    facts.entries[1].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    facts
}

#[test]
fn it_is_told_what_let_in_and_how() {
    let whole = reading_and_sending();
    let decision = decide(shipped(), &whole);
    let detail = |decision: &Decision| decision.reasons.iter().find(|r| r.entry.is_some()).unwrap().detail.clone();
    let expected = "correspondence from `mail.search` (in the same request), untrusted input from `mail.search` (in the same request)";
    assert_eq!((decision.outcome, detail(&decision).as_str()), (Outcome::StepUp, expected));
    let words = decision.risk.contributions.iter().map(|c| c.explanation.as_str()).collect::<Vec<_>>().join("; ");
    assert!(words.contains("`mail.send` is a way out; read was correspondence from `mail.search`"), "{words}");

    let mut after = facts(&["mail.send"]);
    after.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    let class: crate::model::id::DataClass = "pii".parse().unwrap();
    let by = |tool: Option<&str>, call| LetInBy { tool: tool.map(|t| t.parse().unwrap()), call, position: 9 };
    after.session.carries = vec![class.clone()];
    after.session.carries_by.insert(class, by(Some("db.query"), Some(1)));
    after.session.untrusted_input = true;
    after.session.untrusted_by = Some(by(None, Some(2)));
    let expected =
        "pii from `db.query` (call 2), untrusted input from a tool that the catalogue does not know (call 3)";
    assert_eq!(detail(&decide(shipped(), &after)), expected);
    after.session.untrusted_by = None;
    after.session.carries_by.clear();
    assert_eq!(detail(&decide(shipped(), &after)), "pii", "as older records have it");
}

#[test]
fn an_entry_does_not_meet_what_it_lets_in_itself() {
    let mut facts = facts(&["web.fetch"]);
    facts.entries[0].sinks = vec![sink("web.fetch", "url", Provenance::Intent)];
    facts.entries[0].data_classes = vec!["pii".parse().unwrap()];
    assert_eq!(decide(shipped(), &facts).outcome, Outcome::Granted);
    facts.entries.push(facts.entries[0].clone());
    assert!(codes(&decide(shipped(), &facts)).contains(&"TAINTED_EXIT"), "of two, each meets the other's");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_the_entries_stand_it_is_the_same(f in any_facts(), band in 0_usize..4) {
        let mut turned = f.clone();
        turned.entries.reverse();
        let decided = |facts: &Facts| decide_at(shipped(), facts, in_band(Band::ALL[band]));
        let (one, other) = (decided(&f), decided(&turned));
        prop_assert_eq!(one.outcome, other.outcome);
        prop_assert_eq!(one.approvals_needed, other.approvals_needed);
        let included = |d: &Decision| d.entries.iter().map(|e| e.included).collect::<Vec<_>>();
        prop_assert_eq!(included(&one), included(&other).into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_request_is_asked_no_less_than_its_last_step_alone(f in any_facts()) {
        if f.question != Question::Request || f.entries.len() < 2 {
            return Ok(());
        }
        // All but the last were granted before, as far as nothing of them is left out.
        let catalogue = shipped().catalogue();
        let mut last = f.clone();
        last.session = session_beside(catalogue, &f, f.entries.len() - 1).into_owned();
        last.entries.drain(..f.entries.len() - 1);
        let (whole, last) = (decide_at(shipped(), &f, in_band(Band::Low)), decide_at(shipped(), &last, in_band(Band::Low)));
        if whole.outcome.is_grant() && whole.entries.last().is_some_and(|e| e.included) {
            prop_assert!(last.outcome.is_grant(), "{:?}", last.reasons);
        }
    }

    #[test]
    fn what_is_left_out_for_the_ceiling_is_known_before_policy_is_asked(entry in any_entry()) {
        let tool = shipped().catalogue().tool(&entry.tool).unwrap();
        let mut findings = Vec::new();
        structure::offer(0, &entry, tool, &mut findings);
        let left_out = findings.iter().any(|f| f.outcome == Outcome::Narrowed && !f.keeps_entry);
        prop_assert_eq!(is_left_out(&entry, tool), left_out);
    }
}
