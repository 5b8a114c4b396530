//! What tokens say of a task's words: their digests, worked out when the words come and not for each token.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::broker::register::ceiling_bytes;
use crate::broker::words::TaskWords;

/// The digests of a task's words, each as `sha-256:` and hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Hashes {
    /// Of the intent; empty when the words were erased.
    pub(in crate::broker) intent: Arc<str>,
    /// Of the ceiling; `None` where there is none.
    pub(in crate::broker) authority: Option<Arc<str>>,
}

impl Hashes {
    pub(in crate::broker) fn of(words: Option<&TaskWords>) -> Self {
        let intent = words.map(|words| hash(words.intent.as_str().as_bytes())).unwrap_or_default();
        let ceiling = words.and_then(|words| words.ceiling.as_ref());
        Self { intent: intent.into(), authority: ceiling.map(|ceiling| hash(&ceiling_bytes(Some(ceiling))).into()) }
    }
}

fn hash(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = "sha-256:".to_owned();
    for byte in digest.as_ref() {
        let _infallible = write!(out, "{byte:02x}");
    }
    out
}
