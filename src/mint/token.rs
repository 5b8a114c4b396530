//! A token: bytes that open doors. Made in this room alone, never stored, copied, serialized or shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A signed token. It leaves memory when it is dropped.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Vouches that what is signed stands durably in the record.
    pub(super) fn assertion(signing_input: &str, signature: &[u8]) -> Self {
        // With room for all of it from the start, no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(signing_input.len() + 1 + signature.len() * 4 / 3 + 4));
        text.push_str(signing_input);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Self(text)
    }

    /// The token itself, for the answer to its agent and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}
