//! No witness is made outside the room that vouches for it.

use carnet::identity::caller::VerifiedCaller;
use carnet::journal::entry::Committed;
use carnet::mint::draft::Draft;
use carnet::mint::token::Token;

pub fn forges<T>(draft: Draft, any: fn() -> T) {
    let _ = VerifiedCaller::assertion; //~ E0624
    let _ = Committed::<Draft>::new; //~ E0624
    let _ = Token::assertion; //~ E0624
    let _ = draft.signing_input; //~ E0616
    let _ = any;
}
