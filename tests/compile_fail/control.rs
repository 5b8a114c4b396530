//! The chain as it is meant: a verified caller and a decision become a permit, a draft, a commit, and a token.

use carnet::identity::caller::VerifiedCaller;
use carnet::journal::Journal;
use carnet::journal::entry::Entry;
use carnet::mint::draft::{Draft, Plan};
use carnet::mint::ring::KeyRing;
use carnet::mint::token::Token;
use carnet::model::decision::Decision;
use carnet::policy::permit::Permit;

pub async fn chain(
    caller: VerifiedCaller,
    decision: Decision,
    plan: &Plan,
    keys: &KeyRing,
    journal: &Journal,
    entry: Entry,
) -> Option<Token> {
    let permit = Permit::from_decision(caller, decision).ok()?;
    let draft = Draft::new(permit, plan, keys, entry, |claims| Ok(claims.to_vec())).ok()?;
    let committed = journal.append(draft).await.ok()?;
    keys.release(committed).ok()
}
