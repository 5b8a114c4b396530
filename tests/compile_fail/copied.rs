//! No witness is copied: each stands for one caller, one decision, one record.

use carnet::identity::caller::VerifiedCaller;
use carnet::journal::entry::Committed;
use carnet::mint::draft::Draft;
use carnet::mint::token::Token;
use carnet::policy::permit::Permit;

pub fn copies(caller: VerifiedCaller, permit: Permit, draft: Draft, committed: Committed<Draft>, token: Token) {
    let _ = caller.clone(); //~ E0599
    let _ = permit.clone(); //~ E0599
    let _ = draft.clone(); //~ E0599
    let _ = committed.clone(); //~ E0599
    let _ = token.clone(); //~ E0599
}
