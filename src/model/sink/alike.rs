//! Member names that a program or a person could take for each other. Many readers of JSON find members without regard to
//! case, some drop what joins words, some normalise first; so a name that is not a sink's, and almost is, can be either.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

/// True when two names are the same but for case, compatibility forms (NFKC), what joins words, what can't be seen, and letters
/// that look the same (UTS 39). Dots part the names of a path and count.
#[must_use]
pub fn are(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return plain_letters(a).eq(plain_letters(b));
    }
    folded(a) == folded(b)
}

/// True when two paths can't be told apart by every reader: they part at names that are [alike](are).
#[must_use]
pub fn paths_are(a: &str, b: &str) -> bool {
    if a == b {
        return false;
    }
    let mut parts = a.split('.').zip(b.split('.')).skip_while(|(a, b)| a == b);
    parts.next().is_some_and(|(a, b)| are(a, b))
}

fn plain_letters(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().filter(|b| b.is_ascii_alphanumeric() || *b == b'.').map(|b| b.to_ascii_lowercase())
}

fn folded(name: &str) -> String {
    // Upper case first: some letters (the long s) have their plain form only there.
    let letters = name.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let letters: String = letters.filter(|c| c.is_alphanumeric() || *c == '.').collect();
    skeleton(&letters).flat_map(char::to_lowercase).collect()
}
