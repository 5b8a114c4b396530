//! Keys and their rotation, signing, and the last steps to a token: a permit becomes a draft whose claims are fixed, the
//! draft is recorded, and the token leaves only against the proof that it was.

pub mod author;
pub mod draft;
pub mod error;
pub mod reissue;
pub mod ring;
pub mod token;
pub mod view;

mod pem;
mod ring_state;
mod signing_key;
mod terms;
