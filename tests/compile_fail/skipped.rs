//! No step is left out: a decision is no permit, a draft no commit, and the commit of something else is none of the draft.

use carnet::journal::Journal;
use carnet::journal::entry::{Committed, Entry};
use carnet::mint::draft::{Draft, Plan};
use carnet::mint::ring::KeyRing;
use carnet::model::decision::Decision;
use carnet::policy::permit::Permit;

pub fn a_decision_for_a_permit(decision: Decision, plan: &Plan, keys: &KeyRing, entry: Entry) {
    let _ = Draft::new(decision, plan, keys, entry, |claims| Ok(claims.to_vec())); //~ E0308
}

pub fn a_draft_for_a_commit(draft: Draft, keys: &KeyRing) {
    let _ = keys.release(draft); //~ E0308
}

pub fn the_commit_of_something_else(committed: Committed<Entry>, keys: &KeyRing) {
    let _ = keys.release(committed); //~ E0308
}

pub async fn a_permit_on_record(permit: Permit, journal: &Journal) {
    let _ = journal.append(permit).await; //~ E0277
}
