//! Who is asked, whose place is kept, and that nobody is asked who is not there.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::broker::approvals::{About, ApprovalStanding, Escalated};
use crate::broker::state::Block;
use crate::model::approval::Verdict;
use crate::model::id::{DecisionId, TaskId};
use crate::model::risk::Band;
use crate::model::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn person(name: &str, rights: &[Right]) -> PersonOptions {
    PersonOptions { name: name.parse().unwrap(), accounts: Vec::new(), may: rights.iter().copied().collect() }
}

/// Ann, Rae and Sam review, Bob reads; Rae and Bob are finance, Ann and Sam are support, Bob alone is legal.
fn directory() -> Directory {
    let persons = [
        person("ann", &Right::ALL),
        person("rae", &[Right::Approve]),
        person("sam", &[Right::Approve]),
        person("bob", &[Right::Read]),
    ];
    let group = |name: &str, members: &[&str]| {
        (name.parse().unwrap(), members.iter().map(|member| member.parse().unwrap()).collect())
    };
    let groups = [
        group("group:finance", &["rae", "bob"]),
        group("group:support", &["ann", "sam"]),
        group("group:legal", &["bob"]),
        group("group:desk", &["ann"]),
    ];
    Directory::new(&persons, groups.into(), Vec::new())
}

/// Ann asks for it, for these owners.
fn asked(needed: u32, owners: &[&str], voters: &[&str]) -> Approval {
    Approval {
        task: TaskId::new(NOW, [1; 10]),
        agent: "spiffe://td.test/agent/a".parse().unwrap(),
        initiator: "ann".parse().unwrap(),
        on_the_word_of: None,
        covers: [0; 32],
        about: About::Credential,
        outcome: Outcome::Review,
        needed,
        decision: DecisionId::new(NOW, [2; 10]),
        position: 1,
        policy_digest: String::new(),
        band: Band::Low,
        doubts: Vec::new(),
        scores: Vec::new(),
        asked: NOW,
        standing: ApprovalStanding::Pending,
        until: Timestamp::MAX,
        owners: owners.iter().map(ToString::to_string).collect(),
        escalated: None,
        votes: voters.iter().map(|voter| (voter.parse().unwrap(), Verdict::Approved, NOW)).collect(),
        changed: 1,
    }
}

fn wanted_of(state: &State, approval: &Approval) -> Vec<String> {
    wanted(state, &directory(), approval).map(str::to_owned).collect()
}

/// Who has a place among Rae and Sam.
fn places(approval: &Approval) -> Vec<&'static str> {
    let (state, directory) = (State::default(), directory());
    let has = |name: &&str| has_place_for(&state, &directory, approval, &name.parse().unwrap());
    ["rae", "sam"].into_iter().filter(has).collect()
}

#[test]
fn an_owner_is_wanted_for_whom_somebody_reviews_who_is_not_the_initiator_and_is_not_blocked() {
    let mut state = State::default();
    let all = ["group:finance", "group:support", "group:legal", "group:desk", "group:nobody", "sam", "ann", "bob"];
    let approval = asked(1, &all, &[]);
    assert_eq!(wanted_of(&state, &approval), ["group:finance", "group:support", "sam"]);
    let block = Block { sealed_reason: Vec::new(), since: NOW, position: 1 };
    state.blocks.insert(Target::Initiator("rae".parse().unwrap()), block);
    assert_eq!(wanted_of(&state, &approval), ["group:support", "sam"]);
    let escalated = Escalated { at: NOW, position: 2, as_review: false };
    let none: [String; 0] = [];
    assert_eq!(wanted_of(&state, &Approval { escalated: Some(escalated), ..approval.clone() }), none);
    assert_eq!(wanted_of(&state, &Approval { outcome: Outcome::StepUp, ..approval }), none);
}

#[test]
fn who_is_merely_named_as_initiator_takes_no_owner_out_of_the_question_and_answers_nothing() {
    let state = State::default();
    let word = Some("spiffe://td.test/orchestrator".parse().unwrap());
    let approval = Approval { on_the_word_of: word, ..asked(1, &["group:desk", "group:support", "group:legal"], &[]) };
    assert_eq!(wanted_of(&state, &approval), ["group:desk", "group:support"]);
    let desk = Approval { owners: ["group:desk".to_owned()].into(), ..approval };
    let none: [&str; 0] = [];
    assert_eq!(places(&desk), none, "Ann, who is named, is the only one there");
    let (route, note) = shown(&state, &directory(), &desk);
    assert_eq!((route, note.contains("`group:desk` nobody else")), (v1::ApprovalRoute::Owners, true), "{note}");
    let escalated = Escalated { at: NOW, position: 2, as_review: false };
    assert_eq!(places(&Approval { escalated: Some(escalated), ..desk.clone() }), ["rae", "sam"]);
    assert_eq!(places(&Approval { on_the_word_of: None, ..desk }), ["rae", "sam"], "where somebody verified it");
}

#[test]
fn the_places_that_are_left_are_kept_for_the_owners() {
    let finance = ["group:finance"];
    for (name, approval, expected) in [
        ("nobody's in particular", asked(1, &[], &[]), vec!["rae", "sam"]),
        ("one for the owner", asked(1, &finance, &[]), vec!["rae"]),
        ("one of two for the owner", asked(2, &finance, &[]), vec!["rae", "sam"]),
        ("the last for the owner", asked(2, &finance, &["sam"]), vec!["rae"]),
        ("the owner was there", asked(2, &finance, &["rae"]), vec!["rae", "sam"]),
        ("one for each of two owners", asked(1, &["group:finance", "group:support"], &[]), vec!["rae", "sam"]),
        ("what is left is the other's", asked(1, &["group:finance", "group:support"], &["rae"]), vec!["sam"]),
        ("nobody can answer for them", asked(1, &["group:legal"], &[]), vec!["rae", "sam"]),
    ] {
        assert_eq!(places(&approval), expected, "{name}");
    }
}

#[test]
fn why_it_is_for_others_than_policy_says_is_told() {
    use v1::ApprovalRoute::{Initiator, Owners, Reviewers};
    let (state, directory) = (State::default(), directory());
    let told = |approval: &Approval| shown(&state, &directory, approval);
    assert_eq!(told(&asked(1, &[], &[])), (Reviewers, String::new()));
    assert_eq!(told(&asked(1, &["group:finance"], &[])), (Owners, String::new()));
    assert_eq!(told(&asked(1, &["group:finance"], &["rae"])), (Owners, String::new()), "when the owner has answered");
    let (route, note) = told(&asked(1, &["group:legal"], &[]));
    assert_eq!((route, note.as_str()), (Reviewers, "Nobody can answer for `group:legal`: whoever reviews may."));
    let (route, note) = told(&asked(1, &["group:finance", "group:legal"], &[]));
    assert_eq!((route, note.as_str()), (Owners, "Nobody can answer for `group:legal`."));
    let step_up = Approval { outcome: Outcome::StepUp, ..asked(1, &[], &[]) };
    assert_eq!(told(&step_up), (Initiator, String::new()));
    let escalated = |as_review| Some(Escalated { at: NOW, position: 2, as_review });
    let (route, note) = told(&Approval { escalated: escalated(false), ..asked(1, &["group:finance"], &[]) });
    assert_eq!((route, note.contains("`group:finance` in time")), (Reviewers, true));
    assert_eq!(told(&Approval { escalated: escalated(false), ..step_up.clone() }), (Initiator, String::new()));
    let (route, note) = told(&Approval { escalated: escalated(true), ..step_up });
    assert_eq!((route, note.contains("initiator did not confirm")), (Reviewers, true));
}
