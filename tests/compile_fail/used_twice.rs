//! No witness is used twice.

use carnet::identity::caller::VerifiedCaller;
use carnet::journal::Journal;
use carnet::journal::entry::{Committed, Entry};
use carnet::mint::draft::{Draft, Plan};
use carnet::mint::ring::KeyRing;
use carnet::model::decision::Decision;
use carnet::policy::permit::Permit;

pub fn one_caller_two_permits(caller: VerifiedCaller, decision: Decision) {
    let _ = Permit::from_decision(caller, decision.clone());
    let _ = Permit::from_decision(caller, decision); //~ E0382
}

pub fn one_permit_two_drafts(permit: Permit, plan: &Plan, keys: &KeyRing, entry: Entry) {
    let _ = Draft::new(permit, plan, keys, entry.clone(), |claims| Ok(claims.to_vec()));
    let _ = Draft::new(permit, plan, keys, entry, |claims| Ok(claims.to_vec())); //~ E0382
}

pub async fn one_draft_two_records(draft: Draft, journal: &Journal) {
    let _ = journal.append(draft).await;
    let _ = journal.append(draft).await; //~ E0382
}

pub fn one_commit_two_tokens(committed: Committed<Draft>, keys: &KeyRing) {
    let _ = keys.release(committed);
    let _ = keys.release(committed); //~ E0382
}
