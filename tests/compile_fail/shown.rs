//! No secret turns into text by itself.

use carnet::mint::token::Token;
use carnet::seal::handle::TaskHandle;

pub fn shows(token: &Token, handle: &TaskHandle) {
    let _ = token.to_string(); //~ E0599
    let _ = handle.to_string(); //~ E0599
    let _ = format!("{token}"); //~ E0277
    let _ = format!("{handle}"); //~ E0277
}
