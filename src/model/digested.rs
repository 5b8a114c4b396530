//! Values that are told by their keyed digests, where content must not leave a site: what is told, the key, and the form in
//! which a value is digested. Whoever has the key recognises a value that it has; nobody reads one out of a digest.

use std::fmt;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::sink::{SinkKind, SinkSpec};

/// Bytes of a key, and of a digest.
pub const DIGEST_BYTES: usize = 32;
/// Bytes of the name of a key, before they are written in hexadecimal.
const KEY_ID_BYTES: usize = 8;

/// What a value is, by which its canonical form is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestedKind {
    /// A person or mailbox.
    Address,
    /// An account.
    Account,
    /// A URL.
    Url,
    /// A file or folder.
    Path,
    /// An id.
    Id,
    /// An amount.
    Amount,
    /// Any other single value.
    Other,
    /// Prose, and whatever else has not the form of its kind: a sink's value may stand within.
    Text,
}

impl DigestedKind {
    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::Address, Self::Account, Self::Url, Self::Path, Self::Id, Self::Amount, Self::Other, Self::Text];

    /// The name in reports, and in what is digested.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Url => "url",
            Self::Path => "path",
            Self::Id => "id",
            Self::Amount => "amount",
            Self::Other => "other",
            Self::Text => "text",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// True when a value that is known under this kind is the very value of a sink of that kind. Where the form of the kind
    /// merges spellings, it is so only for sinks of this kind; all others are digested as they stand.
    #[must_use]
    pub const fn tells(self, sink: SinkKind) -> bool {
        match self {
            Self::Address => matches!(sink, SinkKind::Address),
            Self::Amount => matches!(sink, SinkKind::Amount),
            Self::Account | Self::Url | Self::Path | Self::Id | Self::Other | Self::Text => true,
        }
    }

    /// True when prose may stand in a value of that kind, if somebody else chose it.
    #[must_use]
    pub const fn may_hold_prose(self) -> bool {
        !matches!(self, Self::Address | Self::Amount)
    }

    /// The form of a value that is digested; `None` when it is none of this kind.
    fn canonical(self, text: &str) -> Option<String> {
        let kind = match self {
            Self::Address => SinkKind::Address,
            Self::Amount => SinkKind::Amount,
            _ => return Some(text.to_owned()),
        };
        SinkSpec { name: String::new(), kind }.canonical_text(text).ok()
    }
}

/// One value that was told by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestedField {
    /// Where it stands: member names joined by dots, without array indexes.
    pub path: String,
    /// What it is.
    pub kind: DigestedKind,
    /// HMAC-SHA-256 of its canonical form.
    pub hmac: [u8; DIGEST_BYTES],
}

/// What of a call was told by digests, beside what was told as values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestedCall {
    /// The name of the key.
    pub key_id: String,
    /// Of the arguments.
    pub arguments: Vec<DigestedField>,
    /// Of the result.
    pub result: Vec<DigestedField>,
}

impl DigestedCall {
    /// True when everything was told as values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.arguments.is_empty() && self.result.is_empty()
    }
}

/// The key under which the values of one task family are digested.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestKey([u8; DIGEST_BYTES]);

impl DigestKey {
    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for those who may have them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// Its name, which is no secret: whoever digests under another key is told so.
    #[must_use]
    pub fn id(&self) -> String {
        let tag = hmac::sign(&self.hmac(), b"key id");
        tag.as_ref().iter().take(KEY_ID_BYTES).fold(String::new(), |id, byte| id + &format!("{byte:02x}"))
    }

    /// The digest of a value; `None` when it has not the form of its kind.
    #[must_use]
    pub fn digest(&self, kind: DigestedKind, text: &str) -> Option<[u8; DIGEST_BYTES]> {
        let canonical = kind.canonical(text)?;
        // No name of a kind holds the byte that ends it.
        let mut tag = hmac::Context::with_key(&self.hmac());
        tag.update(kind.as_str().as_bytes());
        tag.update(&[0]);
        tag.update(canonical.as_bytes());
        tag.sign().as_ref().try_into().ok()
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl Drop for DigestKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: DigestKey = DigestKey::new([7; DIGEST_BYTES]);

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reporters compute it by themselves, and records are read by later versions.
    #[test]
    fn a_digest_stays_what_the_docs_say() {
        // `printf 'address\0bob@acme.test' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07`
        let digest = KEY.digest(DigestedKind::Address, " bob@ACME.test ").unwrap();
        assert_eq!(hex(&digest), "efd48b62c5ccb73d0fc7993a29228ee0b86c701d500aa2061241bc26f7585a84");
        assert_eq!(KEY.id(), "90545d8ed4defe19");
    }

    #[test]
    fn the_canonical_form_is_that_of_the_kind() {
        let same = |kind, one, other| KEY.digest(kind, one).unwrap() == KEY.digest(kind, other).unwrap();
        assert!(same(DigestedKind::Amount, "1.50e1", " 15 "));
        assert!(same(DigestedKind::Address, "bob@ACME.test", "bob@acme.test"));
        assert!(!same(DigestedKind::Address, "Bob@acme.test", "bob@acme.test"), "the local part is the target's own");
        assert!(!same(DigestedKind::Id, "15.0", "15"));
        assert!(!same(DigestedKind::Url, "https://ACME.test/", "https://acme.test/"));
        assert_eq!(KEY.digest(DigestedKind::Amount, "much"), None);
    }

    #[test]
    fn kinds_keys_and_values_are_told_apart() {
        let mut seen = std::collections::HashSet::new();
        for key in [KEY, DigestKey::new([8; DIGEST_BYTES])] {
            for kind in DigestedKind::ALL {
                for value in ["1", "2"] {
                    assert!(seen.insert(key.digest(kind, value).unwrap()), "{kind:?} {value}");
                }
            }
        }
    }

    #[test]
    fn a_key_is_not_told() {
        assert_eq!(format!("{KEY:?}"), "DigestKey(redacted)");
    }
}
